//! Certificates of servers, for containers.

use crate::Recipe;
use serde::{Deserialize, Serialize};

/// Where certificates are on state: a directory for each, by name.
pub const CERTIFICATES: &str = "/var/lib/diorite/certificates";

/// A certificate and its private key, kept on state for a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerCertificate {
    /// Names and addresses it is for.
    pub names: Vec<String>,
    /// The systemd credential with another certificate and its key; `None`: it is always self-signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The authority that signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// Days that a self-signed one lasts.
    pub days: u32,
    /// The container that reads it.
    pub container: String,
    /// The directory in which the container finds `certificate.pem` and `key.pem`.
    pub path: String,
    /// What the container is told when there is a new one.
    pub reload: CertificateReload,
    /// The port of the machine at which it is shown, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// An authority that signs a certificate over the network (RFC 8555), and asks port 80 of each of its names first (HTTP-01).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// Where its directory is, `https://`.
    pub directory: String,
    /// Whom it may write to.
    pub email: Option<String>,
}

impl Acme {
    /// Where challenges are answered, TCP.
    pub const PORT: u16 = 80;
    /// Where the answers to challenges are, by their tokens.
    pub const CHALLENGES: &str = "/run/diorite-acme";
    /// What listens for challenges.
    pub const SOCKET: &str = "diorite-acme-answer.socket";

    /// The service that has the certificate of this name signed.
    pub fn unit(name: &str) -> String {
        format!("diorite-acme-{name}.service")
    }
    /// Where the account, the keys and what was signed are, of the certificate of this name.
    pub fn state(name: &str) -> String {
        format!("/var/lib/diorite/acme/{name}")
    }
}

/// How a container comes to use a new certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CertificateReload {
    /// It is started again.
    #[serde(rename = "restart")]
    Restart,
    /// This signal.
    Hup,
    /// This signal.
    Usr1,
    /// This signal.
    Usr2,
}

impl CertificateReload {
    /// The signal, where it is one.
    pub fn signal(self) -> Option<&'static str> {
        match self {
            Self::Restart => None,
            Self::Hup => Some("HUP"),
            Self::Usr1 => Some("USR1"),
            Self::Usr2 => Some("USR2"),
        }
    }
}

impl ServerCertificate {
    /// The service that keeps the certificate of this name.
    pub fn unit(name: &str) -> String {
        format!("diorite-certificate-{name}.service")
    }
}

impl Recipe {
    /// Whether an authority signs any certificate.
    pub fn asks_authorities(&self) -> bool {
        self.certificates.values().any(|certificate| certificate.acme.is_some())
    }
    /// The certificate that is shown at a port of the machine.
    pub fn certificate_at(&self, port: u16) -> Option<&ServerCertificate> {
        self.certificates.values().find(|certificate| certificate.port == Some(port))
    }
    /// The certificates of a container, by name.
    pub fn certificates_of(&self, container: &str) -> impl Iterator<Item = (&String, &ServerCertificate)> {
        self.certificates.iter().filter(move |(_, certificate)| certificate.container == container)
    }
}
