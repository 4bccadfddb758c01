//! What gives privileges in a tree: setuid and setgid bits, file capabilities, and what is world-writable.

use crate::tree::{Node, NodeKind, Tree};
use diorite_model::{Error, Result};
use std::fmt::Write;

/// setuid and setgid, inode(7).
pub(crate) const BITS: u32 = 0o6000;

/// Has a regular file one of these bits?
pub(crate) fn privileged(node: &Node) -> bool {
    matches!(node.kind, NodeKind::File(_)) && node.mode & BITS != 0
}

/// Clears all of them. A container runs with `NoNewPrivileges`, so in its root the bits have no effect.
pub(crate) fn strip_all(tree: &mut Tree) -> Result<()> {
    tree.nodes.values_mut().filter(|n| privileged(n)).for_each(|n| n.mode &= !BITS);
    reject_world_writable(tree)
}

/// Nothing is world-writable but directories with the sticky bit.
pub(crate) fn reject_world_writable(tree: &Tree) -> Result<()> {
    let open = tree.nodes.iter().find(|(_, n)| match n.kind {
        NodeKind::Directory => n.mode & 0o1002 == 0o002,
        NodeKind::File(_) => n.mode & 0o002 != 0,
        _ => false,
    });
    match open {
        None => Ok(()),
        Some((path, node)) => {
            let path = String::from_utf8_lossy(path);
            Err(Error::input(format!("/{path} is world-writable"))
                .because(format!("its mode is {:04o}", node.mode))
                .hint(
                    "give it another mode in an overlay; a directory that all may write to needs the sticky bit, 1777",
                ))
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
        if matches!(node.kind, NodeKind::Directory) && node.mode & 0o002 != 0 {
            let _ = writeln!(text, "world-writable {:04o} /{shown}", node.mode);
        }
    }
    text
}
