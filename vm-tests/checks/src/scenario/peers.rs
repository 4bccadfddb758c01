//! What servers of the lab have heard from machines, and which are there.

use super::{server::PeerServer, stage::ScenarioStage};
use crate::answer::{Judged, short, verdict};
use diorite_model::Result;
use std::net::IpAddr;

impl ScenarioStage<'_> {
    /// A server goes away, or is back.
    pub fn serve_peer(&self, place: usize, away: bool) -> Result<Judged> {
        let peer = &self.scenario.peers[place];
        match away {
            true => self.lab.at(peer.segment)?.break_off(peer.port)?,
            false => self.peers[place].listen(peer, &self.lab)?,
        }
        Ok(Ok("done".to_owned()))
    }

    /// Whether a server has heard this from a machine.
    pub fn heard(&self, peer: usize, machine: usize, contains: &str) -> Judged {
        let (macs, addresses, inside) = (self.macs(machine), self.lab.addresses(), self.tunnelled(machine));
        let own = |ip: IpAddr| inside.contains(&ip) || addresses.get(&ip).is_some_and(|mac| macs.contains(mac));
        let said: Vec<String> = match &self.peers[peer] {
            PeerServer::Http(site) | PeerServer::Https(site, _) => {
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
            PeerServer::Fortinet(gateway, _) => {
                gateway.lines().into_iter().filter(|(from, _)| own(from.ip())).map(|(_, line)| line).collect()
            }
        };
        match said.iter().find(|text| text.contains(contains)) {
            Some(text) => Ok(short(text)),
            None => verdict(false, format!("{} messages of it, none with `{contains}`", said.len())),
        }
    }
}
