//! Images of containers in the shapes that other people's tools write: each becomes the tree that an unpacker which is not ours
//! makes of it, keeps the configuration it has, or is refused in the words that fit.
//!
//! `shapes/make.py` writes the images with Python's tarfile and GNU tar of the tools tree, and says what each must become.

mod common;
use common::material;
use diorite_archive::images;
use diorite_host::progress::Progress;
use diorite_model::profile;
use diorite_rootfs::layers::{self, LayerFile};
use diorite_rootfs::tree::{Node, NodeKind, Tree};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const MAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shapes/make.py");

/// A program of the tools tree, run through the tree's own loader, with its arguments.
fn tool(program: &str) -> Vec<String> {
    let tools = material("DIORITE_TEST_TOOLS");
    let inside = |path: &str| tools.join(path).display().to_string();
    let loader = inside("usr/lib64/ld-linux-x86-64.so.2");
    vec![loader, "--library-path".into(), inside("usr/lib/x86_64-linux-gnu"), inside(program)]
}

/// The shapes by name.
fn made(directory: &Path) -> BTreeMap<String, Value> {
    let python = tool("usr/bin/python3");
    let mut command = Command::new(&python[0]);
    command.args(&python[1..]).args(["-s", "-B", MAKE]).arg(directory).args(tool("usr/bin/tar"));
    command.env_clear().env("LC_ALL", "C.UTF-8").env("PYTHONHOME", material("DIORITE_TEST_TOOLS").join("usr"));
    let output = command.output().expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read(directory.join("shapes.json")).expect("it is written");
    serde_json::from_slice(&text).expect("JSON")
}

/// A path or value as make.py writes it.
fn quoted(bytes: &[u8]) -> String {
    let one = |&b: &u8| match b {
        33..=126 if b != b'\\' => (b as char).to_string(),
        _ => format!("\\x{b:02x}"),
    };
    bytes.iter().map(one).collect()
}

/// A tree as make.py writes it.
fn lines(tree: &Tree) -> Vec<String> {
    let line = |(path, node): (&Vec<u8>, &Node)| {
        let (kind, what) = match &node.kind {
            NodeKind::HardLink(first) => return format!("{} h {}", quoted(path), quoted(first)),
            NodeKind::File(content) => ("f", content.digest().to_string()),
            NodeKind::Symlink(target) => ("l", quoted(target)),
            NodeKind::Directory => ("d", "-".into()),
            NodeKind::Fifo => ("p", "-".into()),
            other => panic!("{other:?}"),
        };
        let attributes = node.xattrs.iter().map(|(k, v)| format!("{}={}", quoted(k), quoted(v)));
        let attributes = attributes.collect::<Vec<_>>().join(",");
        let Node { mode, uid, gid, mtime, .. } = node;
        format!("{} {kind} {mode:o} {uid}:{gid} {mtime} {what} [{attributes}]", quoted(path))
    };
    tree.nodes.iter().filter(|(path, _)| !path.is_empty()).map(line).collect()
}

/// What Diorite makes of an image in a file: its tree and its configuration, or its words.
fn opened(directory: &Path, name: &str) -> Result<(Vec<String>, Value), String> {
    let profile = format!("[image]\nname = \"x\"\nversion = \"1\"\n[containers.app]\narchive = \"{name}.tar\"\n");
    let parsed = profile::parse(&profile, "x.toml", &mut |_| panic!("it extends nothing"));
    let recipe = parsed.map_err(|e| e.to_string())?.0;
    let files = images::lock("app", &recipe, directory, &Progress::quiet()).map_err(|e| e.to_string())?;
    let source = &recipe.containers["app"].source;
    let image = images::open("app", source, &files, &|file| directory.join(&file.path), "amd64");
    let image = image.map_err(|e| e.to_string())?;
    let layer = |l: images::Layer| LayerFile { file: l.file, start: l.start, size: l.size, diff_id: l.diff_id };
    let layers: Vec<_> = image.layers.into_iter().map(layer).collect();
    let work = tempfile::tempdir().expect("a directory");
    let tree = layers::merge(&layers, work.path()).map_err(|e| e.to_string())?;
    Ok((lines(&tree), serde_json::to_value(image.config).expect("JSON")))
}

/// Whatever differs from what the other unpacker makes of it.
fn judged(directory: &Path, name: &str, expected: &Value) -> Option<String> {
    match (opened(directory, name), expected["error"].as_str()) {
        (Err(said), Some(words)) => {
            (!said.contains(words)).then(|| format!("{name}: refused, though not with `{words}`:\n{said}"))
        }
        (Err(said), None) => Some(format!("{name}: is refused:\n{said}")),
        (Ok(_), Some(words)) => Some(format!("{name}: is accepted, and must be refused with `{words}`")),
        (Ok((tree, config)), None) => {
            let theirs: Vec<_> = expected["tree"].as_array().expect("lines").iter().filter_map(Value::as_str).collect();
            let ours =
                tree.iter().filter(|line| !theirs.contains(&line.as_str())).map(|line| format!("  ours: {line}"));
            let lost =
                theirs.iter().filter(|line| !tree.contains(&line.to_string())).map(|line| format!("  theirs: {line}"));
            let mut wrong: Vec<String> = ours.chain(lost).collect();
            for key in ["User", "Env", "Entrypoint", "Cmd", "WorkingDir", "StopSignal"] {
                let empty = |value: &Value| match value {
                    Value::String(text) => text.is_empty(),
                    Value::Array(list) => list.is_empty(),
                    other => other.is_null(),
                };
                let (own, said) = (&config[key], &expected["config"][key]);
                if own != said && !(empty(own) && empty(said)) {
                    wrong.push(format!("  {key}: ours {own}, theirs {said}"));
                }
            }
            (!wrong.is_empty()).then(|| format!("{name}:\n{}", wrong.join("\n")))
        }
    }
}

#[test]
fn images_of_other_tools_become_what_they_are_elsewhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let shapes = made(directory.path());
    assert!(shapes.len() >= 70, "only {} shapes", shapes.len());
    let wrong: Vec<String> =
        shapes.iter().filter_map(|(name, expected)| judged(directory.path(), name, expected)).collect();
    assert!(wrong.is_empty(), "{} of {} shapes:\n{}", wrong.len(), shapes.len(), wrong.join("\n"));
}

/// Positive control: a difference of one byte, one owner or one name is seen.
#[test]
fn a_difference_is_seen() {
    let directory = tempfile::tempdir().expect("a directory");
    let shapes = made(directory.path());
    let whole = &shapes["whiteout"];
    assert_eq!(judged(directory.path(), "whiteout", whole), None);
    for (from, to) in [("0:0", "0:1"), ("usr/bin/app", "usr/bin/apq"), ("f 644", "f 640"), (" 4755 ", " 755 ")] {
        let text = whole.to_string();
        assert!(text.contains(from), "{from}");
        let changed = serde_json::from_str(&text.replacen(from, to, 1)).expect("JSON");
        assert!(judged(directory.path(), "whiteout", &changed).is_some(), "{from} → {to}");
    }
    assert!(judged(directory.path(), "dots", &serde_json::json!({ "error": "other words" })).is_some());
    assert!(judged(directory.path(), "dots", whole).is_some());
}
