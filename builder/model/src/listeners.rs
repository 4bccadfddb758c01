//! Who listens on which port of the machine, as far as its recipe says: one answer for the checks of a profile, for what a
//! verification expects, and for the ports that `run` forwards.

use crate::recipe::{Acme, Alertmanager, Ipsec, NodeExporter, Probe, Prometheus, Protocol, Recipe, ServerCertificate};
use std::fmt;

/// The port of the secure shell, TCP (RFC 4251).
pub const SSH: u16 = 22;

/// A port of the machine on which something listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener<'a> {
    /// Its number.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// What listens.
    pub owner: ListenerOwner<'a>,
    /// Only the machine itself can reach it, whatever the firewall says.
    pub local: bool,
}

/// What listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerOwner<'a> {
    /// sshd, which every image has.
    SecureShell,
    /// prometheus-node-exporter.
    NodeExporter,
    /// Prometheus.
    Prometheus,
    /// prometheus-blackbox-exporter, which tries the probes.
    BlackboxExporter,
    /// prometheus-alertmanager.
    Alertmanager,
    /// What answers the challenges of a certificate's authority, by the first such certificate.
    Acme(&'a str),
    /// A tunnel of `[vpn]`, by its name.
    Tunnel(&'a str),
    /// A container, by an entry of its `publish`.
    Container {
        /// Its name.
        name: &'a str,
        /// Which entry, from 0.
        publish: usize,
    },
}

impl Recipe {
    /// Everything that listens on a port of the machine and that a table of the recipe names. A rule of the firewall may
    /// name further listeners, of which nothing but the rule is known.
    pub fn listeners(&self) -> Vec<Listener<'_>> {
        let tcp = |port, owner| Listener { port, protocol: Protocol::Tcp, owner, local: false };
        let mut all = vec![tcp(SSH, ListenerOwner::SecureShell)];
        if self.monitoring.node_exporter.is_some() {
            all.push(tcp(NodeExporter::PORT, ListenerOwner::NodeExporter));
        }
        let monitoring = &self.monitoring;
        if let Some(prometheus) = &monitoring.prometheus {
            let local = prometheus.from.is_empty();
            all.push(Listener { local, ..tcp(Prometheus::PORT, ListenerOwner::Prometheus) });
        }
        if !monitoring.probes.is_empty() {
            all.push(Listener { local: true, ..tcp(Probe::PORT, ListenerOwner::BlackboxExporter) });
        }
        if let Some(manager) = &monitoring.alertmanager {
            let local = manager.from.is_empty();
            all.push(Listener { local, ..tcp(Alertmanager::PORT, ListenerOwner::Alertmanager) });
        }
        let answered = |c: &ServerCertificate| c.acme.as_ref().is_some_and(|acme| acme.dns.is_none());
        if let Some((name, _)) = self.certificates.iter().find(|(_, certificate)| answered(certificate)) {
            all.push(tcp(Acme::PORT, ListenerOwner::Acme(name)));
        }
        for (name, _, wireguard) in self.wireguard_tunnels() {
            let listens = wireguard.listen.iter();
            let udp =
                |port| Listener { port, protocol: Protocol::Udp, owner: ListenerOwner::Tunnel(name), local: false };
            all.extend(listens.map(|listen| udp(listen.port)));
        }
        // One daemon listens for all of them.
        if let Some((name, ..)) = self.ipsec_tunnels().next() {
            let owner = ListenerOwner::Tunnel(name);
            all.extend(Ipsec::PORTS.map(|port| Listener { port, protocol: Protocol::Udp, owner, local: false }));
        }
        for (name, container) in &self.containers {
            for (publish, entry) in container.publish.iter().enumerate() {
                let owner = ListenerOwner::Container { name, publish };
                all.push(Listener { port: entry.host, protocol: entry.protocol, owner, local: entry.local });
            }
        }
        all
    }
}

impl Listener<'_> {
    /// Whether others can reach it over TCP, where the firewall admits them.
    pub fn is_public_tcp(&self) -> bool {
        self.protocol == Protocol::Tcp && !self.local
    }

    /// Whether it is a published port of a container.
    pub fn is_published(&self) -> bool {
        matches!(self.owner, ListenerOwner::Container { .. })
    }

    /// The path of the key that declares it in a profile; nothing declares the secure shell.
    pub fn path(&self) -> Option<String> {
        match self.owner {
            ListenerOwner::SecureShell => None,
            ListenerOwner::NodeExporter => Some("monitoring.node_exporter".into()),
            ListenerOwner::Prometheus => Some("monitoring.prometheus".into()),
            ListenerOwner::BlackboxExporter => Some("monitoring.probes".into()),
            ListenerOwner::Alertmanager => Some("monitoring.alertmanager".into()),
            ListenerOwner::Acme(name) => Some(format!("certificates.{name}.acme")),
            ListenerOwner::Tunnel(name) => Some(format!("vpn.{name}.port")),
            ListenerOwner::Container { name, publish } => Some(format!("containers.{name}.publish.{publish}.host")),
        }
    }
}

impl fmt::Display for ListenerOwner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecureShell => f.write_str("the secure shell"),
            Self::NodeExporter => f.write_str("node-exporter"),
            Self::Prometheus => f.write_str("Prometheus"),
            Self::BlackboxExporter => f.write_str("the blackbox exporter"),
            Self::Alertmanager => f.write_str("Alertmanager"),
            Self::Acme(_) => f.write_str("the answers to a certificate authority"),
            Self::Tunnel(name) => write!(f, "tunnel `{name}`"),
            Self::Container { name, .. } => write!(f, "container `{name}`"),
        }
    }
}
