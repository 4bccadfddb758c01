//! A certificate made at run time: no private key stands in the repository.
//!
//! X.509 (RFC 5280) in the least DER that a verifier takes: version 3, a P-256 key (RFC 5480), signed by itself, or by an
//! authority of the same making, with the address it is for as its only other name.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// A certificate for 127.0.0.1, its key, and the authority that signed it.
#[derive(Debug, Clone)]
pub struct TestCertificate {
    der: Vec<u8>,
    key: Vec<u8>,
    authority: Vec<u8>,
}

/// An identifier of an algorithm or attribute, encoded (RFC 5480 §2.1.1, 5758 §3.2, 5280 §4.2).
const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
const BASIC_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 0x13];
const ALTERNATIVE_NAME: &[u8] = &[6, 3, 0x55, 0x1d, 0x11];

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        n @ 0..128 => out.push(n as u8),
        n @ 128..256 => out.extend([0x81, n as u8]),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend(content);
    out
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

fn name(text: &str) -> Vec<u8> {
    sequence(&[&der(0x31, &[&sequence(&[COMMON_NAME, &der(0x0c, &[text.as_bytes()])])])])
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[id, critical, &der(4, &[value])])
}

/// `signer` and `issuer` make it; `subject` and `key` are what it is about.
fn certificate(serial: u8, issuer: &str, subject: &str, key: &[u8], signer: &EcdsaKeyPair, authority: bool) -> Vec<u8> {
    let algorithm = sequence(&[ECDSA_SHA256]);
    let until = sequence(&[&der(0x17, &[b"200101000000Z"]), &der(0x18, &[b"21200101000000Z"])]);
    let public = sequence(&[&sequence(&[EC_PUBLIC_KEY, P256]), &der(3, &[&[0], key])]);
    let extension = if authority {
        extension(BASIC_CONSTRAINTS, true, &sequence(&[&[1, 1, 0xff]]))
    } else {
        extension(ALTERNATIVE_NAME, false, &sequence(&[&der(0x87, &[&[127, 0, 0, 1]])]))
    };
    let body = sequence(&[
        &der(0xa0, &[&[2, 1, 2]]),
        &[2, 1, serial],
        &algorithm,
        &name(issuer),
        &until,
        &name(subject),
        &public,
        &der(0xa3, &[&sequence(&[&extension])]),
    ]);
    let signature = signer.sign(&SystemRandom::new(), &body).expect("a signature");
    sequence(&[&body, &algorithm, &der(3, &[&[0], signature.as_ref()])])
}

impl TestCertificate {
    /// A new one, like none before.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pair = || {
            let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random);
            (pair.expect("the key that was made"), key.as_ref().to_vec())
        };
        let ((root, _), (own, key)) = (pair(), pair());
        let public = |pair: &EcdsaKeyPair| pair.public_key().as_ref().to_vec();
        Self {
            authority: certificate(1, "Simulator CA", "Simulator CA", &public(&root), &root, true),
            der: certificate(2, "Simulator CA", "pve1", &public(&own), &root, false),
            key,
        }
    }

    /// SHA-256 of the certificate, as a target pins it: `sha256:…`.
    pub fn fingerprint(&self) -> String {
        format!("sha256:{}", diorite_model::Digest::of(&self.der))
    }

    /// The authority's own certificate in PEM.
    pub fn authority(&self) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in self.authority.chunks(3) {
            let bits = three.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - three.len()));
            let digit = |i: u32| char::from(DIGITS[(bits >> (18 - 6 * i)) as usize & 63]);
            text.extend((0..4u32).map(|i| if i as usize <= three.len() { digit(i) } else { '=' }));
        }
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    pub(crate) fn server(&self) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(self.der.clone())], key)
            .expect("a certificate with its key")
    }
}

impl Default for TestCertificate {
    fn default() -> Self {
        Self::new()
    }
}
