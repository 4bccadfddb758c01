//! Known trees, damage, and what is refused.

use super::*;
use std::fs;

const UUID: [u8; 16] = *b"0123456789abcdef";

fn image(directory: &Path, blocks: usize) -> std::path::PathBuf {
    let path = directory.join("image");
    let bytes: Vec<u8> = (0..blocks * BLOCK).map(|i| (i / BLOCK * 31 + i % 251) as u8).collect();
    fs::write(&path, bytes).unwrap();
    path
}

/// Root hashes and digests of whole hash images as veritysetup 2.7.5 makes them.
#[test]
fn known_trees() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("hashes");
    let lines: Vec<_> = [1, 2, 128, 129, 16_385]
        .into_iter()
        .map(|blocks| {
            let verity = format(&image(directory.path(), blocks), &out, b"salt", UUID).unwrap();
            let hashes = fs::read(&out).unwrap();
            assert_eq!(hashes.len() as u64, verity.bytes);
            (blocks, hashes.len() / BLOCK, verity.root_hash.short(12), Digest::of(&hashes).short(12))
        })
        .collect();
    let made = |blocks, bytes, root: &str, hashes: &str| (blocks, bytes, root.to_owned(), hashes.to_owned());
    assert_eq!(
        lines,
        [
            made(1, 1, "bee332fde39b", "bca159229989"),
            made(2, 2, "de1811e2697c", "7c31f7cc403a"),
            made(128, 2, "3a59d85fe0ad", "85390ad897ef"),
            made(129, 4, "b638c4ffe525", "27605e8220f8"),
            made(16_385, 133, "64c1d1d537e5", "7d3116025c10"),
        ]
    );
}

#[test]
fn damage_is_found_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let (image, out) = (image(directory.path(), 300), directory.path().join("hashes"));
    let root_hash = format(&image, &out, &[1; 32], UUID).unwrap().root_hash;
    verify(&image, &out, root_hash).unwrap();
    let because = |path: &Path, at: usize| {
        let good = fs::read(path).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(path, bad).unwrap();
        let error = verify(&image, &out, root_hash).unwrap_err();
        fs::write(path, good).unwrap();
        assert_eq!((error.exit, error.place.unwrap()), (Exit::VerificationFailed, path.display().to_string()));
        error.cause.unwrap()
    };
    assert_eq!(because(&image, 299 * BLOCK), "data block 299 is damaged");
    assert!(because(&out, 3).contains("superblock"));
    assert_eq!(because(&out, BLOCK + 40), "hash block 0 of level 0 from the top is damaged");
    assert_eq!(because(&out, 3 * BLOCK), "hash block 1 of level 1 from the top is damaged");
    let error = verify(&image, &out, Digest([0; 32])).unwrap_err();
    assert_eq!(error.cause.unwrap(), "hash block 0 of level 0 from the top is damaged");
    fs::write(&out, &fs::read(&out).unwrap()[..2 * BLOCK]).unwrap();
    assert!(verify(&image, &out, root_hash).unwrap_err().cause.unwrap().contains("ends after 8192 bytes"));
}

#[test]
fn what_cannot_be_hashed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("hashes");
    let image = directory.path().join("image");
    for len in [0, 1, BLOCK - 1, BLOCK + 1] {
        fs::write(&image, vec![0; len]).unwrap();
        let error = format(&image, &out, b"", UUID).unwrap_err();
        assert!(error.cause.unwrap().contains(&format!("{len} bytes")));
    }
    fs::write(&image, vec![0; BLOCK]).unwrap();
    assert!(format(&image, &out, &[0; 257], UUID).is_err());
    assert!(!out.exists());
    format(&image, &out, &[0; 256], UUID).unwrap();
}

#[test]
fn threads_do_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let image = image(directory.path(), 1000);
    let roots = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| format(&image, &directory.path().join("hashes"), b"", UUID).unwrap())
    });
    assert_eq!(roots[0], roots[1]);
}
