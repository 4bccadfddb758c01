//! Damaged images are told of, never believed and never a panic. That whole images are read right is tested where they are
//! written (`filesystem::tests`), against another reader.

use super::*;
use crate::filesystem::{FilesystemOptions, write};
use diorite_model::Exit;
use diorite_rootfs::tree::{Node, Tree};
use std::path::Path;

fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// An image of every way in which bytes are stored.
fn image(directory: &Path) -> Vec<u8> {
    let mut tree = Tree::new();
    let text: String = (0..90_000).map(|n| format!("line {n}\n")).collect();
    for (path, bytes) in [
        ("usr/share/text", text.into_bytes()),
        ("usr/share/noise", noise(300_000)),
        ("usr/share/small", b"a small file\n".to_vec()),
        ("usr/share/other", b"another small file\n".to_vec()),
    ] {
        tree.insert(path, Node::file(0o644, bytes));
    }
    tree.insert("usr/link", Node::symlink("share"));
    let path = directory.join("root");
    write(&tree, &FilesystemOptions::new(1_760_000_000, [7; 16]), &path, None).unwrap();
    std::fs::read(path).unwrap()
}

/// Everything of an image, read.
fn whole(bytes: &[u8], path: &Path) -> Result<BTreeMap<TreePath, Vec<u8>>> {
    std::fs::write(path, bytes).unwrap();
    let reader = ErofsReader::open(Region::open(path)?)?;
    let files = reader.files()?;
    files.iter().map(|(path, file)| Ok((path.clone(), reader.content(path, file)?))).collect()
}

#[test]
fn any_flipped_byte_of_the_metadata_is_an_error_or_another_file() {
    let directory = tempfile::tempdir().unwrap();
    let (good, path) = (image(directory.path()), directory.path().join("flipped"));
    let expected = whole(&good, &path).unwrap();
    assert_eq!(expected[&b"usr/share/small"[..]], b"a small file\n");
    let metadata = u32_at(&good, 1024 + 40).unwrap() as usize * 4096;
    let end = good.iter().rposition(|&byte| byte != 0).unwrap();
    let mut told = 0;
    for at in (1024..1160).chain((metadata..=end).step_by(3)) {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            // What is read all the same has another name, owner or time: only the hash tree tells.
            if let Err(error) = whole(&bad, &path) {
                assert!([Exit::Input, Exit::Host].contains(&error.exit), "byte {at}: {error}");
                told += 1;
            }
        }
    }
    assert!(told > 100, "{told}");
}

#[test]
fn a_damaged_piece_names_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let (good, path) = (image(directory.path()), directory.path().join("flipped"));
    let mut bad = good.clone();
    // The first piece: `usr/share/noise` is stored as it is, so the text's is the first that is compressed.
    let magic = bad.windows(4).position(|w| w == [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
    bad[magic + 6..magic + 70].fill(0xff);
    let said =
        whole(&bad, &path).map(drop).unwrap_err().to_string().replace(directory.path().to_str().unwrap(), "DIRECTORY");
    assert!(said.contains("/usr/share/") && said.contains("does not decompress"), "{said}");
}

#[test]
fn what_is_no_image_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (good, path) = (image(directory.path()), directory.path().join("other"));
    let mut features = good.clone();
    features[1024 + 80] |= 0x80;
    for (bytes, because) in [
        (&good[..1000], "too small"),
        (&[0; 8192][..], "does not begin as EROFS"),
        (&features[..], "does not write"),
        (&good[..good.len() - 4096], "larger than its partition"),
    ] {
        let said = whole(bytes, &path).map(drop).unwrap_err().to_string();
        assert!(said.contains(because), "{said}");
    }
}
