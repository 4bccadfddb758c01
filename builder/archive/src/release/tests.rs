//! Release files made and signed here, so that each thing a verifier must refuse can be made to happen.

use super::*;
use openpgp::cert::CertBuilder;
use openpgp::serialize::stream::{Message, Signer};
use openpgp::types::{HashAlgorithm, ReasonForRevocation};
use std::io::Write;

/// 2026-01-01.
pub(crate) const NOW: u64 = 1_767_225_600;
pub(crate) const DAY: u64 = 86400;

fn at(seconds: u64) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn certificate(created: u64, lifetime: Option<u64>) -> Cert {
    let builder = CertBuilder::new()
        .add_userid("Archive")
        .set_creation_time(at(created))
        .set_validity_period(lifetime.map(Duration::from_secs))
        .add_signing_subkey();
    builder.generate().unwrap().0
}

pub(crate) fn sign(text: &str, cert: &Cert, when: u64, hash: HashAlgorithm) -> Vec<u8> {
    let key = cert.keys().secret().nth(1).unwrap().key().clone();
    let mut out = Vec::new();
    let signer = Signer::new(Message::new(&mut out), key.into_keypair().unwrap()).unwrap();
    let signer = signer.cleartext().hash_algo(hash).unwrap().creation_time(at(when));
    let mut message = signer.build().unwrap();
    message.write_all(text.as_bytes()).unwrap();
    message.finalize().unwrap();
    out
}

/// A detached signature, armoured.
pub(crate) fn sign_beside(text: &str, cert: &Cert, when: u64) -> Vec<u8> {
    let key = cert.keys().secret().nth(1).unwrap().key().clone();
    let mut out = Vec::new();
    let armor = openpgp::serialize::stream::Armorer::new(Message::new(&mut out));
    let message = armor.kind(openpgp::armor::Kind::Signature).build().unwrap();
    let signer = Signer::new(message, key.into_keypair().unwrap()).unwrap().detached().creation_time(at(when));
    let mut message = signer.build().unwrap();
    message.write_all(text.as_bytes()).unwrap();
    message.finalize().unwrap();
    out
}

fn text(suite: &str, date: &str, until: &str) -> String {
    let until = if until.is_empty() { String::new() } else { format!("Valid-Until: {until}\n") };
    format!(
        "Origin: Debian\nSuite: stable\nCodename: {suite}\nDate: {date}\n{until}Acquire-By-Hash: yes\n\
         Components: main updates/contrib\nMD5Sum:\n 0123 5 main/binary-amd64/Packages.xz\nSHA256:\n \
         {} 5 main/binary-amd64/Packages.xz\n",
        Digest::of(b"hello")
    )
}

const DATE: &str = "Wed, 31 Dec 2025 00:00:00 UTC";
const UNTIL: &str = "Wed, 07 Jan 2026 00:00:00 UTC";

fn verify(bytes: &[u8], keyring: &Keyring) -> Result<SignedRelease> {
    SignedRelease::verify(
        bytes,
        &ReleaseRequirements {
            suite: Some("trixie"),
            extra: false,
            keyring,
            now: NOW,
            place: "mirror/dists/trixie/InRelease",
        },
    )
}

