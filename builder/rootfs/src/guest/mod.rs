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
mod signing;
mod slapd;
mod ssl_cert;
mod state;
mod system;
mod time;
mod trust;
mod units;
mod vpn;
mod yaml;

use crate::container_root::ContainerTree;
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
    tables: BTreeMap<TreePath, &'static str>,
    removed: BTreeSet<TreePath>,
    roots: BTreeMap<TreePath, PlacedRoot>,
    /// What is being generated.
    table: &'static str,
}

/// What [`generate`] makes: no longer tied to the tree it was made for.
#[derive(Debug, Clone, Default)]
pub struct GuestFiles {
    /// Files by path.
    pub(crate) nodes: BTreeMap<TreePath, Node>,
    /// The table that each of them is made from, or what else makes it: the name of its file here.
    pub(crate) tables: BTreeMap<TreePath, &'static str>,
    /// Paths that must go before these files come.
    pub(crate) removed: BTreeSet<TreePath>,
    /// What looks like a secret in the containers and is none.
    pub(crate) public: PublicSecrets,
    /// Roots of containers by their paths.
    pub(crate) roots: BTreeMap<TreePath, PlacedRoot>,
}

/// The root of a container, as it is known when the machine's tree is sealed.
#[derive(Debug, Clone)]
pub(crate) struct PlacedRoot {
    /// The container; of several with the same root, the first.
    pub name: String,
    /// Others made it: it is an image, and not made of packages.
    pub image: bool,
    /// What overlays laid over it: paths inside it, and the overlay's name.
    pub overlaid: BTreeMap<TreePath, String>,
}

/// A table, and what generates its files.
type TableGenerator<'a> = (&'static str, &'a dyn Fn(&mut Guest) -> Result<()>);

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
    let tables: &[TableGenerator] = &[
        ("image", &|guest| image::generate(guest, recipe)),
        ("state", &|guest| state::generate(guest, recipe)),
        ("mounts", &|guest| mounts::generate(guest, recipe)),
        ("memory", &|guest| memory::generate(guest, recipe)),
        ("network", &|guest| network::generate(guest, recipe)),
        ("vpn", &|guest| vpn::generate(guest, recipe)),
        ("trust", &|guest| trust::generate(guest, recipe)),
        ("ssl_cert", &|guest| ssl_cert::generate(guest)),
        ("own_values", &|guest| own_values::generate(guest)),
        ("slapd", &|guest| slapd::generate(guest)),
        ("databases", &|guest| databases::generate(guest, recipe)),
        ("time", &|guest| time::generate(guest, recipe)),
        ("locale", &|guest| locale::generate(guest, recipe)),
        ("firewall", &|guest| firewall::generate(guest, recipe)),
        ("access", &|guest| access::generate(guest, recipe)),
        ("containers", &|guest| containers::generate(guest, recipe, containers)),
        ("certificates", &|guest| certificates::script(guest, recipe)),
        ("backup", &|guest| backup::generate(guest, recipe)),
        ("container_networks", &|guest| container_networks::generate(guest, recipe)),
        ("monitoring", &|guest| monitoring::generate(guest, recipe)),
        ("kernel", &|guest| kernel::generate(guest, recipe)),
        ("services", &|guest| services::generate(guest, recipe)),
        ("system", &|guest| system::generate(guest)),
        ("services", &|guest| services::switch(guest, recipe)),
        ("health", &|guest| health::generate(guest, recipe)),
        ("initrd", &|guest| initrd::generate(guest, recipe)),
        ("signing", &|guest| signing::generate(guest, recipe)),
        ("config_drive", &|guest| config_drive::generate(guest, recipe)),
        // Last: it closes and opens what all the others made.
        ("hardening", &|guest| hardening::generate(guest, recipe)),
    ];
    for (table, generate) in tables {
        guest.table = table;
        generate(&mut guest)?;
    }
    let mut public = PublicSecrets::default();
    containers.values().for_each(|c| public.extend(c.public()));
    let Guest { nodes, tables, removed, roots, .. } = guest;
    Ok(GuestFiles { nodes, tables, removed, public, roots })
}

impl<'a> Guest<'a> {
    /// Nothing generated yet.
    pub fn new(tree: &'a Tree, overlays: &'a [Overlay]) -> Self {
        let (nodes, tables, removed, roots) = Default::default();
        Self { tree, overlays, nodes, tables, removed, roots, table: "" }
    }

    fn put(&mut self, path: &str, node: Node) -> Result<()> {
        let fine = !path.is_empty() && path.split('/').all(|p| !matches!(p, "" | "." | ".."));
        if !fine || path.chars().any(char::is_control) {
            return Err(Error::bug(format!("{path:?} is not a valid path for a generated file")));
        }
        self.tables.insert(path.as_bytes().to_vec(), self.table);
        match self.nodes.insert(path.as_bytes().to_vec(), node) {
            Some(Node { kind: NodeKind::File(_), .. }) => Err(Error::bug(format!("/{path} is generated twice"))),
            _ => Ok(()),
        }
    }
    /// Many files, of one table.
    fn extend(&mut self, nodes: impl IntoIterator<Item = (TreePath, Node)>) {
        for (path, node) in nodes {
            self.tables.insert(path.clone(), self.table);
            self.nodes.insert(path, node);
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
