//! What is refused about keys and signatures: files that are missing, wrong or do not belong together, and signers that fail or
//! answer for something else.

mod common;
use common::Project;
use common::errors::{HEAD, profile, refused};
use diorite_trust::secure_boot::certificate::CertificateRequest;
use diorite_trust::secure_boot::{BootCertificate, PrivateRsaKey};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A certificate of an RSA key of 1024 bits, by openssl.
const SHORT: &str = include_str!("errors_signing/short.pem");

/// A project whose profile `mine` is to be signed, and keys in `keys`.
fn project() -> Project {
    let project = Project::new();
    profile(&project, &format!("{HEAD}[signing]\n"));
    project.succeed(&["keys", "new", "keys"]);
    project
}

#[test]
fn keys_are_made_once_and_private() {
    let project = project();
    let mode = |name: &str| fs::metadata(project.path(name)).expect("a key").permissions().mode() & 0o777;
    assert_eq!([mode("keys/db.key"), mode("keys/PK.key"), mode("keys/KEK.key")], [0o600; 3]);
    let said =
        [refused(&project, &["keys", "new", "keys"], 1), refused(&project, &["keys", "new", "profiles/mine.toml"], 5)];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn keys_that_cannot_sign() {
    let project = project();
    let build = ["build", "mine", "--keys", "keys"];
    let place = |name: &str| project.path(format!("keys/{name}"));
    let mut said =
        vec![refused(&project, &["build", "mine"], 1), refused(&project, &["build", "mine", "--keys", "nowhere"], 1)];
    let good = |name: &str| fs::read(place(name)).expect("a file");
    let (certificate, key, auth) = (good("db.pem"), good("db.key"), good("db.auth"));
    let mut with = |name: &str, content: &[u8]| {
        let before = good(name);
        fs::write(place(name), content).expect("a file");
        said.push(refused(&project, &build, 1));
        fs::write(place(name), before).expect("a file");
    };
    with("db.pem", b"no certificate");
    with("db.pem", SHORT.as_bytes());
    let (own, _) = PrivateRsaKey::generate(2048).expect("a key");
    let request = CertificateRequest { name: "Old", from: 1_000_000_000, until: 1_100_000_000, serial: [1; 16] };
    let expired = BootCertificate::of(&own, &request).and_then(|c| c.pem()).expect("a certificate");
    with("db.pem", expired.as_bytes());
    with("db.pem", &good("KEK.pem"));
    with("db.key", &good("KEK.key"));
    with("db.key", &certificate);
    with("db.key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    with("db.auth", &good("KEK.auth"));
    with("db.auth", &auth[..auth.len() - 1]);
    fs::set_permissions(place("db.key"), fs::Permissions::from_mode(0o644)).expect("its mode");
    said.push(refused(&project, &build, 1));
    fs::remove_file(place("db.key")).expect("it was there");
    said.push(refused(&project, &build, 1));
    fs::write(place("db.key"), key).expect("a file");
    fs::remove_file(place("PK.auth")).expect("it was there");
    said.push(refused(&project, &build, 1));
    profile(&project, HEAD);
    fs::write(place("PK.auth"), good("KEK.auth")).expect("a file");
    fs::set_permissions(place("db.key"), fs::Permissions::from_mode(0o600)).expect("its mode");
    said.push(refused(&project, &build, 1));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn signatures_from_elsewhere_that_are_none() {
    let project = project();
    let build = ["build", "mine", "--keys", "keys", "--signatures", "given.json"];
    let mut said = vec![refused(&project, &build, 1)];
    for text in ["no JSON", "{\"schema\": 2, \"signatures\": []}", "{\"schema\": 1, \"signed\": []}"] {
        fs::write(project.path("given.json"), text).expect("a file");
        said.push(refused(&project, &build, 1));
    }
    insta::assert_snapshot!(said.join("\n"));
}
