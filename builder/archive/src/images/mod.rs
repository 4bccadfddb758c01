//! Images of containers that others made: named in the lock file by file, then opened as layers that lie in the pool.
//!
//! Nothing here unpacks a layer; that is done where trees are made.

mod auth;
pub mod registry;
mod tarball;
#[cfg(test)]
mod tests;

use crate::http::{HttpClient, Options};
use diorite_host::progress::{Progress, bytes};
use diorite_model::lock::{ARCHIVED, PULLED};
use diorite_model::oci::{Config, Descriptor, Document, Image as Described, Manifest, Reference, choose, sha256};
use diorite_model::recipe::ContainerSource;
use diorite_model::{Digest, Error, Exit, LockedPackage, Recipe, Result};
use registry::{Registry, RegistryFile, Tokens};
use std::path::{Path, PathBuf};

/// What an image's files are called in the lock; layers are `layer-01` and so on, the lowest first. An index of indexes
/// has `index-2` and so on below it.
const INDEX: &str = "index";
const MANIFEST: &str = "manifest";
const CONFIG: &str = "config";

/// Neither manifest nor configuration is ever larger.
const LARGEST_TEXT: u64 = 4 << 20;
/// Nor is a layer: what would fill a disk is refused before it does.
const LARGEST_LAYER: u64 = 16 << 30;

/// An image that lies in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerImage {
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
    /// Its size in bytes.
    pub size: u64,
    /// Digest of the tar in it.
    pub diff_id: Digest,
}

/// What the lock says of an image: every file it is made of. `directory` is the profile's. Progress says what it is.
///
/// Errors: `Input` for a file that is no image, or none for this architecture; `Remote` for a registry that does not give
/// what is asked for.
pub fn lock(name: &str, recipe: &Recipe, directory: &Path, progress: &Progress) -> Result<Vec<LockedPackage>> {
    let architecture = &recipe.archive.architecture;
    let stage = progress.stage(format!("reading the image of container {name}"));
    let (files, about) = match &recipe.containers[name].source {
        ContainerSource::Packages(_) => return Err(Error::bug(format!("container `{name}` has no image"))),
        ContainerSource::Archive(path) => {
            let file = directory.join(path);
            let what = format!("the image of container `{name}`");
            let (sha256, size) = diorite_host::file::sha256(&file, &what).map_err(|error| match file.exists() {
                true => error,
                false => error.hint("`archive` is a path relative to the profile"),
            })?;
            let (_, about) = tarball::open(name, &file, architecture)?;
            let one = LockedPackage {
                name: "archive".into(),
                version: sha256.short(12),
                architecture: architecture.clone(),
                release: ARCHIVED.into(),
                path: path.clone(),
                size,
                sha256,
            };
            (vec![one], about)
        }
        ContainerSource::Oci(reference) => {
            pulled(name, reference, architecture, &HttpClient::new(Options::default())?, &Tokens::default())?
        }
    };
    stage.done(about.words(files.iter().map(|f| f.size).sum()));
    Ok(files)
}

/// In words, what the lock says of a container's root: nothing for one of packages.
pub fn words(files: &[LockedPackage]) -> Option<String> {
    let size = bytes(files.iter().map(|f| f.size).sum());
    let first = files.first().filter(|f| f.is_image())?;
    if first.release == ARCHIVED {
        return Some(format!("the image in {}, {size}, sha256 {}", first.path, first.sha256));
    }
    let named = |name: &str| files.iter().find(|f| f.name == name);
    let manifest = named(MANIFEST)?;
    let repository = manifest.path.rsplitn(3, '/').last().unwrap_or_default();
    let index = named(INDEX).map(|i| format!(" of the index {}", i.version)).unwrap_or_default();
    let layers = files.iter().filter(|f| f.name.starts_with("layer-")).count();
    Some(format!("{repository}, manifest {}{index}, {layers} layers, {size}", manifest.version))
}

