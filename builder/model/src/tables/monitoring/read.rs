//! `[monitoring]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::firewall::parts::{peers, peers_written};

pub(crate) const MONITORING: &[Field] = &[table(
    "node_exporter",
    NODE_EXPORTER,
    "prometheus-node-exporter on port 9100, with figures of the image, its firewall and its containers",
)];
const NODE_EXPORTER: &[Field] = &[texts(
    "from",
    &values::PEER,
    "who may ask: networks, and names of `firewall.sets`; the firewall admits them. An empty list: the machine itself",
)
.needed()];

pub(crate) fn monitoring(top: &Section) -> Result<Monitoring> {
    let t = top.table_or_empty("monitoring")?;
    let node_exporter = t.table("node_exporter")?.map(|e| Ok(NodeExporter { from: peers(&e, "from")? }));
    Ok(Monitoring { node_exporter: node_exporter.transpose()? })
}

/// Name of the rule that admits those who ask node-exporter.
pub(crate) const RULE: &str = "node-exporter";

/// Who is watching must get through the firewall; nobody has to say it twice.
pub(crate) fn admit(recipe: &mut Recipe) {
    let Some(exporter) = &recipe.monitoring.node_exporter else { return };
    if exporter.from.is_empty() {
        return;
    }
    recipe.firewall.allow.push(Allow {
        name: Some(RULE.into()),
        from: exporter.from.clone(),
        listener: Some(RULE.into()),
        ..Allow::port(NodeExporter::PORT, Protocol::Tcp)
    });
}

/// The table that says this.
pub(crate) fn written(monitoring: &Monitoring) -> Written {
    let exporter = monitoring.node_exporter.as_ref();
    let exporter = exporter.map(|e| Written::default().with("from", peers_written(&e.from)));
    Written::default().maybe("node_exporter", exporter)
}

/// Takes the rule of [`admit`] out again.
pub(crate) fn unadmit(recipe: &mut Recipe) {
    let Some(Allow { name: Some(name), .. }) = recipe.firewall.allow.last() else { return };
    if name == RULE && recipe.monitoring.node_exporter.is_some() {
        recipe.firewall.allow.pop();
    }
}
