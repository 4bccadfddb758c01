//! Answers of `attest`, for people and as JSON.

use crate::attestations::SignedFiles;
use diorite_model::{Digest, date};
use diorite_trust::attest::{HeldStatement, ImageStatement, StatementKind, StatementOutcome, TrustedKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What was signed.
pub fn signed(signed: &SignedFiles, as_json: bool) -> String {
    if as_json {
        let written = signed.written.iter().map(|(kind, file)| json!({ "statement": kind.name(), "file": file }));
        let left_out = signed.left_out.iter().map(|(kind, why)| json!({ "statement": kind.name(), "because": why }));
        let (written, left_out) = (written.collect::<Vec<_>>(), left_out.collect::<Vec<_>>());
        let (disk, key) = (signed.disk, signed.key);
        return json!({ "schema": 1, "disk_sha256": disk, "key": key, "signed": written, "left_out": left_out })
            .to_string()
            + "\n";
    }
    let mut text = format!("disk         sha256 {}\nkey          {}\n", signed.disk, signed.key);
    for (kind, file) in &signed.written {
        let _ = writeln!(text, "{:<12} {}", kind.name(), file.display());
    }
    for (kind, why) in &signed.left_out {
        let _ = writeln!(text, "{:<12} not signed: {why}", kind.name());
    }
    text
}

/// What holds for a disk, and by whose word.
pub fn held(disk: &Path, sha256: Digest, held: &[HeldStatement], keys: &[TrustedKey], as_json: bool) -> String {
    if as_json {
        let one = |held: &HeldStatement| {
            let key = &keys[held.key];
            json!({
                "statement": held.statement.kind.name(), "key": key.key.id(), "key_file": key.name, "file": held.place,
                "time": held.statement.time.map(date::rfc3339),
            })
        };
        let all: Vec<_> = held.iter().map(one).collect();
        return json!({ "schema": 1, "disk": disk, "disk_sha256": sha256, "held": all }).to_string() + "\n";
    }
    let mut text = format!("disk         {}  sha256 {sha256}\n", disk.display());
    for held in held {
        let key = &keys[held.key];
        let (kind, short) = (held.statement.kind.name(), key.key.id().short(12));
        let _ = writeln!(text, "{kind:<12} holds  key {short} ({})  {}", key.name, held.place);
    }
    text
}

/// What statements say: file, the key's id by their own word, statement; and of which other disks some were set aside.
pub fn shown(all: &[(String, String, ImageStatement)], others: &BTreeMap<Digest, usize>, as_json: bool) -> String {
    if as_json {
        let one = |(file, hint, statement): &(String, String, ImageStatement)| {
            json!({
                "statement": statement.kind.name(), "file": file, "key": hint, "outcome": outcome(statement),
                "disks": statement.disks, "time": statement.time.map(date::rfc3339), "predicate": statement.predicate,
            })
        };
        let all: Vec<_> = all.iter().map(one).collect();
        let others: Vec<_> = others.iter().map(|(disk, count)| json!({ "disk": disk, "statements": count })).collect();
        return json!({ "schema": 1, "verified": false, "statements": all, "set_aside": others }).to_string() + "\n";
    }
    let mut text =
        String::from("Nothing below is verified: `diorite attest verify` says what holds, and by which key.\n");
    for (file, hint, statement) in all {
        let mut fact = |what: &str, value: String| text += &format!("  {what:<12} {}\n", printable(&value));
        fact("", String::new());
        fact("statement", format!("{}  {file}", statement.kind.name()));
        fact("key", if hint.is_empty() { "not named".into() } else { hint.clone() });
        statement.disks.iter().for_each(|disk| fact("disk", format!("sha256 {disk}")));
        if let Some(time) = statement.time {
            fact("time", date::rfc3339(time));
        }
        fact("outcome", outcome(statement).into());
        match statement.kind {
            StatementKind::Provenance => provenance(&statement.predicate, &mut fact),
            StatementKind::Vsa => fact("levels", list(&statement.predicate["verifiedLevels"])),
            StatementKind::TestResult | StatementKind::Rebuild => test_result(&statement.predicate, &mut fact),
        }
    }
    for (disk, count) in others {
        let _ = writeln!(text, "\n  set aside    {count} about another disk, in attestations/{disk}");
    }
    text.replace("               \n", "\n")
}

fn outcome(statement: &ImageStatement) -> &'static str {
    match statement.outcome {
        StatementOutcome::Passed => "PASSED",
        StatementOutcome::Warned => "WARNED",
        StatementOutcome::Failed => "FAILED",
    }
}

fn provenance(predicate: &Value, fact: &mut dyn FnMut(&str, String)) {
    let text = |path: &str| predicate.pointer(path).and_then(Value::as_str).unwrap_or("not named").to_owned();
    let parameter = |name: &str| text(&format!("/buildDefinition/externalParameters/{name}"));
    fact("image", format!("{} {}", parameter("name"), parameter("version")));
    fact("builder", text("/runDetails/builder/id"));
    fact("recipe", parameter("recipe"));
    fact("lock", parameter("lock"));
    let count = |path: &str| predicate.pointer(path).and_then(Value::as_array).map_or(0, Vec::len);
    fact("inputs", count("/buildDefinition/resolvedDependencies").to_string());
    fact("tools", count("/runDetails/builder/builderDependencies").to_string());
}

fn test_result(predicate: &Value, fact: &mut dyn FnMut(&str, String)) {
    let seen = &predicate["urn:diorite:seen"];
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    let (passed, failed, skipped) =
        (count(&predicate["passedTests"]), count(&predicate["failedTests"]), count(&seen["skipped"]));
    fact("tests", format!("{passed} passed, {failed} failed, {skipped} not asked"));
    for (word, list) in [("failed", &seen["failed"]), ("not asked", &seen["skipped"])] {
        for test in list.as_array().into_iter().flatten() {
            let part = |key: &str| test[key].as_str().unwrap_or_default();
            fact(word, format!("{}: {}", part("test"), part("seen")));
        }
    }
    for port in seen["ports"].as_array().into_iter().flatten() {
        let part = |key: &str| port[key].as_str().unwrap_or_default();
        fact("port", format!("{} {} {}: {}", part("family"), part("protocol"), port["port"], part("seen")));
    }
    if let Some(changed) = seen["changed"].as_array() {
        changed.iter().for_each(|what| fact("different", what.as_str().unwrap_or_default().to_owned()));
    }
}

/// The words of a list.
fn list(value: &Value) -> String {
    let words: Vec<_> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(", ")
}

/// Others wrote it: nothing in it moves the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
