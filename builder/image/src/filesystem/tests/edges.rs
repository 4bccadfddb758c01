//! Trees at the limits of the format, and beyond them.

use super::{bytes, image, options, round_trip};
use crate::filesystem::{FilesystemOptions, write};
use diorite_model::Exit;
use diorite_rootfs::tree::{Content, Node, NodeKind, Tree};
use std::path::Path;
use std::sync::Arc;

#[test]
fn an_empty_tree() {
    for options in super::many_options() {
        round_trip(&Tree::new(), &options);
    }
}

#[test]
fn ten_thousand_names_in_one_directory() {
    let mut tree = Tree::new();
    for i in 0..10_000 {
        tree.insert(format!("many/{i}{}", "x".repeat(i % 97)), Node::file(0o644, i.to_string()));
    }
    let files = round_trip(&tree, &options());
    assert!(files[&b"many"[..]].content.len() > 400_000);
}

#[test]
fn names_of_255_bytes_fill_blocks_in_every_way() {
    for count in 1..40u8 {
        let mut tree = Tree::new();
        for i in 0..count {
            let mut name = vec![b'a'; 255];
            name[0] = b'0' + i;
            tree.insert([b"d/", &name[..]].concat(), Node::directory(0o755));
        }
        round_trip(&tree, &options());
    }
}

/// Sizes of directories step through every remainder of a block, so that some leave just no room behind the inode.
#[test]
fn directories_around_one_block() {
    let mut tree = Tree::new();
    for len in 1..=255 {
        for i in 0..16u8 {
            let name = &[b'a' + i; 255][..if i < 14 { 255 } else { len }];
            tree.insert([format!("{len:03}/").as_bytes(), name].concat(), Node::new(0o600, NodeKind::Fifo));
        }
    }
    let files = round_trip(&tree, &options());
    let inline = files.values().filter(|file| file.mode >> 12 == 4 && file.layout == 2).count();
    let plain = files.values().filter(|file| file.mode >> 12 == 4 && file.layout == 0).count();
    assert!(inline > 100 && plain > 20, "{inline} inline, {plain} plain");
}

#[test]
fn long_links() {
    let mut tree = Tree::new();
    for len in [1, 4000, 4031, 4032, 4033, 4063, 4064, 4065, 4095] {
        for mtime in [0, super::EPOCH as i64] {
            let node = Node { mtime, ..Node::symlink(vec![b'/'; len]) };
            tree.insert(format!("{len}-{mtime}"), node);
        }
    }
    round_trip(&tree, &options());
}

#[test]
fn attributes_up_to_the_limit() {
    let mut tree = Tree::new();
    for (i, total) in [1usize, 3000, 4030, 4060, 4096, 8192, 65_535, 200_000].into_iter().enumerate() {
        for kind in [
            NodeKind::Fifo,
            NodeKind::Directory,
            NodeKind::Symlink(b"t".to_vec()),
            NodeKind::File(Content::from_bytes(bytes(100_000, 1, true))),
        ] {
            let mut node = Node::new(0o644, kind);
            let mut left = total;
            while left > 0 {
                let here = left.min(65_535);
                node.xattrs.insert(format!("user.{left}").into_bytes(), bytes(here, left as u64, false));
                left -= here;
            }
            tree.insert(format!("{i}/{}", tree.nodes.len()), node);
        }
    }
    tree.nodes.get_mut(&b""[..]).unwrap().xattrs.insert(b"user.root".to_vec(), bytes(60_000, 9, false));
    for options in super::many_options() {
        round_trip(&tree, &options);
    }
}

#[test]
fn seventy_thousand_hard_links_to_a_packed_file() {
    let mut tree = Tree::new();
    tree.insert(*b"first", Node::file(0o644, b"packed".to_vec()));
    for i in 0..70_000 {
        tree.nodes.insert(format!("{i:05}").into_bytes(), Node::new(0, NodeKind::HardLink(b"first".to_vec())));
    }
    let files = super::read(&image(&tree, &options()));
    let first = &files[&b"first"[..]];
    assert_eq!((first.nlink, first.extended, files.len()), (70_001, true, 70_002));
    assert!(files.values().filter(|file| file.nid == first.nid).count() == 70_001);
}

#[test]
fn equal_files_are_stored_once() {
    let (small, large) = (bytes(30_000, 1, false), bytes(900_000, 2, false));
    let size = |copies: usize| {
        let mut tree = Tree::new();
        for i in 0..copies {
            tree.insert(format!("small-{i}"), Node::file(0o644, small.clone()));
            tree.insert(format!("large-{i}"), Node::file(0o600 + i as u32, large.clone()));
        }
        round_trip(&tree, &options());
        image(&tree, &options()).len()
    };
    assert!(size(20) <= size(1) + 4096, "only inodes and names are added");
}

