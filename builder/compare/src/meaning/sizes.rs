//! Sizes of two images: what an update transfers, what a partition needs, what the files are together.

use crate::SizeChange;
use diorite_image::esp::ENROLMENT;
use diorite_image::pe::Pe;
use diorite_image::read::{ImageFileKind, ImageReader};

/// The sizes that differ.
pub fn compare(a: &ImageReader, b: &ImageReader) -> Vec<SizeChange> {
    let (before, after) = (sizes(a), sizes(b));
    let pairs = before.into_iter().zip(after);
    let differ = pairs.filter(|((_, before), (_, after))| before != after);
    differ.map(|((what, before), (_, after))| SizeChange { what: what.into(), before, after }).collect()
}

/// Bytes of a program's signature.
fn signature(file: &[u8]) -> u64 {
    let plain = Pe::parse(file.to_vec()).and_then(Pe::unsigned);
    plain.map_or(0, |plain| (file.len() as u64).saturating_sub(plain.into_bytes().len() as u64))
}

fn sizes(image: &ImageReader) -> [(&'static str, u64); 4] {
    // Signatures and the signer's keys are no difference between two images.
    let files = image.esp.files.iter().filter(|(path, _)| !path.starts_with(ENROLMENT));
    let boot = files.map(|(_, file)| file.len() as u64 - signature(file)).sum();
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
