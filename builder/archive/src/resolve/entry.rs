//! What an index says about the file of a package: where it is, how large, and its digest.

use crate::checksum::{self, Checksum};
use crate::stanza;
use crate::universe::PackageStanza;
use diorite_model::{Digest, Error, Result};

/// The file of a package, as an index names it.
pub(super) struct IndexedFile {
    /// Below the repository's root, in a flat repository too, as for apt.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Its digest.
    pub checksum: Checksum,
}

impl IndexedFile {
    /// Reads a stanza; `origin` names its index in errors. Errors: no path inside the repository, no size, no digest that can be
    /// relied on.
    pub fn read(package: &PackageStanza<'_>, origin: &str) -> Result<Self> {
        let field = |name: &str| stanza::field(package.stanza, name);
        let wrong = |what: &str| {
            Error::remote(format!("the entry of `{}` {} {what}", package.name, package.version))
                .at(format!("the package index of {origin}"))
        };
        let path = field("Filename").and_then(inside);
        let size = field("Size").and_then(|size| size.parse().ok());
        let (Some(path), Some(size)) = (path, size) else {
            return Err(wrong("is damaged").because("it has no Filename inside the repository, or no Size"));
        };
        let checksum = checksum::FIELDS.iter().find_map(|name| Checksum::parse(name, field(name)?));
        let checksum = checksum.ok_or_else(|| {
            let forgeable = checksum::FORGEABLE.iter().any(|name| field(name).is_some());
            let cause = if forgeable { "it has MD5 or SHA-1 alone, which can be forged" } else { "it has no digest at all" };
            wrong("has neither SHA256 nor SHA512").because(cause).hint(
                "ask the repository's vendor for SHA256 in its index; or download the package yourself, and name the file in \
                 `archive.debs`",
            )
        })?;
        Ok(Self { path, size, checksum })
    }

    /// The digest of the lock. A file that is named by SHA-512 alone is read for it, and judged by what the index says.
    pub fn sha256(&self, read: impl FnOnce(&str) -> Result<Option<Vec<u8>>>) -> Result<Digest> {
        if let Checksum::Sha256(digest) = self.checksum {
            return Ok(digest);
        }
        let wrong = |cause: String| {
            Error::remote(format!("`{}` is not the file that its index names", self.path)).because(cause).hint(
                "the repository may be in the middle of an update, or a proxy keeps an old file: try again in some minutes",
            )
        };
        let bytes = read(&self.path)?.ok_or_else(|| wrong("there is no such file".to_owned()))?;
        self.checksum.check(&bytes, self.size).map_err(wrong)?;
        Ok(Digest::of(&bytes))
    }
}

/// A path that stays inside the repository, without empty parts and `.`.
fn inside(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let plain = name.bytes().all(|b| b.is_ascii_graphic() && !b"\\?#".contains(&b));
    (plain && !parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for (name, path) in [
            ("pool/a_1_all.deb", Some("pool/a_1_all.deb")),
            ("./a_1_all.deb", Some("a_1_all.deb")),
            ("stable/./x//a.deb", Some("stable/x/a.deb")),
            ("/srv/a.deb", Some("srv/a.deb")),
            ("../a.deb", None),
            ("a/../../b.deb", None),
            ("./", None),
            ("", None),
            ("a b.deb", None),
            ("a.deb?x", None),
        ] {
            assert_eq!(inside(name).as_deref(), path, "{name}");
        }
    }
}
