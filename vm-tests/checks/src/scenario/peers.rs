//! What servers of the lab have heard from machines.

use super::{server::PeerServer, stage::ScenarioStage};
use crate::answer::{Judged, short, verdict};
use std::net::IpAddr;

impl ScenarioStage<'_> {
    /// Whether a server has heard this from a machine.
    pub fn heard(&self, peer: usize, machine: usize, contains: &str) -> Judged {
        let (macs, addresses) = (self.macs(machine), self.lab.addresses());
        let own = |ip: IpAddr| addresses.get(&ip).is_some_and(|mac| macs.contains(mac));
        let said: Vec<String> = match &self.peers[peer] {
            PeerServer::Http(site) => {
                let all = site.requests().into_iter().filter(|r| own(r.from.ip()));
                all.map(|r| format!("{} {} {}", r.method, r.target, String::from_utf8_lossy(&r.body))).collect()
            }
            PeerServer::Syslog(syslog) => {
                let all = syslog.received().into_iter().filter(|r| own(r.from.ip()));
                all.filter_map(|r| r.message.ok())
                    .map(|m| format!("{} {}", m.program.unwrap_or_default(), m.text))
                    .collect()
            }
            // What a person sees of it first, and then all of it.
            PeerServer::Smtp(smtp) => {
                let all = smtp.mails().into_iter().filter(|m| own(m.from.ip()));
                all.map(|m| format!("{}\n{}", m.field("Subject").unwrap_or_default(), m.text)).collect()
            }
        };
        match said.iter().find(|text| text.contains(contains)) {
            Some(text) => Ok(short(text)),
            None => verdict(false, format!("{} messages of it, none with `{contains}`", said.len())),
        }
    }
}
