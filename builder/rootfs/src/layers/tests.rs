//! Layers over each other, and layers that mean harm.

use super::*;
use tar::EntryType;

/// (kind, path, content or target); paths as they are, whatever they are.
type Member<'a> = (EntryType, &'a str, &'a str);
const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const SYM: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

fn tar(members: &[Member]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, text) in members {
        let mut header = tar::Header::new_ustar();
        // The library refuses to write what we must see.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if *kind == DIR { 0o755 } else { 0o644 });
        let body = if *kind == FILE { text.as_bytes() } else { b"" };
        if matches!(*kind, SYM | HARD) {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(body.len() as u64);
        header.set_uid(1);
        header.set_gid(2);
        header.set_mtime(3);
        header.set_cksum();
        tar.append(&header, body).unwrap();
    }
    tar.into_inner().unwrap()
}

fn laid(layers: &[Vec<u8>]) -> Result<Tree> {
    let directory = tempfile::tempdir().unwrap();
    let made: Vec<LayerFile> = layers
        .iter()
        .enumerate()
        .map(|(i, bytes)| {
            let file = directory.path().join(i.to_string());
            std::fs::write(&file, [b"before", &bytes[..], b"after"].concat()).unwrap();
            let plain = match bytes.get(..2) {
                Some([0x1f, 0x8b]) => {
                    let mut plain = Vec::new();
                    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
                    plain
                }
                Some([0x28, 0xb5]) => zstd::decode_all(&bytes[..]).unwrap(),
                _ => bytes.clone(),
            };
            LayerFile { file, start: 6, size: bytes.len() as u64, diff_id: Digest::of(&plain) }
        })
        .collect();
    merge(&made, directory.path())
}

