//! Images of containers that others made: named in the lock file by file, then opened as layers that lie in the pool.
//!
//! Nothing here unpacks a layer; that is done where trees are made.

mod tarball;
#[cfg(test)]
mod tests;

use diorite_model::lock::ARCHIVED;
use diorite_model::oci::{Config, Image as Described, sha256};
use diorite_model::recipe::ContainerSource;
use diorite_model::{Digest, Error, Exit, Hasher, LockedPackage, Recipe, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Neither manifest nor configuration is ever larger.
const LARGEST_TEXT: u64 = 4 << 20;

/// An image that lies in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// How it wants to be started.
    pub config: Config,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
}

/// One layer: tar, perhaps compressed with gzip or zstd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The file it is in.
    pub file: PathBuf,
    /// Where it begins there, in bytes.
    pub start: u64,
    /// Its bytes.
    pub size: u64,
    /// Digest of the tar in it.
    pub diff_id: Digest,
}

/// What the lock says of an image: every file it is made of. `folder` is the profile's.
///
/// Errors: `Input` for a file that is no image, or none for this architecture.
pub fn lock(name: &str, recipe: &Recipe, folder: &Path) -> Result<Vec<LockedPackage>> {
    let architecture = &recipe.archive.architecture;
    match &recipe.containers[name].source {
        ContainerSource::Packages(_) => Err(Error::bug(format!("container `{name}` has no image"))),
        ContainerSource::Archive(path) => {
            let file = folder.join(path);
            let (sha256, size) = digest(&file).map_err(|e| {
                let missing = e.kind() == std::io::ErrorKind::NotFound;
                let error = Error::io(format!("the image of container `{name}` cannot be read"), &file, e);
                if missing { error.hint("`archive` is a path relative to the profile") } else { error }
            })?;
            tarball::open(name, &file, architecture)?;
            Ok(vec![LockedPackage {
                name: "archive".into(),
                version: sha256.short(12),
                architecture: architecture.clone(),
                release: ARCHIVED.into(),
                path: path.clone(),
                size,
                sha256,
            }])
        }
    }
}

/// Opens the image that these files of the lock are; `file` says where each lies.
///
/// Errors: `Input` for files that are no image, or none for this architecture.
pub fn open(
    name: &str,
    files: &[LockedPackage],
    file: &dyn Fn(&LockedPackage) -> PathBuf,
    architecture: &str,
) -> Result<Image> {
    match files {
        [one] if one.release == ARCHIVED => tarball::open(name, &file(one), architecture),
        _ => Err(Error::new(Exit::LockOutdated, format!("the lock does not name the image of container `{name}`"))
            .hint("lock again: `diorite lock NAME --update`")),
    }
}

/// The error of an image that is none.
fn unusable(name: &str, place: impl std::fmt::Display, cause: impl std::fmt::Display) -> Error {
    Error::input(format!("the image of container `{name}` cannot be used")).at(place.to_string()).because(cause)
}

/// An image's configuration, for this architecture and with as many layers as its manifest. Error: a cause in words.
fn described(bytes: &[u8], layers: usize, architecture: &str) -> Result<(Config, Vec<Digest>), String> {
    let image: Described = serde_json::from_slice(bytes).map_err(|e| format!("its configuration: {e}"))?;
    if (image.os.as_str(), image.architecture.as_str()) != ("linux", architecture) {
        let (os, other) = (image.os.escape_default(), image.architecture.escape_default());
        return Err(format!("it is for {os}/{other}, the profile is for linux/{architecture}"));
    }
    if image.rootfs.diff_ids.len() != layers {
        let said = image.rootfs.diff_ids.len();
        return Err(format!("its manifest names {layers} layers, its configuration {said}"));
    }
    let ids = image.rootfs.diff_ids.iter().map(|id| sha256(id)).collect::<Result<_, _>>()?;
    Ok((image.config, ids))
}

/// SHA-256 and size of a file.
fn digest(path: &Path) -> std::io::Result<(Digest, u64)> {
    let (mut file, mut hasher, mut size) = (File::open(path)?, Hasher::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finish(), size)),
            n => {
                hasher.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
}
