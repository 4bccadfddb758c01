//! The look for secrets in a sealed tree, with what is known of its files: whose each is.

use crate::guest::GuestFiles;
use crate::origins::ImageOrigins;
use crate::overlay::Overlay;
use crate::paths::DATABASE;
use crate::secrets::{self, FileSource, PassedSecrets, PublicSecrets, SecretScan};
use crate::tree::{NodeKind, Tree, TreePath};
use diorite_model::{Digest, Result};
use std::collections::{BTreeMap, HashMap};

/// What must be kept of a build until its tree is searched.
pub(super) struct TreeScan<'a> {
    origins: &'a ImageOrigins,
    declared: PublicSecrets,
    /// By content, because sealing moves files.
    brought: HashMap<Digest, FileSource>,
    layers: BTreeMap<TreePath, String>,
}

impl<'a> TreeScan<'a> {
    pub(super) fn new(generated: &GuestFiles, overlays: &[Overlay], origins: &'a ImageOrigins) -> Self {
        let mut declared = generated.public.clone();
        let mut brought = HashMap::new();
        for node in generated.nodes.values() {
            if let NodeKind::File(content) = &node.kind {
                brought.insert(content.digest(), FileSource::Profile);
            }
        }
        for overlay in overlays {
            declared.extend(&overlay.public);
            for (path, entry) in &overlay.entries {
                if let NodeKind::File(content) = &entry.node.kind {
                    let place = overlay.place(path);
                    let source =
                        if entry.configured { FileSource::Configure(place) } else { FileSource::Overlay(place) };
                    brought.insert(content.digest(), source);
                }
            }
        }
        let images = generated.roots.iter().filter(|(_, root)| root.image);
        let layers = images.map(|(path, root)| (path.clone(), root.name.clone())).collect();
        Self { origins, declared, brought, layers }
    }

    pub(super) fn run(&self, tree: &Tree) -> Result<PassedSecrets> {
        let source = |path: &[u8], digest: &Digest| self.source(tree, path, digest);
        secrets::scan(tree, &SecretScan { shipped: &self.origins.shipped(), declared: &self.declared, source: &source })
    }

    fn source(&self, tree: &Tree, path: &[u8], digest: &Digest) -> FileSource {
        let layer = self.layers.iter().find_map(|(layer, name)| Some((path.strip_prefix(layer.as_slice())?, name)));
        if let Some((path, container)) = layer {
            let path = String::from_utf8_lossy(path).into_owned();
            return FileSource::Layer { container: container.clone(), path };
        }
        if let Some(source) = self.brought.get(digest) {
            return source.clone();
        }
        // Where it was before sealing moved it.
        let path = path.strip_prefix(b"usr/share/factory/").unwrap_or(path);
        if let Some(origin) = self.origins.machine.get(path) {
            return FileSource::Changed(origin.package.clone());
        }
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let whole = scripts_with(tree, &[b"/", path].concat());
        FileSource::Script(if whole.is_empty() && name.len() > 5 { scripts_with(tree, name) } else { whole })
    }
}

/// Packages whose maintainer scripts hold these words.
fn scripts_with(tree: &Tree, words: &[u8]) -> Vec<String> {
    let info = format!("{DATABASE}/info");
    let scripts = tree.children(info.as_bytes()).filter_map(|(path, node)| {
        let name = std::str::from_utf8(&path[info.len() + 1..]).ok()?;
        let (package, kind) = name.rsplit_once('.')?;
        let NodeKind::File(content) = &node.kind else { return None };
        let named = || content.bytes().windows(words.len()).any(|w| w == words);
        (["preinst", "postinst", "config"].contains(&kind) && named()).then(|| package.to_owned())
    });
    let mut packages: Vec<String> = scripts.collect();
    packages.dedup();
    packages
}
