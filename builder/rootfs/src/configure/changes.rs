//! What `configure` programs did: the difference of two trees, kept in the store, and put into a tree again.

use crate::origins::Origins;
use crate::overlay::{Overlay, OverlayEntry};
use crate::pack;
use crate::tree::{Node, NodeKind, Tree};
use diorite_model::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Directories whose content is no part of a tree while something runs in it.
const FRESH: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];
/// Files that are made from the profile and from what is in the tree: the changed ones are what they are made from.
const ACCOUNTS: [&str; 6] = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid"];

/// One path that a program changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The overlay whose program it was.
    pub overlay: String,
    /// Path, one character per byte.
    pub path: String,
    /// What it did.
    pub how: ChangeKind,
}

/// What was done to a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// Content, kind or attributes changed, and what else: `mode 0644 → 0600`, `owner 0:0 → 33:33`.
    Changed(Vec<String>),
}

/// Every change, by overlay and path, and what is now at the paths that are there.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// In the order of the overlays, then of the paths.
    pub list: Vec<Change>,
    nodes: Tree,
}

const LIST: &str = "changes.json";

fn text(path: &[u8]) -> String {
    path.iter().map(|&b| b as char).collect()
}
fn bytes(path: &str) -> Vec<u8> {
    path.chars().map(|c| c as u8).collect()
}

impl Changes {
    /// Adds what one program did to a tree. Times are not looked at: what was written has the epoch.
    pub(super) fn add(&mut self, overlay: &str, before: &Tree, after: &Tree) {
        let ours = |path: &[u8]| {
            let first = path.split(|&b| b == b'/').next().unwrap_or_default();
            !FRESH.iter().any(|f| f.as_bytes() == first)
        };
        let made = |node: &Node| {
            !matches!(
                node.kind,
                NodeKind::CharDevice(..) | NodeKind::BlockDevice(..) | NodeKind::Fifo | NodeKind::Socket
            )
        };
        let mut note = |path: &[u8], how| self.list.push(Change { overlay: overlay.to_owned(), path: text(path), how });
        let paths: std::collections::BTreeSet<&Vec<u8>> = before.nodes.keys().chain(after.nodes.keys()).collect();
        for path in paths.into_iter().filter(|p| ours(p)) {
            match (before.get(path).filter(|n| made(n)), after.get(path)) {
                (None, Some(_)) => note(path, ChangeKind::Added),
                (Some(_), None) => note(path, ChangeKind::Removed),
                (Some(old), Some(new)) => {
                    if let Some(what) = difference(old, new) {
                        note(path, ChangeKind::Changed(what));
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Keeps the list, and the nodes of the last tree that it speaks of. Hard links become files of their own.
    pub(super) fn write(mut self, after: &Tree, directory: &Path) -> Result<()> {
        self.nodes = Tree::new();
        for path in self.list.iter().map(|c| bytes(&c.path)) {
            let Some(mut node) = after.get(&path).cloned() else { continue };
            if let NodeKind::HardLink(first) = &node.kind {
                node = after.get(first).cloned().unwrap_or(node);
            }
            if path.is_empty() {
                self.nodes.nodes.insert(path, node);
            } else {
                self.nodes.insert(path, node);
            }
        }
        pack::write(&self.nodes, &Origins::default(), directory)?;
        let file = directory.join(LIST);
        let json =
            serde_json::to_vec_pretty(&self.list).map_err(|e| Error::bug("changes do not serialize").because(e))?;
        diorite_host::file::write_scratch(&file, json)
            .map_err(|e| Error::io("a list of changes cannot be kept", &file, e))
    }

    /// Reads them from the store.
    pub fn open(directory: &Path) -> Result<Self> {
        let file = directory.join(LIST);
        let json = fs::read(&file).map_err(|e| Error::io("a list of changes cannot be read", &file, e))?;
        let list = serde_json::from_slice(&json).map_err(|e| Error::bug("the store's list of changes").because(e))?;
        Ok(Self { list, nodes: pack::open(directory)? })
    }

    /// Puts them into the tree of the packages and into their overlays, so that the rules for what overlays bring hold for
    /// them as well. Accounts go into the tree alone: the profile's own are added to them.
    pub fn apply(&self, tree: &mut Tree, overlays: &mut [Overlay]) {
        for change in &self.list {
            let path = bytes(&change.path);
            if change.how == ChangeKind::Removed {
                tree.remove(&path);
                overlays.iter_mut().for_each(|o| drop(o.entries.remove(&path)));
                continue;
            }
            let Some(node) = self.nodes.get(&path).cloned() else { continue };
            if path.is_empty() {
                tree.nodes.insert(path, node);
                continue;
            }
            tree.insert(path.clone(), node.clone());
            if ACCOUNTS.iter().any(|a| a.as_bytes() == path) || matches!(node.kind, NodeKind::Directory) {
                continue;
            }
            if let Some(overlay) = overlays.iter_mut().find(|o| o.name == change.overlay) {
                overlay.entries.insert(path, OverlayEntry { node, owner: None, configured: true });
            }
        }
    }
}

/// What differs, in words; `None` when nothing does.
fn difference(old: &Node, new: &Node) -> Option<Vec<String>> {
    let mut words = Vec::new();
    if old.mode != new.mode {
        words.push(format!("mode {:04o} → {:04o}", old.mode, new.mode));
    }
    if (old.uid, old.gid) != (new.uid, new.gid) {
        words.push(format!("owner {}:{} → {}:{}", old.uid, old.gid, new.uid, new.gid));
    }
    let content = match (&old.kind, &new.kind) {
        (NodeKind::File(a), NodeKind::File(b)) => a.digest() == b.digest(),
        (NodeKind::HardLink(a), NodeKind::HardLink(b)) | (NodeKind::Symlink(a), NodeKind::Symlink(b)) => a == b,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    (!words.is_empty() || !content || old.xattrs != new.xattrs).then_some(words)
}
