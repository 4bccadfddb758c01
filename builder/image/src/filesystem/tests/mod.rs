//! Whole images: written, read back by a reader of its own, and compared with the tree.

mod edges;
mod index;
mod random;
mod reader;
mod reuse;

use super::{FilesystemOptions, write};
use crate::read::{ErofsReader, ImageFileKind};
use crate::region::Region;
use diorite_model::Digest;
use diorite_rootfs::tree::{Node, NodeKind, Tree};
use reader::File;
use std::collections::BTreeMap;

const EPOCH: u64 = 1_700_000_000;

fn options() -> FilesystemOptions {
    FilesystemOptions::new(EPOCH, *b"0123456789abcdef")
}

/// Options that together take every way through the writer.
fn many_options() -> Vec<FilesystemOptions> {
    vec![
        options(),
        FilesystemOptions { pack_limit: 0, ..options() },
        FilesystemOptions { piece: 4096, pack_limit: 4096, ..options() },
        FilesystemOptions { piece: 64 << 10, pack_limit: 8 << 10, level: 1, keep_times: false, ..options() },
        FilesystemOptions { piece: 1 << 20, pack_limit: 1 << 20, level: 6, ..options() },
    ]
}

/// The image of a tree.
fn image(tree: &Tree, options: &FilesystemOptions) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.erofs");
    let written = write(tree, options, &path, None).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "the image and its sidecar, nothing else");
    bytes
}

/// Every file of an image by its path.
fn read(image: &[u8]) -> BTreeMap<Vec<u8>, File> {
    let mut files = BTreeMap::new();
    reader::read(image, &mut |path, file| assert!(files.insert(path, file).is_none()));
    files
}

/// Writes, reads back and compares every field of every file.
fn round_trip(tree: &Tree, options: &FilesystemOptions) -> BTreeMap<Vec<u8>, File> {
    let bytes = image(tree, options);
    let files = read(&bytes);
    agree(&bytes, &files);
    let paths = |paths: Vec<&Vec<u8>>| paths.iter().map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(paths(files.keys().collect()), paths(tree.nodes.keys().collect()));
    for (path, file) in &files {
        let mut first = path;
        let mut node = &tree.nodes[path];
        if let NodeKind::HardLink(target) = &node.kind {
            (first, node) = (target, &tree.nodes[target]);
            assert_eq!(file, &files[target]);
        }
        compare(&path.escape_ascii().to_string(), file, node, options);
        let names =
            tree.nodes.values().filter(|node| matches!(&node.kind, NodeKind::HardLink(to) if to == first)).count();
        let below = tree.children(path).filter(|(_, node)| matches!(node.kind, NodeKind::Directory)).count();
        let expected = if matches!(node.kind, NodeKind::Directory) { 2 + below } else { 1 + names };
        assert_eq!(file.nlink as usize, expected, "{}", path.escape_ascii());
    }
    files
}

/// The product's reader sees what the tests' reader does.
fn agree(bytes: &[u8], files: &BTreeMap<Vec<u8>, File>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let reader = ErofsReader::open(Region::open(file.path()).unwrap()).unwrap();
    let ours = reader.files().unwrap();
    assert!(ours.keys().eq(files.keys()));
    for (path, theirs) in files {
        let our = &ours[path];
        let content = match &our.kind {
            ImageFileKind::Symlink(target) => target.clone(),
            ImageFileKind::Regular(..) => reader.content(path, our).unwrap(),
            _ => Vec::new(),
        };
        let device = match our.kind {
            ImageFileKind::CharDevice(major, minor) | ImageFileKind::BlockDevice(major, minor) => {
                minor & 0xff | major << 8 | (minor & !0xff) << 12
            }
            _ => 0,
        };
        let kind = match our.kind {
            ImageFileKind::Directory => 4,
            ImageFileKind::Regular(..) => 8,
            ImageFileKind::Symlink(_) => 10,
            ImageFileKind::CharDevice(..) => 2,
            ImageFileKind::BlockDevice(..) => 6,
            ImageFileKind::Fifo => 1,
            ImageFileKind::Socket => 12,
        };
        assert_eq!(
            (our.inode, kind << 12 | our.mode, our.uid, our.gid, our.mtime, &our.xattrs, device),
            (theirs.nid, theirs.mode, theirs.uid, theirs.gid, theirs.mtime, &theirs.xattrs, theirs.rdev),
            "{}",
            path.escape_ascii()
        );
        assert!(kind == 4 || content == theirs.content, "the content of {}", path.escape_ascii());
        if kind == 8 {
            assert!(reader.same(path, our, &reader, our).unwrap());
        }
    }
}

fn compare(path: &str, file: &File, node: &Node, options: &FilesystemOptions) {
    let (bits, content): (u32, &[u8]) = match &node.kind {
        NodeKind::Directory => (4, &file.content),
        NodeKind::File(content) => (8, content.bytes()),
        NodeKind::Symlink(target) => (10, target),
        NodeKind::CharDevice(..) => (2, b""),
        NodeKind::BlockDevice(..) => (6, b""),
        NodeKind::Fifo => (1, b""),
        NodeKind::Socket => (12, b""),
        NodeKind::HardLink(_) => unreachable!("the first name is compared"),
    };
    if let NodeKind::CharDevice(major, minor) | NodeKind::BlockDevice(major, minor) = node.kind {
        assert_eq!((file.rdev >> 8 & 0xfff, file.rdev & 0xff | file.rdev >> 12 & !0xff), (major, minor), "{path}");
    }
    let mtime = if options.keep_times { node.mtime } else { EPOCH as i64 };
    assert_eq!(
        (file.mode, file.uid, file.gid, file.mtime, &file.xattrs),
        (bits << 12 | node.mode, node.uid, node.gid, mtime, &node.xattrs),
        "{path}"
    );
    assert!(file.content == content, "the content of {path} differs");
}

