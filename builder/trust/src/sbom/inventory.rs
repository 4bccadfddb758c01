//! What both formats say: components, files, and relations between them, in one order and with names that depend on nothing
//! but what they name.

use diorite_model::{Digest, Hasher, date, uuid};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// An image and all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageInventory {
    /// The image.
    pub image: ImageIdentity,
    /// Everything with a name and a version, by id.
    pub components: BTreeMap<String, Component>,
    /// Files that are not as something in the lock brought them, by id.
    pub files: BTreeMap<String, InventoryFile>,
    /// Who contains, needs, or is made of whom; by ids, or [`IMAGE`].
    pub relations: BTreeSet<(String, ComponentRelation, String)>,
}

/// The id of the image itself.
pub const IMAGE: &str = "image";

/// What the whole is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageIdentity {
    /// IMAGE_ID of os-release(5).
    pub name: String,
    /// IMAGE_VERSION of os-release(5).
    pub version: String,
    /// The time of all its files, in seconds since 1970.
    pub epoch: u64,
    /// Top of the hash tree of its root file system.
    pub root_hash: Digest,
    /// SHA-256 of `disk.raw`.
    pub disk_sha256: Digest,
    /// `amd64`.
    pub architecture: String,
}

/// What kind of thing a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// The distribution that the machine is an installation of.
    Distribution,
    /// A package of dpkg.
    Deb,
    /// A package of dpkg that is a kernel.
    Kernel,
    /// A package of dpkg that holds programs for devices.
    Firmware,
    /// A source package of which something was built into a package.
    Source,
    /// A package of apk.
    Apk,
    /// A container.
    Container,
    /// A distribution of Python.
    Python,
    /// A Go module.
    Go,
    /// A crate.
    Rust,
}

impl ComponentKind {
    /// As it stands in an id and in a property.
    pub fn name(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Deb => "deb",
            Self::Kernel => "kernel",
            Self::Firmware => "firmware",
            Self::Source => "source",
            Self::Apk => "apk",
            Self::Container => "container",
            Self::Python => "python",
            Self::Go => "go",
            Self::Rust => "rust",
        }
    }
    /// A package of dpkg.
    pub fn is_deb(self) -> bool {
        matches!(self, Self::Deb | Self::Kernel | Self::Firmware)
    }
}

/// Something with a name and a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// What kind of thing.
    pub kind: ComponentKind,
    /// The container it is in; none for the machine itself.
    pub container: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version; empty where it has none.
    pub version: String,
    /// Its architecture, in the words of its own packages.
    pub architecture: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
    /// SHA-256 of the file that brought it.
    pub sha256: Option<Digest>,
    /// The name of that file.
    pub file: Option<String>,
    /// The source package it is built from, and its version.
    pub source: Option<(String, String)>,
    /// Who distributes it.
    pub supplier: Option<String>,
    /// Who looks after it: `NAME <ADDRESS>`.
    pub maintainer: Option<String>,
    /// What its author says about its licence, as an expression of SPDX.
    pub licence: Option<String>,
    /// Where people read about it.
    pub homepage: Option<String>,
    /// Files that declare it, in the machine's root.
    pub declared_in: BTreeSet<String>,
}

impl Component {
    /// A component of which nothing but this is known.
    pub fn new(kind: ComponentKind, container: Option<&str>, name: &str, version: &str) -> Self {
        Self {
            kind,
            container: container.map(str::to_owned),
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: None,
            purl: None,
            sha256: None,
            file: None,
            source: None,
            supplier: None,
            maintainer: None,
            licence: None,
            homepage: None,
            declared_in: BTreeSet::new(),
        }
    }

    /// Its id: where it is, what it is, and its name; with the version where several may be there at once.
    pub fn id(&self) -> String {
        let place = self.container.as_deref().map_or("machine".to_owned(), |name| format!("containers/{name}"));
        let Self { kind, name, version, .. } = self;
        match kind {
            ComponentKind::Container => format!("containers/{name}"),
            kind if kind.is_deb() => {
                let architecture = self.architecture.as_deref().unwrap_or_default();
                format!("{place}/deb/{name}:{architecture}")
            }
            ComponentKind::Apk => format!("{place}/apk/{name}"),
            _ => format!("{place}/{}/{name}@{version}", kind.name()),
        }
    }
}

/// A file that is not as something in the lock brought it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InventoryFile {
    /// Path in the machine's root, with a leading slash.
    pub path: String,
    /// The container whose root it is in; none for the machine itself.
    pub container: Option<String>,
    /// SHA-1 of its content, 40 hexadecimal digits: SPDX asks for it.
    pub sha1: String,
    /// SHA-256 of its content.
    pub sha256: Digest,
    /// Who put it there, in words.
    pub source: String,
}

/// What one has to do with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentRelation {
    /// The first holds the second.
    Contains,
    /// The first does not work without the second.
    DependsOn,
    /// The first was made of the second.
    MadeOf,
}

impl ImageInventory {
    /// The id of the container with this name, or the image's.
    pub fn place(container: Option<&str>) -> String {
        container.map_or_else(|| IMAGE.to_owned(), |name| format!("containers/{name}"))
    }

    /// Adds a component that `parent` holds. One that is there already gets the files that declare this one.
    pub fn add(&mut self, component: Component, parent: &str) -> String {
        self.add_related(component, parent, ComponentRelation::Contains)
    }

    /// Adds a component that `one` has this to do with.
    pub fn add_related(&mut self, component: Component, one: &str, relation: ComponentRelation) -> String {
        let id = component.id();
        self.relations.insert((one.to_owned(), relation, id.clone()));
        match self.components.get_mut(&id) {
            Some(there) => there.declared_in.extend(component.declared_in),
            None => drop(self.components.insert(id.clone(), component)),
        }
        id
    }

    /// A UUID for one form of this inventory: another one for every other content.
    pub fn uuid(&self, form: &str) -> uuid::Uuid {
        let mut hasher = Hasher::new();
        hasher.field(form.as_bytes());
        hasher.field(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.field(&self.image.root_hash.0);
        hasher.field(&Digest::of_json(self).0);
        uuid::derived(&hasher.finish())
    }

    /// The time of the image, RFC 3339 in UTC.
    pub fn created(&self) -> String {
        date::rfc3339(self.image.epoch)
    }
}
