//! The profile language as its users' editors see it: the JSON Schema and the reference pages, that of the command line
//! included, cannot drift from the declarations, and a validator that is not ours agrees with them.

mod common;
use common::{Project, material};
use diorite_host::tools::{Tool, ToolsTree};
use std::fs;
use std::path::Path;

#[test]
fn generated_pages_are_up_to_date() {
    let project = Project::new();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let pages = [
        (&["schema"][..], "profile.schema.json"),
        (&["schema", "--markdown"], "profile.md"),
        (&["schema", "--scenario"], "scenario.md"),
        (&["man", "--markdown"], "cli.md"),
    ];
    for (arguments, file) in pages {
        let printed = common::text(&project.succeed(arguments).stdout);
        let kept = fs::read_to_string(docs.join(file)).unwrap_or_default();
        assert!(printed == kept, "docs/reference/{file} is not what the program prints: run `make reference`");
    }
}

/// Whether Python's jsonschema accepts a profile, and what it says.
fn valid(tools: &ToolsTree, directory: &Path, profile: &toml::Table) -> Result<(), String> {
    let instance = directory.join("instance.json");
    fs::write(&instance, serde_json::to_vec(profile).expect("JSON")).expect("a file");
    let schema = directory.join("schema.json");
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
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("schema.json"), project.succeed(&["schema"]).stdout).expect("the schema");
    let mut seen = 0;
    for entry in fs::read_dir(project.path("profiles")).expect("profiles").flatten() {
        if entry.path().extension().is_some_and(|e| e == "toml") {
            let text = fs::read_to_string(entry.path()).expect("a profile");
            let profile: toml::Table = text.parse().expect("TOML");
            valid(&tools, directory.path(), &profile).unwrap_or_else(|said| panic!("{:?}: {said}", entry.path()));
            seen += 1;
        }
    }
    assert!(seen >= 2, "the profiles of the repository");
    let broken = [
        ("[image]\nnam = 'x'", "'nam' was unexpected"),
        ("[image]\nname = 3", "3 is not of type 'string'"),
        ("[firewall.forward]\nallow = [{ in = ['lan'] }]", "'out' is a required property"),
        ("[firewall]\nallow = [{ port = 80, protocol = 'sctp' }]", "is not valid under any of the given schemas"),
        ("[image]\nname = \"a\\nb\"", "does not match"),
    ];
    for (text, expected) in broken {
        let said = valid(&tools, directory.path(), &text.parse().expect("TOML")).expect_err(text);
        assert!(said.contains(expected), "{text}: {said}");
    }
}

/// TOML blocks of a page: the line each begins at, and its text.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        match line.trim_end() {
            "```toml" if !inside => {
                inside = true;
                all.push((number + 2, String::new()));
            }
            "```" => inside = false,
            line if inside => all.last_mut().expect("begun above").1 += &format!("{line}\n"),
            _ => {}
        }
    }
    all
}

/// What the guide shows is accepted as it stands there; a fragment is laid on the smallest profile. A page that begins
/// with a profile of its own goes on writing that one, block by block.
#[test]
fn the_examples_of_the_guide_are_right() {
    let project = Project::new();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let requirements = include_str!("../../model/src/profile/tests/requirements.txt");
    fs::write(project.path("profiles/requirements.txt"), requirements).expect("a file of requirements");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(guide).expect("the guide").flatten() {
        let page = fs::read_to_string(entry.path()).expect("a page");
        let mut blocks = blocks(&page);
        if blocks.first().is_some_and(|(_, text)| text.contains("[image]") && !text.contains("extends = ")) {
            let whole = blocks.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
            blocks = vec![(blocks[0].0, whole)];
        }
        for (line, text) in blocks {
            if text.starts_with("[targets.") {
                if let Err(said) = diorite_proxmox::target::parse(&text, "targets.toml", Path::new("."), None) {
                    wrong.push(format!("{}:{line}\n{said}", entry.path().display()));
                }
                seen += 1;
                continue;
            }
            let mut lines: Vec<&str> = text.lines().collect();
            // Keys of the profile itself stand before the first table.
            if !text.contains("extends = ") && !text.starts_with("[image]") {
                lines.insert(0, "extends = \"base\"");
            }
            if !text.contains("[image]") {
                lines.push("[image]\nname = \"guide\"\nversion = \"1\"");
            }
            fs::write(project.path("profiles/guide.toml"), lines.join("\n")).expect("a profile");
            let output = project.diorite().args(["show", "guide"]).output().expect("the program starts");
            if !output.status.success() {
                let said = common::text(&output.stderr);
                wrong.push(format!("{}:{line}\n{said}", entry.path().display()));
            }
            seen += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 0, "the guide has examples");
    // Positive control: a block that is wrong is seen, and is not left out by the reader of pages.
    assert_eq!(blocks("a\n```toml\n[x]\n```\n```sh\nls\n```\n"), [(3, "[x]\n".to_owned())]);
}

/// Whatever stands where a profile should: one error, in good time, and nothing is written.
#[test]
fn what_is_no_profile_ends_in_one_error() {
    let project = Project::new();
    let file = project.path("profiles/strange.toml");
    let mut said = String::new();
    let cases: [(&str, Vec<u8>); 5] = [
        ("a hundred megabytes", vec![b'#'; 100 << 20]),
        ("bytes that are no text", b"[image]\nname = \"\xff\"\n".to_vec()),
        ("a NUL byte", b"[image]\nname = \"a\0b\"\n".to_vec()),
        ("a deep table", format!("[{}]\n", vec!["a"; 100_000].join(".")).into_bytes()),
        ("itself", b"extends = \"strange\"\n".to_vec()),
    ];
    for (what, bytes) in cases {
        fs::write(&file, bytes).expect("a file");
        let output = project.diorite().args(["show", "strange"]).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{what}");
        assert!(output.stdout.is_empty(), "{what}");
        let error = common::text(&output.stderr);
        assert_eq!(error.matches("error: ").count(), 1, "{what}: {error}");
        said += &format!("{what}\n{error}\n");
    }
    fs::remove_file(&file).expect("the file");
    std::os::unix::fs::symlink("/dev/zero", &file).expect("a link");
    let output = project.diorite().args(["show", "strange"]).output().expect("the program starts");
    said += &format!("no end\n{}", common::text(&output.stderr));
    let mut with_mark = b"\xef\xbb\xbf".to_vec();
    with_mark.extend(fs::read(project.path("profiles/server.toml")).expect("a profile"));
    fs::remove_file(&file).expect("the link");
    fs::write(&file, with_mark).expect("a file");
    assert_eq!(project.succeed(&["show", "strange"]).stdout, project.succeed(&["show", "server"]).stdout);
    insta::assert_snapshot!(said);
}
