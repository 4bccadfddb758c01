//! Both bills of materials, and both VEX documents, against the schemas of those who define the formats, by a validator that is not ours.
//! DIORITE_TEST_TOOLS: a tools tree.

mod audited;
mod image;
mod validator;

use diorite_trust::audit;
use diorite_trust::sbom::{cyclonedx, spdx};
use serde_json::{Value, json};
use validator::Format;

fn judged(format: Format, json: &[u8]) -> Result<(), String> {
    validator::judge(format, json)
}

#[test]
fn a_small_image_is_valid() {
    let inventory = image::inventory();
    judged(Format::Spdx, &spdx(&inventory)).unwrap_or_else(|said| panic!("{said}"));
    judged(Format::CycloneDx, &cyclonedx(&inventory)).unwrap_or_else(|said| panic!("{said}"));
}

/// Positive control: the same documents with one fault each, also where a schema refers to another one.
#[test]
fn faults_are_found() {
    let inventory = image::inventory();
    let bent = |bytes: Vec<u8>, path: &str, value: Value| {
        let mut document: Value = serde_json::from_slice(&bytes).expect("JSON");
        *document.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        serde_json::to_vec(&document).expect("JSON")
    };
    for (path, value) in [
        ("/packages/0/primaryPackagePurpose", json!("KERNEL")),
        ("/packages/0/checksums/0/algorithm", json!("SHA-256")),
        ("/relationships/1/relationshipType", json!("HOLDS")),
        ("/creationInfo", json!(null)),
    ] {
        let said = judged(Format::Spdx, &bent(spdx(&inventory), path, value)).expect_err(path);
        assert!(said.contains("is not"), "{path}: {said}");
    }
    for (path, value) in [
        ("/serialNumber", json!("urn:uuid:1")),
        ("/components/0/type", json!("deb")),
        ("/metadata/component/hashes/0/content", json!("abc")),
        ("/components/0/licenses", json!([{ "license": { "id": "No-Such-Licence" } }])),
    ] {
        let document = match path {
            "/components/0/licenses" => {
                let mut document: Value = serde_json::from_slice(&cyclonedx(&inventory)).expect("JSON");
                document["components"][0]["licenses"] = json!([]);
                serde_json::to_vec(&document).expect("JSON")
            }
            _ => cyclonedx(&inventory),
        };
        judged(Format::CycloneDx, &document).unwrap_or_else(|said| panic!("{said}"));
        judged(Format::CycloneDx, &bent(document, path, value)).expect_err(path);
    }
}

/// VEX documents, and the same with a fault each.
#[test]
fn statements_about_vulnerabilities_are_valid() {
    let answer = audited::audit(&audited::policy());
    let (openvex, cyclonedx) = (audit::openvex(&answer), audit::cyclonedx(&answer));
    judged(Format::OpenVex, &openvex).unwrap_or_else(|said| panic!("{said}"));
    judged(Format::CycloneDx, &cyclonedx).unwrap_or_else(|said| panic!("{said}"));
    for (format, document, path, value) in [
        (Format::OpenVex, &openvex, "/statements/0/status", json!("exploitable")),
        (Format::OpenVex, &openvex, "/statements", json!([])),
        (Format::CycloneDx, &cyclonedx, "/vulnerabilities/0/analysis/state", json!("affected")),
        (Format::CycloneDx, &cyclonedx, "/vulnerabilities/0/affects/0/versions/0/status", json!("vulnerable")),
    ] {
        let mut bent: Value = serde_json::from_slice(document).expect("JSON");
        *bent.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        judged(format, &serde_json::to_vec(&bent).expect("JSON")).expect_err(path);
    }
}
