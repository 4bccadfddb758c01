//! Report → in-toto Test Result: what `verify` saw of the image.
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>

use super::statement::{Resource, StatementKind, VERIFY, write};
use diorite_model::report::{CheckResult, Port, Report, Verdict};
use diorite_model::{Digest, date};
use serde::Serialize;
use serde_json::{Value, json};

/// What is known of a verification.
#[derive(Debug, Clone, Copy)]
pub struct TestInputs<'a> {
    /// report.json.
    pub report: &'a Report,
    /// SHA-256 of that file.
    pub report_file: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestResult<'a> {
    result: &'static str,
    configuration: Vec<Resource>,
    passed_tests: Vec<&'a str>,
    warned_tests: Vec<&'a str>,
    failed_tests: Vec<&'a str>,
    /// [`super::statement::MORE`].
    #[serde(rename = "urn:diorite:seen")]
    seen: SeenTests<'a>,
}

/// What the specification has no field for. A check that could not be asked is in none of its lists.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SeenTests<'a> {
    begun: String,
    runs: u32,
    accelerator: &'a str,
    planned: usize,
    ended: Option<&'a str>,
    skipped: Vec<Value>,
    failed: Vec<Value>,
    ports: &'a [Port],
}

/// The statement of what was seen: `PASSED` when every check of the image was asked and is as it must be; `WARNED` when none
/// failed, and some were not asked.
pub fn test_result(inputs: TestInputs) -> Vec<u8> {
    let report = inputs.report;
    let of = |verdict: Verdict| report.checks.iter().filter(move |check| check.verdict == verdict);
    let ids = |verdict: Verdict| of(verdict).map(|check| check.id.as_str()).collect();
    let told = |verdict: Verdict| {
        let told = |check: &CheckResult| json!({ "test": check.id, "what": check.what, "seen": check.seen });
        of(verdict).map(told).collect()
    };
    let mut configuration = vec![Resource { uri: Some(VERIFY.into()), ..Resource::default() }];
    configuration[0]
        .digest
        .extend(report.selection.plan_digest.map(|digest| ("sha256".to_owned(), digest.to_string())));
    configuration.push(Resource::file("recipe", report.recipe_digest));
    configuration.push(Resource::file("report.json", inputs.report_file));
    let predicate = TestResult {
        result: match report {
            report if report.passed() && !report.partial() => "PASSED",
            report if report.ended.is_none() && report.count(Verdict::Fail) == 0 => "WARNED",
            _ => "FAILED",
        },
        configuration,
        passed_tests: ids(Verdict::Pass),
        warned_tests: Vec::new(),
        failed_tests: ids(Verdict::Fail),
        seen: SeenTests {
            begun: date::rfc3339(report.begun),
            runs: report.runs,
            accelerator: &report.accelerator,
            planned: report.selection.of,
            ended: report.ended.as_ref().map(|ended| ended.what.as_str()),
            skipped: told(Verdict::Skip),
            failed: told(Verdict::Fail),
            ports: &report.boot.ports,
        },
    };
    write(StatementKind::TestResult, report.disk_sha256, &predicate)
}
