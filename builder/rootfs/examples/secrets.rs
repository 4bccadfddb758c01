//! What looks like a secret in a packed tree, known or not, and how long the look took: `secrets PACK…`, for keeping
//! `src/secrets/known.rs`.

use diorite_model::{Digest, secret};
use diorite_rootfs::{pack, tree::NodeKind};
use std::collections::BTreeSet;
use std::time::Instant;

fn main() {
    for directory in std::env::args().skip(1) {
        let tree = pack::open(directory.as_ref()).unwrap_or_else(|e| panic!("{e}"));
        let (mut seen, mut bytes, started) = (BTreeSet::new(), 0, Instant::now());
        for (path, node) in &tree.nodes {
            let NodeKind::File(content) = &node.kind else { continue };
            if !seen.insert(content.digest()) {
                continue;
            }
            bytes += content.len();
            for found in secret::find(content.bytes()) {
                let digest = Digest::of(&content.bytes()[found.at.clone()]);
                println!("{digest} {} at {} of /{}", found.what, found.at.start, String::from_utf8_lossy(path));
            }
        }
        eprintln!("{directory}: {} files, {bytes} bytes, {:.3} s", seen.len(), started.elapsed().as_secs_f64());
    }
}
