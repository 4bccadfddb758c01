//! Lock: every byte from outside, by name and SHA-256. TOML, sorted, made to be read in a diff.

mod admission;

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `profiles/NAME.lock`. One that is read from a file passes the checks of [`admission`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Lock {
    /// Version of this format: 1.
    pub schema: u32,
    /// Digest of the recipe that was resolved; a lock of another recipe is out of date.
    pub recipe: Digest,
    /// The signed release files that were believed, by name (`trixie`, `trixie-updates`, `trixie-security`, extra).
    pub release: BTreeMap<String, Release>,
    /// Packages of the root, sorted by name and architecture.
    pub image: Vec<LockedPackage>,
    /// Packages of each container's root, or the files of its image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub container: BTreeMap<String, Vec<LockedPackage>>,
    /// Wheels of each container that has some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wheels: BTreeMap<String, Vec<LockedPackage>>,
    /// Packages of the tools tree.
    pub tools: Vec<LockedPackage>,
}

impl Lock {
    /// The digest of everything that decides bytes (the tools tree included).
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
    /// What an image carries of it: all but the tools tree, which changes no byte of the image. The release files stay:
    /// their dates say where an archive of old packages has these.
    pub fn carried(&self) -> Self {
        Self { tools: Vec::new(), ..self.clone() }
    }
    /// All packages, each once, in the order of their digests' first appearance.
    pub fn packages(&self) -> Vec<&LockedPackage> {
        let mut seen = std::collections::BTreeSet::new();
        self.lists().flatten().filter(|p| seen.insert(p.sha256)).collect()
    }
    /// Every list of packages.
    fn lists(&self) -> impl Iterator<Item = &Vec<LockedPackage>> {
        std::iter::once(&self.image).chain(self.container.values()).chain(self.wheels.values()).chain([&self.tools])
    }
    /// What goes into the image: all but the tools tree.
    pub fn of_image(&self) -> Vec<&LockedPackage> {
        let lists = std::iter::once(&self.image).chain(self.container.values()).chain(self.wheels.values());
        lists.flatten().collect()
    }
}

/// A signed release file as it was when locking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Suite in the archive, `trixie-security`.
    pub suite: String,
    /// Its Date field, RFC 3339 in UTC.
    pub date: String,
    /// Its Valid-Until field, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// SHA-256 of the InRelease file.
    pub sha256: Digest,
    /// Components used.
    pub components: Vec<String>,
}

/// Release of a file that is part of a container's image and lies beside the profile.
pub const ARCHIVED: &str = "archive";
/// Release of a file that is part of a container's image and comes from a registry; its path is
/// `registry/name/blobs/sha256:…`, or `manifests` in place of `blobs`.
pub const PULLED: &str = "oci";

/// Release of a wheel; its path is `NAME/FILE`, as an index of wheels names it, or the URL that the profile names.
pub const WHEEL: &str = "wheel";

/// Release of a .deb that lies beside the profile.
pub const LOCAL: &str = "local";

impl LockedPackage {
    /// A .deb that lies beside the profile.
    pub fn is_local(&self) -> bool {
        self.release == LOCAL
    }
    /// A file of a container's image: no .deb.
    pub fn is_image(&self) -> bool {
        self.release == ARCHIVED || self.release == PULLED
    }
    /// A Debian package, and no file of another kind.
    pub fn is_deb(&self) -> bool {
        !self.is_image() && !self.is_wheel()
    }
    /// A wheel: no .deb.
    pub fn is_wheel(&self) -> bool {
        self.release == WHEEL
    }
    /// The name of its file.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// One package; or one file of a container's image, which has its kind for a name and the beginning of its digest for a
/// version; or one wheel, with the distribution's name and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Package.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture: `amd64`, `all`.
    pub architecture: String,
    /// Release it came from: a key of [`Lock::release`], `local`, [`ARCHIVED`], [`PULLED`] or [`WHEEL`].
    pub release: String,
    /// Path below the mirror's root (`pool/main/b/bash/…`), or below the profile for a local file.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the .deb.
    pub sha256: Digest,
}
