//! A look for what must never be in an image: private keys, password hashes, tokens, a machine's identity.
//!
//! The contents of every file are looked at before they are compressed into the root file system, the initrd's before it
//! is compressed, and at last the bytes of the disk as they are hashed: what is compressed shows nothing there, and
//! what is not (names, links, attributes, short files, boot files, the partition table) is seen as it ships. Each
//! distinct content is read once. Nothing is skipped for being a program: the few keys that libraries carry to
//! test themselves are known one by one, by digest.

mod disk;
mod known;
mod overlay;

pub use disk::Scanner;
pub use overlay::in_overlay;

use crate::tree::{NodeKind, Tree};
use diorite_model::secret::{self, Finding};
use diorite_model::{Digest, Error, Result};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Secrets that are none, by their own bytes: those an overlay declares public, and the published ones met in a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Public(BTreeSet<Vec<u8>>);

/// A secret on the disk may be cut off, where a compressor left its beginning as it was: so much of it is enough to know
/// it by, less than any secret has and more than two have in common.
const BEGINNING: usize = 40;

impl Public {
    /// What is in these bytes is public.
    pub fn declare(&mut self, bytes: &[u8]) {
        self.0.extend(secret::find(bytes).into_iter().map(|found| bytes[found.at].to_vec()));
    }
    /// Both.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }
    /// Is this one of them, whole or its beginning?
    fn holds(&self, found: &[u8]) -> bool {
        let begin = &found[..found.len().min(BEGINNING)];
        self.0.iter().any(|public| public.windows(begin.len()).any(|w| w == begin))
    }
    /// The first secret in bytes that come from somewhere on the disk and is not public.
    fn first(&self, bytes: &[u8]) -> Option<Finding> {
        secret::find(bytes).into_iter().find(|found| !self.holds(&bytes[found.at.clone()]))
    }
}

/// Fails when a secret is found; names the first path. The answer holds what looks like one and is public: those given,
/// and those known by digest.
pub fn scan(tree: &Tree, public: &Public) -> Result<Public> {
    identity(tree)?;
    let mut contents: BTreeMap<Digest, (&[u8], &[u8])> = BTreeMap::new();
    for (path, node) in &tree.nodes {
        if let NodeKind::File(content) = &node.kind {
            contents.entry(content.digest()).or_insert((path, content.bytes()));
        }
    }
    let found = contents.into_values().collect::<Vec<_>>().into_par_iter().filter_map(|(path, bytes)| {
        let found = secret::find(bytes);
        (!found.is_empty()).then_some((path, bytes, found))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(path, ..)| *path);
    let mut public = public.clone();
    for (path, bytes, found) in found {
        for Finding { what, at } in found {
            let (bytes, digest) = (&bytes[at.clone()], Digest::of(&bytes[at]));
            if !public.0.contains(bytes) && !known::is_public(path, &digest) {
                return Err(secret(&String::from_utf8_lossy(path), what).because(format!("its SHA-256 is {digest}")));
            }
            public.0.insert(bytes.to_vec());
        }
    }
    Ok(public)
}

/// The same for bytes that are no file of the tree: `name` says which.
pub fn bytes(name: &str, bytes: &[u8], public: &Public) -> Result<()> {
    match public.first(bytes) {
        None => Ok(()),
        Some(found) => Err(secret("", found.what).at(format!("{name}, at byte {}", found.at.start))),
    }
}

/// What only one machine may have: its number, and a password.
pub(crate) fn identity(tree: &Tree) -> Result<()> {
    for path in ["etc/shadow", "etc/gshadow", "etc/passwd"] {
        if let Some(bytes) = tree.read(path) {
            accounts(path, bytes)?;
        }
    }
    for path in ["etc/machine-id", "var/lib/dbus/machine-id", "usr/share/factory/var/lib/dbus/machine-id"] {
        if tree.read(path).is_some_and(|bytes| !bytes.is_empty()) {
            return Err(secret(path, "the identity of one machine"));
        }
    }
    let host_key = |path: &&Vec<u8>| path.starts_with(b"etc/ssh/ssh_host_") || path.ends_with(b"/random-seed");
    match tree.nodes.keys().find(host_key) {
        None => Ok(()),
        Some(path) => Err(secret(&String::from_utf8_lossy(path), "the identity of one machine")),
    }
}

fn secret(path: &str, what: &str) -> Error {
    Error::input(format!("{what} is in the image")).at(format!("/{path}")).hint(
        "secrets reach a machine as credentials, systemd.system-credentials(7); take this file out, or, where everybody \
         may know it, let an overlay bring it and declare it `public`",
    )
}

/// shadow(5), gshadow(5): the second field of every line must be one no password can match; passwd(5): it must say
/// that the password is in shadow.
fn accounts(path: &str, bytes: &[u8]) -> Result<()> {
    for line in String::from_utf8_lossy(bytes).lines() {
        let field = line.split(':').nth(1).unwrap_or_default();
        let fine = if path == "etc/passwd" { &["x", "*"][..] } else { &["*", "!", "!*", "!!"] };
        if !fine.contains(&field) {
            let name = line.split(':').next().unwrap_or_default();
            let what = if field.is_empty() { "an account without a lock" } else { "a password" };
            return Err(secret(path, what).because(format!("account `{name}`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
