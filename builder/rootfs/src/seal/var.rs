//! /var of the tree → instructions for systemd-tmpfiles(8), which makes it anew on state at every boot.
//!
//! Directories and links become lines; files are kept below usr/share/factory and copied from there when they are missing,
//! so what a machine has changed stays. Owners are written as numbers. What the packages' own tmpfiles.d(5) declare is
//! left to them.

use crate::tree::{Node, NodeKind, Tree, TreePath};
use diorite_model::{Error, Result};
use std::collections::BTreeSet;
use std::fmt::Write;

const LINES: &str = "usr/lib/tmpfiles.d/20-diorite-var.conf";
/// Directories of the root that belong to state.
const STATE: [&str; 3] = ["home", "srv", "opt"];

/// Empties /var, and makes links of /home, /srv and (when no package put anything there) /opt.
pub(super) fn to_state(tree: &mut Tree) -> Result<()> {
    for name in STATE {
        let inside: Vec<TreePath> = below(tree, name.as_bytes());
        if name == "opt" && !inside.is_empty() {
            continue;
        }
        // What an overlay put there starts on state.
        for path in inside {
            let node = tree.nodes[&path].clone();
            tree.insert([b"var/", path.as_slice()].concat(), node);
        }
        tree.remove(name.as_bytes());
        tree.insert(name.as_bytes().to_vec(), Node::symlink(format!("var/{name}")));
    }
    let declared = declared(tree);
    let mut text = String::new();
    for path in below(tree, b"var") {
        // The package database goes elsewhere.
        if path == b"var/lib/dpkg" || path.starts_with(b"var/lib/dpkg/") {
            continue;
        }
        let node = tree.nodes[&path].clone();
        let (mode, uid, gid) = (node.mode, node.uid, node.gid);
        let shown = escaped(&path);
        if declared.contains(&path) {
            continue;
        }
        match &node.kind {
            NodeKind::Directory => {
                let _ = writeln!(text, "d /{shown} {mode:04o} {uid} {gid} -");
            }
            NodeKind::Symlink(target) => {
                // The target is the rest of the line, as it is but for specifiers.
                let target = String::from_utf8_lossy(target).replace('%', "%%");
                if target.chars().any(char::is_control) {
                    return Err(
                        Error::input("a symbolic link has a control character in its target").at(format!("/{shown}"))
                    );
                }
                let _ = writeln!(text, "L /{shown} - - - - {target}");
            }
            NodeKind::File(_) | NodeKind::HardLink(_) => {
                let factory = [b"usr/share/factory/", path.as_slice()].concat();
                let bytes = tree.read(&path).unwrap_or_default().to_vec();
                if bytes.is_empty() {
                    let _ = writeln!(text, "f /{shown} {mode:04o} {uid} {gid} -");
                    continue;
                }
                let mut kept = node.clone();
                if matches!(kept.kind, NodeKind::HardLink(_)) {
                    kept.kind = Node::file(0, bytes).kind;
                }
                tree.insert(factory, kept);
                // Without an argument the source is the same path below /usr/share/factory.
                let _ = writeln!(text, "C /{shown} {mode:04o} {uid} {gid} -");
            }
            // Pipes, sockets and devices are made by who needs them.
            _ => {}
        }
    }
    // The database stays for a moment: it is moved next.
    let database: Vec<(TreePath, Node)> =
        below(tree, b"var/lib/dpkg").into_iter().map(|p| (p.clone(), tree.nodes[&p].clone())).collect();
    let root = tree.get(b"var/lib/dpkg").cloned();
    crate::tree::edit::empty_directory(tree, "var", 0o755);
    if let Some(root) = root {
        tree.insert(*b"var/lib/dpkg", root);
    }
    for (path, node) in database {
        tree.insert(path, node);
    }
    tree.insert(LINES.as_bytes().to_vec(), Node::file(0o644, text));
    Ok(())
}

/// Paths strictly below a directory, parents first.
fn below(tree: &Tree, dir: &[u8]) -> Vec<TreePath> {
    let start = [dir, b"/"].concat();
    tree.nodes.range(start.clone()..).map(|(p, _)| p).take_while(|p| p.starts_with(&start)).cloned().collect()
}

/// Paths that tmpfiles.d(5) files of the tree make themselves.
fn declared(tree: &Tree) -> BTreeSet<TreePath> {
    let mut all = BTreeSet::new();
    for dir in ["usr/lib/tmpfiles.d", "etc/tmpfiles.d"] {
        for (path, node) in tree.children(dir.as_bytes()) {
            let masked = dir.starts_with("usr") && {
                let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
                tree.get([b"etc/tmpfiles.d/", name].concat()).is_some()
            };
            if masked || !path.ends_with(b".conf") || !matches!(node.kind, NodeKind::File(_)) {
                continue;
            }
            let text = String::from_utf8_lossy(tree.read(path).unwrap_or_default()).into_owned();
            for line in text.lines() {
                let mut words = line.split_whitespace();
                let (Some(kind), Some(path)) = (words.next(), words.next()) else { continue };
                let makes = kind.starts_with(['d', 'D', 'v', 'q', 'Q', 'L', 'f', 'C', 'p']);
                // Conditional and boot-only lines, and specifiers, are not believed.
                if makes && !kind.contains('$') && !kind.contains('^') && !path.contains('%') {
                    all.insert(path.trim_matches('/').as_bytes().to_vec());
                }
            }
        }
    }
    all
}

/// A word of tmpfiles.d(5): specifiers doubled, everything unusual as an octal escape (C style, as the page says).
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &b in bytes {
        match b {
            b'%' => text.push_str("%%"),
            b if b.is_ascii_alphanumeric() || b"/._-+:@,=~".contains(&b) => text.push(b as char),
            b => {
                let _ = write!(text, "\\{b:03o}");
            }
        }
    }
    text
}
