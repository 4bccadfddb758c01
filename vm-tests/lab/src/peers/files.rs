//! Sites made of files: a directory, as an update server has it, and an OCI registry (distribution specification 1.1).

use super::http::{Body, Reply, Site};
use diorite_model::{Digest, Error, Result};
use std::path::Path;

/// What an image of a registry is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `library/web`.
    pub name: String,
    /// `1.2`, `latest`.
    pub tag: String,
    /// Media type of the manifest.
    pub kind: String,
    /// The manifest's own bytes.
    pub manifest: Vec<u8>,
    /// Configuration and layers.
    pub blobs: Vec<Vec<u8>>,
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

impl Site {
    /// Adds all files below a directory, under this path.
    pub fn directory(&self, directory: &Path, under: &str) -> Result<()> {
        let failed = |e| Error::io("a directory to serve cannot be read", directory, e);
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = format!("{}/{}", under.trim_end_matches('/'), entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.directory(&entry.path(), &path)?;
            } else if kind.is_file() {
                self.set(path, Reply::file(entry.path()));
            }
        }
        Ok(())
    }

    /// Adds an image: its manifest by tag and by digest, its blobs by digest.
    pub fn image(&self, image: &Image) {
        self.set("/v2/", Reply::new(200, "application/json", "{}"));
        let manifest = digest(&image.manifest);
        let named = |reply: Reply, digest: &str| reply.field("Docker-Content-Digest", digest);
        for reference in [&image.tag, &manifest] {
            let reply = Reply::new(200, &image.kind, image.manifest.clone());
            self.set(format!("/v2/{}/manifests/{reference}", image.name), named(reply, &manifest));
        }
        for blob in &image.blobs {
            let digest = digest(blob);
            let reply =
                Reply { body: Body::Bytes(blob.as_slice().into()), ..Reply::new(200, "application/octet-stream", "") };
            self.set(format!("/v2/{}/blobs/{digest}", image.name), named(reply, &digest));
        }
    }
}
