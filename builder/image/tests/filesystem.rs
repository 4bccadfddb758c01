//! EROFS images and hash trees, judged by erofs-utils and cryptsetup from the tools tree, on a whole configured tree
//! and on one made of edges. `DIORITE_TEST_TOOLS` names the tools tree, `DIORITE_TEST_TREE` a configured tree (a pack
//! or a directory).
//!
//! Devices, owners and some attributes cannot be extracted inside the sandbox, or not without root. For these there is
//! the reader that the unit tests use; the test prints how many it is about.

#[path = "../src/filesystem/tests/reader/mod.rs"]
mod reader;

use diorite_host::tools::{Tool, ToolsTree};
use diorite_image::filesystem::{FilesystemOptions, sidecar_path, write};
use diorite_image::read::ErofsReader;
use diorite_image::region::Region;
use diorite_image::verity;
use diorite_model::Digest;
use diorite_rootfs::tree::{Node, NodeKind, Tree};
use diorite_rootfs::{clock::Times, pack, read_directory};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const UUID: [u8; 16] = *b"0123456789abcdef";
const UUID_TEXT: &str = "30313233-3435-3637-3839-616263646566";

fn variable(name: &str, what: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} must name {what}")).into()
}

fn tools() -> ToolsTree {
    ToolsTree::open(&variable("DIORITE_TEST_TOOLS", "an unpacked tools tree")).unwrap()
}

/// Times as they are: nothing is later than this.
const AS_THEY_ARE: Times = Times::at_most(i64::MAX);

