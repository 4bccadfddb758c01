//! Where the files of a tree come from: the package that brought each, and the SHA-256 of what it shipped as a regular file.
//!
//! Known when packages are unpacked, kept beside the tree as `origins`, and the one answer to "whose is this file": a file
//! whose content still has the digest is as its package brought it; one with another was changed; one that is not here was
//! made by a script, an overlay or the profile. What a locked package ships is public: everybody can download it.

use crate::escape::{escape, unescape};
use crate::tree::TreePath;
use diorite_model::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

/// Version of the file; another one is an error, never a guess.
const VERSION: u32 = 2;
const FILE: &str = "origins";

/// What one file was when it was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOrigin {
    /// Name of the package.
    pub package: String,
    /// SHA-256 of the content it shipped.
    pub digest: Digest,
}

/// The origins of a tree's files by path: data.tar's, in their places after diversions, and control.tar's in dpkg's
/// database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    files: BTreeMap<TreePath, FileOrigin>,
    /// The package that brought each directory, link and device: of a directory that several have, the first.
    others: BTreeMap<TreePath, String>,
}

/// The file: version, then by package the digest of each path, and the paths that have none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginsFile {
    version: u32,
    packages: BTreeMap<String, BTreeMap<String, Digest>>,
    others: BTreeMap<String, Vec<String>>,
}

impl Origins {
    /// Adds what a package shipped at a path.
    pub fn insert(&mut self, path: impl Into<TreePath>, package: &str, digest: Digest) {
        self.files.insert(path.into(), FileOrigin { package: package.to_owned(), digest });
    }

    /// Adds that a package brought a directory, a link or a device.
    pub fn insert_other(&mut self, path: impl Into<TreePath>, package: &str) {
        self.others.insert(path.into(), package.to_owned());
    }

    /// The package that brought what is at this path, of whatever kind.
    pub fn package(&self, path: &[u8]) -> Option<&str> {
        self.files.get(path).map(|origin| &origin.package).or_else(|| self.others.get(path)).map(String::as_str)
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: &Self) {
        self.files.extend(other.files.iter().map(|(path, origin)| (path.clone(), origin.clone())));
        self.others.extend(other.others.iter().map(|(path, package)| (path.clone(), package.clone())));
    }

    /// What was shipped at this path as a regular file.
    pub fn get(&self, path: &[u8]) -> Option<&FileOrigin> {
        self.files.get(path)
    }

    /// All regular files, in bytewise order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &FileOrigin)> {
        self.files.iter()
    }

    /// Writes them into the directory of a pack: one line with the SHA-256 of what follows, then JSON.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let mut packages: BTreeMap<String, BTreeMap<String, Digest>> = BTreeMap::new();
        for (path, FileOrigin { package, digest }) in &self.files {
            packages.entry(package.clone()).or_default().insert(escape(path), *digest);
        }
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, package) in &self.others {
            others.entry(package.clone()).or_default().push(escape(path));
        }
        let file = OriginsFile { version: VERSION, packages, others };
        let json = serde_json::to_vec(&file).expect("our own types serialize");
        let mut bytes = format!("{}\n", Digest::of(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        let file = dir.join(FILE);
        diorite_host::file::write_scratch(&file, bytes)
            .map_err(|e| Error::io("a tree's list of origins cannot be written", &file, e))
    }

    /// Reads those of a pack.
    ///
    /// # Errors
    /// The file is missing, damaged, or of another version.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join(FILE);
        let bytes = fs::read(&file).map_err(|e| Error::io("a tree's list of origins cannot be read", &file, e))?;
        let damaged = |why: &str| {
            Error::host("a stored tree is damaged")
                .at(file.display().to_string())
                .because(why)
                .hint("remove its directory; the next build makes it again")
        };
        let whole =
            bytes.split_at_checked(65).filter(|(first, json)| *first == format!("{}\n", Digest::of(json)).as_bytes());
        let (_, json) =
            whole.ok_or_else(|| damaged("the list of origins does not have the digest in its first line"))?;
        let read: OriginsFile = serde_json::from_slice(json).map_err(|e| damaged(&e.to_string()))?;
        if read.version != VERSION {
            return Err(damaged(&format!("its list of origins has version {}", read.version)));
        }
        let mut origins = Self::default();
        for (package, files) in &read.packages {
            for (path, digest) in files {
                let path = unescape(path).ok_or_else(|| damaged("a wrong escape sequence"))?;
                origins.insert(path, package, *digest);
            }
        }
        for (package, paths) in &read.others {
            for path in paths {
                origins.insert_other(unescape(path).ok_or_else(|| damaged("a wrong escape sequence"))?, package);
            }
        }
        Ok(origins)
    }
}

/// The origins of everything in an image.
#[derive(Debug, Clone, Default)]
pub struct ImageOrigins {
    /// Of the machine's own root.
    pub machine: Origins,
    /// Of the roots of containers that are made of packages, by name.
    pub containers: BTreeMap<String, Origins>,
}

impl ImageOrigins {
    /// Every content that packages shipped, for the machine or a container.
    pub fn shipped(&self) -> ShippedContents<'_> {
        ShippedContents::of(std::iter::once(&self.machine).chain(self.containers.values()))
    }
}

/// Every content that packages shipped, wherever it is now.
#[derive(Debug, Default)]
pub struct ShippedContents<'a>(HashMap<Digest, (&'a str, &'a [u8])>);

impl<'a> ShippedContents<'a> {
    /// Those of some trees: the machine's and its containers'.
    pub fn of(trees: impl IntoIterator<Item = &'a Origins>) -> Self {
        let mut contents = HashMap::new();
        for (path, FileOrigin { package, digest }) in trees.into_iter().flat_map(Origins::iter) {
            // Equal contents: the first path, so that the answer does not depend on how a map is ordered.
            contents.entry(*digest).or_insert((package.as_str(), path.as_slice()));
        }
        Self(contents)
    }

    /// A package that shipped this content, and where.
    pub fn get(&self, digest: &Digest) -> Option<(&'a str, &'a [u8])> {
        self.0.get(digest).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_as_they_were_written() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut origins = Origins::default();
        origins.insert(*b"usr/bin/tool", "tool", Digest::of(b"tool"));
        origins.insert(*b"etc/caf\xe9 100%", "tool", Digest::of(b""));
        origins.insert(*b"usr/bin/other", "other", Digest::of(b"tool"));
        origins.insert_other(*b"usr/bin", "base");
        origins.write(a.path()).unwrap();
        let again = Origins::open(a.path()).unwrap();
        assert_eq!(again, origins);
        again.write(b.path()).unwrap();
        let read = |dir: &Path| fs::read(dir.join(FILE)).unwrap();
        assert_eq!(read(a.path()), read(b.path()));
        let shipped = ShippedContents::of([&again]);
        assert_eq!(shipped.get(&Digest::of(b"tool")), Some(("other", &b"usr/bin/other"[..])));
        assert_eq!(shipped.get(&Digest::of(b"else")), None);
        assert_eq!(again.package(b"usr/bin"), Some("base"));
        assert_eq!(again.package(b"usr/bin/tool"), Some("tool"));
        assert_eq!((again.package(b"usr"), again.get(b"usr/bin")), (None, None));
    }

    #[test]
    fn a_damaged_list_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Origins::open(dir.path()).is_err(), "no list is not an empty list");
        Origins::default().write(dir.path()).unwrap();
        let good = fs::read(dir.path().join(FILE)).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(dir.path().join(FILE), &bad).unwrap();
            assert!(Origins::open(dir.path()).is_err(), "byte {at}");
        }
    }
}
