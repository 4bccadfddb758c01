//! ConfiguredTree + generated files + overlays → [`SealedTree`]: owners, modes, times frozen; identity taken out; /boot
//! taken apart; /var made into what systemd-tmpfiles rebuilds on state.

mod clean;
mod container;
mod dpkg;
mod privileges;
mod var;

pub use container::{ContainerTree, container, image};
pub use privileges::list as privileges;

use crate::configure::Change;
use crate::guest::{Generated, accounts};
use crate::overlay::{self, Overlay};
use crate::secrets::{self, Public};
use crate::tree::{Kind, Node, Tree, TreePath};
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeSet;

/// A tree that is ready to become a file system, and the parts of it that go elsewhere.
#[derive(Debug, Clone)]
pub struct SealedTree {
    /// The root.
    pub tree: Tree,
    /// The kernel, as in /boot (a PE file, Documentation/admin-guide/efi-stub.rst).
    pub kernel: Vec<u8>,
    /// Its release: the name of its directory in usr/lib/modules.
    pub kernel_release: String,
    /// systemd-stub(7), the program a unified kernel image is built on.
    pub stub: Vec<u8>,
    /// systemd-boot(7).
    pub boot_manager: Vec<u8>,
    /// os-release(5) of the image.
    pub os_release: Vec<u8>,
    /// What looks like a secret in it and is none.
    pub public: Public,
    /// What `configure` programs of overlays did.
    pub changes: Vec<Change>,
}

/// Seals a configured tree.
///
/// Order: clean, generated files, overlays (which may replace generated files if they declare `override`), privileges,
/// state, package database, boot, times, and a look for secrets.
///
/// # Errors
/// Overlays in conflict, an owner the tree does not know, a privilege nobody declared, no kernel or more than one, a
/// secret left in the tree.
pub fn seal(configured: Tree, generated: Generated, overlays: &[Overlay], recipe: &Recipe) -> Result<SealedTree> {
    let mut tree = configured;
    let before: BTreeSet<TreePath> = tree.nodes.keys().cloned().collect();
    let alias = dpkg::Aliases::of(&tree);
    detach(&mut tree);
    clean::root(&mut tree);
    overlay::conflicts(overlays)?;
    let epoch = i64::try_from(recipe.image.epoch).unwrap_or(i64::MAX);
    for path in &generated.removed {
        tree.remove(path);
    }
    against_generated(&generated, overlays)?;
    for (path, mut node) in generated.nodes {
        node.mtime = epoch;
        tree.insert(path, node);
    }
    lay(&mut tree, overlays, epoch)?;
    privileges::strip(&mut tree, overlays, recipe)?;
    var::to_state(&mut tree)?;
    dpkg::move_database(&mut tree);
    let (kernel, kernel_release) = take_kernel(&mut tree)?;
    let boot = |name: &str| {
        let path = format!("usr/lib/systemd/boot/efi/{name}");
        tree.read(path.as_bytes()).map(<[u8]>::to_vec).ok_or_else(|| {
            Error::input(format!("the image has no /{path}")).hint("the package `systemd-boot-efi` brings it")
        })
    };
    let machine = if recipe.archive.architecture == "arm64" { "aa64" } else { "x64" };
    let stub = boot(&format!("linux{machine}.efi.stub"))?;
    let boot_manager = boot(&format!("systemd-boot{machine}.efi"))?;
    dpkg::forget_removed(&mut tree, &before, &alias);
    for node in tree.nodes.values_mut() {
        // Never set what a package brought: compiled Python files hold the times of their sources. Zero is ours.
        node.mtime = if node.mtime == 0 { epoch } else { node.mtime.min(epoch) };
    }
    let mut public = generated.public;
    overlays.iter().for_each(|o| public.extend(&o.public));
    let public = secrets::scan(&tree, &public)?;
    let os_release = tree.resolve(b"etc/os-release").and_then(|p| tree.read(&p).map(<[u8]>::to_vec));
    let os_release = os_release.ok_or_else(|| Error::bug("the sealed tree has no /etc/os-release"))?;
    Ok(SealedTree { tree, kernel, kernel_release, stub, boot_manager, os_release, public, changes: Vec::new() })
}

/// Makes hard links that lead into or out of directories that are moved or emptied files of their own.
fn detach(tree: &mut Tree) {
    let moves = |path: &[u8]| [&b"var/"[..], b"boot/", b"etc/", b"home/", b"srv/"].iter().any(|d| path.starts_with(d));
    let links: Vec<(TreePath, TreePath)> = tree
        .nodes
        .iter()
        .filter_map(|(path, node)| match &node.kind {
            Kind::HardLink(first) if moves(path) || moves(first) => Some((path.clone(), first.clone())),
            _ => None,
        })
        .collect();
    for (path, first) in links {
        if let Some(node) = tree.get(&first).cloned() {
            tree.nodes.insert(path, node);
        }
    }
}

