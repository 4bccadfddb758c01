//! Monitoring: what the machine says of itself, and what it asks of others.

use crate::tables::firewall::rule::Peer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// Prometheus' exporter of the machine's figures, with what the image says of itself.
    pub node_exporter: Option<NodeExporter>,
    /// Prometheus on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// What Prometheus scrapes besides this machine, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, ScrapeTarget>,
    /// What is tried from this machine, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub probes: BTreeMap<String, Probe>,
    /// Alerts by name, the standard ones among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alerts: BTreeMap<String, Alert>,
    /// Who is told of alerts, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
    /// Where the journal goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
}

/// systemd-journal-upload(8): every entry of the journal goes to another machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The server, `https://`.
    pub url: String,
    /// The authority of `[trust]` that must have signed its certificate; `None`: any that the machine trusts.
    pub authority: Option<String>,
    /// The credential with the machine's own certificate and its key.
    pub credential: Option<String>,
}

/// prometheus-node-exporter on [`NodeExporter::PORT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeExporter {
    /// Who may ask; empty: nobody but the machine itself. The firewall admits them.
    pub from: Vec<Peer>,
}

/// Prometheus on [`Prometheus::PORT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// Who may read it; empty: nobody but the machine itself, and it listens on loopback only.
    pub from: Vec<Peer>,
    /// Seconds between two scrapes, and between two evaluations of the alerts.
    pub interval: u32,
    /// Days that samples are kept for.
    pub retention_days: u32,
    /// Bytes that they take on state at most.
    pub retention_size: u64,
    /// Whether the standard alerts are added.
    pub standard_alerts: bool,
}

/// Something that serves metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeTarget {
    /// Names or addresses of the hosts.
    pub hosts: Vec<String>,
    /// TCP port.
    pub port: u16,
    /// Path of the metrics.
    pub path: String,
    /// Over TLS.
    pub https: bool,
    /// Whether the certificate must be valid.
    pub verify_certificate: bool,
    /// Credential with the token that Prometheus shows.
    pub credential: Option<String>,
    /// What serves there.
    pub serves: Serving,
}

/// What a target serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serving {
    /// The node-exporter of an image of Diorite's, with the image's own metrics.
    Diorite,
    /// A node-exporter.
    NodeExporter,
    /// Anything else.
    Other,
}

/// Something that is tried from this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What is tried.
    pub what: ProbeKind,
    /// Seconds between two attempts.
    pub interval: u32,
    /// Seconds after which an attempt has failed.
    pub timeout: u32,
    /// IPv4 (`true`) or IPv6 alone.
    pub ipv4: Option<bool>,
}

/// What a probe tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ProbeKind {
    /// An echo request.
    Ping {
        /// Name or address.
        host: String,
    },
    /// A TCP connection.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Over TLS.
        tls: bool,
        /// Whether the certificate must be valid.
        verify_certificate: bool,
        /// How what the server says first must begin.
        expect: Option<String>,
    },
    /// A page.
    Http {
        /// Address of the page.
        url: String,
        /// Status codes that are right; empty: 200 to 299.
        status: Vec<u16>,
        /// Text that must be in the page.
        contains: Option<String>,
        /// Whether the certificate must be valid.
        verify_certificate: bool,
    },
    /// A name that a name server must know.
    Dns {
        /// Name or address of the server.
        server: String,
        /// The name.
        name: String,
        /// Type of the records, such as `A`.
        record: String,
    },
}

/// When somebody is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The condition.
    pub when: Condition,
    /// Seconds that it must hold for.
    pub hold: u32,
    /// How bad it is.
    pub severity: Severity,
    /// What a person reads; `None`: what follows from the condition.
    pub summary: Option<String>,
}

