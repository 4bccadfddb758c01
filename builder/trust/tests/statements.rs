//! Attestations: what is written is of the forms that in-toto, SLSA and Sigstore define and always the same; what was changed after
//! signing, is about another disk, or says something twice, is refused with its reason.

mod attested;

use attested::{disk, good_report, key, lock, report, signed, statement, trusted};
use diorite_model::report::{Report, Verdict};
use diorite_model::{Digest, Exit, base64};
use diorite_trust::attest::{
    AttestationFile, AttestationPolicy, ImageStatement, SignedStatement, StatementKind, StatementOutcome,
    SummaryInputs, TestInputs, sign, summary, test_result, verify,
};
use diorite_trust::keys::AttestationAlgorithm::{EcdsaP256, Ed25519};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: u64 = 1_789_199_741 + 86_400;

fn pretty(bytes: &[u8]) -> String {
    serde_json::to_string_pretty(&serde_json::from_slice::<Value>(bytes).expect("JSON")).expect("JSON")
}

#[test]
fn statements_say_what_is_known() {
    for kind in StatementKind::ALL {
        insta::assert_snapshot!(format!("statement_{}", kind.name()), pretty(&statement(kind)));
        let read = ImageStatement::read(&statement(kind), "here").expect("a statement");
        assert_eq!((read.kind, read.outcome, read.disks), (kind, StatementOutcome::Passed, vec![disk()]));
    }
}

/// RFC 8032 and RFC 6979: the same statement and key make the same bytes.
#[test]
fn a_bundle_is_the_same_each_time() {
    for (name, algorithm) in [("ed25519", Ed25519), ("ecdsa", EcdsaP256)] {
        let file = signed(StatementKind::Rebuild, &key(algorithm, "ci"));
        assert_eq!(file.bytes, signed(StatementKind::Rebuild, &key(algorithm, "ci")).bytes);
        insta::assert_snapshot!(format!("bundle_{name}"), pretty(&file.bytes));
    }
}

