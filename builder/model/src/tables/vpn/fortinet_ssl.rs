//! `[vpn.NAME]` of type `fortinet_ssl`.

use super::parts::{authority, some_networks};
use crate::profile::{section::Section, written::Written};
use crate::recipe::*;
use crate::tables::firewall::parts::string;
use crate::{Result, certificate};

/// What it has besides what every tunnel has.
pub(super) const KEYS: &[&str] = &["gateway", "port", "trusted_certificates", "ca", "user", "realm", "remote"];

pub(super) fn read(t: &Section) -> Result<FortinetSsl> {
    Ok(FortinetSsl {
        gateway: string(t, "gateway")?.ok_or_else(|| t.missing("gateway"))?,
        port: t.number("port")?.map_or(443, |port| port.value),
        trusted_certificates: t.plain("trusted_certificates")?,
        ca: authority(t)?,
        user: string(t, "user")?.ok_or_else(|| t.missing("user"))?,
        realm: string(t, "realm")?,
        remote: some_networks(t, "remote")?,
    })
}

/// The keys that say this.
pub(super) fn written(t: Written, ssl: &FortinetSsl) -> Written {
    let remote: Vec<String> = ssl.remote.iter().map(ToString::to_string).collect();
    t.with("type", "fortinet_ssl")
        .with("gateway", &*ssl.gateway)
        .with("port", u32::from(ssl.port))
        .list("trusted_certificates", &ssl.trusted_certificates)
        .maybe("ca", ssl.ca.as_ref().map(|ca| certificate::pem(ca).unwrap_or_default()))
        .with("user", &*ssl.user)
        .maybe("realm", ssl.realm.as_deref())
        .list("remote", &remote)
}
