//! Tree + generated files + overlays → [`SealedTree`]: owners, modes, times frozen; identity taken out; /boot
//! taken apart; /var made into what systemd-tmpfiles rebuilds on state.

mod clean;
mod dpkg;
mod keystore;
mod secret_scan;
mod setuid;
mod var;

use crate::carried::{self, CarriedInputs};
use crate::guest::GuestFiles;
use crate::origins::ImageOrigins;
use crate::overlay::{self, Overlay};
use crate::provenance::KnownFiles;
use crate::secrets::{PassedSecret, PassedSecrets, PublicSecrets};
use crate::tree::edit::detach_links;
use crate::tree::{NodeKind, Tree, TreePath};
use diorite_model::{Error, Recipe, Result};
use std::collections::BTreeSet;

/// A tree that is ready to become a file system, and the parts of it that go elsewhere.
#[derive(Debug, Clone)]
pub struct SealedTree {
    tree: Tree,
    kernel: Vec<u8>,
    kernel_release: String,
    stub: Vec<u8>,
    boot_manager: Vec<u8>,
    os_release: Vec<u8>,
    passed: PassedSecrets,
}

impl SealedTree {
    /// The root.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
    /// The kernel, as in /boot (a PE file, Documentation/admin-guide/efi-stub.rst).
    pub fn kernel(&self) -> &[u8] {
        &self.kernel
    }
    /// Its release: the name of its directory in usr/lib/modules.
    pub fn kernel_release(&self) -> &str {
        &self.kernel_release
    }
    /// systemd-stub(7), the program a unified kernel image is built on.
    pub fn stub(&self) -> &[u8] {
        &self.stub
    }
    /// systemd-boot(7).
    pub fn boot_manager(&self) -> &[u8] {
        &self.boot_manager
    }
    /// os-release(5) of the image.
    pub fn os_release(&self) -> &[u8] {
        &self.os_release
    }
    /// What looks like a secret in it and is none.
    pub fn public(&self) -> &PublicSecrets {
        &self.passed.public
    }
    /// The same for people: where it is, and why it is none.
    pub fn passed_secrets(&self) -> &[PassedSecret] {
        &self.passed.list
    }
}

/// Seals a configured tree, whose files and whose containers' files have these origins, and which is made from this lock.
///
/// Order: clean, generated files, overlays (which may replace generated files if they declare `override`), privileges,
/// state, package database, boot, what the image carries about itself, times, and a look for secrets.
///
/// # Errors
/// Overlays in conflict, an owner the tree does not know, a privilege nobody declared, no kernel or more than one, a
/// secret left in the tree.
pub fn seal(
    configured: Tree,
    generated: GuestFiles,
    overlays: &[Overlay],
    recipe: &Recipe,
    origins: &ImageOrigins,
    inputs: &CarriedInputs,
) -> Result<SealedTree> {
    let mut tree = configured;
    let before: BTreeSet<TreePath> = tree.nodes.keys().cloned().collect();
    let alias = dpkg::Aliases::of(&tree);
    detach_links(&mut tree);
    clean::root(&mut tree, &recipe.packages.files);
    let epoch = i64::try_from(recipe.image.epoch).unwrap_or(i64::MAX);
    keystore::clamp(&mut tree, epoch);
    overlay::conflicts(overlays)?;
    for path in &generated.removed {
        tree.remove(path);
    }
    against_generated(&generated, overlays)?;
    overlay::over_packages(&tree, overlays, &origins.machine)?;
    let search = secret_scan::TreeScan::new(&generated, overlays, origins);
    let GuestFiles { nodes, tables, roots, .. } = generated;
    for (path, mut node) in nodes {
        node.mtime = epoch;
        tree.insert(path, node);
    }
    let laid = overlay::lay(&mut tree, overlays, epoch)?;
    setuid::strip(&mut tree, overlays, recipe)?;
    var::to_state(&mut tree)?;
    dpkg::move_database(&mut tree);
    let (kernel, kernel_release) = take_kernel(&mut tree, recipe.kernel.package())?;
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
    let known = KnownFiles { configured: &before, tables: &tables, roots: &roots, laid: &laid, origins };
    carried::put(&mut tree, recipe, inputs, &kernel, &known);
    for node in tree.nodes.values_mut() {
        // Never set what a package brought: compiled Python files hold the times of their sources. Zero is ours.
        node.mtime = if node.mtime == 0 { epoch } else { node.mtime.min(epoch) };
    }
    let passed = search.run(&tree)?;
    let os_release = tree.resolve(b"etc/os-release").and_then(|p| tree.read(&p).map(<[u8]>::to_vec));
    let os_release = os_release.ok_or_else(|| Error::bug("the sealed tree has no /etc/os-release"))?;
    Ok(SealedTree { tree, kernel, kernel_release, stub, boot_manager, os_release, passed })
}

/// An overlay over a generated file is a conflict like any other.
fn against_generated(generated: &GuestFiles, overlays: &[Overlay]) -> Result<()> {
    for overlay in overlays.iter().filter(|o| !o.overrides) {
        let both = overlay.entries.iter().find(|(path, entry)| {
            generated.nodes.contains_key(*path) && !matches!(entry.node.kind, NodeKind::Directory)
        });
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

/// Takes /boot's content out: the kernel goes into the unified kernel image, and nothing reads the rest (configuration, symbols).
fn take_kernel(tree: &mut Tree, package: &str) -> Result<(Vec<u8>, String)> {
    let found: Vec<(String, TreePath)> = tree
        .children(b"boot")
        .filter_map(|(path, node)| {
            let name = std::str::from_utf8(path).ok()?.strip_prefix("boot/vmlinuz-")?;
            matches!(node.kind, NodeKind::File(_)).then(|| (name.to_owned(), path.to_vec()))
        })
        .collect();
    let [(release, path)] = found.as_slice() else {
        let names: Vec<_> = found.iter().map(|(r, _)| r.as_str()).collect();
        let error = match names.is_empty() {
            true => Error::input(format!("package `{package}` is no kernel"))
                .at("kernel.package")
                .because("neither it nor what it needs brings a /boot/vmlinuz-RELEASE")
                .hint("name the package that does, such as `linux-image-rt-amd64`"),
            false => Error::input(format!("an image has one kernel, and this tree has {}", found.len()))
                .at("/boot")
                .because(names.join(", "))
                .hint(format!(
                    "`{package}` is installed as the kernel; name another one as `package` in `[kernel]`, and none in \
                     `packages.include`"
                )),
        };
        return Err(error);
    };
    let kernel = tree.read(path).map(<[u8]>::to_vec).unwrap_or_default();
    for (below, _) in tree.children(b"boot").map(|(p, n)| (p.to_vec(), n.mode)).collect::<Vec<_>>() {
        tree.remove(&below);
    }
    Ok((kernel, release.clone()))
}

#[cfg(test)]
mod tests;
