//! The connections below ureq: TLS with the certificates that the target trusts, and the reason phrases
//! of status lines, in which Proxmox VE says why.
//!
//! ureq's own TLS knows authorities only, not pins, and its answers have no reason phrase. Both are had by connectors of
//! our own; the traits they implement may change with any version of ureq, which the workspace's lock pins.

use crate::target::{Target, Trust};
use diorite_model::{Error, Exit, Result};
use rustls::StreamOwned;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use ureq::Agent;
use ureq::config::Config;
use ureq::tls::{PemItem, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector, Transport, TransportAdapter,
};

/// The variable OpenSSL and curl read as well.
const CERTIFICATES: &str = "SSL_CERT_FILE";
/// Where Debian's ca-certificates and its relatives keep the bundle.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// SHA-256 of the certificate that was shown last.
#[derive(Debug, Clone, Default)]
pub(super) struct PeerCertificate(Arc<Mutex<Option<[u8; 32]>>>);

impl PeerCertificate {
    fn set(&self, digest: [u8; 32]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }
    pub(super) fn get(&self) -> Option<[u8; 32]> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Believes one certificate, or those that authorities vouch for.
#[derive(Debug)]
struct CertificateVerifier {
    trust: TrustAnchor,
    peer: PeerCertificate,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum TrustAnchor {
    Pin([u8; 32]),
    Authorities(Arc<WebPkiServerVerifier>),
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = diorite_model::Digest::of(leaf).0;
        self.peer.set(digest);
        match &self.trust {
            TrustAnchor::Pin(pin) if *pin == digest => Ok(ServerCertVerified::assertion()),
            TrustAnchor::Pin(_) => {
                Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            TrustAnchor::Authorities(inner) => inner.verify_server_cert(leaf, others, name, ocsp, now),
        }
    }

    // The one who shows a pinned certificate must have its key as well.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// TLS as this target wants it, and where the certificate that was shown is kept.
pub(super) fn tls(
    target: &Target,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Arc<ClientConfig>, PeerCertificate)> {
    let (peer, provider) = (PeerCertificate::default(), Arc::new(ring::default_provider()));
    let trust = match &target.trust {
        // Without TLS there is no certificate.
        _ if target.url.starts_with("http:") => TrustAnchor::Pin([0; 32]),
        Trust::Fingerprint(pin) => TrustAnchor::Pin(*pin),
        Trust::Authority(file) => TrustAnchor::Authorities(authorities(file, &provider, &target.location)?),
        Trust::System => TrustAnchor::Authorities(authorities(&bundle(target, environment)?, &provider, CERTIFICATES)?),
    };
    let judge = CertificateVerifier { trust, peer: peer.clone(), provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::bug("TLS cannot be set up").because(e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge))
        .with_no_client_auth();
    Ok((Arc::new(config), peer))
}

fn bundle(target: &Target, environment: &dyn Fn(&str) -> Option<String>) -> Result<PathBuf> {
    let named = environment(CERTIFICATES).map(PathBuf::from);
    named.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|path| path.exists())).ok_or_else(|| {
        Error::host("this host has no certificate authorities")
            .at(target.location.clone())
            .because(format!("there is none of {}", BUNDLES.join(", ")))
            .hint("pin the target's certificate (`fingerprint`), name its authority (`ca`), or install ca-certificates")
    })
}

fn authorities(file: &Path, provider: &Arc<CryptoProvider>, named: &str) -> Result<Arc<WebPkiServerVerifier>> {
    let pem = std::fs::read(file).map_err(|e| Error {
        exit: Exit::Input,
        ..Error::io("the certificate authorities cannot be read", file, e).hint(format!("{named} names this file"))
    })?;
    let mut roots = RootCertStore::empty();
    for item in parse_pem(&pem) {
        if let Ok(PemItem::Certificate(certificate)) = item {
            // A bundle may hold one that is too old to be understood.
            let _ = roots.add(CertificateDer::from(certificate.der().to_vec()));
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|_| {
        Error::input("there is no certificate in the file of certificate authorities")
            .at(file.display().to_string())
            .hint(format!("{named} names this file; it must hold certificates in PEM form"))
    })
}

/// An agent whose connections are ours.
pub(super) fn agent(config: Config, tls: Arc<ClientConfig>) -> Agent {
    let connector = ().chain(TcpConnector::default()).chain(Tls { config: tls }).chain(StatusLineConnector);
    Agent::with_parts(config, connector, DefaultResolver::default())
}

#[derive(Debug)]
struct Tls {
    config: Arc<ClientConfig>,
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| ureq::Error::Tls("this is no host's name"))?;
        let mut connection = ClientConnection::new(self.config.clone(), name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(connection, socket) })))
    }
}

struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output)?;
        Ok(())
    }
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }
    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }
    fn is_tls(&self) -> bool {
        true
    }
}

thread_local! {
    /// Requests are carried out on the thread that asks.
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Before a request.
pub(super) fn forget_reason() {
    REASON.with_borrow_mut(|reason| *reason = None);
}

/// The reason phrase of the last answer on this thread.
pub(super) fn reason() -> String {
    REASON.with_borrow(|reason| reason.clone().unwrap_or_default())
}

/// Listens to status lines.
#[derive(Debug)]
struct StatusLineConnector;

impl<In: Transport> Connector<In> for StatusLineConnector {
    type Out = StatusLineReader<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(chained.map(StatusLineReader))
    }
}

#[derive(Debug)]
struct StatusLineReader<In>(In);

impl<In: Transport> Transport for StatusLineReader<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let more = self.0.await_input(timeout)?;
        REASON.with_borrow_mut(|reason| {
            if reason.is_none() {
                *reason = phrase(self.0.buffers().input());
            }
        });
        Ok(more)
    }
    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }
    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// `HTTP/1.1 500 got no worker upid`: what follows the status (RFC 9112 §4), without control characters.
fn phrase(input: &[u8]) -> Option<String> {
    let end = input.windows(2).position(|two| two == b"\r\n")?;
    let line = String::from_utf8_lossy(&input[..end]).into_owned();
    let phrase = line.strip_prefix("HTTP/1.")?.splitn(3, ' ').nth(2).unwrap_or_default();
    Some(phrase.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect())
}

#[cfg(test)]
mod tests {
    use super::phrase;

    #[test]
    fn the_words_of_a_status_line() {
        let said = |input: &str| phrase(input.as_bytes());
        assert_eq!(said("HTTP/1.1 500 got no worker upid\r\nDate: x\r\n"), Some("got no worker upid".into()));
        assert_eq!(said("HTTP/1.1 200\r\n"), Some(String::new()));
        assert_eq!(said("HTTP/1.1 50"), None);
        assert_eq!(said("SSH-2.0-x\r\n"), None);
    }
}
