//! Shared libraries that compiled modules of wheels load and that nobody brings. A `manylinux` wheel may count on some libraries
//! of the distribution (PEP 600), which a container of few packages need not have.

use crate::tree::{NodeKind, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// Packages of Debian 13 with the libraries that wheels may count on: the policies of auditwheel.
const PACKAGES: [(&str, &str); 14] = [
    ("libstdc++.so.6", "libstdc++6"),
    ("libgcc_s.so.1", "libgcc-s1"),
    ("libgomp.so.1", "libgomp1"),
    ("libatomic.so.1", "libatomic1"),
    ("libz.so.1", "zlib1g"),
    ("libexpat.so.1", "libexpat1"),
    ("libGL.so.1", "libgl1"),
    ("libglib-2.0.so.0", "libglib2.0-0t64"),
    ("libgobject-2.0.so.0", "libglib2.0-0t64"),
    ("libX11.so.6", "libx11-6"),
    ("libXext.so.6", "libxext6"),
    ("libXrender.so.1", "libxrender1"),
    ("libICE.so.6", "libice6"),
    ("libSM.so.6", "libsm6"),
];
/// Where the dynamic linker looks, ld.so(8), in a container's root.
const PLACES: [&str; 5] =
    ["usr/lib/x86_64-linux-gnu", "usr/lib", "usr/lib64", "usr/local/lib", "usr/local/lib/x86_64-linux-gnu"];
/// How many modules a line names.
const SHOWN: usize = 3;

/// Lines such as `numpy needs libstdc++.so.6, which is not there: add the package libstdc++6`. `wheels`: what they brought;
/// `tree`: that and everything else.
pub(super) fn missing(tree: &Tree, wheels: &Tree, site: &str) -> Vec<String> {
    let last = |path: &[u8]| path.rsplit(|b| *b == b'/').next().map(<[u8]>::to_vec).unwrap_or_default();
    // What a wheel brings lies beside its modules, and they know where.
    let mut there: BTreeSet<Vec<u8>> = wheels.nodes.keys().map(|path| last(path)).collect();
    for place in PLACES {
        there.extend(tree.children(place.as_bytes()).map(|(path, _)| last(path)));
    }
    let mut needed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, node) in &wheels.nodes {
        let NodeKind::File(content) = &node.kind else { continue };
        for library in needs(content.bytes()).unwrap_or_default() {
            if !there.contains(library.as_bytes()) {
                needed.entry(library).or_default().insert(module(path, site));
            }
        }
    }
    let line = |(library, modules): (String, BTreeSet<String>)| {
        let mut who = modules.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if modules.len() > SHOWN {
            who += &format!(" and {} more", modules.len() - SHOWN);
        }
        let verb = if modules.len() == 1 { "needs" } else { "need" };
        let package = PACKAGES.iter().find(|(known, _)| *known == library);
        let advice = package.map(|(_, package)| format!(": add the package {package}")).unwrap_or_default();
        format!("{who} {verb} {}, which is not there{advice}", library.escape_debug())
    };
    needed.into_iter().map(line).collect()
}

/// What a file belongs to: the first part of its path behind the directory of distributions.
fn module(path: &[u8], site: &str) -> String {
    let text = String::from_utf8_lossy(path);
    let below = text.strip_prefix(site).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&text);
    let first = below.split('/').next().unwrap_or_default();
    first.split('.').next().unwrap_or_default().escape_debug().to_string()
}

