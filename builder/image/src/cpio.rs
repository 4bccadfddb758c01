//! cpio archive in the "newc" form, the only one the kernel unpacks as an initrd
//! (Linux Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! The same tree gives the same bytes: entries in bytewise order of their paths, inode numbers counted from 1, one
//! time and root as the owner for every file. Hard links are written as separate files: the initrd has none.

use diorite_model::{Error, Result};
use diorite_rootfs::tree::{Node, NodeKind, Tree};

/// File type bits of st_mode, inode(7).
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;
const S_IFIFO: u32 = 0o010_000;

/// Writes a whole tree, root directory included, owned by root, every file at `mtime` (seconds since 1970).
/// Errors when a hard link leads nowhere, a file has 4 GiB or more, or the time does not fit in 32 bits.
pub fn write(tree: &Tree, mtime: u64) -> Result<Vec<u8>> {
    let mtime = u32::try_from(mtime).map_err(|_| Error::input("the image's epoch lies after the year 2106"))?;
    let mut out = Vec::with_capacity(tree.nodes.values().map(|n| size(n) + 256).sum());
    for (inode, (path, node)) in (1u32..).zip(&tree.nodes) {
        let name: &[u8] = if path.is_empty() { b"." } else { path };
        entry(&mut out, inode, name, node, tree, mtime)?;
    }
    header(&mut out, &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0]);
    out.extend(b"TRAILER!!!\0");
    pad(&mut out);
    Ok(out)
}

fn size(node: &Node) -> usize {
    match &node.kind {
        NodeKind::File(content) => content.len(),
        _ => 0,
    }
}

fn entry(out: &mut Vec<u8>, inode: u32, name: &[u8], node: &Node, tree: &Tree, mtime: u32) -> Result<()> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let (kind, data, device): (u32, &[u8], (u32, u32)) = match &node.kind {
        NodeKind::Directory => (S_IFDIR, &[], (0, 0)),
        NodeKind::File(content) => (S_IFREG, content.bytes(), (0, 0)),
        NodeKind::HardLink(first) => match tree.read(first) {
            Some(bytes) => (S_IFREG, bytes, (0, 0)),
            None => return Err(Error::bug("a hard link in the initrd leads nowhere").at(shown())),
        },
        NodeKind::Symlink(target) => (S_IFLNK, target, (0, 0)),
        NodeKind::CharDevice(major, minor) => (S_IFCHR, &[], (*major, *minor)),
        NodeKind::BlockDevice(major, minor) => (S_IFBLK, &[], (*major, *minor)),
        NodeKind::Fifo => (S_IFIFO, &[], (0, 0)),
        NodeKind::Socket => return Ok(()),
    };
    let length =
        u32::try_from(data.len()).map_err(|_| Error::input("a file in the initrd is larger than 4 GiB").at(shown()))?;
    let links = if kind == S_IFDIR { 2 } else { 1 };
    let mode = kind | (node.mode & 0o7777);
    let fields = [inode, mode, 0, 0, links, mtime, length, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
    header(out, &fields);
    out.extend(name);
    out.push(0);
    pad(out);
    out.extend(data);
    pad(out);
    Ok(())
}

/// Magic and thirteen fields of eight hexadecimal digits: ino mode uid gid nlink mtime filesize devmajor devminor
/// rdevmajor rdevminor namesize check.
fn header(out: &mut Vec<u8>, fields: &[u32; 13]) {
    out.extend(b"070701");
    for field in fields {
        out.extend(format!("{field:08x}").as_bytes());
    }
}

/// Names and data begin at multiples of four.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of its own: (name, mode, mtime, data).
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |i: usize| {
                u32::from_str_radix(std::str::from_utf8(&bytes[6 + 8 * i..14 + 8 * i]).unwrap(), 16).unwrap()
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            let start = (110 + name_size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                return entries;
            }
            entries.push((name, field(1), field(5), bytes[start..start + size].to_vec()));
            bytes = &bytes[(start + size).next_multiple_of(4)..];
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mut tree = Tree::new();
        tree.insert(*b"etc/passwd", Node::file(0o644, *b"root:x:0:0::/:\n"));
        tree.insert(*b"init", Node::symlink(*b"usr/lib/systemd/systemd"));
        tree.insert(*b"usr/bin/su", Node::file(0o4755, *b"12345"));
        tree.insert(*b"usr/bin/twin", Node::new(0o755, NodeKind::HardLink(b"usr/bin/su".to_vec())));
        tree.insert(*b"dev/console", Node::new(0o600, NodeKind::CharDevice(5, 1)));
        let bytes = write(&tree, 1_760_000_000).unwrap();
        let entries = read(&bytes);
        let names: Vec<_> = entries.iter().map(|e| e.0.as_str()).collect();
        assert_eq!(
            names,
            [".", "dev", "dev/console", "etc", "etc/passwd", "init", "usr", "usr/bin", "usr/bin/su", "usr/bin/twin"]
        );
        assert_eq!(entries[8].1, 0o104_755);
        assert_eq!(entries[9].3, b"12345");
        assert_eq!(entries[5], ("init".into(), 0o120_777, 1_760_000_000, b"usr/lib/systemd/systemd".to_vec()));
        assert!(entries.iter().all(|e| e.2 == 1_760_000_000));
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(write(&tree, 1_760_000_000).unwrap(), bytes);
    }

    #[test]
    fn a_time_that_does_not_fit_is_refused() {
        assert!(write(&Tree::new(), 1 << 32).is_err());
    }
}
