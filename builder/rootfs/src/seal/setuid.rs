//! Who becomes somebody else by running a program: setuid and setgid bits are taken away, but for programs that have a
//! reason, and the package database says so as dpkg-statoverride(1) would. What everybody may write is refused.
//!
//! Nobody has a password, so what changes one (`passwd`, `chsh`, `gpasswd`) or asks for one (`su`) is of no use; nobody
//! mounts but root; host-based login is off, and with it `ssh-keysign`; systemd starts what the message bus asks for,
//! not `dbus-daemon-launch-helper`.

use crate::accounts::lookup;
use crate::overlay::Overlay;
use crate::privileges::{BITS, privileged, reject_world_writable};
use crate::tree::{Node, Tree, TreePath};
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeSet;
use std::fmt::Write;

const OVERRIDES: &str = "var/lib/dpkg/statoverride";

/// Programs that keep their bits.
fn kept(tree: &Tree, recipe: &Recipe) -> Result<BTreeSet<TreePath>> {
    let mut kept = BTreeSet::new();
    if recipe.access.anybody_has_sudo() {
        kept.insert(b"usr/bin/sudo".to_vec());
    }
    for (i, declared) in recipe.hardening.setuid.iter().enumerate() {
        let wrong = |what: String| {
            let error = Error::input(what).at(format!("hardening.setuid, number {}", i + 1));
            error.hint("correct the path, or remove the entry")
        };
        let path = tree.resolve(declared.path.trim_start_matches('/').as_bytes());
        let path = path.ok_or_else(|| wrong(format!("`{}` does not exist in this image", declared.path)))?;
        if !privileged(&tree.nodes[&path]) {
            return Err(wrong(format!("`{}` has no setuid bit to keep", declared.path)));
        }
        kept.insert(path);
    }
    Ok(kept)
}

/// Takes the bits away, and refuses what an overlay should not have asked for.
pub(super) fn strip(tree: &mut Tree, overlays: &[Overlay], recipe: &Recipe) -> Result<()> {
    let kept = kept(tree, recipe)?;
    let found: Vec<TreePath> =
        tree.nodes.iter().filter(|(p, n)| privileged(n) && !kept.contains(*p)).map(|(p, _)| p.clone()).collect();
    let mut lines = String::new();
    for path in &found {
        let shown = String::from_utf8_lossy(path).into_owned();
        if let Some(overlay) = overlays.iter().find(|o| o.entries.get(path).is_some_and(|e| e.node.mode & BITS != 0)) {
            return Err(Error::input(format!("overlay `{}` gives /{shown} a setuid or setgid bit", overlay.name))
                .at(format!("overlays/{}/overlay.toml", overlay.name))
                .hint(format!("say why in [hardening]: setuid = [{{ path = \"/{shown}\", why = \"…\" }}]")));
        }
        let (user, group) =
            (name(tree, "etc/passwd", tree.nodes[path].uid), name(tree, "etc/group", tree.nodes[path].gid));
        let Some(node) = tree.nodes.get_mut(path) else { continue };
        node.mode &= !BITS;
        let _ = writeln!(lines, "{user} {group} {:o} /{shown}", node.mode);
    }
    record_statoverrides(tree, &found, &lines);
    reject_world_writable(tree)
}

/// The name of a number; `#NUMBER` for one that has none, as dpkg writes it.
fn name(tree: &Tree, file: &str, number: u32) -> String {
    lookup::name(tree, file, number).unwrap_or_else(|| format!("#{number}"))
}

/// Adds to the overrides that packages have made.
fn record_statoverrides(tree: &mut Tree, paths: &[TreePath], lines: &str) {
    if lines.is_empty() || tree.get("var/lib/dpkg").is_none() {
        return;
    }
    let before = String::from_utf8_lossy(tree.read(OVERRIDES).unwrap_or_default()).into_owned();
    let ours = |line: &str| {
        let path = line.splitn(4, ' ').nth(3).and_then(|p| p.strip_prefix('/'));
        path.is_some_and(|p| paths.iter().any(|o| o == p.as_bytes()))
    };
    let mut text: String = before.lines().filter(|l| !ours(l)).map(|l| format!("{l}\n")).collect();
    text += lines;
    let node = Node::file(0o644, text);
    tree.insert(OVERRIDES, node);
}
