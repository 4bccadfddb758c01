//! Sealed tree → what its bills of materials are made from: each root with its files, and who put each file there.

use super::inputs::BuildInputs;
use super::trees::BuildTrees;
use diorite_model::Digest;
use diorite_rootfs::origins::{ImageOrigins, Origins};
use diorite_rootfs::overlay::Overlay;
use diorite_rootfs::paths::{CONTAINER_STORE, DATABASE, DATABASE_BEFORE};
use diorite_rootfs::seal::SealedTree;
use diorite_rootfs::tree::{NodeKind, Tree, TreePath};
use diorite_trust::sbom::contents::{FileContents, FileOwner, ImageContents, TreeContents};
use diorite_trust::sbom::inventory::ImageInventory;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is known of files and packages before sealing, and not to be seen in the sealed tree.
pub struct SealedSources {
    /// dpkg's status file of each container that is made of packages: sealing takes it out.
    pub statuses: BTreeMap<String, Vec<u8>>,
    /// What packages and wheels brought.
    pub origins: ImageOrigins,
}

impl SealedSources {
    /// The status files of the containers that have one.
    pub fn statuses(trees: &BuildTrees) -> BTreeMap<String, Vec<u8>> {
        let of_packages = trees.containers.iter().filter(|(_, (_, config))| config.is_none());
        let status = |(tree, _): &super::images::ContainerRoot| {
            tree.read(format!("{DATABASE_BEFORE}/status")).map(<[u8]>::to_vec)
        };
        of_packages.filter_map(|(name, root)| Some((name.clone(), status(root)?))).collect()
    }
}

/// What an image is made of.
pub fn inventory(
    inputs: &BuildInputs,
    sealed: &SealedTree,
    sources: &SealedSources,
    root_hash: Digest,
    disk_sha256: Digest,
) -> ImageInventory {
    let tree = sealed.tree();
    let places = places(tree);
    let roots: BTreeMap<&String, (&TreePath, Tree)> =
        places.iter().map(|(name, place)| (name, (place, below(tree, place)))).collect();
    let machine = {
        let inside = |path: &[u8]| places.values().any(|place| path.starts_with(place));
        let overlays = inputs.overlays(&inputs.recipe.overlays);
        let source =
            |path: &[u8], digest: &Digest| source(&former(path), digest, &sources.origins.machine, &overlays, false);
        let files = files(tree).filter(|(path, ..)| !inside(path));
        TreeContents {
            place: TreePath::new(),
            status: tree.read(format!("{DATABASE}/status")).unwrap_or_default(),
            files: contents(files, &source),
            read: Box::new(move |path| tree.read(tree.resolve(path)?)),
        }
    };
    let none = Origins::default();
    let containers = roots.iter().map(|(name, (place, root))| {
        let about = &inputs.recipe.containers[*name];
        let origins = sources.origins.containers.get(*name).unwrap_or(&none);
        let overlays = inputs.overlays(&about.overlays);
        let source = |path: &[u8], digest: &Digest| source(path, digest, origins, &overlays, about.is_image());
        let contents = TreeContents {
            place: (*place).clone(),
            status: sources.statuses.get(*name).map(Vec::as_slice).unwrap_or_default(),
            files: contents(files(root), &source),
            read: Box::new(move |path| root.read(root.resolve(path)?)),
        };
        ((*name).clone(), contents)
    });
    let contents = ImageContents {
        recipe: &inputs.recipe,
        lock: &inputs.lock,
        root_hash,
        disk_sha256,
        machine,
        containers: containers.collect(),
    };
    diorite_trust::sbom::inventory(&contents)
}

/// Regular files: path, bytes, digest.
fn files(tree: &Tree) -> impl Iterator<Item = (&[u8], &[u8], Digest)> {
    tree.nodes.iter().filter_map(|(path, node)| match &node.kind {
        NodeKind::File(content) => Some((path.as_slice(), content.bytes(), content.digest())),
        _ => None,
    })
}

fn contents<'a>(
    files: impl Iterator<Item = (&'a [u8], &'a [u8], Digest)>,
    source: &dyn Fn(&[u8], &Digest) -> FileOwner,
) -> BTreeMap<&'a [u8], FileContents<'a>> {
    files.map(|(path, bytes, sha256)| (path, FileContents { bytes, sha256, source: source(path, &sha256) })).collect()
}

/// Who put a file there.
fn source(path: &[u8], digest: &Digest, origins: &Origins, overlays: &[Overlay], image: bool) -> FileOwner {
    let laid = overlays.iter().rev().find(|overlay| overlay.entries.contains_key(path));
    match (laid, origins.get(path)) {
        (Some(overlay), _) => FileOwner::Made(format!("overlay {}", overlay.name)),
        (None, Some(origin)) if origin.digest == *digest => FileOwner::Package(origin.package.clone()),
        (None, Some(origin)) => FileOwner::Changed(origin.package.clone()),
        (None, None) if image => FileOwner::Layer,
        (None, None) => FileOwner::Made("the profile, or scripts of packages".into()),
    }
}

/// Where a file was before sealing moved it.
fn former(path: &[u8]) -> TreePath {
    if let Some(rest) = path.strip_prefix(DATABASE.as_bytes()) {
        return [DATABASE_BEFORE.as_bytes(), rest].concat();
    }
    let Some(kept) = path.strip_prefix(b"usr/share/factory/") else { return path.to_vec() };
    let on_state = kept.strip_prefix(b"var/").filter(|rest| {
        let first = rest.split(|&b| b == b'/').next().unwrap_or_default();
        [&b"home"[..], b"srv", b"opt"].contains(&first)
    });
    on_state.unwrap_or(kept).to_vec()
}

/// An image of the machine's read-only store, as far as it is read here.
#[derive(Deserialize)]
struct StoreEntry {
    names: Vec<String>,
    layer: String,
}

/// Where the root of each container is: a path with a slash at its end.
fn places(tree: &Tree) -> BTreeMap<String, TreePath> {
    let list = tree.read(format!("{CONTAINER_STORE}/overlay-images/images.json")).unwrap_or(b"[]");
    let images: Vec<StoreEntry> = serde_json::from_slice(list).unwrap_or_default();
    let place = |image: &StoreEntry| {
        // `localhost/NAME:VERSION`
        let name = image.names.first()?.strip_prefix("localhost/")?.rsplit_once(':')?.0;
        Some((name.to_owned(), format!("{CONTAINER_STORE}/overlay/{}/diff/", image.layer).into_bytes()))
    };
    images.iter().filter_map(place).collect()
}

/// The tree below a directory, as a tree of its own.
fn below(tree: &Tree, place: &[u8]) -> Tree {
    let inside = |path: &[u8]| path.strip_prefix(place).map(<[u8]>::to_vec);
    let mut root = Tree::new();
    for (path, node) in tree.nodes.range(place.to_vec()..).take_while(|(path, _)| path.starts_with(place)) {
        let Some(path) = inside(path) else { continue };
        let mut node = node.clone();
        if let NodeKind::HardLink(first) = &node.kind {
            node.kind = NodeKind::HardLink(inside(first).unwrap_or_else(|| first.clone()));
        }
        root.nodes.insert(path, node);
    }
    root
}
