//! The tree of wheels over a container's tree of packages: never in place of a file that a package has.

use crate::tree::{Node, NodeKind, Tree, TreePath};
use diorite_model::{Error, Result};

/// Lays what wheels bring over a container's tree. Links of the container on the way are followed inside it.
///
/// # Errors
/// A path at which the container has something else already.
pub fn lay(tree: &mut Tree, wheels: &Tree, container: &str) -> Result<()> {
    for (path, node) in wheels.nodes.iter().filter(|(_, node)| !matches!(node.kind, NodeKind::Directory)) {
        let shown = path.escape_ascii();
        let taken = |why: &str| {
            Error::input(format!("a wheel of container `{container}` cannot bring /{shown}"))
                .at(format!("containers.{container}.wheels"))
                .because(why)
                .hint("leave the wheel out, or the package")
        };
        let place = place(tree, path).ok_or_else(|| taken("one of the directories above it is something else"))?;
        if tree.get(&place).is_some() {
            return Err(taken("a package has something there"));
        }
        for at in place.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(at, _)| at) {
            let above = || Node { mtime: node.mtime, ..Node::directory(0o755) };
            tree.nodes.entry(place[..at].to_vec()).or_insert_with(above);
        }
        tree.insert(place, node.clone());
    }
    Ok(())
}

/// Where a path leads in a tree: links among the directories that are there are followed; none where one is no directory.
fn place(tree: &Tree, path: &[u8]) -> Option<TreePath> {
    let ends = path.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(at, _)| at);
    let there = ends.rev().find(|&at| tree.get(&path[..at]).is_some() || tree.resolve(&path[..at]).is_some());
    let Some(at) = there else { return Some(path.to_vec()) };
    let real = tree.resolve(&path[..at])?;
    matches!(tree.get(&real)?.kind, NodeKind::Directory).then(|| [&real[..], &path[at..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Tree {
        let mut tree = Tree::new();
        tree.insert("usr/bin/python3", Node::file(0o755, "python"));
        tree.insert("usr/local/share/man", Node::symlink("../man"));
        tree.insert("usr/local/man/man1", Node::directory(0o755));
        tree.insert("usr/local/bin", Node::directory(0o2775));
        tree.insert("usr/local/gone", Node::symlink("/nowhere"));
        tree.insert("usr/local/file", Node::file(0o644, ""));
        tree
    }

    fn laid(path: &str) -> Result<Tree> {
        let (mut tree, mut wheels) = (container(), Tree::new());
        wheels.insert(path, Node::file(0o644, "wheel"));
        lay(&mut tree, &wheels, "app").map(|()| tree)
    }

    #[test]
    fn links_are_followed_and_directories_kept() {
        let tree = laid("usr/local/share/man/man1/x.1").unwrap();
        assert_eq!(tree.read("usr/local/man/man1/x.1"), Some(&b"wheel"[..]));
        assert!(tree.get("usr/local/share/man/man1").is_none());
        let tree = laid("usr/local/bin/x").unwrap();
        assert_eq!(tree.get("usr/local/bin").unwrap().mode, 0o2775);
        assert!(laid("usr/local/lib/python3.13/dist-packages/x.py").is_ok());
    }

    #[test]
    fn nothing_of_a_package_is_replaced() {
        let said = ["usr/bin/python3", "usr/local/file/x", "usr/local/gone/x", "usr/local/share/man"]
            .map(|path| laid(path).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
