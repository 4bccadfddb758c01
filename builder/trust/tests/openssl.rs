//! OpenSSL judges our signatures, and we judge OpenSSL's: keys, signatures, and the bytes that are signed, which Python puts
//! together by DSSE's specification. What one of both refuses, the other refuses.
//!
//! Needs `DIORITE_TEST_TOOLS`: the tools tree has openssl and python3.

mod attested;

use attested::{disk, key, signed, trusted};
use diorite_trust::attest::{StatementKind, TrustedKey, verify};
use diorite_trust::keys::AttestationAlgorithm::{self, EcdsaP256, Ed25519};
use diorite_trust::keys::AttestationPublicKey;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openssl/bundle.py");

/// A program of the tools tree, by the tree's own loader.
fn tool(name: &str) -> Command {
    let tools = std::env::var_os("DIORITE_TEST_TOOLS").map(PathBuf::from);
    let tools = tools.expect("DIORITE_TEST_TOOLS must name an unpacked tools tree (`make test` sets it)");
    let mut command = Command::new(tools.join("usr/lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tools.join("usr/lib/x86_64-linux-gnu")).arg(tools.join("usr/bin").join(name));
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PYTHONHOME", tools.join("usr"));
    command.env("OPENSSL_CONF", "/dev/null");
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs it; it must succeed.
fn done(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

fn bundle(arguments: &[&Path], verb: &str) {
    done(tool("python3").args(["-s", "-B", SCRIPT, verb]).args(arguments));
}

/// OpenSSL's word about DIRECTORY/{message, signature}.
fn openssl_accepts(directory: &Path, public: &Path, algorithm: AttestationAlgorithm) -> bool {
    let mut command = tool("openssl");
    command.args(["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey"]).arg(public);
    command.arg("-in").arg(directory.join("message")).arg("-sigfile").arg(directory.join("signature"));
    if matches!(algorithm, EcdsaP256) {
        command.args(["-digest", "sha256"]);
    }
    let output = command.output().expect("openssl starts");
    let said = text(&output);
    // It must have judged, not failed: a program that does not start refuses everything.
    match output.status.success() {
        true => assert!(said.contains("Signature Verified Successfully"), "{said}"),
        false => assert!(said.contains("Signature Verification Failure"), "{said}"),
    }
    output.status.success()
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).expect("a file");
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(file, bytes).expect("a file");
}

#[test]
fn openssl_accepts_what_we_sign_and_nothing_that_was_changed() {
    for algorithm in [Ed25519, EcdsaP256] {
        let (ours, other) = (key(algorithm, "ci"), key(algorithm, "other"));
        for kind in StatementKind::ALL {
            let directory = tempfile::tempdir().expect("a directory");
            let at = |name: &str| directory.path().join(name);
            fs::write(at("ci.pub"), ours.public().pem()).expect("a key");
            fs::write(at("other.pub"), other.public().pem()).expect("a key");
            let file = signed(kind, &ours);
            fs::write(at("bundle"), &file.bytes).expect("a bundle");
            bundle(&[&at("bundle"), directory.path()], "apart");
            let accepts = |public: &str| openssl_accepts(directory.path(), &at(public), algorithm);
            assert!(accepts("ci.pub"), "{kind:?} {algorithm:?}");
            verify(&file.bytes, "here", &[trusted(&ours, "ci.pub")], disk()).expect("we accept it too");
            assert!(!accepts("other.pub"), "another key");
            verify(&file.bytes, "here", &[trusted(&other, "other.pub")], disk()).expect_err("another key");

            // One bit of what is signed, and one of the signature: both judges refuse.
            flip(&at("message"));
            assert!(!accepts("ci.pub"), "a changed message");
            flip(&at("message"));
            assert!(accepts("ci.pub"), "and back");
            flip(&at("signature"));
            assert!(!accepts("ci.pub"), "a changed signature");
            let hint = ours.public().id().to_string();
            bundle(&[&at("bundle"), &at("signature"), Path::new(&hint), &at("changed")], "together");
            let changed = fs::read(at("changed")).expect("a bundle");
            verify(&changed, "here", &[trusted(&ours, "ci.pub")], disk()).expect_err("a changed signature");
        }
    }
}

#[test]
fn we_accept_what_openssl_signs_with_a_key_of_its_own() {
    for algorithm in [Ed25519, EcdsaP256] {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let make: &[&str] = match algorithm {
            Ed25519 => &["-algorithm", "ed25519"],
            EcdsaP256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        };
        done(tool("openssl").arg("genpkey").args(make).arg("-out").arg(at("key")));
        done(tool("openssl").args(["pkey", "-pubout", "-in"]).arg(at("key")).arg("-out").arg(at("pub")));
        let public = AttestationPublicKey::read(&fs::read(at("pub")).expect("a key"), "pub").expect("we read the key");
        let (id, keys) = (public.id().to_string(), [TrustedKey { name: "pub".into(), key: public }]);

        let model = signed(StatementKind::Rebuild, &key(algorithm, "ci"));
        fs::write(at("model"), &model.bytes).expect("a bundle");
        verify(&model.bytes, "here", &keys, disk()).expect_err("not OpenSSL's signature yet");
        bundle(&[&at("model"), directory.path()], "apart");
        let mut sign = tool("openssl");
        sign.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(at("key")).arg("-in").arg(at("message"));
        if matches!(algorithm, EcdsaP256) {
            sign.args(["-digest", "sha256"]);
        }
        done(sign.arg("-out").arg(at("signature")));
        bundle(&[&at("model"), &at("signature"), Path::new(&id), &at("bundle")], "together");
        let theirs = fs::read(at("bundle")).expect("a bundle");
        let held = verify(&theirs, "here", &keys, disk()).expect("OpenSSL's signature holds");
        assert_eq!(held.statement.kind, StatementKind::Rebuild);
    }
}
