//! Recipe + Tree → the files that make the tree this machine. A table of the profile has a file of its own, named like it.
//!
//! Every generated file goes through a serializer that knows its format; no value is ever pasted into a template.

mod access;
mod acme;
mod backup;
mod certificates;
mod config_drive;
mod container_networks;
mod containers;
mod databases;
pub mod firewall;
mod hardening;
pub mod health;
mod image;
mod ini;
mod initrd;
mod kernel;
mod locale;
mod memory;
mod monitoring;
mod mounts;
pub mod network;
mod own_values;
mod sandbox;
mod services;
mod slapd;
mod ssl_cert;
mod state;
mod system;
mod time;
mod trust;
mod units;
mod vpn;
mod yaml;

use crate::container::ContainerTree;
use crate::overlay::Overlay;
use crate::secrets::PublicSecrets;
use crate::tree::{Node, NodeKind, Tree, TreePath};
use diorite_model::{Error, Recipe, Result};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be put into the tree and what is to be taken out of it first.
#[derive(Debug, Clone)]
pub struct Guest<'a> {
    tree: &'a Tree,
    overlays: &'a [Overlay],
    nodes: BTreeMap<TreePath, Node>,
    removed: BTreeSet<TreePath>,
    layers: BTreeMap<TreePath, String>,
}

/// What [`generate`] makes: no longer tied to the tree it was made for.
#[derive(Debug, Clone, Default)]
pub struct GuestFiles {
    /// Files by path.
    pub(crate) nodes: BTreeMap<TreePath, Node>,
    /// Paths that must go before these files come.
    pub(crate) removed: BTreeSet<TreePath>,
    /// What looks like a secret in the containers and is none.
    pub(crate) public: PublicSecrets,
    /// Containers whose root is an image, by the path of their layer.
    pub(crate) layers: BTreeMap<TreePath, String>,
}

/// Generates everything the recipe says, for this tree and these containers, with the units of overlays known.
///
/// # Errors
/// A unit or account that the recipe names and the tree lacks; a container whose name is a unit's of the system.
pub fn generate(
    recipe: &Recipe,
    tree: &Tree,
    overlays: &[Overlay],
    containers: &BTreeMap<String, ContainerTree>,
) -> Result<GuestFiles> {
    let mut guest = Guest::new(tree, overlays);
    image::generate(&mut guest, recipe)?;
    state::generate(&mut guest, recipe)?;
    mounts::generate(&mut guest, recipe)?;
    memory::generate(&mut guest, recipe)?;
    network::generate(&mut guest, recipe)?;
    vpn::generate(&mut guest, recipe)?;
    trust::generate(&mut guest, recipe)?;
    ssl_cert::generate(&mut guest)?;
    own_values::generate(&mut guest)?;
    slapd::generate(&mut guest)?;
    databases::generate(&mut guest, recipe)?;
    time::generate(&mut guest, recipe)?;
    locale::generate(&mut guest, recipe)?;
    firewall::generate(&mut guest, recipe)?;
    access::generate(&mut guest, recipe)?;
    containers::generate(&mut guest, recipe, containers)?;
    certificates::script(&mut guest, recipe)?;
    backup::generate(&mut guest, recipe)?;
    container_networks::generate(&mut guest, recipe)?;
    monitoring::generate(&mut guest, recipe)?;
    kernel::generate(&mut guest, recipe)?;
    services::generate(&mut guest, recipe)?;
    system::generate(&mut guest)?;
    services::switch(&mut guest, recipe)?;
    health::generate(&mut guest, recipe)?;
    initrd::generate(&mut guest, recipe)?;
    config_drive::generate(&mut guest, recipe)?;
    // Last: it closes and opens what all the others made.
    hardening::generate(&mut guest, recipe)?;
    let mut public = PublicSecrets::default();
    containers.values().for_each(|c| public.extend(c.public()));
    Ok(GuestFiles { nodes: guest.nodes, removed: guest.removed, public, layers: guest.layers })
}

impl<'a> Guest<'a> {
    /// Nothing generated yet.
    pub fn new(tree: &'a Tree, overlays: &'a [Overlay]) -> Self {
        Self { tree, overlays, nodes: BTreeMap::new(), removed: BTreeSet::new(), layers: BTreeMap::new() }
    }

    fn put(&mut self, path: &str, node: Node) -> Result<()> {
        let fine = !path.is_empty() && path.split('/').all(|p| !matches!(p, "" | "." | ".."));
        if !fine || path.chars().any(char::is_control) {
            return Err(Error::bug(format!("{path:?} is not a valid path for a generated file")));
        }
        match self.nodes.insert(path.as_bytes().to_vec(), node) {
            Some(Node { kind: NodeKind::File(_), .. }) => Err(Error::bug(format!("/{path} is generated twice"))),
            _ => Ok(()),
        }
    }
    /// A regular file of root's.
    fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.put(path, Node::file(mode, bytes))
    }
    /// A symbolic link.
    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.put(path, Node::symlink(target))
    }
    /// A directory of root's.
    fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        self.put(path, Node::directory(mode))
    }
    /// Takes a path, and what is below it, out of the tree.
    fn remove(&mut self, path: &str) {
        self.removed.insert(path.as_bytes().to_vec());
    }
    /// The bytes a path will have: generated, an overlay's, or the tree's.
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let key = path.as_bytes();
        let bytes = |node: &Node| match &node.kind {
            NodeKind::File(content) => Some(content.bytes().to_vec()),
            _ => None,
        };
        if let Some(node) = self.nodes.get(key) {
            return bytes(node);
        }
        if let Some(entry) = self.overlays.iter().rev().find_map(|o| o.entries.get(key)) {
            return bytes(&entry.node);
        }
        let resolved = self.tree.resolve(key)?;
        self.tree.read(&resolved).map(<[u8]>::to_vec)
    }
    /// Will there be a file here?
    fn has(&self, path: &str) -> bool {
        self.nodes.contains_key(path.as_bytes())
            || self.overlays.iter().any(|o| o.entries.contains_key(path.as_bytes()))
            || self.tree.resolve(path.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests;
