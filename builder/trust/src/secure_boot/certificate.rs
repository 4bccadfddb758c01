//! The X.509 certificate of a signing key (RFC 5280): made for it, signed by itself; or read from PEM and judged.

use super::key::{LEAST_BITS, PrivateRsaKey};
use der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString, UtcTime};
use der::{Any, DateTime, DecodePem as _, Encode as _, EncodePem as _};
use diorite_model::{Digest, Error, Result, date};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use std::str::FromStr as _;
use std::time::Duration;
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

/// `rsaEncryption` and `sha256WithRSAEncryption`, RFC 8017 appendix C.
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA256_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// A certificate whose key can sign for firmware.
#[derive(Debug, Clone)]
pub struct BootCertificate {
    pub(super) parsed: Certificate,
    der: Vec<u8>,
}

/// What a new certificate says.
pub struct CertificateRequest<'a> {
    /// The subject's common name; letters, digits, spaces and `-`.
    pub name: &'a str,
    /// From when, seconds since 1970.
    pub from: u64,
    /// Until when.
    pub until: u64,
    /// 16 random bytes.
    pub serial: [u8; 16],
}

pub(super) fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: Some(Any::null()) }
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::bug("a certificate could not be made").because(e)
}

impl BootCertificate {
    /// A certificate for this key, signed by it: version 3, CA:TRUE, as `openssl req -x509` makes one.
    ///
    /// # Errors
    /// A bug: a name or a time that no certificate can say.
    pub fn of(key: &PrivateRsaKey, request: &CertificateRequest) -> Result<Self> {
        let name = Name::from_str(&format!("CN={}", request.name)).map_err(failed)?;
        let public = key.public();
        let mut identifier = sha1_of(public);
        identifier.truncate(20);
        // The first bit of a positive number is 0, and its first byte is not: RFC 5280 §4.1.2.2.
        let mut serial = request.serial;
        serial[0] = serial[0] & 0x7f | 0x40;
        let extension = |oid, critical, value: der::Result<Vec<u8>>| {
            let value = OctetString::new(value.map_err(failed)?).map_err(failed)?;
            Ok::<_, Error>(Extension { extn_id: oid, critical, extn_value: value })
        };
        let constraints = BasicConstraints { ca: true, path_len_constraint: None };
        let subject = SubjectKeyIdentifier(OctetString::new(identifier).map_err(failed)?);
        let tbs_certificate = TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&serial).map_err(failed)?,
            signature: algorithm(SHA256_RSA),
            issuer: name.clone(),
            validity: Validity { not_before: time(request.from)?, not_after: time(request.until)? },
            subject: name,
            subject_public_key_info: SubjectPublicKeyInfoOwned {
                algorithm: algorithm(RSA),
                subject_public_key: BitString::from_bytes(public).map_err(failed)?,
            },
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(vec![
                extension(BASIC_CONSTRAINTS, true, constraints.to_der())?,
                extension(SUBJECT_KEY_IDENTIFIER, false, subject.to_der())?,
            ]),
        };
        let signature = key.sign(&tbs_certificate.to_der().map_err(failed)?)?;
        let signature = BitString::from_bytes(&signature).map_err(failed)?;
        let parsed = Certificate { tbs_certificate, signature_algorithm: algorithm(SHA256_RSA), signature };
        Ok(Self { der: parsed.to_der().map_err(failed)?, parsed })
    }

    /// Reads one from PEM. `now`: seconds since 1970.
    ///
    /// # Errors
    /// It is none, its key is not RSA or has fewer than [`LEAST_BITS`] bits, or it has expired. Errors have no place: whoever
    /// has read the file knows it.
    pub fn of_pem(text: &str, now: u64) -> Result<Self> {
        let parsed = Certificate::from_pem(text.trim()).map_err(|_| {
            Error::input("this is not a certificate")
                .because("it is not one X.509 certificate in PEM")
                .hint("make keys with `diorite keys new DIR`")
        })?;
        let der = parsed.to_der().map_err(failed)?;
        let found = Self { parsed, der };
        let spki = &found.parsed.tbs_certificate.subject_public_key_info;
        if spki.algorithm.oid != RSA {
            return Err(Error::input("the certificate's key is not an RSA key")
                .because("firmware verifies RSA everywhere, and other keys hardly anywhere")
                .hint("make keys with `diorite keys new DIR`"));
        }
        let bits = bits(found.public()).unwrap_or_default();
        if bits < LEAST_BITS {
            return Err(Error::input(format!("the certificate's RSA key has {bits} bits"))
                .because(format!("firmware refuses fewer than {LEAST_BITS}"))
                .hint("make keys with `diorite keys new DIR`"));
        }
        let until = found.until();
        if until < now {
            return Err(Error::input("the certificate has expired")
                .because(format!("it was valid until {}", date::rfc3339(until)))
                .hint("make a new one for the same key, or new keys with `diorite keys new DIR`"));
        }
        Ok(found)
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
    /// The certificate in PEM.
    pub fn pem(&self) -> Result<String> {
        self.parsed.to_pem(der::pem::LineEnding::LF).map_err(failed)
    }
    /// SHA-256 of the certificate in DER: how people and programs name it.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der)
    }
    /// Its subject, as RFC 4514 writes it.
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }
    /// Until when it is valid, seconds since 1970.
    pub fn until(&self) -> u64 {
        self.parsed.tbs_certificate.validity.not_after.to_unix_duration().as_secs()
    }
    /// Since when.
    pub fn from(&self) -> u64 {
        self.parsed.tbs_certificate.validity.not_before.to_unix_duration().as_secs()
    }
    /// The public key: `RSAPublicKey` of PKCS #1 in DER.
    pub fn public(&self) -> &[u8] {
        self.parsed.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes()
    }

    /// Whether the key of this certificate has made this signature of this message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.public()).verify(message, signature).is_ok()
    }
}

fn sha1_of(bytes: &[u8]) -> Vec<u8> {
    use sha1::Digest as _;
    sha1::Sha1::digest(bytes).to_vec()
}

/// RFC 5280 §4.1.2.5: two digits of the year until 2049, four from then on.
fn time(seconds: u64) -> Result<Time> {
    let at = DateTime::from_unix_duration(Duration::from_secs(seconds)).map_err(failed)?;
    match at.year() {
        ..2050 => UtcTime::from_date_time(at).map(Time::UtcTime).map_err(failed),
        _ => Ok(Time::GeneralTime(GeneralizedTime::from_date_time(at))),
    }
}

/// Bits of the modulus of an `RSAPublicKey`.
fn bits(public: &[u8]) -> Option<usize> {
    use rsa::pkcs1::DecodeRsaPublicKey as _;
    use rsa::traits::PublicKeyParts as _;
    Some(rsa::RsaPublicKey::from_pkcs1_der(public).ok()?.n().bits())
}