/// Every file that the lock names for the image is in the provenance by its digest, and none twice.
#[test]
fn every_input_is_named_by_digest() {
    let predicate: Value = serde_json::from_slice(&statement(StatementKind::Provenance)).expect("JSON");
    let dependencies =
        predicate["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().expect("a list").clone();
    let digests: Vec<_> = dependencies.iter().filter_map(|d| d["digest"]["sha256"].as_str()).collect();
    for package in lock().of_image() {
        assert_eq!(digests.iter().filter(|digest| **digest == package.sha256.to_string()).count(), 1, "{package:?}");
    }
    assert!(dependencies.iter().any(|d| d["digest"]["dioriteOverlay"].is_string()));
}

/// What was not asked is never a pass.
#[test]
fn outcomes_follow_the_report() {
    let outcome = |report: &Report| {
        let test = test_result(TestInputs { report, report_file: disk() });
        let vsa = summary(&SummaryInputs { report, attestations: &[], version: "0" });
        [test, vsa].map(|bytes| ImageStatement::read(&bytes, "here").expect("a statement").outcome)
    };
    use StatementOutcome::{Failed, Passed, Warned};
    assert_eq!(outcome(&good_report()), [Passed, Passed]);
    assert_eq!(outcome(&report(&[("a", Verdict::Pass), ("b", Verdict::Skip)])), [Warned, Failed]);
    assert_eq!(outcome(&report(&[("a", Verdict::Pass), ("b", Verdict::Fail)])), [Failed, Failed]);
    let mut part = good_report();
    part.selection.of = 3;
    assert_eq!(outcome(&part), [Warned, Failed]);
}

/// Each value of the bundle changed in turn, and each of the statement under the old signature.
#[test]
fn a_change_of_any_field_is_refused() {
    for algorithm in [Ed25519, EcdsaP256] {
        let key = key(algorithm, "ci");
        let (keys, file) = ([trusted(&key, "ci.pub")], signed(StatementKind::Provenance, &key));
        let refused = |bundle: &Value| {
            let error = verify(&serde_json::to_vec(bundle).expect("JSON"), "here", &keys, disk()).expect_err("changed");
            assert_eq!(
                (error.exit, error.place.as_deref(), error.cause.is_some()),
                (Exit::VerificationFailed, Some("here"), true)
            );
        };
        assert!(verify(&file.bytes, "here", &keys, disk()).is_ok(), "positive control");
        let bundle: Value = serde_json::from_slice(&file.bytes).expect("JSON");
        let mut changed = 0;
        for path in
            ["/mediaType", "/dsseEnvelope/payload", "/dsseEnvelope/payloadType", "/dsseEnvelope/signatures/0/sig"]
        {
            let mut bent = bundle.clone();
            *bent.pointer_mut(path).expect(path) = json!("AAAA");
            refused(&bent);
        }
        let statement = statement(StatementKind::Provenance);
        let paths = leaves(&serde_json::from_slice(&statement).expect("JSON"), String::new());
        for path in &paths {
            let mut other: Value = serde_json::from_slice(&statement).expect("JSON");
            *other.pointer_mut(path).expect("it is there") = json!("something else");
            let mut bent = bundle.clone();
            bent["dsseEnvelope"]["payload"] = base64::encode(&serde_json::to_vec(&other).expect("JSON")).into();
            refused(&bent);
            changed += 1;
        }
        assert!(changed > 30, "{changed}");
    }
}

fn leaves(value: &Value, path: String) -> Vec<String> {
    match value {
        Value::Object(map) => {
            map.iter().flat_map(|(k, v)| leaves(v, format!("{path}/{}", k.replace('/', "~1")))).collect()
        }
        Value::Array(list) => list.iter().enumerate().flat_map(|(i, v)| leaves(v, format!("{path}/{i}"))).collect(),
        _ => vec![path],
    }
}

#[test]
fn what_does_not_hold_is_refused_with_its_reason() {
    let (ci, other) = (key(Ed25519, "ci"), key(Ed25519, "other"));
    let keys = [trusted(&ci, "ci.pub")];
    let good = String::from_utf8(signed(StatementKind::Rebuild, &ci).bytes).expect("text");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut statement: Value = serde_json::from_slice(&statement(StatementKind::TestResult)).expect("JSON");
        change(&mut statement);
        sign(&serde_json::to_vec(&statement).expect("JSON"), &ci).expect("signed")
    };
    let bundle = |change: &dyn Fn(&mut Value)| {
        let mut bundle: Value = serde_json::from_str(&good).expect("JSON");
        change(&mut bundle);
        serde_json::to_vec(&bundle).expect("JSON")
    };
    let skipped = report(&[("a", Verdict::Pass), ("b", Verdict::Skip)]);
    let failed = report(&[("a", Verdict::Fail)]);
    let of = |report: &Report| sign(&test_result(TestInputs { report, report_file: disk() }), &ci).expect("signed");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("another key", signed(StatementKind::Rebuild, &other).bytes),
        ("changed after signing", bundle(&|b| b["dsseEnvelope"]["payload"] = base64::encode(b"{}").into())),
        ("another disk", with(&|s| s["subject"][0]["digest"]["sha256"] = Digest::of(b"x").to_string().into())),
        ("no digest", with(&|s| s["subject"] = json!([]))),
        ("a digest that is none", with(&|s| s["subject"][0]["digest"]["sha256"] = "abc".into())),
        ("another statement", with(&|s| s["_type"] = "https://in-toto.io/Statement/v0.1".into())),
        ("unknown predicate", with(&|s| s["predicateType"] = "https://example.org/approval/v1\u{1b}".into())),
        ("tests of others", with(&|s| s["predicate"]["configuration"] = json!([{ "uri": "https://example.org/ci" }]))),
        ("no result", with(&|s| s["predicate"]["result"] = Value::Null)),
        ("another result", with(&|s| s["predicate"]["result"] = "OK".into())),
        ("no predicate", with(&|s| drop(s.as_object_mut().expect("a table").remove("predicate")))),
        ("checks were not asked", of(&skipped)),
        ("a check failed", of(&failed)),
        ("a time that is none", with(&|s| s["predicate"]["urn:diorite:seen"]["begun"] = "today".into())),
        ("a statement that says something twice", sign(br#"{"_type":"a","_type":"b"}"#, &ci).expect("signed")),
        ("no statement", sign(b"hello", &ci).expect("signed")),
        ("empty", Vec::new()),
        ("no JSON", b"hello".to_vec()),
        ("cut", good.as_bytes()[..good.len() / 2].to_vec()),
        ("a key twice", good.replacen("{\"payload\"", "{\"payload\":\"e30=\",\"payload\"", 1).into_bytes()),
        ("huge", vec![b' '; (32 << 20) + 1]),
        ("deep", "[".repeat(1_000_000).into_bytes()),
        ("a certificate", bundle(&|b| b["verificationMaterial"] = json!({ "certificate": { "rawBytes": "AAAA" } }))),
        ("no envelope", bundle(&|b| b["dsseEnvelope"] = Value::Null)),
        ("another bundle", bundle(&|b| b["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json".into())),
        ("another payload", bundle(&|b| b["dsseEnvelope"]["payloadType"] = "text/plain".into())),
        ("no signature", bundle(&|b| b["dsseEnvelope"]["signatures"] = json!([]))),
        ("a signature that is no base64", bundle(&|b| b["dsseEnvelope"]["signatures"][0]["sig"] = "!".into())),
        ("many signatures", bundle(&|b| b["dsseEnvelope"]["signatures"] = json!(vec![json!({ "sig": "" }); 17]))),
    ];
    let said = cases.iter().map(|(what, file)| {
        let error = verify(file, "attestations/x.sigstore.json", &keys, disk()).expect_err(what);
        assert_eq!(error.exit, Exit::VerificationFailed, "{what}");
        format!("{what}\n{error}")
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n\n"));
    assert!(verify(good.as_bytes(), "here", &keys, disk()).is_ok(), "positive control");
}

/// Others put more into a bundle, and name the key in the envelope.
#[test]
fn what_other_programs_add_is_passed_over() {
    let ci = key(EcdsaP256, "ci");
    let mut bundle: Value = serde_json::from_slice(&signed(StatementKind::Vsa, &ci).bytes).expect("JSON");
    bundle["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3".into();
    bundle["verificationMaterial"]["tlogEntries"] = json!([{ "logIndex": "1" }]);
    bundle["verificationMaterial"]["timestampVerificationData"] = json!({});
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = "SHA256:abc".into();
    let bytes = serde_json::to_vec(&bundle).expect("JSON");
    let keys = [trusted(&key(Ed25519, "other"), "other.pub"), trusted(&ci, "ci.pub")];
    assert_eq!(verify(&bytes, "here", &keys, disk()).expect("it holds").key, 1);
}

fn policy(require: &[StatementKind], max_age_days: Option<u32>) -> AttestationPolicy {
    let keys = vec![trusted(&key(Ed25519, "ci"), "ci.pub"), trusted(&key(EcdsaP256, "rebuilder"), "rebuilder.pub")];
    AttestationPolicy { keys, require: require.to_vec(), max_age_days, place: "policy.toml".into() }
}

#[test]
fn a_policy_takes_what_its_keys_have_said_and_nothing_else() {
    use StatementKind::{Provenance, Rebuild, TestResult, Vsa};
    let (ci, rebuilder, other) = (key(Ed25519, "ci"), key(EcdsaP256, "rebuilder"), key(Ed25519, "other"));
    let all = [signed(Provenance, &ci), signed(TestResult, &ci), signed(Vsa, &other), signed(Rebuild, &rebuilder)];
    let held = policy(&[Rebuild, TestResult], Some(1)).judge(&all, disk(), NOW).expect("it holds");
    assert_eq!(
        held.iter().map(|held| (held.statement.kind, held.key)).collect::<Vec<_>>(),
        [(Rebuild, 1), (TestResult, 0)]
    );
    // One that does not hold is no reason against another that does.
    let twice = [signed(Rebuild, &other), signed(Rebuild, &rebuilder)];
    assert!(policy(&[Rebuild], None).judge(&twice, disk(), NOW).is_ok());
    let refused = |require: &[StatementKind], days, files: &[AttestationFile], disk, now| {
        policy(require, days).judge(files, disk, now).expect_err("refused").to_string()
    };
    let said = [
        refused(&[Provenance, Vsa], None, &all, disk(), NOW),
        refused(&[Provenance, Rebuild], None, &[], disk(), NOW),
        refused(&[Provenance], None, &all, Digest::of(b"another"), NOW),
        refused(&[TestResult], Some(1), &all, disk(), NOW + 60),
        refused(&[TestResult], Some(1), &all, disk(), NOW - 3 * 86_400),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

proptest! {
    /// Whatever the bytes, they are refused and nothing panics.
    #[test]
    fn hostile_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let keys = [trusted(&key(Ed25519, "ci"), "ci.pub")];
        prop_assert!(verify(&bytes, "here", &keys, disk()).is_err());
        let _ = ImageStatement::read(&bytes, "here");
    }

    /// A good file with some of its bytes changed, cut or doubled holds only where the same statement is still signed.
    #[test]
    fn a_damaged_file_never_says_anything_else(at in 0_usize..10_000, byte in any::<u8>(), how in 0..3) {
        let ci = key(Ed25519, "ci");
        let good = signed(StatementKind::Rebuild, &ci).bytes;
        let at = at % good.len();
        let mut bent = good.clone();
        match how {
            0 => bent[at] = byte,
            1 => bent.truncate(at),
            _ => bent.insert(at, byte),
        }
        if let Ok(held) = verify(&bent, "here", &[trusted(&ci, "ci.pub")], disk()) {
            let payload = |bytes: &[u8]| SignedStatement::read(bytes, "here").expect("a bundle").payload;
            prop_assert_eq!(payload(&bent), payload(&good));
            prop_assert_eq!(held.statement.kind, StatementKind::Rebuild);
        }
    }
}
