//! The client's side of TLS (RFC 8446, 5246) in a conversation of the lab's host. It takes any certificate whose key the
//! server has: whom it names and how long it lasts is for a check to judge.

use diorite_model::{Error, Result};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use std::{
    io::{Read as _, Write as _},
    net::IpAddr,
    sync::Arc,
};

/// One connection, from the client's side.
pub struct TlsClient {
    connection: ClientConnection,
    /// What is to go over the wire.
    pub wire: Vec<u8>,
}

impl TlsClient {
    /// A connection that will say this once the server has shown who it is. `name` goes to the server (RFC 6066 §3); without one,
    /// the address stands for it, and nothing goes.
    pub fn new(name: Option<&str>, address: IpAddr, plain: &[u8]) -> Result<Self> {
        let bug = |e: String| Error::bug(format!("TLS: {e}"));
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| bug(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|e| bug(e.to_string()))?,
            None => ServerName::from(address),
        };
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|e| bug(e.to_string()))?;
        connection.set_buffer_limit(None);
        // Kept until the handshake is done. To memory: it cannot fail.
        let _ = connection.writer().write_all(plain);
        Ok(Self { connection, wire: Vec::new() })
    }

    /// Takes what came over the wire, adds what it says to `plain`, and leaves in [`Self::wire`] what is to be sent.
    ///
    /// # Errors
    /// In words: it is not TLS, or a handshake that failed.
    pub fn hear(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
        while !bytes.is_empty() {
            let taken = self.connection.read_tls(&mut bytes).map_err(|e| e.to_string())?;
            let state = self.connection.process_new_packets().map_err(|e| e.to_string())?;
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut plain[start..]).map_err(|e| e.to_string())?;
            if taken == 0 {
                break;
            }
        }
        while self.connection.wants_write() && self.connection.write_tls(&mut self.wire).is_ok() {}
        Ok(())
    }

    /// The certificate that the server has shown, in DER.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        Some(self.connection.peer_certificates()?.first()?.to_vec())
    }
}

/// Takes every certificate, if the server can sign with its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate in DER is for this name or address (RFC 9525), else why not.
pub fn names(certificate: &[u8], name: &str) -> Result<(), String> {
    let certificate = CertificateDer::from(certificate);
    let parsed = ParsedCertificate::try_from(&certificate).map_err(|e| e.to_string())?;
    let wanted = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
    verify_server_name(&parsed, &wanted).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ServerConfig, ServerConnection, pki_types::PrivateKeyDer};

    /// A server with a certificate for this name, and the certificate.
    fn server(name: &str) -> (ServerConnection, Vec<u8>) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = parameters.self_signed(&key).expect("a certificate").der().clone();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
            .expect("a server");
        (ServerConnection::new(Arc::new(config)).expect("a connection"), certificate.to_vec())
    }

    #[test]
    fn a_page_comes_with_its_certificate() {
        let (mut server, certificate) = server("web.lab.test");
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut client = TlsClient::new(None, address, b"GET /").expect("a client");
        let (mut plain, mut asked) = (Vec::new(), Vec::new());
        client.hear(b"", &mut plain).expect("a greeting");
        assert_eq!(client.certificate(), None);
        for _ in 0..4 {
            let sent = std::mem::take(&mut client.wire);
            let mut rest = &sent[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("memory");
                server.process_new_packets().expect("TLS");
                // Ends with `WouldBlock`.
                let _ = server.reader().read_to_end(&mut asked);
            }
            if asked == b"GET /" {
                server.writer().write_all(b"a page").expect("memory");
                asked.clear();
            }
            let mut back = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut back).expect("memory");
            }
            client.hear(&back, &mut plain).expect("TLS");
        }
        assert_eq!(plain, b"a page");
        assert_eq!(client.certificate(), Some(certificate.clone()));
        assert_eq!(names(&certificate, "web.lab.test"), Ok(()));
        assert!(names(&certificate, "other.lab.test").is_err() && names(&certificate, "192.0.2.1").is_err());
        assert!(names(b"no certificate", "web.lab.test").is_err());
    }

    #[test]
    fn what_is_no_tls_is_said() {
        let mut client = TlsClient::new(Some("web.lab.test"), IpAddr::from([192, 0, 2, 1]), b"").expect("a client");
        let why = client.hear(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut Vec::new());
        assert!(why.is_err(), "{why:?}");
    }
}
