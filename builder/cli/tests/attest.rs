//! `attest` with an image that was built: its statements are made of what it carries, signed by a key or a program, and the same
//! each time.

mod common;

use common::errors::refused;
use common::{Project, material, text};
use diorite_model::plan::Build;
use diorite_model::report::{Boot, CheckResult, Evidence, Report, Selection, Start, Verdict, plan_digest};
use diorite_model::{Digest, base64};
use diorite_trust::keys::{AttestationAlgorithm, AttestationKey};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// The image that `make test` prepared, in `out/server`; a key in `ci.key` and `ci.pub`.
fn built() -> Project {
    let project = Project::locked();
    let (from, out) = (material("DIORITE_TEST_OUT"), project.path("out/server"));
    fs::create_dir_all(&out).expect("a directory");
    symlink(from.join("disk.raw"), out.join("disk.raw")).expect("the disk");
    for file in ["build.json", "recipe.json", "tree.manifest", "sbom.spdx.json", "sbom.cdx.json"] {
        fs::copy(from.join(file), out.join(file)).expect(file);
    }
    let random = &mut |bytes: &mut [u8; 32]| {
        *bytes = Digest::of(b"ci").0;
        Ok(())
    };
    let key = AttestationKey::generate(AttestationAlgorithm::Ed25519, random).expect("a key");
    fs::write(project.path("ci.key"), key.pem()).expect("a key");
    fs::set_permissions(project.path("ci.key"), fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::write(project.path("ci.pub"), key.public().pem()).expect("a key");
    project
}

fn read(project: &Project, file: &str) -> Vec<u8> {
    fs::read(project.path(format!("out/server/attestations/{file}.sigstore.json"))).expect(file)
}

fn statement(bundle: &[u8]) -> Value {
    let bundle: Value = serde_json::from_slice(bundle).expect("JSON");
    let payload = base64::decode(bundle["dsseEnvelope"]["payload"].as_str().expect("a payload")).expect("base64");
    serde_json::from_slice(&payload).expect("JSON")
}

/// What `verify` leaves when all is well.
fn verified(project: &Project) {
    let build: Build =
        serde_json::from_slice(&fs::read(project.path("out/server/build.json")).expect("it")).expect("JSON");
    let check = CheckResult {
        id: "tamper-refused".into(),
        what: "it does not boot with a flipped byte".into(),
        evidence: Evidence::Console,
        needed: false,
        verdict: Verdict::Pass,
        class: None,
        seen: String::new(),
        at: 0.0,
        seconds: 0.0,
        passes: 1,
    };
    let report = Report {
        schema: Report::SCHEMA,
        name: build.name,
        version: build.version,
        disk_sha256: build.disk_sha256,
        recipe_digest: build.recipe_digest,
        accelerator: "tcg".into(),
        accelerator_reason: "a test".into(),
        start: Start::default(),
        begun: 1_789_199_741,
        seconds: 1.0,
        selection: Selection { of: 1, plan_digest: Some(plan_digest(["tamper-refused"], &[])), ..Selection::default() },
        ended: None,
        retried: vec![],
        runs: 1,
        checks: vec![check],
        boot: Boot::default(),
    };
    fs::write(project.path("out/server/report.json"), serde_json::to_vec(&report).expect("JSON")).expect("report.json");
}

#[test]
fn an_image_is_attested_by_what_it_carries() {
    let project = built();
    let answer = project.json(&["attest", "sign", "out/server/disk.raw", "--key", "ci.key"]);
    assert_eq!(answer["signed"].as_array().map(Vec::len), Some(1), "{answer}");
    assert!(answer["left_out"][0]["because"].as_str().expect("why").contains("has not been verified"));
    let provenance = read(&project, "provenance");
    let made = statement(&provenance);
    assert_eq!(made["subject"][0]["digest"]["sha256"], project.disk().as_str());
    // Every file of the lock that is for the image; and recipe.json is the one that lies there.
    let dependencies = made["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().expect("a list");
    let digests: Vec<_> = dependencies.iter().filter_map(|d| d["digest"]["sha256"].as_str()).collect();
    let lock = diorite_archive::lockfile::read(&project.path("profiles/server.lock")).expect("the lock");
    assert!(lock.image.len() > 100);
    for package in lock.of_image() {
        assert!(digests.contains(&package.sha256.to_string().as_str()), "{package:?}");
    }
    let recipe = Digest::of(&fs::read(project.path("out/server/recipe.json")).expect("recipe.json"));
    assert!(digests.contains(&recipe.to_string().as_str()));
    assert!(dependencies.iter().any(|d| d["name"] == "overlay web"), "{dependencies:?}");

    // By the profile's name, the tools tree is known as well; the rest is the same.
    verified(&project);
    project.succeed(&["attest", "sign", "server", "--key", "ci.key", "--builder-id", "https://ci.example.org/images"]);
    let whole = statement(&read(&project, "provenance"));
    let tools = |statement: &Value| {
        statement["predicate"]["runDetails"]["builder"]["builderDependencies"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((tools(&made), tools(&whole)), (1, 1 + lock.tools.len()));
    let held =
        project.json(&["attest", "verify", "server", "--key", "ci.pub", "--require", "provenance,test-result,vsa"]);
    assert_eq!(held["held"].as_array().map(Vec::len), Some(3), "{held}");
    let all = ["provenance", "test-result", "vsa"].map(|kind| read(&project, kind));
    project.succeed(&["attest", "sign", "server", "--key", "ci.key", "--builder-id", "https://ci.example.org/images"]);
    assert_eq!(all, ["provenance", "test-result", "vsa"].map(|kind| read(&project, kind)), "the same bytes again");
    let summary = statement(&all[2]);
    let inputs = summary["predicate"]["inputAttestations"].as_array().expect("a list").clone();
    assert_eq!(inputs[1]["digest"]["sha256"], Digest::of(&all[1]).to_string().as_str());
}

#[test]
fn a_program_signs_and_is_not_believed() {
    let project = built();
    project.succeed(&["attest", "sign", "out/server/disk.raw", "--key", "ci.key"]);
    let good = read(&project, "provenance");
    let bundle: Value = serde_json::from_slice(&good).expect("JSON");
    let signature =
        base64::decode(bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().expect("it")).expect("base64");
    fs::write(project.path("signature"), &signature).expect("a file");
    fs::write(project.path("other"), [&signature[1..], &[0]].concat()).expect("a file");
    fs::remove_dir_all(project.path("out/server/attestations")).expect("they go");
    let sign =
        |signer: &'static str| ["attest", "sign", "out/server/disk.raw", "--signer", signer, "--public-key", "ci.pub"];
    let said = [
        refused(&project, &sign("cat other"), 1),
        refused(&project, &sign("head -c 10 signature"), 1),
        refused(&project, &sign("false"), 5),
        refused(&project, &sign("no-such-signer --slot 1"), 5),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
    assert!(!project.path("out/server/attestations/provenance.sigstore.json").exists(), "nothing is left");
    project.succeed(&sign("cat signature"));
    assert_eq!(read(&project, "provenance"), good, "the same statement, and the same signature");
}

#[test]
fn a_disk_that_was_changed_is_not_attested() {
    let project = built();
    let disk = project.path("out/server/disk.raw");
    fs::remove_file(&disk).expect("the link");
    fs::copy(material("DIORITE_TEST_OUT").join("disk.raw"), &disk).expect("a copy");
    let file = fs::File::options().write(true).open(&disk).expect("the disk");
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 4 << 20).expect("one byte");
    let said = text(
        &project.diorite().args(["attest", "sign", "server", "--key", "ci.key"]).output().expect("it starts").stderr,
    );
    assert!(said.contains("error: the disk is not the one that was built"), "{said}");
    assert!(!project.path("out/server/attestations").exists());
}
