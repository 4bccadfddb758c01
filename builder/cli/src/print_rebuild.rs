//! Answers of `rebuild`, for people and as JSON.

use crate::attestations::SignedFiles;
use crate::rebuild::Rebuilt;
use diorite_compare::explain::RebuildFinding;
use diorite_model::Digest;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// Findings that people are shown; JSON has all.
const MOST: usize = 40;

/// The two are equal.
pub fn equal(rebuilt: &Rebuilt, signed: Option<&SignedFiles>, as_json: bool) -> String {
    let digest = rebuilt.build.disk_sha256;
    let file = signed.and_then(|signed| signed.written.first()).map(|(_, file)| file);
    if as_json {
        return json!({
            "schema": 1, "equal": true, "attestation": file, "disk_sha256": digest, "rebuilt_sha256": digest, "root_hash": rebuilt.build.root_hash,
            "changed": rebuilt.changed, "seconds": rebuilt.time.as_secs_f64(), "rebuilt": null, "findings": [],
        })
        .to_string()
            + "\n";
    }
    let mut text = changed(rebuilt);
    let _ = writeln!(text, "equal      sha256 {digest}");
    if let Some((signed, file)) = signed.zip(file) {
        let _ = writeln!(text, "signed     {}  key {}", file.display(), signed.key.short(12));
    }
    text
}

/// The two are equal but for the signatures of the first.
pub fn equal_but_signed(signed: Digest, rebuilt: &Rebuilt, as_json: bool) -> String {
    let unsigned = rebuilt.build.signing.as_ref().map(|signing| signing.unsigned_sha256);
    if as_json {
        return json!({
            "schema": 1, "equal": true, "disk_sha256": signed, "rebuilt_sha256": rebuilt.build.disk_sha256,
            "unsigned_sha256": unsigned, "root_hash": rebuilt.build.root_hash, "changed": rebuilt.changed,
            "seconds": rebuilt.time.as_secs_f64(), "rebuilt": null, "findings": [],
        })
        .to_string()
            + "\n";
    }
    let mut text = changed(rebuilt);
    let _ = writeln!(text, "equal      without the signatures of the first, and the keys beside them");
    if let Some(unsigned) = unsigned {
        let _ = writeln!(text, "           unsigned sha256 {unsigned}");
    }
    let _ = writeln!(text, "           signed disk sha256 {signed}");
    text
}

/// The two differ: where, and why.
pub fn different(
    image: &Path,
    digest: Digest,
    rebuilt: &Rebuilt,
    findings: &[RebuildFinding],
    as_json: bool,
) -> String {
    let again = rebuilt.build.disk_sha256;
    let raw = rebuilt.results.raw();
    if as_json {
        return json!({
            "schema": 1, "equal": false, "disk_sha256": digest, "rebuilt_sha256": again, "root_hash": rebuilt.build.root_hash,
            "changed": rebuilt.changed, "seconds": rebuilt.time.as_secs_f64(), "rebuilt": raw, "findings": findings,
        })
        .to_string()
            + "\n";
    }
    let mut text = changed(rebuilt);
    let _ = writeln!(text, "DIFFERENT  {}  sha256 {digest}", image.display());
    let _ = writeln!(text, "           {}  sha256 {again}", raw.display());
    text += &listed(findings);
    if findings.is_empty() {
        text.push_str("\nno file, and no partition differs: `diorite inspect` looks at every other byte of each\n");
    }
    text
}

/// Each finding with the step and the cause.
pub fn listed(findings: &[RebuildFinding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(MOST) {
        let place = finding.path.as_deref().unwrap_or_default();
        let _ = writeln!(text, "\n{} {place}: {}", finding.partition, finding.field);
        let _ = writeln!(text, "  {} → {}", finding.before, finding.after);
        let source = finding.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        let _ = writeln!(text, "  step      {}{source}", finding.step);
        let _ = writeln!(text, "  likely    {}", finding.cause);
    }
    if findings.len() > MOST {
        let _ = writeln!(text, "\n… and {} more (--json has all)", findings.len() - MOST);
    }
    text
}

/// What was different for the second build.
pub fn changed(rebuilt: &Rebuilt) -> String {
    let mut text = format!("rebuilt in {:.1} s; different from the first time:\n", rebuilt.time.as_secs_f64());
    rebuilt.changed.iter().for_each(|what| text += &format!("  {what}\n"));
    text
}
