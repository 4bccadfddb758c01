//! `[hosts]`.

use crate::Result;
use crate::profile::{section::Section, values};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Addresses by host name, without those of the machine itself.
pub(crate) fn hosts(top: &Section) -> Result<BTreeMap<String, Vec<IpAddr>>> {
    let own = ["localhost", "ip6-localhost", "ip6-loopback"];
    let mut all = BTreeMap::new();
    for (name, text) in top.mapping("hosts")? {
        if own.contains(&name.as_str()) {
            let error = top.files.error(text.span, format!("`hosts.{name}` is this machine itself"));
            return Err(error.hint("remove it: every image has this name"));
        }
        all.insert(name, values::addresses(&text.value).map_err(|cause| top.files.error(text.span, cause))?);
    }
    Ok(all)
}

/// What stands under a name.
pub(crate) fn written(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
