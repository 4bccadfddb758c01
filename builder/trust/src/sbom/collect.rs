//! ImageContents → ImageInventory: the packages of each root by its own database, what their files declare, and every file that
//! is not as something in the lock brought it.

use super::contents::{FileContents, FileOwner, ImageContents, TreeContents};
use super::debian::{self, InstalledPackage, OsRelease, PackageSources};
use super::inventory::{
    Component, ComponentKind, ComponentRelation, IMAGE, ImageIdentity, ImageInventory, InventoryFile,
};
use super::{alpine, depends, modules, owned, purl};
use diorite_model::python::normalized;
use diorite_model::recipe::ContainerSource;
use diorite_model::{LockedPackage, Recipe};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What an image is made of. The same contents give the same inventory.
pub fn inventory(contents: &ImageContents) -> ImageInventory {
    let ImageContents { recipe, lock, .. } = contents;
    let identity = ImageIdentity {
        name: recipe.image.name.clone(),
        version: recipe.image.version.clone(),
        epoch: recipe.image.epoch,
        root_hash: contents.root_hash,
        disk_sha256: contents.disk_sha256,
        architecture: recipe.archive.architecture.clone(),
    };
    let mut all = ImageInventory {
        image: identity,
        components: BTreeMap::new(),
        files: BTreeMap::new(),
        relations: Default::default(),
    };
    if let Some(OsRelease { id, version }) = OsRelease::of(&contents.machine) {
        let mut component = Component::new(ComponentKind::Distribution, None, &id, &version);
        component.supplier = (id == "debian").then(|| "Debian".to_owned());
        all.add(component, IMAGE);
    }
    tree(&mut all, recipe, None, &lock.image, &[], &contents.machine);
    for (name, root) in &contents.containers {
        let locked = lock.container.get(name).map(Vec::as_slice).unwrap_or_default();
        let wheels = lock.wheels.get(name).map(Vec::as_slice).unwrap_or_default();
        all.add(container(recipe, name, locked), IMAGE);
        let packages: Vec<_> = locked.iter().filter(|p| p.is_deb()).cloned().collect();
        tree(&mut all, recipe, Some(name), &packages, wheels, root);
    }
    all
}

/// A container: of an image that others made, with the digest by which the lock has it.
fn container(recipe: &Recipe, name: &str, locked: &[LockedPackage]) -> Component {
    let mut component = Component::new(ComponentKind::Container, Some(name), name, &recipe.image.version);
    let architecture = &recipe.archive.architecture;
    component.architecture = Some(architecture.clone());
    match recipe.containers.get(name).map(|container| &container.source) {
        Some(ContainerSource::Oci(_)) => {
            // `REPOSITORY/manifests/sha256:…`
            let manifest = locked.iter().find(|file| file.name == "manifest");
            let repository = manifest.and_then(|file| file.path.rsplitn(3, '/').nth(2));
            if let (Some(manifest), Some(repository)) = (manifest, repository) {
                let last = repository.rsplit('/').next().unwrap_or(repository).to_lowercase();
                let qualifiers = [("arch", architecture.as_str()), ("repository_url", repository)];
                component.version = format!("sha256:{}", manifest.sha256);
                component.purl = Some(purl::purl("oci", "", &last, &component.version, &qualifiers));
                component.sha256 = Some(manifest.sha256);
                component.file = Some(repository.to_owned());
            }
        }
        Some(ContainerSource::Archive(path)) => {
            component.sha256 = locked.first().map(|file| file.sha256);
            component.version = component.sha256.map(|sha256| format!("sha256:{sha256}")).unwrap_or_default();
            component.file = Some(path.clone());
        }
        Some(ContainerSource::Packages(_)) | None => {}
    }
    component
}