/// The condition of an alert. An empty list of names: all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Condition {
    /// Something cannot be scraped.
    TargetDown {
        /// Targets.
        of: Vec<String>,
    },
    /// A probe fails.
    ProbeFailing {
        /// Probes.
        of: Vec<String>,
    },
    /// A certificate that a probe was shown ends soon.
    CertificateNearEnd {
        /// Probes.
        of: Vec<String>,
        /// Fewer than so many days are left.
        days: u32,
    },
    /// A certificate that a machine keeps was not renewed in time.
    CertificateNotRenewed {
        /// Certificates.
        of: Vec<String>,
        /// Fewer than so many days are left.
        days: u32,
    },
    /// An authority is asked for a certificate, and has never signed it.
    CertificateNeverSigned {
        /// Certificates.
        of: Vec<String>,
        /// Asked for more than so many hours.
        hours: u32,
    },
    /// The last backup is too old, or there was none.
    BackupTooOld {
        /// Older than so many hours; `None`: than one and a half times the longest time between two backups.
        hours: Option<u32>,
    },
    /// The unit of a container is not active.
    ContainerDown {
        /// Containers.
        of: Vec<String>,
    },
    /// A file system is nearly full.
    DiskNearlyFull {
        /// Where it is mounted.
        path: String,
        /// More than so many percent are taken.
        percent: u32,
    },
    /// The boot entry is not known to be good.
    BootNotBlessed,
    /// A clock is not synchronised, or is off.
    ClockOff {
        /// More than so many seconds.
        seconds: u32,
    },
    /// An expression in PromQL.
    Expression(String),
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It will not work some day.
    Warning,
    /// It does not work.
    Critical,
}

/// Alertmanager on [`Alertmanager::PORT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Who may read it and silence alerts; empty: nobody but the machine itself, and it listens on loopback only.
    pub from: Vec<Peer>,
    /// Seconds for which the first alerts of one kind are gathered into one message.
    pub group_wait: u32,
    /// Seconds between two messages about one kind of alert when something has changed.
    pub group_interval: u32,
    /// Seconds after which an alert that goes on is told again.
    pub repeat_interval: u32,
    /// Who is told, by name.
    pub receivers: BTreeMap<String, Receiver>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// The way.
    pub by: Delivery,
    /// Alerts below this are not told.
    pub least_severity: Severity,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Delivery {
    /// By mail.
    Mail {
        /// Host and port of the server that takes it.
        smarthost: String,
        /// Sender.
        from: String,
        /// Receivers.
        to: Vec<String>,
        /// STARTTLS is required.
        starttls: bool,
        /// Name of the account on the server.
        user: Option<String>,
        /// Credential with its password.
        credential: Option<String>,
    },
    /// By a request to a web server, in Alertmanager's JSON.
    Webhook {
        /// Where to.
        url: String,
        /// Credential with the token that is shown there.
        credential: Option<String>,
    },
}

impl NodeExporter {
    /// Where it listens, TCP.
    pub const PORT: u16 = 9100;
    /// Its unit.
    pub const UNIT: &str = "prometheus-node-exporter.service";
}

impl Prometheus {
    /// Where it listens, TCP.
    pub const PORT: u16 = 9090;
    /// Its unit.
    pub const UNIT: &str = "prometheus.service";
    /// Where its samples are, on state.
    pub const DATA: &str = "/var/lib/prometheus/metrics2";
}

impl Alertmanager {
    /// Where it listens, TCP.
    pub const PORT: u16 = 9093;
    /// Its unit.
    pub const UNIT: &str = "prometheus-alertmanager.service";
}

impl Logs {
    /// Its unit.
    pub const UNIT: &str = "systemd-journal-upload.service";

    /// The URL with its port, without which systemd-journal-upload(8) would take another one than URLs have, and the file
    /// of authorities.
    pub fn place(&self) -> (String, String) {
        let (place, path) = match self.url.get(8..).and_then(|rest| rest.find('/')) {
            Some(at) => self.url.split_at(8 + at),
            None => (self.url.as_str(), ""),
        };
        let port = crate::profile::values::url(&self.url).map_or(443, |url| url.port);
        let place = place.strip_suffix(&format!(":{port}")).unwrap_or(place);
        let authorities = self.authority.as_deref().unwrap_or("ca-certificates");
        let ending = if self.authority.is_some() { "pem" } else { "crt" };
        (format!("{place}:{port}{}", path.trim_end_matches('/')), format!("/etc/ssl/certs/{authorities}.{ending}"))
    }
}

