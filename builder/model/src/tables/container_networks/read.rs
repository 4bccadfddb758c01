//! `[container_networks.NAME]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const NETWORK: &[Field] = &[
    boolean("internal", "no way out: its containers reach each other and nothing else").or(false),
    text("subnet", &values::SUBNET, "its IPv4 addresses").or_said("`10.89.N.0/24`, N by the order of the names"),
];

pub(crate) fn networks(top: &Section) -> Result<BTreeMap<String, ContainerNetwork>> {
    let mut all = BTreeMap::new();
    for (i, (name, t)) in top.named("container_networks")?.into_iter().enumerate() {
        let subnet = t.text("subnet")?.map_or_else(|| format!("10.89.{}.0/24", i % 256), |s| s.value);
        all.insert(name, ContainerNetwork { internal: t.flag("internal")?, subnet });
    }
    Ok(all)
}

/// The table that says this.
pub(crate) fn written(network: &ContainerNetwork) -> Written {
    Written::default().with("internal", network.internal).with("subnet", &*network.subnet)
}