/// Key identifiers differ from run to run; everything else in an error must not.
fn words(result: Result<SignedRelease>) -> String {
    let text = result.expect_err("must be refused").to_string();
    text.split(' ').map(|w| if w.len() > 16 && w.ends_with(':') { "KEY:" } else { w }).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_good_release_is_read() {
    let cert = certificate(NOW - 100 * DAY, None);
    let bytes = sign(&text("trixie", DATE, UNTIL), &cert, NOW - DAY, HashAlgorithm::SHA256);
    let release = verify(&bytes, &Keyring(vec![cert])).unwrap();
    assert_eq!(date::rfc3339(release.date), "2025-12-31T00:00:00Z");
    assert_eq!(release.valid_until.map(date::rfc3339).as_deref(), Some("2026-01-07T00:00:00Z"));
    assert_eq!(release.components(), ["main", "contrib"]);
    assert!(release.says_yes("Acquire-By-Hash"));
    let file = release.file("main/binary-amd64/Packages.xz").unwrap();
    assert_eq!((file.size, file.checksum), (5, Checksum::Sha256(Digest::of(b"hello"))));
    assert_eq!(release.file("main/binary-amd64/Packages"), None);
    assert_eq!(release.sha256, Digest::of(&bytes));
}

#[test]
fn one_good_signature_is_enough() {
    let (old, new) = (certificate(NOW - 300 * DAY, Some(30 * DAY)), certificate(NOW - 100 * DAY, None));
    let bytes = sign(&text("trixie", DATE, ""), &new, NOW - DAY, HashAlgorithm::SHA512);
    assert!(verify(&bytes, &Keyring(vec![old, new])).is_ok());
}

#[test]
fn only_what_was_signed_exists() {
    let cert = certificate(NOW - 100 * DAY, None);
    let keyring = Keyring(vec![cert.clone()]);
    let good = String::from_utf8(sign(&text("trixie", DATE, ""), &cert, NOW - DAY, HashAlgorithm::SHA256)).unwrap();
    // Text before the signed message must not be read.
    let before = format!("Suite: evil\nValid-Until: Wed, 07 Jan 2099 00:00:00 UTC\n\n{good}");
    if let Ok(release) = verify(before.as_bytes(), &keyring) {
        assert_eq!(release.field("Suite"), Some("stable"));
        assert_eq!(release.valid_until, None);
    }
    // Nor text after it.
    let after = format!("{good}\nValid-Until: Wed, 07 Jan 2099 00:00:00 UTC\n");
    if let Ok(release) = verify(after.as_bytes(), &keyring) {
        assert_eq!(release.valid_until, None);
    }
    // And a changed byte inside it is refused.
    assert!(verify(good.replace("Origin: Debian", "Origin: Debiam").as_bytes(), &keyring).is_err());
}

#[test]
fn what_is_refused() {
    let cert = certificate(NOW - 100 * DAY, None);
    let keyring = Keyring(vec![cert.clone()]);
    let signed = |text: &str| sign(text, &cert, NOW - DAY, HashAlgorithm::SHA256);
    let good = signed(&text("trixie", DATE, UNTIL));

    let tampered = String::from_utf8(good.clone()).unwrap().replace("Codename: trixie", "Codename: trixiE");
    let stranger = certificate(NOW - 100 * DAY, None);
    let expired_key = certificate(NOW - 100 * DAY, Some(50 * DAY));
    let revoked = {
        let mut signer = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
        let revocation = cert.revoke(&mut signer, ReasonForRevocation::KeyCompromised, b"stolen").unwrap();
        cert.clone().insert_packets(revocation).unwrap().0
    };
    let cases = [
        ("tampered", verify(tampered.as_bytes(), &keyring)),
        ("signed by a stranger", verify(&good, &Keyring(vec![stranger]))),
        (
            "key expired",
            verify(
                &sign(&text("trixie", DATE, UNTIL), &expired_key, NOW - DAY, HashAlgorithm::SHA256),
                &Keyring(vec![expired_key.clone()]),
            ),
        ),
        ("key revoked", verify(&good, &Keyring(vec![revoked]))),
        ("weak hash", verify(&sign(&text("trixie", DATE, UNTIL), &cert, NOW - DAY, HashAlgorithm::SHA1), &keyring)),
        ("not signed", verify(text("trixie", DATE, UNTIL).as_bytes(), &keyring)),
        ("a web page", verify(b"<!DOCTYPE html><html>Log in</html>", &keyring)),
        ("empty", verify(b"", &keyring)),
        ("cut off", verify(&good[..good.len() / 2], &keyring)),
        ("another suite", verify(&signed(&text("bookworm", DATE, UNTIL)), &keyring)),
        (
            "expired",
            verify(
                &signed(&text("trixie", "Wed, 01 Oct 2025 00:00:00 UTC", "Wed, 08 Oct 2025 00:00:00 UTC")),
                &keyring,
            ),
        ),
        ("from the future", verify(&signed(&text("trixie", "Fri, 02 Jan 2026 00:00:00 UTC", "")), &keyring)),
        ("no date", verify(&signed(&text("trixie", DATE, "").replace("Date:", "Day:")), &keyring)),
        ("odd date", verify(&signed(&text("trixie", "tomorrow", "")), &keyring)),
    ];
    let all: Vec<String> = cases.into_iter().map(|(name, result)| format!("# {name}\n{}\n", words(result))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn keyrings() {
    assert!(Keyring::debian().0.len() >= 6);
    for bytes in DEBIAN {
        assert_eq!(Keyring::parse(bytes, "x").unwrap().0.len(), 1);
    }
    let errors: Vec<_> =
        [&b""[..], b"hello", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxx\n-----END PGP PUBLIC KEY BLOCK-----\n"]
            .into_iter()
            .map(|bytes| Keyring::parse(bytes, "profiles/mine.gpg").err().expect("no keyring").to_string())
            .collect();
    insta::assert_snapshot!(errors.join("\n\n"));
}

/// A release for tests of what comes after verification.
pub(crate) fn release() -> SignedRelease {
    SignedRelease { text: String::new(), sha256: Digest::of(b""), date: NOW, valid_until: None }
}
