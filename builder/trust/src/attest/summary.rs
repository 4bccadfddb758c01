//! Report and the statements about it → SLSA Verification Summary v1: whether that report vouches for the image.
//! <https://slsa.dev/spec/v1.1/verification_summary>

use super::statement::{Resource, StatementKind, VERIFY, write};
use crate::sbom::generic_url;
use diorite_model::report::Report;
use diorite_model::{Digest, date};
use serde::Serialize;
use std::collections::BTreeMap;

/// What an image that was verified is said to be; values of our own do not begin with `SLSA_`.
const VERIFIED: &str = "DIORITE_VERIFIED";

/// What a summary is made of.
#[derive(Debug)]
pub struct SummaryInputs<'a> {
    /// report.json.
    pub report: &'a Report,
    /// Name of file and SHA-256 of the attestations that were looked at.
    pub attestations: &'a [(String, Digest)],
    /// Version of the program that judged.
    pub version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    verifier: Verifier,
    time_verified: String,
    resource_uri: String,
    policy: Resource,
    input_attestations: Vec<Resource>,
    verification_result: &'static str,
    verified_levels: [&'static str; 1],
    slsa_version: &'static str,
}

#[derive(Serialize)]
struct Verifier {
    id: &'static str,
    version: BTreeMap<&'static str, String>,
}

/// The statement: passed when every check of the image was asked and is as it must be.
pub fn summary(inputs: &SummaryInputs) -> Vec<u8> {
    let report = inputs.report;
    let passed = report.passed() && !report.partial() && report.selection.plan_digest.is_some();
    let mut policy = Resource { uri: Some(VERIFY.into()), ..Resource::default() };
    policy.digest.extend(report.selection.plan_digest.map(|digest| ("sha256".to_owned(), digest.to_string())));
    let input = |(file, sha256): &(String, Digest)| Resource {
        name: None,
        uri: Some(file.clone()),
        ..Resource::file("", *sha256)
    };
    let predicate = Summary {
        verifier: Verifier { id: "urn:diorite", version: [("diorite", inputs.version.to_owned())].into() },
        // At the end of the run that the report is about: no other clock is asked.
        time_verified: date::rfc3339(report.begun + report.seconds.clamp(0.0, 1e9) as u64),
        resource_uri: generic_url(&report.name, &report.version),
        policy,
        input_attestations: inputs.attestations.iter().map(input).collect(),
        verification_result: if passed { "PASSED" } else { "FAILED" },
        verified_levels: [if passed { VERIFIED } else { "FAILED" }],
        slsa_version: "1.1",
    };
    write(StatementKind::Vsa, report.disk_sha256, &predicate)
}