/// Reads the manifests of an image in a registry, and names its files.
fn pulled(
    name: &str,
    reference: &str,
    architecture: &str,
    http: &HttpClient,
    tokens: &Tokens,
) -> Result<(Vec<LockedPackage>, ImageDescription)> {
    let Reference { repository, digest } =
        Reference::parse(reference).map_err(|e| Error::bug(format!("`{reference}`: {e}")))?;
    let registry = Registry::new(http, tokens, &repository)?;
    let read = |kind, digest: &Digest| {
        let text = registry.text(kind, digest, LARGEST_TEXT);
        text.map_err(|e| Error { what: format!("the image of container `{name}` cannot be pulled"), ..e })
    };
    let wrong = |cause| unusable(name, reference, cause);
    let first = read(RegistryFile::Manifest, &digest)?;
    let image = follow(&first, architecture, read, &wrong)?;
    let file = |name: String, kind: RegistryFile, sha256: Digest, size: u64| LockedPackage {
        name,
        version: sha256.short(12),
        architecture: architecture.to_owned(),
        release: PULLED.into(),
        path: format!("{repository}/{}/sha256:{sha256}", kind.directory()),
        size,
        sha256,
    };
    let mut path = vec![(digest, first.len() as u64)];
    for step in &image.path {
        path.push((step.sha256().map_err(wrong)?, step.size));
    }
    let mut files = Vec::new();
    for (i, (digest, size)) in path.iter().enumerate() {
        let name = match (i + 1 == path.len(), i) {
            (true, _) => MANIFEST.into(),
            (false, 0) => INDEX.into(),
            (false, _) => format!("{INDEX}-{}", i + 1),
        };
        files.push(file(name, RegistryFile::Manifest, *digest, *size));
    }
    let Manifest { config, layers } = &image.manifest;
    files.push(file(CONFIG.into(), RegistryFile::Blob, config.sha256().map_err(wrong)?, config.size));
    for (i, layer) in layers.iter().enumerate() {
        if layer.size > LARGEST_LAYER {
            return Err(wrong(format!("layer {} is larger than {LARGEST_LAYER} bytes", i + 1)));
        }
        files.push(file(format!("layer-{:02}", i + 1), RegistryFile::Blob, layer.sha256().map_err(wrong)?, layer.size));
    }
    files.sort();
    Ok((files, image.about))
}

/// Opens the image that these files of the lock are; `file` says where each lies, `source` what the profile asks for.
///
/// Errors: `Input` for files that are no image, or none for this architecture; `LockOutdated` for a lock of another one.
pub fn open(
    name: &str,
    source: &ContainerSource,
    files: &[LockedPackage],
    file: &dyn Fn(&LockedPackage) -> PathBuf,
    architecture: &str,
) -> Result<ContainerImage> {
    match (source, files) {
        (ContainerSource::Archive(_), [one]) if one.release == ARCHIVED => {
            let (layers, about) = tarball::open(name, &file(one), architecture)?;
            Ok(ContainerImage { config: about.config, layers })
        }
        (ContainerSource::Oci(reference), all) => opened(name, reference, all, file, architecture),
        _ => Err(not_locked(name)),
    }
}

fn not_locked(name: &str) -> Error {
    Error::new(Exit::LockOutdated, format!("the lock does not name the image of container `{name}`"))
        .hint("lock again: `diorite lock NAME --update`")
}

/// Opens an image whose files came from a registry: from the profile's digest on, each file by the one before it.
fn opened(
    name: &str,
    reference: &str,
    files: &[LockedPackage],
    file: &dyn Fn(&LockedPackage) -> PathBuf,
    architecture: &str,
) -> Result<ContainerImage> {
    let find = |sha256: &Digest| files.iter().find(|f| f.sha256 == *sha256).ok_or_else(|| not_locked(name));
    let read = |_, digest: &Digest| {
        let path = file(find(digest)?);
        let failed = |e| Error::io(format!("the image of container `{name}` cannot be read"), &path, e);
        let bytes = std::fs::read(&path).map_err(failed)?;
        let same = Digest::of(&bytes) == *digest;
        same.then_some(bytes).ok_or_else(|| unusable(name, path.display(), "it has changed in the store"))
    };
    let wrong = |cause| unusable(name, reference, cause);
    let Reference { digest, .. } = Reference::parse(reference).map_err(wrong)?;
    let first = read(RegistryFile::Manifest, &digest)?;
    let ImageManifest { manifest, about, .. } = follow(&first, architecture, read, &wrong)?;
    let layer = |(layer, diff_id): (&Descriptor, Digest)| {
        let locked = find(&layer.sha256().map_err(wrong)?)?;
        Ok(Layer { file: file(locked), start: 0, size: locked.size, diff_id })
    };
    let layers = manifest.layers.iter().zip(about.diff_ids).map(layer).collect::<Result<_>>()?;
    Ok(ContainerImage { config: about.config, layers })
}

