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
    /// The certificate that is shown at a port of the machine.
    pub fn certificate_at(&self, port: u16) -> Option<&ServerCertificate> {
        self.certificates.values().find(|certificate| certificate.port == Some(port))
    }
    /// The certificates of a container, by name.
    pub fn certificates_of(&self, container: &str) -> impl Iterator<Item = (&String, &ServerCertificate)> {
        self.certificates.iter().filter(move |(_, certificate)| certificate.container == container)
    }
}