impl Probe {
    /// Where the program that tries them listens, TCP, on loopback only.
    pub const PORT: u16 = 9115;
    /// Its unit.
    pub const UNIT: &str = "prometheus-blackbox-exporter.service";

    /// What is tried, in the form that the program takes.
    pub fn target(&self) -> String {
        match &self.what {
            ProbeKind::Ping { host } => host.clone(),
            ProbeKind::Tcp { host, port, .. } => host_and_port(host, *port),
            ProbeKind::Http { url, .. } => url.clone(),
            ProbeKind::Dns { server, .. } => host_and_port(server, 53),
        }
    }

    /// Whether it is shown a certificate.
    pub fn sees_certificate(&self) -> bool {
        match &self.what {
            ProbeKind::Tcp { tls, .. } => *tls,
            ProbeKind::Http { url, .. } => url.starts_with("https://"),
            ProbeKind::Ping { .. } | ProbeKind::Dns { .. } => false,
        }
    }
}

/// `host:port`, the form of RFC 3986 §3.2 for an IPv6 address.
pub fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A server of `[monitoring]` that others may be admitted to.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// Key of its table below `monitoring`.
    pub table: &'static str,
    /// Name of the firewall's rule that admits to it.
    pub rule: &'static str,
    /// Where it listens, TCP.
    pub port: u16,
    /// Who is admitted.
    pub from: &'a [Peer],
}

/// Names of jobs that Prometheus has for the machine itself.
pub const OWN_JOBS: [&str; 4] = ["prometheus", "node-exporter", "blackbox-exporter", "alertmanager"];

impl Monitoring {
    /// The servers that others may be admitted to.
    pub fn watched(&self) -> Vec<Watched<'_>> {
        let of = |table, rule, port, from| Watched { table, rule, port, from };
        let exporter =
            self.node_exporter.as_ref().map(|e| of("node_exporter", "node-exporter", NodeExporter::PORT, &e.from[..]));
        let prometheus =
            self.prometheus.as_ref().map(|p| of("prometheus", "prometheus", Prometheus::PORT, &p.from[..]));
        let manager =
            self.alertmanager.as_ref().map(|a| of("alertmanager", "alertmanager", Alertmanager::PORT, &a.from[..]));
        exporter.into_iter().chain(prometheus).chain(manager).collect()
    }

    /// Jobs that scrape this machine itself: name and port.
    pub fn own_jobs(&self) -> Vec<(&'static str, u16)> {
        let [prometheus, exporter, blackbox, manager] = OWN_JOBS;
        let all = [
            (self.prometheus.is_some(), prometheus, Prometheus::PORT),
            (self.node_exporter.is_some(), exporter, NodeExporter::PORT),
            (!self.probes.is_empty(), blackbox, Probe::PORT),
            (self.alertmanager.is_some(), manager, Alertmanager::PORT),
        ];
        all.into_iter().filter(|(there, ..)| *there).map(|(_, name, port)| (name, port)).collect()
    }

    /// The job of a probe.
    pub fn probe_job(name: &str) -> String {
        format!("probe/{name}")
    }

    /// Credentials by the unit that reads them.
    pub fn credentials(&self) -> BTreeMap<&'static str, Vec<&str>> {
        let mut all: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        let tokens = self.targets.values().filter_map(|t| t.credential.as_deref()).map(|c| (Prometheus::UNIT, c));
        let receivers = self.alertmanager.iter().flat_map(|a| a.receivers.values());
        let secrets = receivers.filter_map(|r| match &r.by {
            Delivery::Mail { credential, .. } | Delivery::Webhook { credential, .. } => credential.as_deref(),
        });
        let shown = self.logs.iter().filter_map(|logs| logs.credential.as_deref()).map(|c| (Logs::UNIT, c));
        for (unit, credential) in tokens.chain(secrets.map(|c| (Alertmanager::UNIT, c))).chain(shown) {
            let list = all.entry(unit).or_default();
            if !list.contains(&credential) {
                list.push(credential);
            }
        }
        all
    }
}
