//! Who becomes somebody else by running a program: setuid and setgid bits are taken away, but for programs that have a
//! reason, and the package database says so as dpkg-statoverride(1) would. What everybody may write is refused.
//!
//! Nobody has a password, so what changes one (`passwd`, `chsh`, `gpasswd`) or asks for one (`su`) is of no use; nobody
//! mounts but root; host-based login is off, and with it `ssh-keysign`; systemd starts what the message bus asks for,
//! not `dbus-daemon-launch-helper`.

use crate::guest::accounts;
use crate::overlay::Overlay;
use crate::tree::{Kind, Node, Tree, TreePath};
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeSet;
use std::fmt::Write;

/// setuid and setgid, inode(7).
const BITS: u32 = 0o6000;
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

fn privileged(node: &Node) -> bool {
    matches!(node.kind, Kind::File(_)) && node.mode & BITS != 0
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
    remember(tree, &found, &lines);
    everybody(tree)
}

/// In a container nobody becomes somebody else: it runs without new privileges, so the bits do nothing but look bad.
pub(super) fn strip_container(tree: &mut Tree) -> Result<()> {
    tree.nodes.values_mut().filter(|n| privileged(n)).for_each(|n| n.mode &= !BITS);
    everybody(tree)
}

/// The name of a number; `#NUMBER` for one that has none, as dpkg writes it.
fn name(tree: &Tree, file: &str, number: u32) -> String {
    accounts::name(tree, file, number).unwrap_or_else(|| format!("#{number}"))
}

/// Adds to the overrides that packages have made.
fn remember(tree: &mut Tree, paths: &[TreePath], lines: &str) {
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

/// Nothing may be written by everybody but directories where each one's files are their own.
fn everybody(tree: &Tree) -> Result<()> {
    let open = tree.nodes.iter().find(|(_, n)| match n.kind {
        Kind::Directory => n.mode & 0o1002 == 0o002,
        Kind::File(_) => n.mode & 0o002 != 0,
        _ => false,
    });
    match open {
        None => Ok(()),
        Some((path, node)) => {
            let path = String::from_utf8_lossy(path);
            Err(Error::input(format!("everybody may write /{path}"))
                .because(format!("its mode is {:04o}", node.mode))
                .hint("give it another mode in an overlay; a directory for everybody has the sticky bit, 1777"))
        }
    }
}

/// Everything that gives privileges or is open to all, a line each: `setuid MODE /PATH`, `capabilities HEX /PATH`
/// (capabilities(7), the attribute's value), `world-writable MODE /PATH`.
pub fn list(tree: &Tree) -> String {
    let mut text = String::new();
    for (path, node) in &tree.nodes {
        let shown = String::from_utf8_lossy(path);
        if privileged(node) {
            let _ = writeln!(text, "setuid {:04o} /{shown}", node.mode);
        }
        if let Some(value) = node.xattrs.get(&b"security.capability"[..]) {
            let hex: String = value.iter().map(|b| format!("{b:02x}")).collect();
            let _ = writeln!(text, "capabilities {hex} /{shown}");
        }
        if matches!(node.kind, Kind::Directory) && node.mode & 0o002 != 0 {
            let _ = writeln!(text, "world-writable {:04o} /{shown}", node.mode);
        }
    }
    text
}
