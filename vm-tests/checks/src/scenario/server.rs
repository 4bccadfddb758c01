//! Servers of the lab that a scenario names.

use diorite_lab::{
    Certificate, Lab,
    peers::{
        http::{Reply, Site},
        smtp::Smtp,
        syslog::Syslog,
    },
};
use diorite_model::{
    Error, Result,
    scenario::{Scenario, Serves},
};

/// A server that runs.
pub enum PeerServer {
    /// Pages.
    Http(Site),
    /// Messages.
    Syslog(Syslog),
    /// Mail.
    Smtp(Smtp),
}

/// Starts every peer of the scenario.
pub fn start(scenario: &Scenario, lab: &Lab) -> Result<Vec<PeerServer>> {
    let one = |peer: &diorite_model::scenario::Peer| {
        let lab = lab.at(peer.segment)?;
        Ok(match &peer.serves {
            Serves::Http(text) => {
                let site = site(text);
                lab.serve_http(peer.port, &site)?;
                PeerServer::Http(site)
            }
            Serves::Https { text, certificate, key } => {
                let site = site(text);
                let shown = Certificate::from_pem(&read(certificate)?, &read(key)?);
                let named = |e: Error| e.at(format!("{certificate}, {key}"));
                lab.serve_https(peer.port, &site, &shown.map_err(named)?)?;
                PeerServer::Http(site)
            }
            Serves::Syslog => {
                let syslog = Syslog::default();
                lab.serve_syslog(peer.port, &syslog)?;
                PeerServer::Syslog(syslog)
            }
            Serves::Smtp => {
                let smtp = Smtp::default();
                lab.serve_smtp(peer.port, &smtp)?;
                PeerServer::Smtp(smtp)
            }
        })
    };
    scenario.peers.iter().map(one).collect()
}

/// Bytes of a request: the first one of a machine that sends its journal has all of it.
const LONGEST_BODY: usize = 32 << 20;

/// Says this on every path.
fn site(text: &str) -> Site {
    let site = Site::default();
    site.set_others(Reply::text(text));
    site.take_bodies(LONGEST_BODY);
    site
}

fn read(file: &str) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|e| Error::io("a peer's file cannot be read", file, e))
}
