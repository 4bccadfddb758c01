//! Which package owns a file of an image that others made: by dpkg's lists (`info/NAME.list`), or by the checksums that images
//! without dpkg have beside their status files.

use super::contents::TreeContents;
use super::debian::InstalledPackage;
use std::collections::BTreeMap;

const LISTS: &[u8] = b"var/lib/dpkg/info/";
const SUMS: &[u8] = b"var/lib/dpkg/status.d/";
/// Directories that are links into /usr today, and by whose names packages still list files.
const MERGED: [&[u8]; 4] = [b"bin/", b"sbin/", b"lib/", b"lib64/"];

/// The owner's id for each path.
pub fn by_lists(tree: &TreeContents, installed: &[InstalledPackage]) -> BTreeMap<Vec<u8>, String> {
    let mut owned = BTreeMap::new();
    // A tree of locked packages knows it better.
    if !tree.status.is_empty() {
        return owned;
    }
    for package in installed {
        let component = &package.component;
        let (id, name) = (component.id(), &component.name);
        let qualified = format!("{name}:{}", component.architecture.as_deref().unwrap_or_default());
        for name in [name.as_str(), qualified.as_str()] {
            let file = |directory: &[u8], ending: &str| {
                let path = [directory, name.as_bytes(), ending.as_bytes()].concat();
                tree.files.get(path.as_slice()).map(|file| file.bytes).unwrap_or_default()
            };
            let list = file(LISTS, ".list").split(|&b| b == b'\n').filter_map(|line| line.strip_prefix(b"/"));
            // `MD5  path`
            let sums = file(SUMS, ".md5sums").split(|&b| b == b'\n').filter_map(|line| line.get(34..));
            for path in list.chain(sums) {
                if MERGED.iter().any(|directory| path.starts_with(directory)) {
                    owned.insert([b"usr/", path].concat(), id.clone());
                }
                owned.insert(path.to_vec(), id.clone());
            }
        }
    }
    owned
}
