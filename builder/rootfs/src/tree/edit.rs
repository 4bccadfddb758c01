//! Changes to a whole tree that more than one stage makes.

use super::{Node, NodeKind, Tree, TreePath};

/// Makes hard links that lead into or out of directories that are moved or emptied files of their own.
pub(crate) fn detach_links(tree: &mut Tree) {
    let moves = |path: &[u8]| [&b"var/"[..], b"boot/", b"etc/", b"home/", b"srv/"].iter().any(|d| path.starts_with(d));
    let links: Vec<(TreePath, TreePath)> = tree
        .nodes
        .iter()
        .filter_map(|(path, node)| match &node.kind {
            NodeKind::HardLink(first) if moves(path) || moves(first) => Some((path.clone(), first.clone())),
            _ => None,
        })
        .collect();
    for (path, first) in links {
        if let Some(node) = tree.get(&first).cloned() {
            tree.nodes.insert(path, node);
        }
    }
}

/// An empty directory in place of whatever was there.
pub(crate) fn empty_directory(tree: &mut Tree, path: &str, mode: u32) {
    tree.remove(path.as_bytes());
    tree.insert(path.as_bytes().to_vec(), Node::directory(mode));
}

/// Logs lose their content but keep their owners; caches go whole, their directories stay.
pub(crate) fn empty_logs_and_caches(tree: &mut Tree) {
    let mut gone = Vec::new();
    for (path, node) in &mut tree.nodes {
        let file = !matches!(node.kind, NodeKind::Directory | NodeKind::Symlink(_));
        if file && path.starts_with(b"var/log/") {
            node.kind = Node::file(0, "").kind;
        } else if file && path.starts_with(b"var/cache/") {
            gone.push(path.clone());
        }
    }
    for path in gone {
        tree.remove(&path);
    }
}
