//! TLS (RFC 8446, 5246) before a service: the service hears and says plain bytes, the wire carries others.

use crate::listen::{Service, ServiceSession, SessionStep};
use diorite_model::{Error, Result};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::{
    io::{Read as _, Write as _},
    os::fd::BorrowedFd,
    sync::Arc,
    time::Instant,
};

/// What a server shows, and the key it proves it with.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<ServerConfig>);

impl Certificate {
    /// A server's certificate, after it those that lead to an authority, and its private key: all in PEM (RFC 7468).
    ///
    /// # Errors
    /// [`Exit::Input`](diorite_model::Exit::Input) when one of them is not that, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::input(what).hint("both in PEM, the server's own certificate first");
        let chain = CertificateDer::pem_slice_iter(chain).collect::<std::result::Result<Vec<_>, _>>();
        let chain = chain.map_err(|e| wrong("no certificate can be read").because(e))?;
        if chain.is_empty() {
            return Err(wrong("there is no certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| wrong("no private key can be read").because(e))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::bug(format!("TLS: {e}")))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|e| wrong("the certificate and the key do not serve").because(e))?;
        Ok(Self(Arc::new(config)))
    }

    /// The same service, spoken to through TLS alone.
    pub(crate) fn before(&self, mut service: Service) -> Service {
        let config = self.0.clone();
        Box::new(move |from| {
            let (heard, said, inner) = (Vec::new(), Vec::new(), service(from));
            let mut tls = ServerConnection::new(config.clone()).ok();
            // What is said is limited by who calls.
            tls.iter_mut().for_each(|tls| tls.set_buffer_limit(None));
            Box::new(TlsLayer { tls, inner, heard, said })
        })
    }
}

/// One connection.
struct TlsLayer {
    /// `None`: no connection can be made of this configuration.
    tls: Option<ServerConnection>,
    inner: Box<dyn ServiceSession>,
    /// In the clear: what was heard and the service has not taken, what it says.
    heard: Vec<u8>,
    said: Vec<u8>,
}

impl ServiceSession for TlsLayer {
    fn step(&mut self, input: &mut Vec<u8>, ended: bool, output: &mut Vec<u8>, now: Instant) -> SessionStep {
        let Some(tls) = &mut self.tls else { return SessionStep::Reset };
        let understood = take(tls, input, &mut self.heard);
        let step = match understood {
            Some(over) if !tls.is_handshaking() => self.inner.step(&mut self.heard, ended || over, &mut self.said, now),
            Some(over) if ended || over => SessionStep::Close,
            Some(_) => SessionStep::Wait,
            None => SessionStep::Close,
        };
        // Writing to memory: neither can fail.
        let _ = tls.writer().write_all(&self.said);
        self.said.clear();
        if step == SessionStep::Close && understood.is_some() {
            tls.send_close_notify();
        }
        while tls.wants_write() && tls.write_tls(output).is_ok() {}
        step
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.inner.watched()
    }
}

/// Takes what has come. Whether the other side says nothing more; `None`: it does not speak TLS, and is told so.
fn take(tls: &mut ServerConnection, input: &mut Vec<u8>, heard: &mut Vec<u8>) -> Option<bool> {
    let mut over = false;
    while !input.is_empty() {
        let mut rest = &input[..];
        let taken = tls.read_tls(&mut rest).ok()?;
        input.drain(..taken);
        let state = tls.process_new_packets().ok()?;
        let start = heard.len();
        heard.resize(start + state.plaintext_bytes_to_read(), 0);
        tls.reader().read_exact(&mut heard[start..]).ok()?;
        over |= state.peer_has_closed();
        if taken == 0 {
            break;
        }
    }
    Some(over)
}
