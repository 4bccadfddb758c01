//! dpkg's status file (and that of images without dpkg) → packages.

use super::contents::TreeContents;
use super::control::{ControlParagraph, paragraphs};
use super::copyright;
use super::inventory::{Component, ComponentKind};
use super::purl::purl;
use diorite_model::lock::LOCAL;
use diorite_model::{LockedPackage, Recipe};
use std::collections::BTreeMap;

/// An installed package.
pub struct InstalledPackage {
    /// What is known of it.
    pub component: Component,
    /// Its paragraph of the status file.
    pub control: ControlParagraph,
}

/// What packages of a tree have in common.
pub struct PackageSources<'a> {
    /// The recipe of the image.
    pub recipe: &'a Recipe,
    /// The container they are in.
    pub container: Option<&'a str>,
    /// Their entries in the lock; none of an image that others made.
    pub locked: &'a [LockedPackage],
    /// `debian` and `13`, as os-release(5) of the tree has them.
    pub distribution: &'a OsRelease,
}

/// ID and VERSION_ID of os-release(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsRelease {
    /// `debian`.
    pub id: String,
    /// `13`; empty where there is none.
    pub version: String,
}

impl OsRelease {
    /// That of a tree.
    pub fn of(tree: &TreeContents) -> Option<Self> {
        let text = (tree.read)(b"etc/os-release").or_else(|| (tree.read)(b"usr/lib/os-release"))?;
        let text = String::from_utf8_lossy(text);
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
        };
        Some(Self { id: value("ID")?, version: value("VERSION_ID").unwrap_or_default() })
    }
    /// As a package URL names it: `debian-13`.
    pub fn qualifier(&self) -> String {
        let Self { id, version } = self;
        if version.is_empty() { id.clone() } else { format!("{id}-{version}") }
    }
}

/// The packages of a tree: those of its status file, of which dpkg would say that they are installed.
pub fn packages(tree: &TreeContents, sources: &PackageSources) -> Vec<InstalledPackage> {
    let mut texts = vec![tree.status];
    if tree.status.is_empty() {
        let separate = |path: &[u8]| path.starts_with(b"var/lib/dpkg/status.d/") && !path.ends_with(b".md5sums");
        let status = |path: &[u8]| path == b"var/lib/dpkg/status" || separate(path);
        texts = tree.files.iter().filter(|(path, _)| status(path)).map(|(_, file)| file.bytes).collect();
    }
    let locked: BTreeMap<_, _> =
        sources.locked.iter().map(|p| ((p.name.as_str(), p.architecture.as_str()), p)).collect();
    let all = texts.into_iter().flat_map(paragraphs);
    all.filter_map(|control| package(control, tree, sources, &locked)).collect()
}

fn package(
    control: ControlParagraph,
    tree: &TreeContents,
    sources: &PackageSources,
    locked: &BTreeMap<(&str, &str), &LockedPackage>,
) -> Option<InstalledPackage> {
    // Images without dpkg have no field `Status`.
    if control.line("Status").is_some_and(|status| !status.ends_with(" installed")) {
        return None;
    }
    let (name, version) = (control.line("Package")?, control.line("Version")?);
    let architecture = control.line("Architecture").unwrap_or("all");
    let locked = locked.get(&(name, architecture)).filter(|locked| locked.version == version).copied();
    let source = source(&control, name, version);
    let mut component = Component::new(kind(&control, name), sources.container, name, version);
    let vendor = vendor(sources, locked);
    let upstream = match &source {
        (source, _) if source == name => String::new(),
        (source, built) if built == version => source.clone(),
        (source, built) => format!("{source}@{built}"),
    };
    let distro = sources.distribution.qualifier();
    let qualifiers = [("arch", architecture), ("distro", distro.as_str()), ("upstream", upstream.as_str())];
    component.purl = Some(purl("deb", &vendor.namespace, name, version, &qualifiers));
    component.architecture = Some(architecture.to_owned());
    component.sha256 = locked.map(|locked| locked.sha256);
    component.file = locked.map(|locked| locked.file_name().to_owned());
    component.source = Some(source);
    component.supplier = vendor.supplier.or_else(|| control.line("Maintainer").map(str::to_owned));
    component.maintainer = control.line("Maintainer").map(str::to_owned);
    component.homepage = control.line("Homepage").filter(|url| is_url(url)).map(str::to_owned);
    let copyright = format!("usr/share/doc/{name}/copyright");
    component.licence = (tree.read)(copyright.as_bytes()).and_then(copyright::licence);
    Some(InstalledPackage { component, control })
}

