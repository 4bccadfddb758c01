//! Servers of the lab that a scenario names, and what they have heard.

use super::stage::Stage;
use crate::answer::{Judged, short, verdict};
use diorite_lab::{
    Certificate, Lab,
    peers::{
        http::{Reply, Site},
        syslog::Syslog,
    },
};
use diorite_model::{
    Error, Result,
    scenario::{Scenario, Serves},
};
use std::net::IpAddr;

/// A server that runs.
pub enum Server {
    /// Pages.
    Http(Site),
    /// Messages.
    Syslog(Syslog),
}

/// Starts every peer of the scenario.
pub fn start(scenario: &Scenario, lab: &Lab) -> Result<Vec<Server>> {
    let one = |peer: &diorite_model::scenario::Peer| {
        let lab = lab.at(peer.segment)?;
        Ok(match &peer.serves {
            Serves::Http(text) => {
                let site = site(text);
                lab.serve_http(peer.port, &site)?;
                Server::Http(site)
            }
            Serves::Https { text, certificate, key } => {
                let site = site(text);
                let shown = Certificate::from_pem(&read(certificate)?, &read(key)?);
                let named = |e: Error| e.at(format!("{certificate}, {key}"));
                lab.serve_https(peer.port, &site, &shown.map_err(named)?)?;
                Server::Http(site)
            }
            Serves::Syslog => {
                let syslog = Syslog::default();
                lab.serve_syslog(peer.port, &syslog)?;
                Server::Syslog(syslog)
            }
        })
    };
    scenario.peers.iter().map(one).collect()
}

/// Says this on every path.
fn site(text: &str) -> Site {
    let site = Site::default();
    site.set_others(Reply::text(text));
    site
}

fn read(file: &str) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|e| Error::io("a peer's file cannot be read", file, e))
}

impl Stage<'_> {
    /// Whether a server has heard this from a machine.
    pub fn heard(&self, peer: usize, machine: usize, contains: &str) -> Judged {
        let (macs, addresses) = (self.macs(machine), self.lab.addresses());
        let own = |ip: IpAddr| addresses.get(&ip).is_some_and(|mac| macs.contains(mac));
        let said: Vec<String> = match &self.peers[peer] {
            Server::Http(site) => {
                let all = site.requests().into_iter().filter(|r| own(r.from.ip()));
                all.map(|r| format!("{} {} {}", r.method, r.target, String::from_utf8_lossy(&r.body))).collect()
            }
            Server::Syslog(syslog) => {
                let all = syslog.received().into_iter().filter(|r| own(r.from.ip()));
                all.filter_map(|r| r.message.ok())
                    .map(|m| format!("{} {}", m.program.unwrap_or_default(), m.text))
                    .collect()
            }
        };
        match said.iter().find(|text| text.contains(contains)) {
            Some(text) => Ok(short(text)),
            None => verdict(false, format!("{} messages of it, none with `{contains}`", said.len())),
        }
    }
}
