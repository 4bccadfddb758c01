//! apk's database of installed packages (`lib/apk/db/installed`, apk-package(5)) → packages, and the files they own.

use super::contents::TreeContents;
use super::debian::PackageSources;
use super::inventory::{Component, ComponentKind};
use super::purl::purl;
use std::collections::BTreeMap;

const DATABASES: [&[u8]; 2] = [b"lib/apk/db/installed", b"usr/lib/apk/db/installed"];

/// What the database says.
#[derive(Default)]
pub struct AlpinePackages {
    /// Its packages.
    pub components: Vec<Component>,
    /// The id of the one that a path belongs to.
    pub owned: BTreeMap<Vec<u8>, String>,
}

/// The packages of a tree; none where it has no such database.
pub fn packages(tree: &TreeContents, sources: &PackageSources) -> AlpinePackages {
    let mut found = AlpinePackages::default();
    let Some(file) = DATABASES.iter().find_map(|path| tree.files.get(path)) else { return found };
    let text = String::from_utf8_lossy(file.bytes);
    for paragraph in text.split("\n\n") {
        let value = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let (Some(name), Some(version)) = (value("P"), value("V")) else { continue };
        let mut component = Component::new(ComponentKind::Apk, sources.container, name, version);
        let architecture = value("A").unwrap_or_default();
        let distro = sources.distribution.qualifier();
        let upstream = value("o").filter(|origin| *origin != name).unwrap_or_default();
        let qualifiers = [("arch", architecture), ("distro", distro.as_str()), ("upstream", upstream)];
        component.purl = Some(purl("apk", &sources.distribution.id, name, version, &qualifiers));
        component.architecture = Some(architecture.to_owned()).filter(|a| !a.is_empty());
        component.source = value("o").map(|origin| (origin.to_owned(), version.to_owned()));
        component.supplier = Some(sources.distribution.id.clone());
        component.maintainer = value("m").map(str::to_owned);
        component.homepage = value("U").filter(|url| super::debian::is_url(url)).map(str::to_owned);
        let id = component.id();
        found.components.push(component);
        let mut directory = "";
        for line in paragraph.lines() {
            match line.split_once(':') {
                Some(("F", path)) => directory = path,
                Some(("R", file)) if directory.is_empty() => drop(found.owned.insert(file.into(), id.clone())),
                Some(("R", file)) => {
                    found.owned.insert(format!("{directory}/{file}").into_bytes(), id.clone());
                }
                _ => {}
            }
        }
    }
    found
}
