//! An image that was never built, with what is known of it, and its statements, signed.
#![allow(dead_code)]

use diorite_model::lock::{PULLED, Release, WHEEL};
use diorite_model::plan::{Build, BuildTool, Step, StepResult};
use diorite_model::report::{
    Boot, CheckResult, Class, Declared, Evidence, Port, Report, Seen, Selection, Start, Verdict, plan_digest,
};
use diorite_model::{Digest, Lock, LockedPackage};
use diorite_trust::attest::{
    AttestationFile, ProvenanceInputs, RebuildInputs, StatementKind, SummaryInputs, TestInputs, TrustedKey, provenance,
    rebuild, sign, summary, test_result,
};
use diorite_trust::keys::{AttestationAlgorithm, AttestationKey};
use std::collections::BTreeMap;

/// The disk that everything is about.
pub fn disk() -> Digest {
    Digest::of(b"disk")
}

/// A key that is the same each time.
pub fn key(algorithm: AttestationAlgorithm, seed: &str) -> AttestationKey {
    let random = &mut |bytes: &mut [u8; 32]| {
        *bytes = Digest::of(seed.as_bytes()).0;
        Ok(())
    };
    AttestationKey::generate(algorithm, random).expect("a key")
}

/// Its public half, as one that is trusted.
pub fn trusted(key: &AttestationKey, name: &str) -> TrustedKey {
    TrustedKey { name: name.into(), key: key.public() }
}

pub fn build() -> Build {
    let step = |name: &str| StepResult {
        step: Step { name: name.into(), key: Digest::of(name.as_bytes()), hit: true },
        seconds: 12.5,
        bytes: 7,
    };
    Build {
        schema: Build::SCHEMA,
        name: "web".into(),
        version: "7".into(),
        disk_sha256: disk(),
        root_hash: Digest::of(b"root hash"),
        recipe_digest: Digest::of(b"recipe"),
        lock_digest: Digest::of(b"lock"),
        signing: None,
        tools: vec![BuildTool::diorite("0.1.0", Digest::of(b"diorite"))],
        steps: vec![step("tree"), step("disk")],
    }
}

fn locked(name: &str, version: &str, architecture: &str, release: &str, path: &str) -> LockedPackage {
    LockedPackage {
        name: name.into(),
        version: version.into(),
        architecture: architecture.into(),
        release: release.into(),
        path: path.into(),
        size: 1,
        sha256: Digest::of(path.as_bytes()),
    }
}

pub fn lock() -> Lock {
    let release = Release {
        suite: "trixie".into(),
        date: "2026-09-12T07:55:41Z".into(),
        valid_until: None,
        sha256: Digest::of(b"InRelease"),
        components: vec!["main".into()],
    };
    let manifest = locked("manifest", "x", "amd64", PULLED, "registry.example/cache/manifests/sha256:22");
    let wheel = locked("flask", "3.1.0", "any", WHEEL, "flask/flask-3.1.0-py3-none-any.whl");
    Lock {
        schema: 1,
        recipe: Digest::of(b"recipe"),
        release: [("trixie".to_owned(), release)].into(),
        image: vec![locked("bash", "5.2.37-2+b10", "amd64", "trixie", "pool/main/b/bash/bash_5.2.37-2+b10_amd64.deb")],
        container: [("cache".to_owned(), vec![manifest])].into(),
        wheels: [("app".to_owned(), vec![wheel])].into(),
        tools: vec![locked("swtpm", "0.10.1-1", "amd64", "trixie", "pool/main/s/swtpm/swtpm_0.10.1-1_amd64.deb")],
    }
}

fn check(id: &str, verdict: Verdict) -> CheckResult {
    CheckResult {
        id: id.into(),
        what: format!("{id} is as it must be"),
        evidence: Evidence::Outside,
        needed: false,
        verdict,
        class: (verdict == Verdict::Fail).then_some(Class::Product),
        seen: if verdict == Verdict::Skip { "the host has no TPM".into() } else { "seen".into() },
        at: 1.0,
        seconds: 1.0,
        passes: 1,
    }
}

pub fn report(verdicts: &[(&str, Verdict)]) -> Report {
    let port = |family: &str| Port {
        family: family.into(),
        protocol: "tcp".into(),
        port: 22,
        declared: Declared::Open,
        seen: Seen::Open,
    };
    Report {
        schema: Report::SCHEMA,
        name: "web".into(),
        version: "7".into(),
        disk_sha256: disk(),
        recipe_digest: Digest::of(b"recipe"),
        accelerator: "tcg".into(),
        accelerator_reason: "a test".into(),
        start: Start::default(),
        begun: 1_789_199_741,
        seconds: 60.7,
        selection: Selection { of: verdicts.len(), plan_digest: Some(plan_digest(["a"], &[])), ..Selection::default() },
        ended: None,
        retried: vec![],
        runs: 1,
        checks: verdicts.iter().map(|(id, verdict)| check(id, *verdict)).collect(),
        boot: Boot { ports: vec![port("ipv4"), port("ipv6")], ..Boot::default() },
    }
}

pub fn good_report() -> Report {
    report(&[("port-ipv4-tcp-22-open", Verdict::Pass), ("tamper-refused", Verdict::Pass)])
}

/// The statement of this kind about [`disk`].
pub fn statement(kind: StatementKind) -> Vec<u8> {
    let (build, report) = (build(), good_report());
    match kind {
        StatementKind::Provenance => {
            let overlays = BTreeMap::from([("web".to_owned(), Digest::of(b"overlay"))]);
            provenance(&ProvenanceInputs {
                build: &build,
                recipe_file: Digest::of(b"recipe.json"),
                lock: &lock(),
                lock_file: Digest::of(b"web.lock"),
                overlays: &overlays,
                byproducts: &[("sbom.spdx.json".into(), Digest::of(b"sbom"))],
                builder: "https://ci.example.org/images",
            })
        }
        StatementKind::TestResult => {
            test_result(TestInputs { report: &report, report_file: Digest::of(b"report.json") })
        }
        StatementKind::Vsa => {
            let attestations = [("provenance.sigstore.json".to_owned(), Digest::of(b"p"))];
            summary(&SummaryInputs { report: &report, attestations: &attestations, version: "0.1.0" })
        }
        StatementKind::Rebuild => rebuild(&RebuildInputs { build: &build, changed: &["umask 0077".into()] }),
    }
}

/// The same, signed.
pub fn signed(kind: StatementKind, key: &AttestationKey) -> AttestationFile {
    AttestationFile { place: kind.file(), bytes: sign(&statement(kind), key).expect("signed") }
}
