//! python3-jsonschema of the tools tree, with the official schemas that lie beside.
#![allow(dead_code)]

use diorite_host::tools::{Tool, ToolsTree};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Which schema.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    Spdx,
    CycloneDx,
    OpenVex,
}

/// CycloneDX's schema refers to two others by URL; they are put into it, where a validator looks for their `$id` first.
fn schema(format: Format) -> Value {
    let read = |text: &str| -> Value { serde_json::from_str(text).expect("a schema") };
    match format {
        Format::Spdx => read(include_str!("../schemas/spdx-2.3.schema.json")),
        Format::OpenVex => read(include_str!("../schemas/openvex-0.2.0.schema.json")),
        Format::CycloneDx => {
            let mut whole = read(include_str!("../schemas/bom-1.6.schema.json"));
            whole["definitions"]["list-of-licences"] = read(include_str!("../schemas/spdx.schema.json"));
            whole["definitions"]["signatures"] = read(include_str!("../schemas/jsf-0.82.schema.json"));
            whole
        }
    }
}

/// What the validator says against a document.
pub fn judge(format: Format, json: &[u8]) -> Result<(), String> {
    let tools = std::env::var_os("DIORITE_TEST_TOOLS").map(PathBuf::from);
    let tools = tools.expect("DIORITE_TEST_TOOLS is not set: run the tests with `make test`, which prepares the tools");
    let tools = ToolsTree::open(&tools).expect("the tools tree");
    let directory = tempfile::tempdir().expect("a directory");
    let (instance, rules) = (directory.path().join("sbom.json"), directory.path().join("schema.json"));
    fs::write(&instance, json).expect("a file");
    fs::write(&rules, serde_json::to_vec(&schema(format)).expect("JSON")).expect("a file");
    let command = tools.command(Tool::Jsonschema).arg("--instance").arg(&instance).arg(&rules);
    let output = command.input(&instance).input(&rules).run().expect("the validator starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.log);
    assert!(!said.contains("Traceback") && !said.contains("Error("), "{said}");
    if output.status.success() { Ok(()) } else { Err(said) }
}