/// Adds one root.
fn tree(
    all: &mut ImageInventory,
    recipe: &Recipe,
    container: Option<&str>,
    locked: &[LockedPackage],
    wheels: &[LockedPackage],
    contents: &TreeContents,
) {
    let place = ImageInventory::place(container);
    let unknown = || OsRelease { id: "linux".into(), version: String::new() };
    let distribution = OsRelease::of(contents).unwrap_or_else(unknown);
    let sources = PackageSources { recipe, container, locked, distribution: &distribution };
    let installed = debian::packages(contents, &sources);
    let mut ids = packages(all, &installed, &sources, &place);
    let alpine = alpine::packages(contents, &sources);
    for component in alpine.components {
        all.add(component, &place);
    }
    for wheel in wheels {
        let id = all.add(python(container, wheel), &place);
        ids.insert(wheel.file_name().to_owned(), id);
    }
    let mut owned = owned::by_lists(contents, &installed);
    owned.extend(alpine.owned);
    for (path, file) in &contents.files {
        let owner = match &file.source {
            FileOwner::Package(name) | FileOwner::Changed(name) => ids.get(name),
            FileOwner::Layer => owned.get(*path),
            FileOwner::Made(_) => None,
        };
        let shown = shown(&[b"/", contents.place.as_slice(), path].concat());
        for module in modules::declared(path, file.bytes) {
            let mut component = Component::new(module.kind, container, &module.name, &module.version);
            component.purl = Some(module.purl());
            component.declared_in.insert(shown.clone());
            let parent = owner.unwrap_or(&place);
            // A wheel declares itself.
            if component.id() != *parent {
                all.add(component, parent);
            }
        }
        if let Some(source) = unbrought(file, owner.is_some()) {
            let id = format!("{place}/files{shown}");
            let file = InventoryFile {
                path: shown,
                container: container.map(str::to_owned),
                sha1: sha1(file.bytes),
                sha256: file.sha256,
                source,
            };
            all.files.insert(id.clone(), file);
            all.relations.insert((place.clone(), ComponentRelation::Contains, id.clone()));
            if let Some(owner) = owner {
                all.relations.insert((id, ComponentRelation::MadeOf, owner.clone()));
            }
        }
    }
}

/// Adds packages with what they need and what was built into them; their ids by name.
fn packages(
    all: &mut ImageInventory,
    installed: &[InstalledPackage],
    sources: &PackageSources,
    place: &str,
) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for package in installed {
        let id = all.add(package.component.clone(), place);
        ids.insert(package.component.name.clone(), id.clone());
        let own = package.component.source.as_ref();
        for (name, version) in debian::built_using(&package.control) {
            if own.is_some_and(|(source, built)| (source, built) == (&name, &version)) {
                continue;
            }
            all.add_related(debian::source_package(&name, &version, sources), &id, ComponentRelation::MadeOf);
        }
    }
    let needs = depends::pairs(installed).into_iter().filter(|(one, other)| one != other);
    all.relations.extend(needs.map(|(one, other)| (one, ComponentRelation::DependsOn, other)));
    ids
}

/// A wheel of the lock.
fn python(container: Option<&str>, wheel: &LockedPackage) -> Component {
    let name = normalized(&wheel.name).unwrap_or_else(|_| wheel.name.clone());
    let mut component = Component::new(ComponentKind::Python, container, &name, &wheel.version);
    component.purl = Some(purl::python(&name, &wheel.version));
    component.sha256 = Some(wheel.sha256);
    component.file = Some(wheel.file_name().to_owned());
    component
}

/// Who put a file there, where nothing in the lock did as it is.
fn unbrought(file: &FileContents, owned: bool) -> Option<String> {
    match &file.source {
        FileOwner::Package(_) => None,
        FileOwner::Changed(name) => Some(format!("package {name}, changed by a script")),
        FileOwner::Layer => (!owned).then(|| "image of the container".to_owned()),
        FileOwner::Made(source) => Some(source.clone()),
    }
}

fn sha1(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(40);
    for byte in Sha1::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A path as text: bytes that are no printable UTF-8, and backslashes, stand as `\xNN`, as in tree.manifest.
fn shown(path: &[u8]) -> String {
    let mut text = String::new();
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                escape(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(c);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

fn escape(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}
