//! Audit → OpenVEX v0.2.0 (github.com/openvex/spec): a statement for each vulnerability and source package.

use super::judge::{Audit, AuditFinding, AuditStatus};
use super::text::action;
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Serialize)]
struct OpenVexDocument {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@id")]
    id: String,
    author: &'static str,
    /// Free, and yet asked for by lib4vex.
    role: &'static str,
    timestamp: String,
    version: u32,
    tooling: &'static str,
    statements: Vec<OpenVexStatement>,
}

#[derive(Serialize)]
struct OpenVexStatement {
    vulnerability: OpenVexVulnerability,
    products: Vec<OpenVexProduct>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_notes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_statement: Option<String>,
}

#[derive(Serialize)]
struct OpenVexVulnerability {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
}

#[derive(Serialize)]
struct OpenVexProduct {
    #[serde(rename = "@id")]
    id: String,
    identifiers: OpenVexIdentifiers,
}

#[derive(Serialize)]
struct OpenVexIdentifiers {
    purl: String,
}

/// The document, with a newline at its end. Its time is the day of the audit: the same audit gives the same bytes.
pub fn openvex(audit: &Audit) -> Vec<u8> {
    let document = OpenVexDocument {
        context: "https://openvex.dev/ns/v0.2.0",
        id: format!("urn:uuid:{}", super::judge::uuid(audit, "openvex")),
        author: "Diorite",
        role: "Document Creator",
        timestamp: format!("{}T00:00:00Z", audit.day),
        version: 1,
        tooling: concat!("diorite ", env!("CARGO_PKG_VERSION")),
        statements: audit.findings.iter().map(|finding| statement(finding, &audit.suite)).collect(),
    };
    let mut json = serde_json::to_vec_pretty(&document).expect("our own types serialize");
    json.push(b'\n');
    json
}

fn statement(finding: &AuditFinding, suite: &str) -> OpenVexStatement {
    let products = package_urls(finding).into_iter();
    let undetermined = finding.status == AuditStatus::Undetermined;
    let urgency = Some(finding.urgency.as_str()).filter(|urgency| !urgency.is_empty());
    OpenVexStatement {
        vulnerability: OpenVexVulnerability { name: finding.id.clone(), description: finding.summary.clone() },
        products: products.map(product).collect(),
        status: if undetermined { "under_investigation" } else { "affected" },
        status_notes: urgency.map(|urgency| format!("urgency in Debian: {urgency}")),
        action_statement: (!undetermined).then(|| action(finding, suite)),
    }
}

fn product(purl: &str) -> OpenVexProduct {
    OpenVexProduct { id: purl.to_owned(), identifiers: OpenVexIdentifiers { purl: purl.to_owned() } }
}

/// The package URLs of a finding's packages, each once.
fn package_urls(finding: &AuditFinding) -> BTreeSet<&str> {
    finding.packages.iter().map(|package| package.purl.as_str()).collect()
}
