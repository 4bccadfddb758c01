//! SealedTree → microcode for processors, as the kernel takes it before anything else: an uncompressed cpio archive in front
//! of the initrd (Linux Documentation/arch/x86/microcode.rst).

use crate::cpio;
use diorite_model::Result;
use diorite_rootfs::tree::{Node, NodeKind, Tree};

/// Directories where Debian's packages intel-microcode and amd64-microcode put it, and the file that the kernel looks for: all
/// files of the directory, one behind the other.
const VENDORS: [(&str, &str); 2] = [
    ("usr/lib/firmware/amd-ucode", "kernel/x86/microcode/AuthenticAMD.bin"),
    ("usr/lib/firmware/intel-ucode", "kernel/x86/microcode/GenuineIntel.bin"),
];

/// The archive; empty where the tree has no microcode. `epoch` as for the initrd.
pub(super) fn archive(tree: &Tree, epoch: u64) -> Result<Vec<u8>> {
    let mut all = Tree::new();
    for (directory, name) in VENDORS {
        let files = tree.children(directory.as_bytes()).filter_map(|(path, node)| match &node.kind {
            // AMD's come with signatures by people beside them.
            NodeKind::File(content) if !path.ends_with(b".asc") && !path.ends_with(b"README") => Some(content.bytes()),
            _ => None,
        });
        let microcode = files.collect::<Vec<_>>().concat();
        if !microcode.is_empty() {
            for parent in ["kernel", "kernel/x86", "kernel/x86/microcode"] {
                all.insert(parent, Node::directory(0o755));
            }
            all.insert(name, Node::file(0o644, microcode));
        }
    }
    if all.get(b"kernel").is_none() { Ok(Vec::new()) } else { cpio::write(&all, epoch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_vendor_becomes_one_file_in_front() {
        assert_eq!(archive(&Tree::new(), 1).unwrap(), b"");
        let mut tree = Tree::new();
        tree.insert("usr/lib/firmware/intel-ucode/06-55-04", Node::file(0o644, "first"));
        tree.insert("usr/lib/firmware/intel-ucode/06-55-07", Node::file(0o644, "second"));
        tree.insert("usr/lib/firmware/amd-ucode/README", Node::file(0o644, "no microcode"));
        let archive = archive(&tree, 1).unwrap();
        let text = String::from_utf8_lossy(&archive);
        assert!(text.starts_with("070701") && archive.len().is_multiple_of(4));
        assert!(text.contains("kernel/x86/microcode/GenuineIntel.bin\0firstsecond\0"), "{text:?}");
        assert!(!text.contains("AuthenticAMD"), "{text:?}");
    }
}
