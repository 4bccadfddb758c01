//! Tree → its listing: one line per path, sorted, made to be read in a diff.
//!
//! `KIND MODE UID:GID SIZE SHA256 PATH[ -> TARGET][ NAME=VALUE…]`: KIND is one letter as in ls(1); SIZE and SHA256 are
//! `-` where they mean nothing; bytes outside printable ASCII, spaces and backslashes stand as `\xNN`; extended
//! attributes end the line, their values in hexadecimal.

use super::{NodeKind, Tree};
use std::fmt::Write;

impl Tree {
    /// The listing: the same for the same modes, owners, attributes and contents, whatever the times.
    pub fn listing(&self) -> String {
        let mut text = String::new();
        for (path, node) in &self.nodes {
            let (letter, size, digest, arrow) = match &node.kind {
                NodeKind::Directory => ('d', None, None, None),
                NodeKind::File(c) => ('-', Some(c.len()), Some(c.digest()), None),
                NodeKind::HardLink(first) => ('h', None, None, Some(shown(first))),
                NodeKind::Symlink(target) => ('l', Some(target.len()), None, Some(shown(target))),
                NodeKind::CharDevice(major, minor) => ('c', None, None, Some(format!("{major}:{minor}"))),
                NodeKind::BlockDevice(major, minor) => ('b', None, None, Some(format!("{major}:{minor}"))),
                NodeKind::Fifo => ('p', None, None, None),
                NodeKind::Socket => ('s', None, None, None),
            };
            let size = size.map_or("-".into(), |s| s.to_string());
            let digest = digest.map_or("-".into(), |d| d.to_string());
            let (mode, uid, gid) = (node.mode, node.uid, node.gid);
            let _ = write!(text, "{letter} {mode:04o} {uid}:{gid} {size} {digest} /{}", shown(path));
            if let Some(arrow) = arrow {
                let _ = write!(text, " -> {arrow}");
            }
            for (name, value) in &node.xattrs {
                let hex: String = value.iter().map(|b| format!("{b:02x}")).collect();
                let _ = write!(text, " {}={hex}", shown(name));
            }
            text.push('\n');
        }
        text
    }
}

/// Bytes as one word of a listing.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &b in bytes {
        if b.is_ascii_graphic() && b != b'\\' {
            text.push(b as char);
        } else {
            let _ = write!(text, "\\x{b:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    #[test]
    fn every_kind_has_its_line() {
        let mut tree = Tree::new();
        tree.insert(*b"etc/a b\n", Node::file(0o640, "x"));
        tree.insert(*b"etc/link", Node::symlink("a\\b"));
        let text = tree.listing();
        let x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(
            text,
            format!(
                "d 0755 0:0 - - /\nd 0755 0:0 - - /etc\n- 0640 0:0 1 {x} /etc/a\\x20b\\x0a\n\
                 l 0777 0:0 3 - /etc/link -> a\\x5cb\n"
            )
        );
    }
}
