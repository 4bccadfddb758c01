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

/// An authority that signs a certificate over the network (RFC 8555), once it was shown that the names are the machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// Where its directory is, `https://`.
    pub directory: String,
    /// Whom it may write to.
    pub email: Option<String>,
    /// The zone by whose records it is shown (DNS-01); `None`: it asks port 80 of each name (HTTP-01).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<AcmeDns>,
}

/// A zone that the machine changes by dynamic update (RFC 2136).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcmeDns {
    /// The server that takes updates, by name or address.
    pub server: String,
    /// Other servers of the zone, which must show a record as well before the authority looks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondaries: Vec<String>,
    /// The zone.
    pub zone: String,
    /// The systemd credential with the secret of the TSIG key, in Base64.
    pub credential: String,
    /// The name by which the server knows the key.
    pub key: String,
    /// The key's algorithm.
    pub algorithm: TsigAlgorithm,
}

/// An algorithm of TSIG, RFC 8945 §6, by its name in that list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

impl TsigAlgorithm {
    /// As the list names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

impl AcmeDns {
    /// Where updates go and names are asked, TCP.
    pub const PORT: u16 = 53;
    /// As the unit of a certificate knows the credential.
    pub const CREDENTIAL: &str = "tsig";

    /// The record that shows that a name, or every name below it, is the machine's: RFC 8555 §8.4.
    pub fn record(name: &str) -> String {
        format!("_acme-challenge.{}", name.strip_prefix("*.").unwrap_or(name))
    }

    /// Every server that must show a record, first the one that takes updates.
    pub fn servers(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.server).chain(&self.secondaries)
    }
}

impl Acme {
    /// Where challenges are answered, TCP.
    pub const PORT: u16 = 80;
    /// Where the answers to challenges are, by their tokens.
    pub const CHALLENGES: &str = "/run/diorite-acme";
    /// What listens for challenges.
    pub const SOCKET: &str = "diorite-acme-answer.socket";

    /// How it is shown that the names are the machine's, as RFC 8555 names it.
    pub fn challenge(&self) -> &'static str {
        if self.dns.is_some() { "dns-01" } else { "http-01" }
    }
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
    /// Whether an authority asks port 80 before it signs any.
    pub fn answers_authorities(&self) -> bool {
        self.certificates.values().any(|c| c.acme.as_ref().is_some_and(|acme| acme.dns.is_none()))
    }
    /// The credentials that authorities' challenges take, each with the certificate that needs it.
    pub fn challenge_credentials(&self) -> impl Iterator<Item = (&String, &String)> {
        self.certificates.iter().filter_map(|(name, c)| Some((&c.acme.as_ref()?.dns.as_ref()?.credential, name)))
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
