//! The profile language as its users' editors see it: the JSON Schema and the reference page cannot drift from the
//! declarations, and a validator that is not ours agrees with them.

mod common;
use common::{Project, material};
use diorite_host::tools::{Tool, ToolsTree};
use std::fs;
use std::path::Path;

#[test]
fn generated_pages_are_up_to_date() {
    let project = Project::new();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for (arguments, file) in [(&["schema"][..], "profile.schema.json"), (&["schema", "--markdown"], "profile.md")] {
        let printed = common::text(&project.succeed(arguments).stdout);
        let kept = fs::read_to_string(docs.join(file)).unwrap_or_default();
        assert!(printed == kept, "docs/reference/{file} is not what the program prints: run `make reference`");
    }
}

/// Whether Python's jsonschema accepts a profile, and what it says.
fn valid(tools: &ToolsTree, folder: &Path, profile: &toml::Table) -> Result<(), String> {
    let instance = folder.join("instance.json");
    fs::write(&instance, serde_json::to_vec(profile).expect("JSON")).expect("a file");
    let schema = folder.join("schema.json");
    let command = tools.command(Tool::Jsonschema).arg("--instance").arg(&instance).arg(&schema);
    let output = command.input(&instance).input(&schema).run().expect("the validator starts");
    let said = common::text(&output.stdout) + &common::text(&output.log);
    assert!(!said.contains("Traceback"), "{said}");
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn a_foreign_validator_agrees_with_the_schema() {
    let project = Project::new();
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("schema.json"), project.succeed(&["schema"]).stdout).expect("the schema");
    let mut seen = 0;
    for entry in fs::read_dir(project.path("profiles")).expect("profiles").flatten() {
        if entry.path().extension().is_some_and(|e| e == "toml") {
            let text = fs::read_to_string(entry.path()).expect("a profile");
            let profile: toml::Table = text.parse().expect("TOML");
            valid(&tools, folder.path(), &profile).unwrap_or_else(|said| panic!("{:?}: {said}", entry.path()));
            seen += 1;
        }
    }
    assert!(seen >= 2, "the profiles of the repository");
    let broken = [
        ("[image]\nnam = 'x'", "'nam' was unexpected"),
        ("[image]\nname = 3", "3 is not of type 'string'"),
        ("[firewall]\nallow = [{ protocol = 'tcp' }]", "'port' is a required property"),
        ("[firewall]\nallow = [{ port = 80, protocol = 'icmp' }]", "is not valid under any of the given schemas"),
        ("[image]\nname = \"a\\nb\"", "does not match"),
    ];
    for (text, expected) in broken {
        let said = valid(&tools, folder.path(), &text.parse().expect("TOML")).expect_err(text);
        assert!(said.contains(expected), "{text}: {said}");
    }
}
