use super::*;
use crate::clock::Times;
use crate::tree::{Node, NodeKind, Tree};
use std::collections::BTreeMap;

fn tree(files: &[(&str, u32, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (path, mode, text) in files {
        tree.insert(*path, Node::file(*mode, *text));
    }
    tree
}

fn overlay(name: &str) -> Overlay {
    let entries = BTreeMap::new();
    Overlay {
        name: name.into(),
        why: "a test".into(),
        overrides: false,
        entries,
        public: Default::default(),
        configure: None,
    }
}

#[test]
fn every_change_is_listed_and_comes_back() {
    let before = tree(&[("etc/a", 0o644, "a"), ("etc/b", 0o644, "b"), ("etc/c", 0o644, "c"), ("run/x", 0o644, "")]);
    let after = tree(&[("etc/a", 0o600, "a"), ("etc/b", 0o644, "B"), ("etc/new/d", 0o755, "d"), ("tmp/x", 0o644, "")]);
    let mut changes = Changes::default();
    changes.add("one", &before, &after);
    let shown: Vec<_> = changes.list.iter().map(|c| format!("{} {:?}", c.path, c.how)).collect();
    let wanted = [
        "etc/a Changed([\"mode 0644 → 0600\"])",
        "etc/b Changed([])",
        "etc/c Removed",
        "etc/new Added",
        "etc/new/d Added",
    ];
    assert_eq!(shown, wanted);

    let directory = tempfile::tempdir().unwrap();
    let list = changes.list.clone();
    changes.write(&after, directory.path()).unwrap();
    let changes = Changes::open(directory.path()).unwrap();
    assert_eq!(changes.list, list);
    let (mut tree, mut overlays) = (before, vec![overlay("one"), overlay("two")]);
    changes.apply(&mut tree, &mut overlays);
    assert_eq!(tree.get("etc/a").unwrap().mode, 0o600);
    assert_eq!(tree.read("etc/b"), Some(&b"B"[..]));
    assert!(tree.get("etc/c").is_none() && tree.get("run/x").is_some() && tree.get("tmp/x").is_none());
    assert_eq!(overlays[0].entries.len(), 3, "they count as what the overlay brings");
    assert!(overlays[1].entries.is_empty());
}

#[test]
fn a_tree_is_the_same_when_it_was_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut one = tree(&[("usr/bin/a", 0o4755, "a"), ("etc/b", 0o640, "b")]);
    one.insert("usr/bin/b", Node::new(0o4755, NodeKind::HardLink(b"usr/bin/a".to_vec())));
    one.insert("bin", Node::symlink("usr/bin"));
    // Whoever runs the test owns what it writes.
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    one.nodes.values_mut().for_each(|n| (n.uid, n.gid) = (uid, gid));
    let place = directory.path().join("root");
    materialize::write(&one, &place).unwrap();
    let two = read_directory(&place, &Times::at_most(10)).unwrap();
    let mut changes = Changes::default();
    changes.add("none", &one, &two);
    assert_eq!(changes.list, []);
    assert!(materialize::write(&one, &place).is_err(), "only where nothing is");
}
