//! The package database: moved to where it belongs to the image, and true about what sealing took out.

use crate::paths::{DATABASE, DATABASE_BEFORE};
use crate::tree::{Node, Tree, TreePath};
use std::collections::{BTreeMap, BTreeSet};

/// Moves the database and leaves a link; on a running machine systemd-tmpfiles makes the same link on state.
pub(super) fn move_database(tree: &mut Tree) {
    let prefix = format!("{DATABASE_BEFORE}/").into_bytes();
    let nodes: Vec<(TreePath, Node)> = tree
        .nodes
        .range(prefix.clone()..)
        .take_while(|(p, _)| p.starts_with(&prefix))
        .map(|(p, n)| (p.clone(), n.clone()))
        .collect();
    if nodes.is_empty() {
        return;
    }
    tree.remove(DATABASE_BEFORE.as_bytes());
    tree.insert(DATABASE.as_bytes().to_vec(), Node::directory(0o755));
    for (path, node) in nodes {
        tree.insert([DATABASE.as_bytes(), b"/", &path[prefix.len()..]].concat(), node);
    }
    tree.insert(DATABASE_BEFORE.as_bytes().to_vec(), Node::symlink(format!("../../{DATABASE}")));
}

/// Directories that are links in the configured tree (`lib` → `usr/lib`): packages name files through them.
pub(super) struct Aliases(BTreeMap<Vec<u8>, TreePath>);

impl Aliases {
    /// The links at the top of a tree.
    pub fn of(tree: &Tree) -> Self {
        let links = tree.children(b"").filter(|(_, n)| matches!(n.kind, crate::tree::NodeKind::Symlink(_)));
        Self(links.filter_map(|(p, _)| Some((p.to_vec(), tree.resolve(p)?))).collect())
    }
    fn real(&self, path: &[u8]) -> TreePath {
        let (top, rest) = path.split_at(path.iter().position(|&b| b == b'/').unwrap_or(path.len()));
        self.0.get(top).map_or_else(|| path.to_vec(), |real| [real, rest].concat())
    }
}

/// Takes files that were there and are no longer out of the packages' lists and checksums (deb-md5sums(5)), so that
/// dpkg --verify speaks of damage only. Files of /var are made anew on state and stay in the lists.
pub(super) fn forget_removed(tree: &mut Tree, before: &BTreeSet<TreePath>, aliases: &Aliases) {
    let prefix = format!("{DATABASE}/info/").into_bytes();
    let lists: Vec<TreePath> = tree
        .nodes
        .range(prefix.clone()..)
        .map(|(p, _)| p)
        .take_while(|p| p.starts_with(&prefix))
        .filter(|p| p.ends_with(b".list") || p.ends_with(b".md5sums"))
        .cloned()
        .collect();
    for list in lists {
        let Some(text) = tree.read(&list) else { continue };
        let sums = list.ends_with(b".md5sums");
        let gone = |line: &[u8]| {
            // `MD5  path` or `/path`
            let path = if sums { line.get(34..) } else { line.strip_prefix(b"/") };
            path.is_some_and(|p| {
                let real = aliases.real(p);
                !real.starts_with(b"var/") && before.contains(&real) && !tree.nodes.contains_key(&real)
            })
        };
        let lines: Vec<&[u8]> = text.split_inclusive(|&b| b == b'\n').collect();
        let kept: Vec<&[u8]> = lines.iter().copied().filter(|l| !gone(l.strip_suffix(b"\n").unwrap_or(l))).collect();
        if kept.len() < lines.len() {
            let bytes = kept.concat();
            if let Some(node) = tree.nodes.get_mut(&list) {
                node.kind = Node::file(0, bytes).kind;
            }
        }
    }
}