/// The error of an image that is none.
fn unusable(name: &str, place: impl std::fmt::Display, cause: impl std::fmt::Display) -> Error {
    Error::input(format!("the image of container `{name}` cannot be used")).at(place.to_string()).because(cause)
}

/// What a manifest, or an index of manifests, leads to.
struct ImageManifest {
    /// What was followed to the manifest; nothing where the first document is the manifest.
    path: Vec<Descriptor>,
    manifest: Manifest,
    about: ImageDescription,
}

/// What an image says of itself.
struct ImageDescription {
    config: Config,
    /// When it was made.
    created: Option<String>,
    /// Digests of its layers' tars, lowest first.
    diff_ids: Vec<Digest>,
}

impl ImageDescription {
    /// What it is, for people. Whatever it says of itself is shown without control characters.
    fn words(&self, size: u64) -> String {
        let plain = |text: &str| text.chars().take(120).collect::<String>().escape_debug().to_string();
        let mut words = format!("{} layers, {}", self.diff_ids.len(), bytes(size));
        if let Some(day) = self.created.as_deref().and_then(|c| c.get(..10)) {
            words += &format!(", made {}", plain(day));
        }
        let command: Vec<String> = [&self.config.entrypoint[..], &self.config.cmd[..]].concat();
        if !command.is_empty() {
            words += &format!(", starts `{}`", plain(&command.join(" ")));
        }
        let user = if self.config.user.is_empty() { "root" } else { &self.config.user };
        words + &format!(" as {}", plain(user))
    }
}

/// From a document to the configuration: through indexes to this architecture's manifest. `read` gives a file whose digest
/// is right; that its size is what was said of it is seen here. `wrong` makes an error of a cause in words.
fn follow<E>(
    document: &[u8],
    architecture: &str,
    mut read: impl FnMut(RegistryFile, &Digest) -> Result<Vec<u8>, E>,
    wrong: &dyn Fn(String) -> E,
) -> Result<ImageManifest, E> {
    let mut get = |kind: RegistryFile, d: &Descriptor| {
        let bytes = read(kind, &d.sha256().map_err(wrong)?)?;
        match bytes.len() as u64 == d.size {
            true => Ok(bytes),
            false => Err(wrong(format!("`{}` has {} bytes, what names it says {}", d.digest, bytes.len(), d.size))),
        }
    };
    let parse = |bytes: &[u8]| {
        serde_json::from_slice(bytes)
            .map_err(|_| wrong("its manifest is neither an OCI manifest nor an index of such".into()))
    };
    let (mut document, mut path) = (parse(document)?, Vec::new());
    for _ in 0..4 {
        let manifest: Manifest = match document {
            Document::Manifest(manifest) => manifest,
            Document::Index { manifests } => {
                let next = choose(&manifests, architecture).map_err(wrong)?.clone();
                document = parse(&get(RegistryFile::Manifest, &next)?)?;
                path.push(next);
                continue;
            }
        };
        let text = get(RegistryFile::Blob, &manifest.config)?;
        let about = described(&text, manifest.layers.len(), architecture).map_err(wrong)?;
        return Ok(ImageManifest { path, manifest, about });
    }
    Err(wrong("its indexes point to indexes without end".into()))
}

/// An image's configuration, for this architecture and with as many layers as its manifest. Error: a cause in words.
fn described(bytes: &[u8], layers: usize, architecture: &str) -> Result<ImageDescription, String> {
    let image: Described = serde_json::from_slice(bytes).map_err(|e| format!("its configuration: {e}"))?;
    if (image.os.as_str(), image.architecture.as_str()) != ("linux", architecture) {
        let (os, other) = (image.os.escape_default(), image.architecture.escape_default());
        return Err(format!("it is for {os}/{other}, the profile is for linux/{architecture}"));
    }
    if image.rootfs.diff_ids.len() != layers {
        let said = image.rootfs.diff_ids.len();
        return Err(format!("its manifest names {layers} layers, its configuration {said}"));
    }
    let diff_ids = image.rootfs.diff_ids.iter().map(|id| sha256(id)).collect::<Result<_, _>>()?;
    Ok(ImageDescription { config: image.config, created: image.created, diff_ids })
}