fn configured() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| {
        let path = variable("DIORITE_TEST_TREE", "a configured tree, as a pack or a directory");
        let is_pack = path.join("index").is_file() && path.join("contents").is_file();
        let mut tree =
            if is_pack { pack::open(&path) } else { read_directory::read_directory(&path, &AS_THEY_ARE) }.unwrap();
        // What no image holds, and would only cost time here.
        ["var/cache/apt", "var/lib/apt/lists"].iter().for_each(|path| {
            tree.remove(path);
        });
        assert!(tree.nodes.len() > 1000, "{} holds no configured tree", path.display());
        tree
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn options() -> FilesystemOptions {
    FilesystemOptions::new(1_700_000_000, UUID)
}

/// What must be equal of one file, in words; contents by digest. A scan gives directories no times of their own.
fn describe(path: &[u8], node: &Node, owners: bool) -> String {
    let kind = match &node.kind {
        NodeKind::Directory => "directory".to_owned(),
        NodeKind::File(content) => format!("{content:?} {}", node.mtime),
        NodeKind::Symlink(target) => format!("-> {} {}", target.escape_ascii(), node.mtime),
        NodeKind::HardLink(first) => format!("= {}", first.escape_ascii()),
        other => format!("{other:?}"),
    };
    let path = path.escape_ascii();
    match (&node.kind, owners) {
        (NodeKind::HardLink(_), _) => format!("{path} {kind}"),
        (_, false) => format!("{path} {:o} {kind}", node.mode),
        (_, true) => {
            let Node { mode, uid, gid, xattrs, .. } = node;
            let short =
                |(name, value): (&Vec<u8>, &Vec<u8>)| format!("{}={}", name.escape_ascii(), Digest::of(value).short(6));
            let xattrs: Vec<_> = xattrs.iter().map(short).collect();
            format!("{path} {mode:o} {uid}:{gid} {xattrs:?} {kind}")
        }
    }
}

fn same(expected: &Tree, found: &Tree, owners: bool) {
    let lines = |tree: &Tree| tree.nodes.iter().map(|(path, node)| describe(path, node, owners)).collect::<Vec<_>>();
    let (expected, found) = (lines(expected), lines(found));
    let differ: Vec<_> = expected.iter().zip(&found).filter(|(expected, found)| expected != found).collect();
    assert!(differ.is_empty(), "{} lines differ, first {:#?}", differ.len(), &differ[..differ.len().min(5)]);
    assert_eq!(expected.len(), found.len(), "files are missing at the end, or there are too many");
}

/// The product's reader gives the same files, and the same contents.
fn reader_agrees(tree: &Tree, image: &Path) {
    let reader = ErofsReader::open(Region::open(image).unwrap()).unwrap();
    let files = reader.files().unwrap();
    assert!(files.keys().eq(tree.nodes.keys()));
    for (path, file) in &files {
        let node = match &tree.nodes[path].kind {
            NodeKind::HardLink(first) => &tree.nodes[first],
            _ => &tree.nodes[path],
        };
        assert_eq!((file.mode, file.uid, file.gid, file.mtime), (node.mode, node.uid, node.gid, node.mtime));
        if let NodeKind::File(content) = &node.kind {
            assert!(reader.content(path, file).unwrap() == content.bytes(), "{}", path.escape_ascii());
        }
    }
}

/// `fsck.erofs` decodes every file of the image; and from an image of all it may extract, extracts the same tree.
fn fsck_agrees(tree: &Tree, image: &Path, options: &FilesystemOptions, directory: &Path) {
    let fsck = |image: &Path| tools().command(Tool::FsckErofs).input(image);
    fsck(image).arg("--extract").arg(image.as_os_str()).run_ok().unwrap();

    let mut extractable = tree.clone();
    extractable.nodes.retain(|_, node| !matches!(node.kind, NodeKind::CharDevice(..) | NodeKind::BlockDevice(..)));
    let mut left_out = tree.nodes.len() - extractable.nodes.len();
    for node in extractable.nodes.values_mut() {
        let before = node.xattrs.len();
        node.xattrs.retain(|name, _| is_root() && (name.starts_with(b"user.") || name.starts_with(b"system.")));
        left_out += before - node.xattrs.len();
    }
    println!("{left_out} devices and attributes are not extracted: the sandbox may not make them");
    let (image, target) = (directory.join("extractable.erofs"), directory.join("extracted"));
    write(&extractable, options, &image, None).unwrap();
    let _ = fs::remove_dir_all(&target);
    fs::create_dir(&target).unwrap();
    let owners = match is_root() {
        true => ["--preserve-owner", "--xattrs"],
        false => ["--no-preserve-owner", "--no-xattrs"],
    };
    let extract = fsck(&image).output(&target).arg(format!("--extract={}", target.display()));
    extract.args(["--overwrite", "--preserve-perms"]).args(owners).arg(image.as_os_str()).run_ok().unwrap();
    same(&extractable, &read_directory::read_directory(&target, &AS_THEY_ARE).unwrap(), is_root());
    fs::remove_dir_all(&target).unwrap();
}

/// Every field of every file, as our own reader sees it.
fn read_back_is(tree: &Tree, image: &[u8]) {
    let mut seen = 0;
    let mut nids = std::collections::BTreeMap::new();
    reader::read(image, &mut |path, file| {
        let node = &tree.nodes[&path];
        nids.insert(path.clone(), file.nid);
        seen += 1;
        if matches!(node.kind, NodeKind::HardLink(_)) {
            return;
        }
        let name = path.escape_ascii();
        assert_eq!((file.mode & 0o7777, file.uid, file.gid), (node.mode, node.uid, node.gid), "{name}");
        assert_eq!((file.mtime, &file.xattrs), (node.mtime, &node.xattrs), "{name}");
        match &node.kind {
            NodeKind::File(content) => assert!(file.content == content.bytes(), "the content of {name}"),
            NodeKind::Symlink(target) => assert!(&file.content == target, "the target of {name}"),
            _ => {}
        }
    });
    assert_eq!(seen, tree.nodes.len());
    for (path, node) in &tree.nodes {
        if let NodeKind::HardLink(first) = &node.kind {
            assert_eq!(nids[path], nids[first], "{}", path.escape_ascii());
        }
    }
}

#[test]
fn the_configured_tree_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("root.erofs");
    let written = write(configured(), &options(), &image, None).unwrap();
    println!("{written:?}");
    read_back_is(configured(), &fs::read(&image).unwrap());
    fsck_agrees(configured(), &image, &options(), directory.path());
    reader_agrees(configured(), &image);

    let dump = tools().command(Tool::DumpErofs).input(&image).arg("-s").arg(image.as_os_str()).run_ok().unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    let field = |name: &str| {
        let line = dump.lines().find(|line| line.starts_with(&format!("Filesystem {name}:")));
        line.unwrap_or_else(|| panic!("no {name} in {dump}")).split_once(':').unwrap().1.trim().to_owned()
    };
    assert_eq!(field("blocks"), (written.bytes / 4096).to_string());
    assert_eq!(field("inode count"), written.inodes.to_string());
    assert_eq!((field("UUID"), field("compr_algs")), (UUID_TEXT.to_owned(), "zstd".to_owned()));

    // One overlay file more: the rest is taken from the image before, and the bytes are those of a fresh one.
    let mut changed = configured().clone();
    changed.insert(*b"etc/motd", Node::file(0o644, *b"hello"));
    let (again, fresh) = (directory.path().join("again"), directory.path().join("fresh"));
    let reused = write(&changed, &options(), &again, Some(&image)).unwrap();
    write(&changed, &options(), &fresh, None).unwrap();
    assert!(fs::read(&again).unwrap() == fs::read(&fresh).unwrap(), "the image differs from a fresh one");
    assert!(fs::read(sidecar_path(&again)).unwrap() == fs::read(sidecar_path(&fresh)).unwrap());
    assert!(reused.reused + 10 > reused.pieces, "{reused:?}");
}

