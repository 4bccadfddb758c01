//! What several types of tunnels read.

use crate::profile::section::{At, Section};
use crate::recipe::Network;
use crate::{Result, base64, certificate};

/// A list of networks.
pub(super) fn networks(t: &Section, key: &str) -> Result<Vec<Network>> {
    Ok(t.plain(key)?.iter().map(|n| n.parse().expect("its form was checked")).collect())
}

/// A list of networks that must name one at least.
pub(super) fn some_networks(t: &Section, key: &str) -> Result<Vec<Network>> {
    let all = networks(t, key)?;
    if all.is_empty() { Err(t.missing(key)) } else { Ok(all) }
}

/// The authority, in DER and Base64.
pub(super) fn authority(t: &Section) -> Result<Option<String>> {
    let der = |text: At<String>| certificate::der(&text.value).map_err(|cause| t.files.error(text.span, cause));
    Ok(t.text("ca")?.map(der).transpose()?.map(|bytes| base64::encode(&bytes)))
}
