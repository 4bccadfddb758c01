//! The tunnels among the links of a recipe, and what they have in common.

use super::recipe::{FortinetSsl, Ipsec, TunnelCall, VpnSecret, Wireguard, preshared_key, private_key};
use crate::cidr::Network;
use crate::recipe::{Link, LinkKind, Protocol, Recipe};

impl LinkKind {
    /// Whether it is a tunnel, of `[vpn]`.
    pub fn is_tunnel(&self) -> bool {
        matches!(self, Self::Wireguard(_) | Self::Ipsec(_) | Self::FortinetSsl(_))
    }
}

impl Link {
    /// The networks at the other end of a tunnel, each with its place in the table of the tunnel.
    pub fn behind(&self) -> Vec<(String, Network)> {
        let list = |key: &str, list: &[Network]| {
            list.iter().enumerate().map(|(i, n)| (format!("{key}.{i}"), *n)).collect::<Vec<_>>()
        };
        match &self.kind {
            LinkKind::Wireguard(w) => {
                w.peers.iter().flat_map(|(name, p)| list(&format!("peers.{name}.allowed"), &p.allowed)).collect()
            }
            LinkKind::Ipsec(ipsec) => list("remote", &ipsec.remote),
            LinkKind::FortinetSsl(ssl) => list("remote", &ssl.remote),
            _ => Vec::new(),
        }
    }
}

impl Recipe {
    /// Every tunnel: its name and link.
    pub fn tunnels(&self) -> impl Iterator<Item = (&String, &Link)> {
        self.network.iter().filter(|(_, link)| link.kind.is_tunnel())
    }

    /// Every tunnel of WireGuard with its link and name.
    pub fn wireguard_tunnels(&self) -> impl Iterator<Item = (&String, &Link, &Wireguard)> {
        self.network.iter().filter_map(|(name, link)| match &link.kind {
            LinkKind::Wireguard(wireguard) => Some((name, link, wireguard)),
            _ => None,
        })
    }

    /// Every tunnel of IPsec with its link and name.
    pub fn ipsec_tunnels(&self) -> impl Iterator<Item = (&String, &Link, &Ipsec)> {
        self.network.iter().filter_map(|(name, link)| match &link.kind {
            LinkKind::Ipsec(ipsec) => Some((name, link, ipsec)),
            _ => None,
        })
    }

    /// Every tunnel over TLS to a FortiGate with its link and name.
    pub fn fortinet_ssl_tunnels(&self) -> impl Iterator<Item = (&String, &Link, &FortinetSsl)> {
        self.network.iter().filter_map(|(name, link)| match &link.kind {
            LinkKind::FortinetSsl(ssl) => Some((name, link, ssl)),
            _ => None,
        })
    }

    /// Everything that tunnels begin by themselves.
    pub fn tunnel_calls(&self) -> Vec<TunnelCall<'_>> {
        let mut all = Vec::new();
        for (tunnel, link) in self.tunnels() {
            match &link.kind {
                LinkKind::Wireguard(wireguard) => {
                    let endpoints = wireguard.peers.values().filter_map(|peer| peer.endpoint.as_ref());
                    all.extend(endpoints.map(|e| TunnelCall {
                        tunnel,
                        host: &e.host,
                        protocol: Protocol::Udp,
                        port: e.port,
                    }));
                }
                LinkKind::Ipsec(Ipsec { gateway: Some(host), .. }) => {
                    let call = |port| TunnelCall { tunnel, host, protocol: Protocol::Udp, port };
                    all.extend(Ipsec::PORTS.map(call));
                }
                LinkKind::FortinetSsl(ssl) => {
                    all.push(TunnelCall { tunnel, host: &ssl.gateway, protocol: Protocol::Tcp, port: ssl.port });
                }
                _ => {}
            }
        }
        all
    }

    /// The credentials that tunnels need, each with its tunnel.
    pub fn tunnel_credentials(&self) -> Vec<(String, &String)> {
        let credentials = |link: &Link, name: &str| match &link.kind {
            LinkKind::Wireguard(wireguard) => {
                let shared = wireguard.peers.iter().filter(|(_, peer)| peer.preshared_key);
                let shared = shared.map(|(peer, _)| preshared_key(name, peer));
                std::iter::once(private_key(name)).chain(shared).collect()
            }
            LinkKind::Ipsec(ipsec) => ipsec.secrets().into_iter().map(|secret| secret.credential(name)).collect(),
            LinkKind::FortinetSsl(_) => vec![VpnSecret::Password.credential(name)],
            _ => Vec::new(),
        };
        self.tunnels().flat_map(|(name, link)| credentials(link, name).into_iter().map(move |c| (c, name))).collect()
    }
}