/// Contents, names, links and attributes at the borders of the format.
fn edges() -> Tree {
    let mut tree = Tree::new();
    let mut state = 1u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(next).collect()
    };
    for size in [0, 1, 4031, 4032, 4033, 4095, 4096, 4097, 65_536, 65_537, 262_143, 262_144, 262_145, 1_000_000] {
        tree.insert(format!("noise/{size}"), Node::file(0o644, noise(size)));
        tree.insert(format!("zeros/{size}"), Node::file(0o4711, vec![0; size]));
        let text: Vec<u8> = noise(size).iter().map(|byte| byte & 0x13 | 0x40).collect();
        tree.insert(format!("text/{size}"), Node { mtime: -5 + size as i64, ..Node::file(0o600, text.clone()) });
        let mixed = [text, noise(size / 3), vec![7; size]].concat();
        tree.insert(format!("mixed/{size}"), Node::file(0o644, mixed));
    }
    for i in 0..10_000 {
        tree.insert(format!("many/{i:05}-{}", "n".repeat(i % 60)), Node::file(0o644, format!("{}", i / 2)));
    }
    for i in 0..64u8 {
        tree.insert([b"long/", &[b'0' + i; 255][..]].concat(), Node::directory(0o1777));
    }
    for len in [1, 255, 4031, 4032, 4033, 4064, 4095] {
        tree.insert(format!("links/{len}"), Node::symlink(vec![b'l'; len]));
    }
    tree.insert(*b"hard/a", Node::file(0o644, *b"packed"));
    tree.insert(*b"hard/b", Node::new(0, NodeKind::HardLink(b"hard/a".to_vec())));
    tree.insert(*b"hard/c", Node::file(0o644, noise(400_000)));
    tree.insert(*b"hard/d", Node::new(0, NodeKind::HardLink(b"hard/c".to_vec())));
    tree.insert(*b"pipe", Node::new(0o640, NodeKind::Fifo));
    tree.insert(*b"null", Node::new(0o666, NodeKind::CharDevice(1, 3)));
    tree.insert(*b"owned", Node { uid: 65_536, gid: 70_000, ..Node::file(0o640, *b"x") });
    let mut directory = Node { uid: 65_535, gid: 3, ..Node::directory(0o2750) };
    for (name, len) in [("user.small", 1), ("user.large", 3000), ("trusted.x", 17), ("security.test", 40)] {
        directory.xattrs.insert(name.into(), noise(len));
    }
    tree.insert(*b"attributes", directory.clone());
    tree.insert(*b"attributes/file", Node { kind: Node::file(0, noise(300_000)).kind, ..directory });
    tree
}

#[test]
fn edges_come_back_with_every_option() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("root.erofs");
    let tree = edges();
    for options in [
        options(),
        FilesystemOptions { pack_limit: 0, ..options() },
        FilesystemOptions { piece: 4096, pack_limit: 4096, ..options() },
        FilesystemOptions { piece: 64 << 10, pack_limit: 16 << 10, level: 9, ..options() },
        FilesystemOptions { piece: 1 << 20, pack_limit: 1 << 20, level: 1, ..options() },
    ] {
        write(&tree, &options, &image, None).unwrap();
        read_back_is(&tree, &fs::read(&image).unwrap());
        fsck_agrees(&tree, &image, &options, directory.path());
    }
}

#[test]
fn veritysetup_makes_and_accepts_the_same_tree() {
    let directory = tempfile::tempdir().unwrap();
    let [image, ours, theirs] = ["image", "ours", "theirs"].map(|name| directory.path().join(name));
    // Sizes around the borders of levels: 128 digests to a block.
    for (blocks, salt) in [(1, 32), (2, 0), (127, 1), (128, 32), (129, 64), (16_384, 256), (16_385, 32)] {
        let bytes: Vec<u8> = (0..blocks * 4096usize).map(|i| (i / 4096 * 7 + i % 253) as u8).collect();
        fs::write(&image, bytes).unwrap();
        let salt: Vec<u8> = (1..=salt).map(|i| i as u8).collect();
        let verity = verity::format(&image, &ours, &salt, UUID).unwrap();
        assert_eq!(verity.bytes, fs::metadata(&ours).unwrap().len());

        let hex: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(&theirs, b"").unwrap();
        let made = tools()
            .command(Tool::Veritysetup)
            .input(&image)
            .output(&theirs)
            .arg("format")
            .args([&image, &theirs])
            .arg(format!("--salt={}", if hex.is_empty() { "-" } else { &hex }))
            .arg(format!("--uuid={UUID_TEXT}"))
            .run_ok()
            .unwrap();
        let made = String::from_utf8(made.stdout).unwrap();
        assert!(made.contains(&verity.root_hash.to_string()), "{blocks} blocks: {made}");
        assert!(fs::read(&ours).unwrap() == fs::read(&theirs).unwrap(), "{blocks} blocks: the hash images differ");
    }

    let verify = |root_hash: &str| {
        let command = tools().command(Tool::Veritysetup).input(&image).input(&ours);
        let output = command.arg("verify").args([&image, &ours]).arg(root_hash).run().unwrap();
        output.status.success()
    };
    let root_hash = verity::format(&image, &ours, b"salt", UUID).unwrap().root_hash;
    assert!(verify(&root_hash.to_string()));
    verity::verify(&image, &ours, root_hash).unwrap();
    let mut bytes = fs::read(&image).unwrap();
    bytes[5_000_000] ^= 1;
    fs::write(&image, bytes).unwrap();
    assert!(!verify(&root_hash.to_string()), "veritysetup accepts a changed byte");
    let error = verity::verify(&image, &ours, root_hash).unwrap_err();
    assert_eq!(error.cause.unwrap(), format!("data block {} is damaged", 5_000_000 / 4096));
}