/// Bytes that compress well, or not at all.
fn bytes(len: usize, seed: u64, compressible: bool) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if compressible { b"the rock the laws were carved in"[(state % 32) as usize] & 0xF8 } else { state as u8 }
    };
    (0..len).map(|_| next()).collect()
}

/// One file of every kind, sizes around every border.
fn sample() -> Tree {
    let mut tree = Tree::new();
    tree.insert(*b"empty", Node { mtime: EPOCH as i64, ..Node::directory(0o1777) });
    let sizes = [0, 1, 31, 4064, 4065, 4095, 4096, 4097, 8192, 65536, 65537, 262_143, 262_144, 262_145, 700_001];
    for (seed, size) in sizes.into_iter().enumerate() {
        for compressible in [true, false] {
            let mut node = Node::file(0o4755, bytes(size, seed as u64, compressible));
            node.mtime = if compressible { EPOCH as i64 } else { 1_234_567_890 - seed as i64 };
            tree.insert(format!("sizes/{size}-{}", if compressible { "text" } else { "noise" }), node);
        }
    }
    tree.insert(*b"again/packed", Node::file(0o644, bytes(4097, 7, true)));
    tree.insert(*b"again/large", Node::file(0o600, bytes(700_001, 14, true)));
    tree.insert(*b"again/noise", Node::file(0o600, bytes(262_145, 13, false)));
    tree.insert(*b"a-first-name", Node::new(0o644, NodeKind::HardLink(b"sizes/4097-text".to_vec())));
    tree.insert(*b"zz/last-name", Node::new(0o644, NodeKind::HardLink(b"sizes/700001-text".to_vec())));
    tree.insert(*b"dev/null", Node::new(0o666, NodeKind::CharDevice(1, 3)));
    tree.insert(*b"dev/disk", Node::new(0o660, NodeKind::BlockDevice(4095, 0xF_FFFF)));
    tree.insert(*b"dev/pipe", Node::new(0o600, NodeKind::Fifo));
    tree.insert(*b"dev/socket", Node::new(0o700, NodeKind::Socket));
    tree.insert(*b"link", Node::symlink("../usr/lib"));
    let mut file = Node { uid: 70_000, gid: 5, ..Node::file(0o640, b"x".to_vec()) };
    file.xattrs.insert(b"security.capability".to_vec(), bytes(20, 1, false));
    file.xattrs.insert(b"system.posix_acl_access".to_vec(), bytes(28, 2, false));
    file.xattrs.insert(b"user.long".to_vec(), bytes(300, 3, true));
    tree.insert(*b"attributes/file", file);
    let mut directory = Node { uid: 1, gid: 4_000_000_000, ..Node::directory(0o2750) };
    directory.xattrs.insert(b"system.posix_acl_default".to_vec(), bytes(36, 2, false));
    directory.xattrs.insert(b"trusted.x".to_vec(), Vec::new());
    tree.insert(*b"attributes", directory);
    tree
}

#[test]
fn a_sample_comes_back_with_every_option() {
    for options in many_options() {
        round_trip(&sample(), &options);
    }
}

#[test]
fn the_layouts_are_the_ones_meant() {
    let files = round_trip(&sample(), &options());
    let layout = |path: &[u8]| files[path].layout;
    assert_eq!([layout(b"sizes/4097-noise"), layout(b"sizes/262145-text")], [3, 3], "packed, compressed");
    assert_eq!([layout(b"sizes/262145-noise"), layout(b"sizes/0-text")], [0, 0], "incompressible, empty");
    assert_eq!([layout(b"link"), layout(b"")], [2, 2], "inline");
    let unpacked = round_trip(&sample(), &FilesystemOptions { pack_limit: 0, ..options() });
    assert_eq!([unpacked[&b"sizes/31-text"[..]].layout, unpacked[&b"sizes/4095-text"[..]].layout], [2, 0]);
    let extended = |path: &[u8]| files[path].extended;
    assert_eq!([extended(b"attributes/file"), extended(b"empty"), extended(b"sizes/1-noise")], [true, false, true]);
}

/// The bytes decide root hashes that people have written down: they change only with a line in the changelog, and
/// together with the rule in the pieces' keys.
#[test]
fn the_bytes_are_known_and_threads_do_not_matter() {
    let golden: Vec<String> = many_options().iter().map(|o| Digest::of(&image(&sample(), o)).short(16)).collect();
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let digests: Vec<String> =
            pool.install(|| many_options().iter().map(|o| Digest::of(&image(&sample(), o)).short(16)).collect());
        assert_eq!(digests, golden, "{threads} threads");
    }
    assert_eq!(
        golden,
        ["ca196fd52914c72e", "02338fecd279423f", "7e74cdba2d34599c", "85f94937fd04d890", "44e3018a76984f9f"]
    );
}