fn shown_tree(tree: &Tree) -> String {
    let line = |(path, node): (&TreePath, &Node)| {
        let what = match &node.kind {
            NodeKind::Directory => "/".into(),
            NodeKind::File(c) => format!(" = {}", String::from_utf8_lossy(c.bytes())),
            NodeKind::HardLink(t) => format!(" is {}", shown(t)),
            NodeKind::Symlink(t) => format!(" -> {}", shown(t)),
            other => format!(" {other:?}"),
        };
        format!("{}{what}", shown(path))
    };
    tree.nodes.iter().skip(1).map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn gives(layers: &[&[Member]], expected: &[&str]) {
    let layers: Vec<_> = layers.iter().map(|l| tar(l)).collect();
    assert_eq!(shown_tree(&laid(&layers).unwrap()), expected.join("\n"));
}

#[test]
fn layers_lie_over_each_other() {
    gives(
        &[
            &[(DIR, "./", ""), (DIR, "./usr/", ""), (FILE, "usr/a", "1"), (FILE, "usr/b", "1")],
            &[(FILE, "/usr/a", "2")],
        ],
        &["usr/", "usr/a = 2", "usr/b = 1"],
    );
    // A directory over a file, a file over a directory, a directory over a directory.
    gives(
        &[&[(FILE, "a", "1"), (FILE, "d/x", "1")], &[(FILE, "a/b", "2"), (FILE, "d", "2")][1..]],
        &["a = 1", "d = 2"],
    );
    gives(&[&[(FILE, "a", "1")], &[(DIR, "a", ""), (FILE, "a/b", "2")]], &["a/", "a/b = 2"]);
    gives(&[&[(FILE, "d/x", "1")], &[(DIR, "d", "")]], &["d/", "d/x = 1"]);
    // Owners, modes and times come along.
    let tree = laid(&[tar(&[(FILE, "a", "1")])]).unwrap();
    let node = tree.get("a").unwrap();
    assert_eq!((node.mode, node.uid, node.gid, node.mtime), (0o644, 1, 2, 3));
}

#[test]
fn whiteouts_are_about_layers_below() {
    gives(&[&[(FILE, "d/x", "1"), (FILE, "d/y", "1")], &[(FILE, "d/.wh.x", "")]], &["d/", "d/y = 1"]);
    gives(&[&[(FILE, "d/x/y", "1")], &[(FILE, ".wh.d", "")]], &[]);
    gives(&[&[(FILE, "d/x", "1")], &[(FILE, "d/.wh.none", ""), (FILE, "none/.wh.x", "")]], &["d/", "d/x = 1"]);
    // An opaque directory hides what was below, before and behind its mark, and nothing of its own layer.
    let lower: &[Member] = &[(FILE, "d/x", "1"), (FILE, "d/s/t", "1"), (FILE, "e", "1")];
    gives(
        &[lower, &[(FILE, "d/z", "2"), (FILE, "d/.wh..wh..opq", ""), (FILE, "d/s/u", "2")]],
        &["d/", "d/s/", "d/s/u = 2", "d/z = 2", "e = 1"],
    );
    gives(&[lower, &[(FILE, "d/s/u", "2"), (FILE, ".wh.d", "")]], &["d/", "d/s/", "d/s/u = 2", "e = 1"]);
    gives(&[lower, &[(FILE, "d/.wh..wh.plnk", "")]], &["d/", "d/s/", "d/s/t = 1", "d/x = 1", "e = 1"]);
}

#[test]
fn hard_links_outlive_their_first_name() {
    let lower: &[Member] = &[(FILE, "b", "1"), (HARD, "a", "b"), (HARD, "d/c", "./b")];
    gives(&[lower], &["a = 1", "b is a", "d/", "d/c is a"]);
    gives(&[lower, &[(FILE, ".wh.a", "")]], &["b = 1", "d/", "d/c is b"]);
    gives(&[lower, &[(FILE, "b", "2")]], &["a = 1", "b = 2", "d/", "d/c is a"]);
    // To a file of a layer below.
    gives(&[&[(FILE, "x", "1")], &[(HARD, "y", "x")]], &["x = 1", "y is x"]);
}

#[test]
fn links_in_the_way_are_followed_inside() {
    let lower: &[Member] =
        &[(DIR, "usr/bin", ""), (SYM, "bin", "usr/bin"), (SYM, "up", "../../../usr"), (SYM, "abs", "/usr")];
    gives(
        &[lower, &[(FILE, "bin/sh", "1"), (FILE, "up/u", "2"), (FILE, "abs/.wh.none", "")]],
        &["abs -> /usr", "bin -> usr/bin", "up -> ../../../usr", "usr/", "usr/bin/", "usr/bin/sh = 1", "usr/u = 2"],
    );
    // The last part of a path is replaced, not followed.
    gives(&[&[(SYM, "a", "/etc/passwd")], &[(FILE, "a", "1")]], &["a = 1"]);
}

#[test]
fn compressed_layers_give_the_same_tree() {
    let plain = tar(&[(FILE, "a", "1")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    for bytes in [gzip.finish().unwrap(), zstd::encode_all(&plain[..], 1).unwrap(), plain] {
        assert_eq!(shown_tree(&laid(&[bytes]).unwrap()), "a = 1");
    }
}

#[test]
fn what_means_harm_is_refused() {
    let hostile: &[&[Member]] = &[
        &[(FILE, "../evil", "x")],
        &[(FILE, "a/../../evil", "x")],
        &[(FILE, "/../evil", "x")],
        &[(FILE, "a/.wh...", "x")],
        &[(HARD, "a", "../../etc/passwd")],
        &[(HARD, "a", "etc/shadow")],
        &[(DIR, "d", ""), (HARD, "a", "d")],
        &[(SYM, "out", "/nowhere"), (FILE, "out/evil", "x")],
        &[(SYM, "loop", "loop"), (FILE, "loop/evil", "x")],
        &[(FILE, "f", "1"), (FILE, "f/evil", "x")],
        &[(SYM, "a", "")],
        &[(FILE, ".", "x")],
        &[(EntryType::GNUSparse, "s", "")],
    ];
    let mut said: Vec<String> = hostile.iter().map(|l| laid(&[tar(l)]).unwrap_err().to_string()).collect();
    // Devices are left out rather than refused: old images have /dev/console.
    gives(
        &[&[(EntryType::Char, "dev/console", ""), (EntryType::Block, "sda", ""), (EntryType::Fifo, "p", "")]],
        &["dev/", "p Fifo"],
    );
    let good = tar(&[(FILE, "a", &"1".repeat(2000))]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&good).unwrap();
    let gzip = gzip.finish().unwrap();
    said.push(laid(&[b"no archive".repeat(100)]).unwrap_err().to_string());
    said.push(laid(&[good[..1000].to_vec()]).unwrap_err().to_string());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("layer");
    for bytes in [&good[..], &gzip, &gzip[..gzip.len() - 20]] {
        std::fs::write(&file, bytes).unwrap();
        let layer = LayerFile { file: file.clone(), start: 0, size: bytes.len() as u64, diff_id: Digest::of(b"other") };
        said.push(merge(&[layer], directory.path()).unwrap_err().to_string());
    }
    insta::assert_snapshot!(said.join("\n\n"));
}
