//! Sizes of two images: what an update transfers, what a partition needs, what the files are together.

use crate::SizeChange;
use diorite_image::read::{ImageFileKind, ImageReader};

/// The sizes that differ.
pub fn compare(a: &ImageReader, b: &ImageReader) -> Vec<SizeChange> {
    let (before, after) = (sizes(a), sizes(b));
    let pairs = before.into_iter().zip(after);
    let differ = pairs.filter(|((_, before), (_, after))| before != after);
    differ.map(|((what, before), (_, after))| SizeChange { what: what.into(), before, after }).collect()
}

fn sizes(image: &ImageReader) -> [(&'static str, u64); 4] {
    let boot = image.esp.files.values().map(|content| content.len() as u64).sum();
    let mut inodes = std::collections::BTreeMap::new();
    for file in image.files.values() {
        if let ImageFileKind::Regular(size, _) = file.kind {
            inodes.insert(file.inode, size);
        }
    }
    let files = inodes.values().sum();
    [
        ("disk", image.disk.size()),
        ("root file system", image.root.len()),
        ("boot files", boot),
        ("files of the root, uncompressed", files),
    ]
}
