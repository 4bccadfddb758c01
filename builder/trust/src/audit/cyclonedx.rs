//! Audit → CycloneDX 1.6 as a VEX document (cyclonedx.org/docs/1.6/json, `vulnerabilities`): the packages that have something
//! as components, under the package URLs of the image's bill of materials.

use super::judge::{Audit, AuditFinding, AuditStatus, uuid};
use super::text::action;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VexDocument {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: VexMetadata,
    components: Vec<VexComponent>,
    vulnerabilities: Vec<VexVulnerability>,
}

#[derive(Serialize)]
struct VexMetadata {
    timestamp: String,
    tools: VexTools,
    component: VexComponent,
}

#[derive(Serialize)]
struct VexTools {
    components: [VexComponent; 1],
}

#[derive(Serialize)]
struct VexComponent {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
}

#[derive(Serialize)]
struct VexVulnerability {
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    recommendation: Option<String>,
    analysis: VexAnalysis,
    affects: Vec<VexAffected>,
}

#[derive(Serialize)]
struct VexAnalysis {
    state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    response: Vec<&'static str>,
    detail: String,
}

#[derive(Serialize)]
struct VexAffected {
    #[serde(rename = "ref")]
    id: String,
    versions: [VexVersion; 1],
}

#[derive(Serialize)]
struct VexVersion {
    version: String,
    status: &'static str,
}

/// The document, with a newline at its end. Its time is the day of the audit: the same audit gives the same bytes.
pub fn cyclonedx(audit: &Audit) -> Vec<u8> {
    let mut components = BTreeMap::new();
    for finding in &audit.findings {
        for package in &finding.packages {
            components.insert(package.purl.clone(), (package.name.clone(), package.version.clone()));
        }
    }
    let component = |(url, (name, version)): (String, (String, String))| VexComponent {
        kind: "library",
        id: Some(url.clone()),
        name,
        version,
        purl: Some(url),
    };
    let (name, version) = audit.image.split_once(' ').unwrap_or((&audit.image, ""));
    let own = |kind, name: &str, version: &str| VexComponent {
        kind,
        id: None,
        name: name.to_owned(),
        version: version.to_owned(),
        purl: None,
    };
    let document = VexDocument {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", uuid(audit, "cyclonedx")),
        version: 1,
        metadata: VexMetadata {
            timestamp: format!("{}T00:00:00Z", audit.day),
            tools: VexTools { components: [own("application", "diorite", env!("CARGO_PKG_VERSION"))] },
            component: own("operating-system", name, version),
        },
        components: components.into_iter().map(component).collect(),
        vulnerabilities: audit.findings.iter().map(|finding| vulnerability(finding, &audit.suite)).collect(),
    };
    let mut json = serde_json::to_vec_pretty(&document).expect("our own types serialize");
    json.push(b'\n');
    json
}

fn vulnerability(finding: &AuditFinding, suite: &str) -> VexVulnerability {
    let (state, response) = match (finding.status, finding.waived.is_some()) {
        (AuditStatus::Undetermined, _) => ("in_triage", vec![]),
        (_, true) | (AuditStatus::Unimportant, _) => ("exploitable", vec!["will_not_fix"]),
        (AuditStatus::Fixable, _) => ("exploitable", vec!["update"]),
        (AuditStatus::Open, _) => ("exploitable", vec!["can_not_fix"]),
    };
    let detail = match finding.status {
        AuditStatus::Undetermined => "Nobody has found out whether the package has it.".to_owned(),
        _ => action(finding, suite),
    };
    let status = if finding.status == AuditStatus::Undetermined { "unknown" } else { "affected" };
    // Of a package that the machine and a container have, once.
    let affected: BTreeMap<&String, &String> = finding.packages.iter().map(|p| (&p.purl, &p.version)).collect();
    let affects = affected.into_iter().map(|(id, version)| VexAffected {
        id: id.clone(),
        versions: [VexVersion { version: version.clone(), status }],
    });
    VexVulnerability {
        id: finding.id.clone(),
        description: finding.summary.clone(),
        recommendation: finding.fixed.as_ref().map(|fixed| format!("{} {fixed}", finding.source)),
        analysis: VexAnalysis { state, response, detail },
        affects: affects.collect(),
    }
}
