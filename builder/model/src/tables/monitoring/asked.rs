//! What monitoring, certificates and backups ask of other machines: one list for the check of what may go out and for the check of what was said.

use super::recipe::{Delivery, Monitoring, ProbeKind};
use crate::Recipe;
use crate::profile::values;
use crate::tables::backup::recipe::BackupRepository;
use crate::tables::certificates::recipe::AcmeDns;
use crate::tables::firewall::rule::Protocol;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One thing that is asked of another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The key that asks for it.
    pub path: String,
    /// Who asks, in words.
    pub who: String,
    /// What becomes of it when it does not get out, in words.
    pub(super) fails: &'static str,
    /// Whom: a name or an address.
    pub host: &'a str,
    /// Where; an echo request has neither protocol nor port.
    pub port: Option<(Protocol, u16)>,
    /// IPv4 (`true`) or IPv6 alone.
    pub ipv4: Option<bool>,
}

impl Monitoring {
    /// What monitoring asks.
    fn outgoing(&self) -> Vec<Outgoing<'_>> {
        let mut all = Vec::new();
        let tcp = |port| Some((Protocol::Tcp, port));
        for (name, target) in &self.targets {
            for (at, host) in target.hosts.iter().enumerate() {
                let (path, who) = (format!("monitoring.targets.{name}.hosts.{at}"), format!("target `{name}`"));
                let fails = "cannot be scraped";
                all.push(Outgoing { path, who, fails, host, port: tcp(target.port), ipv4: None });
            }
        }
        for (name, probe) in &self.probes {
            let (key, host, port) = match &probe.what {
                ProbeKind::Ping { host } => ("ping.host", host.as_str(), None),
                ProbeKind::Tcp { host, port, .. } => ("tcp.host", host.as_str(), tcp(*port)),
                ProbeKind::Http { url, .. } => {
                    let Ok(url) = values::url(url) else { continue };
                    ("http.url", url.host, tcp(url.port))
                }
                ProbeKind::Dns { server, .. } => ("dns.server", server.as_str(), Some((Protocol::Udp, 53))),
            };
            let (path, who) = (format!("monitoring.probes.{name}.{key}"), format!("probe `{name}`"));
            all.push(Outgoing { path, who, fails: "could only ever fail", host, port, ipv4: probe.ipv4 });
        }
        for (name, receiver) in self.alertmanager.iter().flat_map(|a| &a.receivers) {
            let place = match &receiver.by {
                Delivery::Mail { smarthost, .. } => {
                    values::smarthost(smarthost).ok().map(|(host, port)| ("mail.smarthost", host, port))
                }
                Delivery::Webhook { url, .. } => values::url(url).ok().map(|u| ("webhook.url", u.host, u.port)),
            };
            let Some((key, host, port)) = place else { continue };
            let path = format!("monitoring.alertmanager.receivers.{name}.{key}");
            let who = format!("receiver `{name}`");
            all.push(Outgoing { path, who, fails: "cannot be told", host, port: tcp(port), ipv4: None });
        }
        if let Some(url) = self.logs.as_ref().and_then(|logs| values::url(&logs.url).ok()) {
            let (path, who) = ("monitoring.logs.url".to_owned(), "the journal".to_owned());
            let (fails, port) = ("cannot be sent", tcp(url.port));
            all.push(Outgoing { path, who, fails, host: url.host, port, ipv4: None });
        }
        all
    }
}

impl Recipe {
    /// Everything that monitoring, certificates and backups ask of other machines.
    pub fn outgoing(&self) -> Vec<Outgoing<'_>> {
        let mut all = self.monitoring.outgoing();
        for (name, certificate) in &self.certificates {
            let url = certificate.acme.as_ref().and_then(|acme| values::url(&acme.directory).ok());
            all.extend(url.map(|url| Outgoing {
                path: format!("certificates.{name}.acme.directory"),
                who: format!("certificate `{name}`"),
                fails: "cannot be signed",
                host: url.host,
                port: Some((Protocol::Tcp, url.port)),
                ipv4: None,
            }));
            let dns = certificate.acme.as_ref().and_then(|acme| acme.dns.as_ref());
            for (at, host) in dns.iter().flat_map(|dns| dns.servers()).enumerate() {
                let key = if at == 0 { "server".to_owned() } else { format!("secondaries.{}", at - 1) };
                all.push(Outgoing {
                    path: format!("certificates.{name}.acme.dns.{key}"),
                    who: format!("certificate `{name}`"),
                    fails: "cannot be signed",
                    host,
                    port: Some((Protocol::Tcp, AcmeDns::PORT)),
                    ipv4: None,
                });
            }
        }
        let server = self.backup.as_ref().and_then(|backup| match &backup.repository {
            BackupRepository::Directory(_) => None,
            BackupRepository::S3 { url, .. } => values::url(url).ok().map(|url| ("s3.url", url.host, url.port)),
            BackupRepository::Sftp(sftp) => Some(("sftp.host", sftp.host.as_str(), sftp.port)),
        });
        all.extend(server.map(|(key, host, port)| Outgoing {
            path: format!("backup.{key}"),
            who: "the backup".to_owned(),
            fails: "cannot be made",
            host,
            port: Some((Protocol::Tcp, port)),
            ipv4: None,
        }));
        all
    }
}

impl Outgoing<'_> {
    /// Where it goes, as far as a profile with these `[hosts]` says.
    pub fn addresses(&self, hosts: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpAddr> {
        let own = self.host.parse::<IpAddr>().map(|a| vec![a]);
        own.unwrap_or_else(|_| hosts.get(self.host).cloned().unwrap_or_default())
    }
}