/// An overlay over a generated file is a conflict like any other.
fn against_generated(generated: &Generated, overlays: &[Overlay]) -> Result<()> {
    for overlay in overlays.iter().filter(|o| !o.overrides) {
        let both = overlay
            .entries
            .iter()
            .find(|(path, entry)| generated.nodes.contains_key(*path) && !matches!(entry.node.kind, Kind::Directory));
        if let Some((path, _)) = both {
            let place = overlay.place(path);
            let path = String::from_utf8_lossy(path);
            return Err(Error::input(format!("overlay `{}` and the profile both make /{path}", overlay.name))
                .at(place)
                .hint(format!(
                    "say it in the profile, or write `override = true` in overlays/{}/overlay.toml",
                    overlay.name
                )));
        }
    }
    Ok(())
}

/// Lays overlays over a tree, with owners by the tree's own accounts. A directory that is there already keeps its owner
/// and mode unless the overlay names them; a link to a directory that is there is followed.
pub(crate) fn lay(tree: &mut Tree, overlays: &[Overlay], epoch: i64) -> Result<()> {
    for overlay in overlays {
        for (path, entry) in &overlay.entries {
            let mut node = entry.node.clone();
            node.mtime = epoch;
            if let Some((user, group)) = &entry.owner {
                let unknown = |what: &str, name: &str| {
                    Error::input(format!("{what} `{name}` does not exist in the image"))
                        .at(format!("overlays/{}/overlay.toml, {}", overlay.name, String::from_utf8_lossy(path)))
                        .hint("name an account that a package of the profile makes, or a number")
                };
                let number = accounts::number;
                node.uid = number(tree, "etc/passwd", user).ok_or_else(|| unknown("user", user))?;
                node.gid = number(tree, "etc/group", group).ok_or_else(|| unknown("group", group))?;
            }
            let target = place(tree, path);
            let special = entry.owner.is_some() || entry.node.mode != 0o755;
            let there = tree.get(&target).is_some_and(|n| matches!(n.kind, Kind::Directory));
            if matches!(node.kind, Kind::Directory) && there && !special {
                continue;
            }
            tree.insert(target, node);
        }
    }
    Ok(())
}

/// Where a path leads when links among its parents are followed; a last part that is a link is replaced, not followed.
fn place(tree: &Tree, path: &[u8]) -> TreePath {
    let Some(cut) = path.iter().rposition(|&b| b == b'/') else { return path.to_vec() };
    let parent = tree.resolve(&path[..cut]).unwrap_or_else(|| place(tree, &path[..cut]));
    if parent.is_empty() { path[cut + 1..].to_vec() } else { [&parent, &path[cut..]].concat() }
}

/// Takes /boot's content out: the kernel goes into the unified kernel image, the rest is nobody's.
fn take_kernel(tree: &mut Tree) -> Result<(Vec<u8>, String)> {
    let found: Vec<(String, TreePath)> = tree
        .children(b"boot")
        .filter_map(|(path, node)| {
            let name = std::str::from_utf8(path).ok()?.strip_prefix("boot/vmlinuz-")?;
            matches!(node.kind, Kind::File(_)).then(|| (name.to_owned(), path.to_vec()))
        })
        .collect();
    let [(release, path)] = found.as_slice() else {
        let names: Vec<_> = found.iter().map(|(r, _)| r.as_str()).collect();
        return Err(Error::input(format!("an image has one kernel, and this tree has {}", found.len()))
            .at("/boot")
            .because(if names.is_empty() { "no package brings one".to_owned() } else { names.join(", ") })
            .hint("`linux-image-cloud-amd64` is always installed; take other kernels out of the profile"));
    };
    let kernel = tree.read(path).map(<[u8]>::to_vec).unwrap_or_default();
    for (below, _) in tree.children(b"boot").map(|(p, n)| (p.to_vec(), n.mode)).collect::<Vec<_>>() {
        tree.remove(&below);
    }
    Ok((kernel, release.clone()))
}

/// An empty directory in place of whatever was there.
fn empty(tree: &mut Tree, path: &str, mode: u32) {
    tree.remove(path.as_bytes());
    tree.insert(path.as_bytes().to_vec(), Node::directory(mode));
}

#[cfg(test)]
mod tests;
