//! `attest verify`, and policies of `attest`, `write` and `deploy`: what an image does not have is told before anything is
//! touched, with exit 4.

mod common;

use common::errors::refused;
use common::{Project, text};
use diorite_model::plan::Build;
use diorite_model::{Digest, Exit};
use diorite_trust::attest::{RebuildInputs, StatementKind, rebuild, sign};
use diorite_trust::keys::{AttestationAlgorithm, AttestationKey};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A key in `NAME.key` and `NAME.pub`, the same each time.
fn key(project: &Project, name: &str) -> AttestationKey {
    let random = &mut |bytes: &mut [u8; 32]| {
        *bytes = Digest::of(name.as_bytes()).0;
        Ok(())
    };
    let key = AttestationKey::generate(AttestationAlgorithm::EcdsaP256, random).expect("a key");
    let file = project.path(format!("{name}.key"));
    fs::write(&file, key.pem()).expect("a key");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::write(project.path(format!("{name}.pub")), key.public().pem()).expect("a key");
    key
}

/// A disk in `out/web`, and a rebuild of it that `rebuilder` has signed.
fn attested(disk: &[u8]) -> Project {
    let project = Project::bare();
    let (out, sha256) = (project.path("out/web"), Digest::of(disk));
    fs::create_dir_all(out.join("attestations")).expect("a directory");
    fs::write(out.join("disk.raw"), disk).expect("a disk");
    let build = Build {
        schema: Build::SCHEMA,
        name: "web".into(),
        version: "1".into(),
        disk_sha256: sha256,
        root_hash: sha256,
        recipe_digest: sha256,
        lock_digest: sha256,
        signing: None,
        tools: vec![],
        steps: vec![],
    };
    let statement = rebuild(&RebuildInputs { build: &build, changed: &[] });
    let bytes = sign(&statement, &key(&project, "rebuilder")).expect("signed");
    fs::write(out.join("attestations").join(StatementKind::Rebuild.file()), bytes).expect("an attestation");
    key(&project, "ci");
    project
}

#[test]
fn what_holds_is_said_with_its_key() {
    let project = attested(&[7; 1 << 16]);
    let said =
        text(&project.succeed(&["attest", "verify", "out/web/disk.raw", "--key", "ci.pub", "rebuilder.pub"]).stdout);
    insta::assert_snapshot!(said);
    let answer = project.json(&["attest", "verify", "out/web", "--key", "rebuilder.pub", "--require", "rebuild"]);
    assert_eq!(
        (&answer["held"][0]["statement"], &answer["held"][0]["key_file"]),
        (&"rebuild".into(), &"rebuilder.pub".into())
    );
    fs::write(project.path("policy.toml"), "keys = [\"rebuilder.pub\"]\nrequire = [\"rebuild\"]\n").expect("a policy");
    project.succeed(&["attest", "verify", "out/web", "--policy", "policy.toml"]);
    let shown = text(&project.succeed(&["attest", "show", "out/web/attestations/rebuild.sigstore.json"]).stdout);
    insta::assert_snapshot!("shown", shown);
    assert_eq!(project.json(&["attest", "show", "out/web"])["verified"], false);
}

#[test]
fn what_does_not_hold_is_exit_4() {
    let project = attested(&[7; 1 << 16]);
    let verify = |more: &[&str]| refused(&project, &[&["attest", "verify", "out/web/disk.raw"], more].concat(), 4);
    let mut said = vec![
        verify(&["--key", "ci.pub"]),
        verify(&["--key", "rebuilder.pub", "--require", "rebuild,provenance"]),
        verify(&["--key", "rebuilder.pub", "--attestations", "elsewhere"]),
    ];
    let file = project.path("out/web/attestations/rebuild.sigstore.json");
    let good = fs::read_to_string(&file).expect("an attestation");
    fs::write(&file, &good[..good.len() - 40]).expect("cut");
    said.push(verify(&["--key", "rebuilder.pub"]));
    fs::write(&file, &good).expect("whole");
    fs::write(project.path("out/web/disk.raw"), [8; 1 << 16]).expect("another disk");
    said.push(verify(&["--key", "rebuilder.pub"]));
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn keys_and_policies_that_are_wrong_are_exit_1() {
    let project = attested(&[7; 1 << 16]);
    let verify = |more: &[&str]| refused(&project, &[&["attest", "verify", "out/web/disk.raw"], more].concat(), 1);
    fs::write(project.path("policy.toml"), "keys = [\"gone.pub\"]\nrequire = [\"rebuild\"]\n").expect("a policy");
    fs::write(project.path("wrong.toml"), "keys = [\"ci.pub\"]\nrequire = [\"rebuilt\"]\n").expect("a policy");
    let said = [
        verify(&["--key", "ci.key"]),
        verify(&["--key", "gone.pub"]),
        verify(&["--policy", "policy.toml"]),
        verify(&["--policy", "wrong.toml"]),
        verify(&["--policy", "gone.toml"]),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn a_key_that_others_can_read_is_refused_before_anything_else() {
    let project = attested(&[7; 1 << 16]);
    for file in ["ci.key", "ci.pub"] {
        fs::set_permissions(project.path(file), fs::Permissions::from_mode(0o644)).expect("its mode");
    }
    let sign = |more: &[&str]| refused(&project, &[&["attest", "sign", "out/web/disk.raw"], more].concat(), 1);
    let mut said = vec![sign(&["--key", "ci.key"]), sign(&["--key", "ci.pub"])];
    fs::set_permissions(project.path("ci.pub"), fs::Permissions::from_mode(0o600)).expect("its mode");
    said.push(sign(&["--key", "ci.pub"]));
    said.push(sign(&["--key", "rebuilder.key"]));
    insta::assert_snapshot!(said.join("\n\n"));
}

/// The disk is not even looked at: it does not exist.
#[test]
fn write_asks_the_policy_first() {
    let project = attested(&[7; 1 << 16]);
    fs::write(project.path("policy.toml"), "keys = [\"ci.pub\"]\nrequire = [\"rebuild\"]\n").expect("a policy");
    let arguments = ["write", "out/web/disk.raw", "no-disk", "--policy", "policy.toml"];
    insta::assert_snapshot!(refused(&project, &arguments, Exit::VerificationFailed as i32));
    fs::write(project.path("policy.toml"), "keys = [\"rebuilder.pub\"]\nrequire = [\"rebuild\"]\n").expect("a policy");
    let said = refused(&project, &arguments, 1);
    assert!(said.contains("no-disk"), "{said}");
}
