//! Images written with a previous one at hand: the same bytes, whatever state that one is in.

use super::{bytes, options, sample};
use crate::filesystem::{Filesystem, FilesystemOptions, sidecar_path, write, write_with};
use diorite_model::{Error, Exit};
use diorite_rootfs::tree::{Node, Tree};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn fresh(directory: &Path, name: &str, tree: &Tree, options: &FilesystemOptions) -> Vec<u8> {
    write(tree, options, &directory.join(name), None).unwrap();
    fs::read(directory.join(name)).unwrap()
}

/// Writes again with `previous` at hand, and compares with a fresh image.
fn again(directory: &Path, tree: &Tree, options: &FilesystemOptions, previous: &Path) -> Filesystem {
    let written = write(tree, options, &directory.join("again"), Some(previous)).unwrap();
    let expected = fresh(directory, "fresh", tree, options);
    assert!(fs::read(directory.join("again")).unwrap() == expected, "the image differs from a fresh one");
    let sidecar = |name: &str| fs::read(sidecar_path(&directory.join(name))).unwrap();
    assert!(sidecar("again") == sidecar("fresh"), "the sidecar differs from a fresh one");
    written
}

#[test]
fn one_changed_file_costs_a_few_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let mut tree = sample();
    for i in 0..400u64 {
        tree.insert(format!("more/{i}"), Node::file(0o644, bytes(9000, i, true)));
    }
    fresh(directory.path(), "first", &tree, &options());
    let same = again(directory.path(), &tree, &options(), &directory.path().join("first"));
    assert_eq!(same.reused, same.pieces);
    tree.insert(*b"more/200", Node::file(0o644, b"shorter".to_vec()));
    let changed = again(directory.path(), &tree, &options(), &directory.path().join("first"));
    assert!(changed.reused >= changed.pieces - 5, "{changed:?}");
    // Over itself: the previous image is replaced by the new one.
    let path = directory.path().join("first");
    write(&tree, &options(), &path, Some(&path)).unwrap();
    assert!(fs::read(&path).unwrap() == fs::read(directory.path().join("again")).unwrap());
}

#[test]
fn another_rule_is_a_miss() {
    let directory = tempfile::tempdir().unwrap();
    fresh(directory.path(), "first", &sample(), &options());
    let level = FilesystemOptions { level: 4, ..options() };
    assert_eq!(again(directory.path(), &sample(), &level, &directory.path().join("first")).reused, 0);
    // What is not in the stored bytes of a piece does not matter.
    let other = FilesystemOptions { epoch: 5, uuid: [9; 16], keep_times: false, ..options() };
    let written = again(directory.path(), &sample(), &other, &directory.path().join("first"));
    assert_eq!(written.reused, written.pieces);
}

#[test]
fn damage_is_a_miss() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("first");
    let bytes = fresh(directory.path(), "first", &sample(), &options());
    let sidecar = fs::read(sidecar_path(&image)).unwrap();
    let reused = |image_bytes: &[u8], sidecar_bytes: &[u8]| {
        fs::write(&image, image_bytes).unwrap();
        fs::write(sidecar_path(&image), sidecar_bytes).unwrap();
        again(directory.path(), &sample(), &options(), &image).reused
    };
    let all = reused(&bytes, &sidecar);
    assert!(all > 10);
    for at in (0..sidecar.len()).step_by(61) {
        let mut damaged = sidecar.clone();
        damaged[at] ^= 4;
        assert_eq!(reused(&bytes, &damaged), 0, "byte {at} of the sidecar");
    }
    for len in [0, 15, 47, 48, sidecar.len() - 80, sidecar.len() - 1] {
        assert_eq!(reused(&bytes, &sidecar[..len]), 0, "a sidecar of {len} bytes");
    }
    let mut flipped = bytes.clone();
    flipped[4096 + 100] ^= 1;
    assert_eq!(reused(&flipped, &sidecar), all - 1, "one flipped bit costs one piece");
    assert!(reused(&bytes[..bytes.len() / 2], &sidecar) < all, "half an image");
    assert_eq!(reused(&[], &sidecar), 0, "an empty image");
    fs::remove_file(&image).unwrap();
    assert_eq!(again(directory.path(), &sample(), &options(), &image).reused, 0, "no image");
}

#[test]
fn an_interrupted_write_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("image");
    let stop = |_| Err(Error::new(Exit::Interrupted, "interrupted"));
    let error = write_with(&sample(), &options(), &out, None, &stop).unwrap_err();
    assert_eq!(error.exit, Exit::Interrupted);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn progress_adds_up() {
    let directory = tempfile::tempdir().unwrap();
    let seen = std::sync::atomic::AtomicU64::new(0);
    let count = |bytes| {
        seen.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    };
    let unpacked = FilesystemOptions { pack_limit: 0, ..options() };
    let mut tree = Tree::new();
    (0..30u64).for_each(|i| tree.insert(format!("{i}"), Node::file(0o644, bytes(2_000_000, i, true))));
    write_with(&tree, &unpacked, &directory.path().join("image"), None, &count).unwrap();
    assert_eq!(seen.into_inner(), 60_000_000);
}

#[derive(Debug, Clone)]
enum Change {
    Write { file: u8, len: usize, seed: u64 },
    Remove { file: u8 },
}

fn change() -> impl Strategy<Value = Change> {
    let len = prop_oneof![0..200usize, 3000..10_000usize, 60_000..70_000usize, 250_000..300_000usize];
    prop_oneof![
        4 => (any::<u8>(), len, 0..4u64).prop_map(|(file, len, seed)| Change::Write { file, len, seed }),
        1 => any::<u8>().prop_map(|file| Change::Remove { file }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Generations of random changes: each image is written with the one before at hand.
    #[test]
    fn generations(generations in prop::collection::vec(prop::collection::vec(change(), 1..40), 2..5)) {
        let directory = tempfile::tempdir().unwrap();
        let options = FilesystemOptions { piece: 64 << 10, pack_limit: 16 << 10, ..options() };
        let mut tree = Tree::new();
        let previous = directory.path().join("again");
        for changes in generations {
            for change in changes {
                match change {
                    Change::Write { file, len, seed } => {
                        tree.insert(format!("d{}/{file}", file % 5), Node::file(0o644, bytes(len, seed, seed != 3)));
                    }
                    Change::Remove { file } => {
                        tree.remove(format!("d{}/{file}", file % 5));
                    }
                }
            }
            again(directory.path(), &tree, &options, &previous);
        }
        super::round_trip(&tree, &options);
    }
}
