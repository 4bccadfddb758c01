//! Keys, certificates and signatures by themselves; what other programs say of them is tried with a whole disk.

use super::folder::{self, NewKeys};
use super::variable::{KeyVariable, signature_list};
use super::*;
use crate::secure_boot::certificate::CertificateRequest;
use diorite_model::{Digest, uuid::Uuid};
use std::sync::LazyLock;

const NOW: u64 = 1_760_000_000;

/// Drawing a key takes a second here.
static KEY: LazyLock<(PrivateRsaKey, String)> = LazyLock::new(|| PrivateRsaKey::generate(2048).unwrap());

fn certificate(until: u64) -> BootCertificate {
    let request = CertificateRequest { name: "Example Key", from: NOW, until, serial: [7; 16] };
    BootCertificate::of(&KEY.0, &request).unwrap()
}

#[test]
fn a_certificate_is_read_back_as_it_was_made() {
    let made = certificate(NOW + 100);
    let read = BootCertificate::of_pem(&made.pem().unwrap(), NOW).unwrap();
    assert_eq!((read.der(), read.fingerprint()), (made.der(), made.fingerprint()));
    assert_eq!((read.subject().as_str(), read.from(), read.until()), ("CN=Example Key", NOW, NOW + 100));
    assert!(folder::belongs(&KEY.0, &read).is_ok());
    let again = PrivateRsaKey::of_pem(&KEY.1).unwrap();
    assert_eq!(again.sign(b"x").unwrap(), KEY.0.sign(b"x").unwrap(), "no random number, no time");
    assert!(read.verifies(b"x", &again.sign(b"x").unwrap()) && !read.verifies(b"y", &again.sign(b"x").unwrap()));
}

#[test]
fn dates_beyond_2049_are_written_as_the_standard_wants_them() {
    let late = certificate(3_000_000_000);
    let read = BootCertificate::of_pem(&late.pem().unwrap(), NOW).unwrap();
    assert_eq!(read.until(), 3_000_000_000);
}

#[test]
fn what_is_no_certificate_of_a_key_that_can_sign_is_refused() {
    let expired = certificate(NOW + 100).pem().unwrap();
    let said = |text: &str| BootCertificate::of_pem(text, NOW + 101).unwrap_err().to_string();
    assert!(said(&expired).contains("has expired") && said(&expired).contains("2025-10-09T08:55:00Z"));
    assert!(said("").contains("not a certificate"));
    assert!(said(&KEY.1).contains("not a certificate"), "a key");
    let cut: String = expired.lines().take(5).collect::<Vec<_>>().join("\n");
    assert!(said(&cut).contains("not a certificate"));
    assert!(PrivateRsaKey::of_pem(&expired).unwrap_err().to_string().contains("not an RSA key"));
    let short = PrivateRsaKey::generate(1024).unwrap_err().to_string();
    assert!(short.contains("1024 bits"), "{short}");
}

#[test]
fn a_signature_is_about_one_program_and_the_same_each_time() {
    let certificate = certificate(NOW + 100);
    let (digest, other) = (Digest::of(b"a program"), Digest::of(b"another"));
    let request = SigningRequest::of(&digest).unwrap();
    let raw = KEY.0.sign(request.message()).unwrap();
    let whole = request.answered(&certificate, &raw).unwrap();
    assert_eq!(authenticode::about(&whole), Some(digest));
    assert_eq!(SigningRequest::of(&digest).unwrap().answered(&certificate, &raw).unwrap(), whole);
    // Somebody else's signature, one of another program, and half of one.
    let elsewhere = SigningRequest::of(&other).unwrap();
    for (request, raw) in [(&elsewhere, &raw[..]), (&request, &raw[..100]), (&request, &[]), (&request, &[7; 256])] {
        let error = request.answered(&certificate, raw).unwrap_err().to_string();
        assert!(error.contains("does not match"), "{error}");
    }
    for end in 0..whole.len() {
        assert_eq!(authenticode::about(&whole[..end]), None, "cut at {end}");
    }
}

#[test]
fn a_new_folder_is_complete_and_its_keys_belong_together() {
    let keys = NewKeys { name: "Example", now: NOW, random: std::array::from_fn(|n| n as u8) };
    let files = folder::new(&keys).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let expected = "PK.key PK.pem PK.esl PK.auth KEK.key KEK.pem KEK.esl KEK.auth db.key db.pem db.esl db.auth";
    assert_eq!(names.join(" "), expected);
    assert!(files.iter().all(|file| file.secret == file.name.ends_with(".key")));
    let text = |name: &str| {
        let file = files.iter().find(|file| file.name == name).unwrap();
        String::from_utf8(file.content.clone()).unwrap()
    };
    let owner = Uuid(std::array::from_fn(|n| 48 + n as u8));
    for variable in KeyVariable::ALL.map(KeyVariable::name) {
        let certificate = BootCertificate::of_pem(&text(&format!("{variable}.pem")), NOW).unwrap();
        let key = PrivateRsaKey::of_pem(&text(&format!("{variable}.key"))).unwrap();
        folder::belongs(&key, &certificate).unwrap();
        assert!(folder::belongs(&KEY.0, &certificate).is_err());
        let of = |ending: &str| &files.iter().find(|f| f.name == format!("{variable}.{ending}")).unwrap().content;
        assert_eq!(of("esl"), &signature_list(&certificate, &owner));
        assert_eq!(folder::enrolled(of("auth")).unwrap(), certificate.der());
        for end in 0..of("auth").len() {
            assert!(folder::enrolled(&of("auth")[..end]).is_err(), "cut at {end}");
        }
    }
}
