//! A site behind TLS, talked to by rustls' own client, which judges the certificate.

mod client;
mod guest;

use client::Client;
use diorite_lab::{
    Certificate, Config, Lab,
    peers::http::{Fault, Reply, Site},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, crypto::ring::default_provider, pki_types::CertificateDer, version,
};
use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
};

/// An authority's certificate, and one of a server of this name: certificate and key in PEM.
fn made(name: &str) -> (CertificateDer<'static>, String, String) {
    let mut above = CertificateParams::new(Vec::new()).expect("parameters");
    above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (root_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let root = above.self_signed(&root_key).expect("an authority").der().clone();
    let server = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    let server = server.signed_by(&key, &Issuer::new(above, root_key)).expect("a certificate");
    (root, server.pem(), key.serialize_pem())
}

/// Asks for `/` of a server that must be `name` and known to the authority.
fn asked(
    client: &mut Client,
    to: SocketAddr,
    root: &CertificateDer<'static>,
    name: &'static str,
    version: &'static rustls::SupportedProtocolVersion,
) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_protocol_versions(&[version]).expect("a version");
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let mut tls = ClientConnection::new(config, name.try_into().expect("a name")).expect("a connection");
    tls.writer().write_all(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").expect("memory");
    let (mut text, mut error) = (Vec::new(), None);
    client.converse(to, |heard| {
        let (mut closed, mut said) = (false, Vec::new());
        while !heard.is_empty() && error.is_none() {
            let mut rest = &heard[..];
            let taken = tls.read_tls(&mut rest).expect("memory");
            heard.drain(..taken);
            match tls.process_new_packets() {
                Ok(state) => closed |= state.peer_has_closed(),
                Err(e) => error = Some(e.to_string()),
            }
            // Ends with `WouldBlock`, or with the other side's goodbye.
            let _ = tls.reader().read_to_end(&mut text);
        }
        while tls.wants_write() {
            tls.write_tls(&mut said).expect("memory");
        }
        (said, closed || error.is_some())
    });
    match error {
        Some(error) => Err(error),
        None => Ok(String::from_utf8_lossy(&text).into_owned()),
    }
}

#[test]
fn a_site_is_served_through_tls_to_those_who_trust_its_authority() {
    let (root, chain, key) = made("updates.lab.test");
    let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a certificate");
    let (mut client, fd) = Client::new();
    let lab = Lab::start_with(Config::default(), vec![fd]).expect("lab");
    let (to, site) = (SocketAddr::new(lab.config().ipv4.into(), 443), Site::default());
    lab.serve_https(443, &site, &certificate).expect("serve");

    // More than TLS takes or a window holds at a time.
    let big = "0123456789abcdef".repeat(40_000);
    site.set("/", Reply::text(&big));
    for version in [&version::TLS13, &version::TLS12] {
        let text = asked(&mut client, to, &root, "updates.lab.test", version).expect("an answer");
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with(&big), "{} bytes", text.len());
    }
    assert_eq!(site.requests().len(), 2);
    assert_eq!(site.requests()[0].from.ip(), client::V4);

    let stranger = made("updates.lab.test").0;
    let refused = asked(&mut client, to, &stranger, "updates.lab.test", &version::TLS13).expect_err("a stranger");
    assert!(refused.contains("invalid peer certificate"), "{refused}");
    let refused = asked(&mut client, to, &root, "other.lab.test", &version::TLS13).expect_err("another name");
    assert!(refused.contains("not valid for name"), "{refused}");
    // Who speaks in the clear hears an alert (RFC 8446 §6), and no page.
    let plain = client.talk(to, b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n", |_| false);
    assert_eq!(plain.first(), Some(&21), "{plain:?}");
    assert_eq!(site.requests().len(), 2, "nobody else was heard");

    site.set("/", Reply::text("cut").broken(Fault::CutAfter(9)));
    assert_eq!(asked(&mut client, to, &root, "updates.lab.test", &version::TLS13), Ok("HTTP/1.1 ".into()));
}

#[test]
fn a_certificate_that_cannot_serve_is_refused() {
    let ((_, chain, key), (_, other, _)) = (made("a.lab.test"), made("b.lab.test"));
    for (chain, key, words) in [
        ("", key.as_str(), "there is no certificate"),
        (chain.as_str(), "", "no private key can be read"),
        (other.as_str(), key.as_str(), "do not serve"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", key.as_str(), "no certificate can be read"),
    ] {
        let error = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect_err(words);
        assert!(error.what.contains(words), "{error}");
    }
}