/// `DT_NEEDED` of an ELF file of 64 bits, little-endian (System V ABI, chapter 5); none where it is no such file, or is damaged.
fn needs(bytes: &[u8]) -> Option<Vec<String>> {
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: u64, length: usize| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let piece = bytes.get(at..at.checked_add(length)?)?;
        Some(piece.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let (headers, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let (mut loaded, mut dynamic) = (Vec::new(), None);
    for header in (0..count).map_while(|i| headers.checked_add(i * size)) {
        let field = |offset: u64| number(header.checked_add(offset)?, 8);
        let (offset, address, length) = (field(8)?, field(16)?, field(32)?);
        match number(header, 4)? {
            1 => loaded.push((address, length, offset)),
            2 => dynamic = Some((offset, length)),
            _ => {}
        }
    }
    let (start, length) = dynamic?;
    let entries = (0..length / 16).map_while(|i| {
        let at = start.checked_add(i * 16)?;
        Some((number(at, 8)?, number(at.checked_add(8)?, 8)?))
    });
    let entries: Vec<(u64, u64)> = entries.take_while(|(tag, _)| *tag != 0).collect();
    let (_, table) = *entries.iter().find(|(tag, _)| *tag == 5)?;
    let (address, _, offset) =
        *loaded.iter().find(|(address, length, _)| (*address..address.saturating_add(*length)).contains(&table))?;
    let table = offset.checked_add(table - address)?;
    let text = |at: u64| -> Option<String> {
        let start = usize::try_from(table.checked_add(at)?).ok()?;
        let rest = bytes.get(start..bytes.len().min(start.checked_add(256)?))?;
        let end = rest.iter().position(|b| *b == 0)?;
        String::from_utf8(rest[..end].to_vec()).ok()
    };
    Some(entries.iter().filter(|(tag, _)| *tag == 1).filter_map(|(_, at)| text(*at)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    /// An ELF file with one segment, and these names of needed libraries.
    fn elf(libraries: &[&str]) -> Vec<u8> {
        let (mut table, mut entries) = (vec![0], Vec::new());
        for library in libraries {
            entries.push((1, table.len() as u64));
            table.extend([library.as_bytes(), b"\0"].concat());
        }
        let strings = 64 + 2 * 56;
        let dynamic = strings + table.len() as u64;
        entries.extend([(5, 0x1000 + strings), (0, 0)]);
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 2;
        let whole = dynamic + entries.len() as u64 * 16;
        for (kind, offset, address, length) in
            [(1u32, 0, 0x1000, whole), (2, dynamic, 0x1000 + dynamic, entries.len() as u64 * 16)]
        {
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 4]);
            for number in [offset, address, address, length, length, 8] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes.extend(&table);
        for (tag, value) in entries {
            bytes.extend((tag as u64).to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn what_nobody_brings_is_said() {
        let site = "usr/local/lib/python3.13/dist-packages";
        let (mut tree, mut wheels) = (Tree::new(), Tree::new());
        tree.insert("usr/lib/x86_64-linux-gnu/libc.so.6", Node::file(0o644, "c"));
        let mut add =
            |path: &str, libraries: &[&str]| wheels.insert(format!("{site}/{path}"), Node::file(0o644, elf(libraries)));
        add("numpy/core.so", &["libc.so.6", "libstdc++.so.6", "libopenblas-1.so", "libodd.so.3"]);
        add("numpy.libs/libopenblas-1.so", &["libc.so.6"]);
        for name in ["a", "b", "c", "greenlet"] {
            add(&format!("{name}.cpython-313.so"), &["libstdc++.so.6"]);
        }
        assert_eq!(
            missing(&tree, &wheels, site),
            [
                "numpy needs libodd.so.3, which is not there",
                "a, b, c and 2 more need libstdc++.so.6, which is not there: add the package libstdc++6",
            ]
        );
        tree.insert("usr/lib/x86_64-linux-gnu/libstdc++.so.6", Node::symlink("libstdc++.so.6.0.33"));
        assert_eq!(missing(&tree, &wheels, site).len(), 1);
    }

    #[test]
    fn a_damaged_file_needs_nothing() {
        let good = elf(&["libc.so.6"]);
        assert_eq!(needs(&good).unwrap(), ["libc.so.6"]);
        for end in 0..good.len() {
            let _ = needs(&good[..end]);
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] = 0xff;
            let _ = needs(&bad);
        }
        assert_eq!(needs(b"#!/bin/sh\n"), None);
    }
}
