//! An image in one tar file: the OCI image layout (`oci-layout`, `index.json`, `blobs/`), else what `docker save` writes
//! (`manifest.json`). Members are found by name and read where they lie; nothing is unpacked.

use super::{ImageDescription, ImageManifest, LARGEST_TEXT, Layer, described, follow, unusable};
use diorite_model::oci::{Descriptor, Document};
use diorite_model::{Digest, Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// One image of `docker save`'s manifest.json.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    layers: Vec<String>,
}

/// Opens an archive. Errors: `Input` when it holds no image, or several, or none for this architecture.
pub(super) fn open(name: &str, path: &Path, architecture: &str) -> Result<(Vec<Layer>, ImageDescription)> {
    let file =
        File::open(path).map_err(|e| Error::io(format!("the image of container `{name}` cannot be read"), path, e))?;
    let error = |cause: String| {
        unusable(name, path.display(), cause).hint("`podman save` or `docker save` write such a file, uncompressed")
    };
    let archive = ImageTar::read(file).map_err(error)?;
    let image = match archive.members.contains_key("oci-layout") {
        true => archive.layout(path, architecture),
        false => archive.saved(path, architecture),
    };
    image.map_err(error)
}

struct ImageTar {
    file: File,
    /// Start and size of every regular file by name, and what links stand for.
    members: BTreeMap<String, (u64, u64)>,
}

impl ImageTar {
    fn read(file: File) -> Result<Self, String> {
        let mut magic = [0; 4];
        let n = file.read_at(&mut magic, 0).map_err(|e| e.to_string())?;
        if n == 4 && (magic[..2] == [0x1f, 0x8b] || magic == [0x28, 0xb5, 0x2f, 0xfd]) {
            return Err("the archive itself is compressed".into());
        }
        let damaged =
            |e: std::io::Error| format!("it is not a complete tar archive: {}", e.to_string().escape_default());
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let mut members = BTreeMap::new();
        let mut links = Vec::new();
        let mut tar = tar::Archive::new(BufReader::new(file.try_clone().map_err(|e| e.to_string())?));
        for entry in tar.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
            let name = name.trim_start_matches("./").to_owned();
            let kind = entry.header().entry_type();
            if kind.is_file() {
                let (start, size) = (entry.raw_file_position(), entry.size());
                if start.checked_add(size).is_none_or(|end| end > length) {
                    return Err(format!("it ends before `{}` does", name.escape_default()));
                }
                members.insert(name, (start, size));
            } else if kind.is_symlink() || kind.is_hard_link() {
                let target = entry.link_name_bytes().map(|t| String::from_utf8_lossy(&t).into_owned());
                links.push((name, target.unwrap_or_default(), kind.is_hard_link()));
            }
        }
        // `docker save` of old wrote one layer once, and links to it from other directories: `../ID/layer.tar`.
        for (name, target, hard) in links {
            let target = if hard { target } else { target.trim_start_matches("../").to_owned() };
            if let Some(&there) = members.get(&target) {
                members.insert(name, there);
            }
        }
        Ok(Self { file, members })
    }

    fn find(&self, name: &str) -> Result<(u64, u64), String> {
        self.members.get(name).copied().ok_or_else(|| format!("`{}` is missing in it", name.escape_default()))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let (start, size) = self.find(name)?;
        if size > LARGEST_TEXT {
            return Err(format!("`{name}` is larger than {LARGEST_TEXT} bytes"));
        }
        let mut bytes = vec![0; size as usize];
        self.file.read_exact_at(&mut bytes, start).map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        serde_json::from_slice(&self.bytes(name)?).map_err(|e| format!("`{}`: {e}", name.escape_default()))
    }

    /// A blob of the layout that is text, with the digest it is named by.
    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, String> {
        let name = format!("blobs/sha256/{digest}");
        let bytes = self.bytes(&name)?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(format!("`{name}` has another digest")) }
    }

    fn layout(&self, path: &Path, architecture: &str) -> Result<(Vec<Layer>, ImageDescription), String> {
        let read = |_, digest: &Digest| self.blob(digest);
        let index = self.bytes("index.json")?;
        if let Ok(Document::Index { manifests }) = serde_json::from_slice(&index) {
            only_one(&manifests, architecture)?;
        }
        let ImageManifest { manifest, about, .. } = follow(&index, architecture, read, &|cause| cause)?;
        let names = manifest.layers.iter().map(|l| Ok(format!("blobs/sha256/{}", l.sha256()?)));
        let names = names.collect::<Result<_, String>>()?;
        Ok((self.layers(path, names, &about)?, about))
    }

    fn saved(&self, path: &Path, architecture: &str) -> Result<(Vec<Layer>, ImageDescription), String> {
        if !self.members.contains_key("manifest.json") {
            return Err("it has neither `oci-layout` nor `manifest.json`".into());
        }
        let mut all: Vec<SavedImage> = self.json("manifest.json")?;
        let (Some(one), true) = (all.pop(), all.is_empty()) else {
            return Err("it holds several images, or none: save one".into());
        };
        let about = described(&self.bytes(&one.config)?, one.layers.len(), architecture)?;
        Ok((self.layers(path, one.layers, &about)?, about))
    }

    fn layers(&self, path: &Path, names: Vec<String>, about: &ImageDescription) -> Result<Vec<Layer>, String> {
        let layer = |(name, &diff_id): (&String, &Digest)| {
            let (start, size) = self.find(name)?;
            Ok(Layer { file: path.to_owned(), start, size, diff_id })
        };
        names.iter().zip(&about.diff_ids).map(layer).collect()
    }
}

/// The index of a layout names every image that was saved, once for each of its tags. Of several images for this machine nobody
/// says which is meant.
fn only_one(manifests: &[Descriptor], architecture: &str) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for entry in manifests {
        let platform = entry.platform.as_ref();
        if platform.is_some_and(|p| (p.os.as_str(), p.architecture.as_str()) != ("linux", architecture)) {
            continue;
        }
        if *seen.entry(platform.map(|p| &p.variant)).or_insert(&entry.digest) != &entry.digest {
            return Err("it holds several images: save one".into());
        }
    }
    Ok(())
}
