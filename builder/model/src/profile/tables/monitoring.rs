//! `[monitoring]`.

use super::*;

pub(super) const MONITORING: &[Field] = &[boolean("node_exporter", "prometheus-node-exporter on port 9100").or(false)];

pub(super) fn monitoring(top: &Section) -> Result<Monitoring> {
    Ok(Monitoring { node_exporter: top.table_or_empty("monitoring")?.flag("node_exporter")? })
}
