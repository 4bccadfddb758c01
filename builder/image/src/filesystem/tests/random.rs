//! Trees that nobody would make: any bytes as names, any owners, any depth, attributes of any size on anything.

use super::{many_options, options, round_trip};
use crate::filesystem::{Filesystem, write};
use diorite_model::{Error, Exit};
use diorite_rootfs::tree::{Node, NodeKind, Tree};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => b'a'..=b'c', 1 => 1..=255u8].prop_filter("a separator", |&byte| byte != b'/');
    let len = prop_oneof![6 => 1..3usize, 1 => 200..=255usize];
    len.prop_flat_map(move |len| prop::collection::vec(byte.clone(), len))
        .prop_filter("no name", |name| !matches!(&name[..], b"." | b".."))
}

fn kind() -> impl Strategy<Value = NodeKind> {
    let size = prop_oneof![4 => 0..100usize, 2 => 3900..4200usize, 1 => 60_000..140_000usize];
    prop_oneof![
        3 => Just(NodeKind::Directory),
        5 => (size, 0..5u64, any::<bool>())
            .prop_map(|(len, seed, text)| Node::file(0, super::bytes(len, seed, text)).kind),
        1 => prop_oneof![1..50usize, 3900..=4095usize].prop_map(|len| NodeKind::Symlink(vec![b'/'; len])),
        1 => (0..4096u32, 0..1u32 << 20).prop_map(|(major, minor)| NodeKind::CharDevice(major, minor)),
        1 => (0..4096u32, 0..1u32 << 20).prop_map(|(major, minor)| NodeKind::BlockDevice(major, minor)),
        1 => Just(NodeKind::Fifo),
        1 => Just(NodeKind::Socket),
    ]
}

fn xattrs() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
    let prefix = prop::sample::select(vec!["user.", "trusted.", "security."]);
    let name = (prefix, "[a-z]{1,9}").prop_map(|(prefix, rest)| format!("{prefix}{rest}").into_bytes());
    let value = prop_oneof![4 => 0..60usize, 1 => 3000..6000usize].prop_map(|len| super::bytes(len, len as u64, false));
    prop_oneof![3 => Just(BTreeMap::new()), 1 => prop::collection::btree_map(name, value, 0..4)]
}

fn node() -> impl Strategy<Value = Node> {
    let id = prop_oneof![Just(0u32), 0..70_000u32, any::<u32>()];
    let mtime = prop_oneof![Just(super::EPOCH as i64), any::<i64>()];
    (kind(), 0..0o10000u32, id.clone(), id, mtime, xattrs()).prop_map(|(kind, mode, uid, gid, mtime, xattrs)| Node {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
        kind,
    })
}

/// Paths of up to four names; what would lie below a file is left out. Then hard links from some paths to some files.
fn tree() -> impl Strategy<Value = Tree> {
    let path = || prop::collection::vec(name(), 1..5).prop_map(|names| names.join(&b'/'));
    let nodes = prop::collection::vec((path(), node()), 0..60);
    let links = prop::collection::vec((path(), any::<prop::sample::Index>()), 0..8);
    (nodes, links).prop_map(|(nodes, links)| {
        let mut tree = Tree::new();
        let free = |tree: &Tree, path: &[u8]| {
            let mut parents = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(i, _)| &path[..i]);
            let fits = |parent| tree.get(parent).is_none_or(|node| matches!(node.kind, NodeKind::Directory));
            tree.get(path).is_none() && parents.all(fits)
        };
        for (path, node) in nodes {
            if free(&tree, &path) {
                tree.insert(path, node);
            }
        }
        let files: Vec<_> = tree.nodes.iter().filter(|(_, node)| !matches!(node.kind, NodeKind::Directory)).collect();
        let files: Vec<_> = files.into_iter().map(|(path, _)| path.clone()).collect();
        for (path, first) in links {
            if !files.is_empty() && free(&tree, &path) {
                tree.insert(path, Node::new(0, NodeKind::HardLink(first.get(&files).clone())));
            }
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn any_tree_comes_back(tree in tree(), option in 0..5usize) {
        round_trip(&tree, &many_options()[option]);
    }

    /// A tree that is broken somewhere is refused or written, and never a panic.
    #[test]
    fn a_broken_tree_is_an_error(
        tree in tree(),
        victim in any::<prop::sample::Index>(),
        path in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut tree = tree;
        let paths: Vec<_> = tree.nodes.keys().cloned().collect();
        tree.nodes.remove(victim.get(&paths));
        tree.nodes.insert(path, Node::file(0o644, *b"x"));
        let directory = tempfile::tempdir().unwrap();
        match write(&tree, &options(), &directory.path().join("image"), None) {
            Ok(Filesystem { bytes, .. }) => prop_assert!(bytes > 0),
            Err(Error { exit, place, .. }) => prop_assert!(exit == Exit::Input && place.is_some()),
        }
    }
}