/// More than 32 bits of size: 4 GiB of zeros that nothing ever stored.
#[test]
fn a_file_of_more_than_four_gibibytes() {
    struct Zeros(*mut std::ffi::c_void, usize);
    // SAFETY: private memory of our own that nobody writes; unmapped when the last user is gone.
    unsafe impl Send for Zeros {}
    unsafe impl Sync for Zeros {}
    impl AsRef<[u8]> for Zeros {
        fn as_ref(&self) -> &[u8] {
            // SAFETY: mapped readable with this length until drop.
            unsafe { std::slice::from_raw_parts(self.0.cast(), self.1) }
        }
    }
    impl Drop for Zeros {
        fn drop(&mut self) {
            // SAFETY: made by mmap with this length; nobody holds a reference any more.
            unsafe { rustix::mm::munmap(self.0, self.1) }.unwrap();
        }
    }
    use rustix::mm::{MapFlags, ProtFlags};
    let len = (4usize << 30) + 5;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping, wherever the kernel likes.
    let zeros = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ, flags) }.unwrap();
    // The writer believes the digest; computing it would take most of the time.
    let digest = diorite_model::Digest([7; 32]);
    let content = Content::slice(Arc::new(Zeros(zeros, len)), 0, len, digest);
    let mut tree = Tree::new();
    tree.insert(*b"huge", Node { mtime: super::EPOCH as i64, ..Node::new(0o644, NodeKind::File(content)) });
    let options = FilesystemOptions { piece: 1 << 20, level: 1, ..options() };
    let image = image(&tree, &options);
    let superblock = &image[1024..];
    let metadata = u32::from_le_bytes(superblock[40..44].try_into().unwrap()) as usize * 4096;
    // The root is at 64, in 32 bytes and its 20 + 18 + ... bytes of names; the file is the next slot that is extended.
    let inode = image[metadata..].chunks(32).find(|slot| slot[..2] == [7, 0]).expect("an extended, compressed inode");
    assert_eq!(inode[8..16], (len as u64).to_le_bytes());
    assert_eq!(inode[16..20], 4097u32.to_le_bytes(), "one block for each MiB, and one for the rest");
}

fn refusal(change: impl FnOnce(&mut Tree)) -> String {
    let mut tree = Tree::new();
    change(&mut tree);
    let directory = tempfile::tempdir().unwrap();
    let error = write(&tree, &options(), &directory.path().join("image"), None).unwrap_err();
    assert_eq!(error.exit, Exit::Input);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing half-written");
    format!("{} {}", error.place.unwrap_or_default(), error.cause.unwrap_or_default())
}

fn put(path: impl AsRef<[u8]>, node: Node) -> String {
    refusal(|tree| {
        tree.nodes.insert(path.as_ref().to_vec(), node);
    })
}

#[test]
fn what_cannot_be_stored_is_refused_by_name() {
    let file = || Node::file(0o644, b"x".to_vec());
    assert_eq!(put(*b"nowhere/file", file()), "/nowhere/file its parent is not a directory of the tree");
    assert!(put([b'n'; 256], file()).ends_with("a name may have 255 bytes, this one has 256"));
    for name in [&b".."[..], b".", b"a\0b", b"/", b"x/"] {
        assert!(put(name, file()).ends_with("not a valid file name") || name.ends_with(b"/"), "{name:?}");
    }
    let link = |to: &[u8]| Node::new(0, NodeKind::HardLink(to.to_vec()));
    assert_eq!(put(*b"a", link(b"b")), "/a it is a hard link to /b, which is not a file of the tree");
    assert!(put(*b"a", link(b"a")).contains("not a file of the tree"));
    assert!(put(*b"a", link(b"")).contains("directory"));
    assert!(put(*b"l", Node::symlink("")).contains("to nothing"));
    assert!(put(*b"l", Node::symlink(vec![b'x'; 4096])).contains("4095 bytes, not 4096"));
    assert!(put(*b"l", Node::symlink(*b"a\0")).contains("zero byte"));
    assert!(put(*b"d", Node::new(0o600, NodeKind::CharDevice(4096, 0))).contains("no device 4096:0"));
    assert!(put(*b"d", Node::new(0o600, NodeKind::BlockDevice(0, 1 << 20))).contains("no device 0:1048576"));
    assert!(put(*b"", file()).contains("the root of the tree is not a directory"));
    let mut node = file();
    node.xattrs.insert(b"system.nfs4_acl".to_vec(), vec![1]);
    assert!(put(*b"x", node).contains("attribute `system.nfs4_acl`"));
}

#[test]
fn impossible_options_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("image");
    let good = options();
    for bad in [
        FilesystemOptions { piece: 0, ..good.clone() },
        FilesystemOptions { piece: 5000, ..good.clone() },
        FilesystemOptions { piece: 2 << 20, ..good.clone() },
        FilesystemOptions { pack_limit: good.piece + 1, ..good.clone() },
        FilesystemOptions { level: 0, ..good.clone() },
        FilesystemOptions { level: 23, ..good.clone() },
    ] {
        let error = write(&Tree::new(), &bad, &out, None).unwrap_err();
        assert!(error.exit == Exit::Input && error.hint.is_some());
    }
    let error = write(&Tree::new(), &good, Path::new("/proc/nowhere/image"), None).unwrap_err();
    assert!(error.place.is_some());
}
