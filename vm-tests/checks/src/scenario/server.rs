//! Servers of the lab that a scenario names.

use crate::{placeholders, setup};
use diorite_lab::{
    Attachment, Certificate, Lab, Topology,
    peers::{
        fortinet::{Account, Fortinet},
        http::{Reply, Site},
        smtp::Smtp,
        syslog::Syslog,
    },
};
use diorite_model::{
    Error, Result,
    scenario::{Peer, Scenario, Serves},
};
use std::{collections::BTreeMap, os::fd::OwnedFd};

/// A server that runs.
pub enum PeerServer {
    /// Pages.
    Http(Site),
    /// The same through TLS.
    Https(Site, Certificate),
    /// Messages.
    Syslog(Syslog),
    /// Mail.
    Smtp(Smtp),
    /// Tunnels.
    Fortinet(Fortinet, Certificate),
}

/// Far ends of the cables of peers that have a leg in another segment, by the peers' places.
pub type Legs = BTreeMap<usize, OwnedFd>;

/// Plugs in the peers that have a leg in another segment; the cables' near ends are added to `near`.
pub fn legs(scenario: &Scenario, mut network: Topology, near: &mut Vec<OwnedFd>) -> Result<(Topology, Legs)> {
    let mut legs = Legs::new();
    for (place, peer) in scenario.peers.iter().enumerate() {
        if let Serves::Fortinet { inside, .. } = &peer.serves {
            let (one, other) = setup::cable()?;
            near.push(one);
            legs.insert(place, other);
            network = network.cable(format!("{}.inside", peer.name), Attachment::Access(*inside));
        }
    }
    Ok((network, legs))
}

/// Starts every peer of the scenario.
pub fn start(scenario: &Scenario, lab: &Lab, mut legs: Legs) -> Result<Vec<PeerServer>> {
    let one = |(place, peer): (usize, &Peer)| {
        let server = match &peer.serves {
            Serves::Http(text) => PeerServer::Http(site(text)),
            Serves::Https { text, certificate, key } => PeerServer::Https(site(text), shown(certificate, key)?),
            Serves::Syslog => PeerServer::Syslog(Syslog::default()),
            Serves::Smtp => PeerServer::Smtp(Smtp::default()),
            Serves::Fortinet { inside, user, credential, certificate, key } => {
                let leg = legs.remove(&place).ok_or_else(|| Error::bug(format!("`{}` has no leg", peer.name)))?;
                let account = Account { user: user.clone(), password: placeholders::value(credential) };
                let gateway = Fortinet::new(account, lab.at(*inside)?.config(), leg)?;
                PeerServer::Fortinet(gateway, shown(certificate, key)?)
            }
        };
        server.listen(peer, lab)?;
        Ok(server)
    };
    scenario.peers.iter().enumerate().map(one).collect()
}

impl PeerServer {
    /// Takes connections from now on.
    pub fn listen(&self, peer: &Peer, lab: &Lab) -> Result<()> {
        let (lab, port) = (lab.at(peer.segment)?, peer.port);
        match self {
            Self::Http(site) => lab.serve_http(port, site),
            Self::Https(site, certificate) => lab.serve_https(port, site, certificate),
            Self::Syslog(syslog) => lab.serve_syslog(port, syslog),
            Self::Smtp(smtp) => lab.serve_smtp(port, smtp),
            Self::Fortinet(gateway, certificate) => lab.serve_fortinet(port, gateway, certificate),
        }
    }
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

/// What a server shows and proves.
fn shown(certificate: &str, key: &str) -> Result<Certificate> {
    let shown = Certificate::from_pem(&read(certificate)?, &read(key)?);
    shown.map_err(|e| e.at(format!("{certificate}, {key}")))
}

fn read(file: &str) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|e| Error::io("a peer's file cannot be read", file, e))
}
