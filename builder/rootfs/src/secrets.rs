//! A look for what must never be in an image: private keys, password hashes, tokens, a machine's identity.
//!
//! The contents of every file are looked at before they are compressed into the root file system, the initrd's before it
//! is compressed, and at last the bytes of the disk as they are hashed: what is compressed shows nothing there, and
//! what is not (names, links, attributes, short files, boot files, the partition table) is seen as it ships. Each
//! distinct content is read once. Nothing is skipped for being a program.
//!
//! What a locked package ships is public, and so is the same secret wherever a script took it from there (byte code, bundles,
//! caches). What a script made, what people lay over the tree, what a profile says and what a container's image carries is
//! not.

mod accounts;
mod disk;
mod drawn;
mod known;
mod overlay;
mod passed;
mod public;
mod source;

pub(crate) use accounts::identity;
pub use disk::DiskScanner;
pub use overlay::in_overlay;
pub use passed::{PassedReason, PassedSecret, list};
pub use public::PublicSecrets;
pub use source::FileSource;

use crate::origins::ShippedContents;
use crate::tree::listing::shown;
use crate::tree::{NodeKind, Tree};
use diorite_model::secret::{self, Finding};
use diorite_model::{Digest, Error, Result};
use rayon::prelude::*;
use source::Advice;
use std::collections::BTreeMap;

/// What is known about the files of a tree that is searched.
pub struct SecretScan<'a> {
    /// What packages shipped.
    pub shipped: &'a ShippedContents<'a>,
    /// What is declared public.
    pub declared: &'a PublicSecrets,
    /// Who brought the file at this path, with this content, that is not as a package shipped it.
    pub source: &'a dyn Fn(&[u8], &Digest) -> FileSource,
}

/// What looked like a secret in a tree and is none.
#[derive(Debug, Clone, Default)]
pub struct PassedSecrets {
    /// By its bytes, for the initrd and the disk.
    pub public: PublicSecrets,
    /// For people, by path.
    pub list: Vec<PassedSecret>,
}

/// How many further paths with secrets an error lists.
const MORE: usize = 12;

/// Fails when a secret is found; says of the first path what can be done, and lists the others.
pub fn scan(tree: &Tree, search: &SecretScan) -> Result<PassedSecrets> {
    identity(tree)?;
    let mut contents: BTreeMap<Digest, (&[u8], &[u8])> = BTreeMap::new();
    for (path, node) in &tree.nodes {
        if let NodeKind::File(content) = &node.kind {
            contents.entry(content.digest()).or_insert((path, content.bytes()));
        }
    }
    let found = contents.into_iter().collect::<Vec<_>>().into_par_iter().filter_map(|(digest, (path, bytes))| {
        let found = secret::find(bytes);
        (!found.is_empty()).then_some((path, digest, bytes, found))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(path, ..)| *path);
    // All that is shipped first: what is derived from it may stand before it.
    let mut public = search.declared.clone();
    for (_, digest, bytes, found) in &found {
        if search.shipped.get(digest).is_some() {
            found.iter().for_each(|f| public.insert(&bytes[f.at.clone()]));
        }
    }
    let (mut list, mut refused) = (Vec::new(), drawn::by_scripts(tree, search));
    for (path, digest, bytes, found) in found {
        let shipped = search.shipped.get(&digest);
        for Finding { what, at } in found {
            let bytes = &bytes[at];
            let compiled = || compiled_from(tree, path, search.shipped, &(search.source)(path, &digest));
            let why = match shipped {
                Some((package, path)) => PassedReason::Shipped { package: package.into(), path: path.to_vec() },
                None if search.declared.is(bytes) => PassedReason::Declared,
                None if public.is(bytes) => PassedReason::Derived,
                None if known::is_public(path, &Digest::of(bytes)) => PassedReason::Known,
                None => match compiled() {
                    Some(why) => why,
                    None => {
                        refused.push((path, what, digest));
                        continue;
                    }
                },
            };
            public.insert(bytes);
            list.push(PassedSecret { path: path.to_vec(), what, why });
        }
    }
    let Some((&(path, what, digest), others)) = refused.split_first() else {
        return Ok(PassedSecrets { public, list });
    };
    let error = source::secret(path, what, Advice::File(&(search.source)(path, &digest)));
    let mut also: Vec<String> =
        others.iter().filter(|(p, ..)| *p != path).map(|(p, what, _)| format!("{what}: /{}", shown(p))).collect();
    also.dedup();
    if also.is_empty() {
        return Err(error);
    }
    let more = also.len().saturating_sub(MORE);
    also.truncate(MORE);
    if more > 0 {
        also.push(format!("… and {more} more"));
    }
    Err(error.detail(format!("also in the image:\n{}", also.join("\n"))))
}

/// Python's byte code that a package's script compiled of a source which is as a package ships it: it joins constants and cuts
/// them, so that a secret in it need not be one of the source, letter by letter (PEP 3147: `__pycache__/NAME.TAG.pyc`).
fn compiled_from(tree: &Tree, path: &[u8], shipped: &ShippedContents<'_>, source: &FileSource) -> Option<PassedReason> {
    let FileSource::Script(_) = source else { return None };
    let text = std::str::from_utf8(path).ok()?;
    let (directory, file) = text.strip_suffix(".pyc")?.rsplit_once("/__pycache__/")?;
    let name = file.split_once('.')?.0;
    let NodeKind::File(content) = &tree.get(format!("{directory}/{name}.py"))?.kind else { return None };
    let (package, path) = shipped.get(&content.digest())?;
    Some(PassedReason::Compiled { package: package.into(), path: path.to_vec() })
}

/// The same for bytes that are no file of the tree: `name` says which.
pub fn bytes(name: &str, bytes: &[u8], public: &PublicSecrets) -> Result<()> {
    match public.first(bytes) {
        None => Ok(()),
        Some(found) => Err(nowhere(found.what).at(format!("{name}, at byte {}", found.at.start))),
    }
}

/// A secret in bytes that are no file.
fn nowhere(what: &str) -> Error {
    source::secret(b"", what, Advice::Nothing)
}

#[cfg(test)]
mod tests;