/// What both formats take for an address.
pub fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}[]".contains(&b))
    })
}

/// Who distributes a package.
struct Vendor {
    namespace: String,
    supplier: Option<String>,
}

fn vendor(sources: &PackageSources, locked: Option<&LockedPackage>) -> Vendor {
    let suite = &sources.recipe.archive.suite;
    let of_debian = |release: &str| {
        let rest = release.strip_prefix(suite.as_str());
        rest.is_some_and(|rest| ["", "-updates", "-security"].contains(&rest))
    };
    let id = &sources.distribution.id;
    match locked {
        Some(locked) if of_debian(&locked.release) => {
            Vendor { namespace: "debian".into(), supplier: Some("Debian".into()) }
        }
        // No advisory of Debian's is about it.
        Some(locked) if locked.release == LOCAL => Vendor { namespace: "local".into(), supplier: None },
        Some(locked) => Vendor { namespace: locked.release.to_lowercase(), supplier: None },
        None if sources.locked.is_empty() => {
            let supplier = if id == "debian" { "Debian".to_owned() } else { id.clone() };
            Vendor { namespace: id.clone(), supplier: Some(supplier) }
        }
        // In the database for dpkg's sake, and in no archive.
        None => Vendor { namespace: "diorite".into(), supplier: Some("Diorite".into()) },
    }
}

fn kind(control: &ControlParagraph, name: &str) -> ComponentKind {
    let section = control.line("Section").unwrap_or_default();
    if section.starts_with("non-free-firmware") || name.starts_with("firmware-") {
        return ComponentKind::Firmware;
    }
    if name.starts_with("linux-image-") { ComponentKind::Kernel } else { ComponentKind::Deb }
}

/// The field `Source`: `NAME`, or `NAME (VERSION)` where the version is another one.
pub fn source(control: &ControlParagraph, name: &str, version: &str) -> (String, String) {
    let Some(text) = control.line("Source") else { return (name.to_owned(), version.to_owned()) };
    match text.split_once('(') {
        Some((source, built)) => (source.trim().to_owned(), built.trim_end_matches([')', ' ']).trim().to_owned()),
        None => (text.to_owned(), version.to_owned()),
    }
}

/// Source packages that were built into this one, besides its own: the fields `Built-Using`, `Static-Built-Using` and
/// `X-Cargo-Built-Using`, as lists of `NAME (= VERSION)`.
pub fn built_using(control: &ControlParagraph) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for field in ["Built-Using", "Static-Built-Using", "X-Cargo-Built-Using"] {
        for entry in control.get(field).unwrap_or_default().split(',') {
            let Some((name, version)) = entry.split_once("(=") else { continue };
            let (name, version) = (name.trim(), version.trim().trim_end_matches(')').trim());
            if !name.is_empty() && !version.is_empty() {
                all.push((name.to_owned(), version.to_owned()));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// A source package, as a component of the tree in which something built of it is.
pub fn source_package(name: &str, version: &str, sources: &PackageSources) -> Component {
    let mut component = Component::new(ComponentKind::Source, sources.container, name, version);
    let distro = sources.distribution.qualifier();
    let namespace = if sources.locked.is_empty() { sources.distribution.id.as_str() } else { "debian" };
    component.purl = Some(purl("deb", namespace, name, version, &[("arch", "source"), ("distro", distro.as_str())]));
    component.supplier = (namespace == "debian").then(|| "Debian".to_owned());
    component.architecture = Some("source".into());
    component
}
