//! Lock → the packages of an image, each with the source package it was built from: data about vulnerabilities is kept by
//! source package.

use crate::sbom::{built_using, paragraphs, purl, source};
use diorite_model::{Lock, LockedPackage};
use serde::Serialize;
use std::collections::BTreeSet;

/// What is audited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedImage {
    /// Name and version of the image.
    pub name: String,
    /// Codename of its Debian release, `trixie`.
    pub suite: String,
    /// Packages of the machine and of its containers.
    pub packages: Vec<AuditedPackage>,
    /// What no data of Debian's can speak of.
    pub not_judged: Vec<NotJudged>,
}

/// A binary package of the machine or of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AuditedPackage {
    /// `machine` or `container NAME`.
    pub place: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// Its package URL, as in the image's bill of materials.
    pub purl: String,
    /// The source package that a fault of it is told of.
    #[serde(skip)]
    pub source: String,
    /// The version of that.
    #[serde(skip)]
    pub source_version: String,
    /// Whether the source package is known from the package itself. Otherwise it is what its path in the archive says.
    #[serde(skip)]
    pub exact: bool,
}

/// A package, or a whole container, that no data of Debian's can speak of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NotJudged {
    /// `machine` or `container NAME`.
    pub place: String,
    /// Its name.
    pub name: String,
    /// Its version; empty where it has none.
    pub version: String,
    /// Why.
    pub why: &'static str,
}

impl AuditedImage {
    /// The packages of a lock. `control` gives the control paragraph of a package where its file is at hand.
    pub fn of_lock(name: String, suite: &str, lock: &Lock, control: &dyn Fn(&LockedPackage) -> Option<String>) -> Self {
        let mut image = Self { name, suite: suite.to_owned(), packages: Vec::new(), not_judged: Vec::new() };
        let containers =
            lock.container.iter().chain(&lock.wheels).map(|(name, list)| (format!("container {name}"), list));
        for (place, list) in std::iter::once(("machine".to_owned(), &lock.image)).chain(containers) {
            for package in list {
                match why_not(package, suite) {
                    None => image.packages.push(audited(&place, package, suite, control(package).as_deref())),
                    Some(why) => image.not_judged.push(not_judged(&place, package, why)),
                }
            }
        }
        image.packages.sort();
        image.not_judged.sort();
        image.not_judged.dedup();
        image
    }

    /// The source packages, each once.
    pub fn sources(&self) -> BTreeSet<&str> {
        self.packages.iter().map(|package| package.source.as_str()).collect()
    }
}

/// The number of a release, by which OSV names it (`Debian:13`).
pub(super) fn release_number(suite: &str) -> Option<&'static str> {
    let all = [("bullseye", "11"), ("bookworm", "12"), ("trixie", "13"), ("forky", "14")];
    all.into_iter().find(|(name, _)| *name == suite).map(|(_, number)| number)
}

fn why_not(package: &LockedPackage, suite: &str) -> Option<&'static str> {
    let of_debian = |release: &str| {
        let rest = release.strip_prefix(suite);
        rest.is_some_and(|rest| ["", "-updates", "-security"].contains(&rest))
    };
    match (package.is_image(), package.is_wheel(), package.is_local(), of_debian(&package.release)) {
        (true, ..) => Some("an image that others made: its packages are in no lock"),
        (_, true, ..) => Some("a wheel: Debian does not distribute it"),
        (_, _, true, _) => Some("a local package: Debian does not distribute it"),
        (.., false) => Some("a package of another repository: Debian does not distribute it"),
        _ => None,
    }
}

fn not_judged(place: &str, package: &LockedPackage, why: &'static str) -> NotJudged {
    // The layers of an image are one thing.
    let (name, version) = match package.is_image() {
        true => ("image", ""),
        false => (package.name.as_str(), package.version.as_str()),
    };
    NotJudged { place: place.to_owned(), name: name.to_owned(), version: version.to_owned(), why }
}

fn audited(place: &str, package: &LockedPackage, suite: &str, control: Option<&str>) -> AuditedPackage {
    let paragraph = control.and_then(|control| paragraphs(control.as_bytes()).into_iter().next());
    let (built_from, built_version) = match &paragraph {
        Some(paragraph) => source(paragraph, &package.name, &package.version),
        None => of_path(package),
    };
    let upstream = match (built_from == package.name, built_version == package.version) {
        (true, _) => String::new(),
        (false, true) => built_from.clone(),
        (false, false) => format!("{built_from}@{built_version}"),
    };
    let distro = release_number(suite).map(|number| format!("debian-{number}")).unwrap_or_default();
    let qualifiers = [("arch", package.architecture.as_str()), ("distro", &distro), ("upstream", &upstream)];
    // `linux-signed-amd64 (6.12.118+1)` signs what `linux (= 6.12.118-1)` built; the tracker knows the latter alone.
    let (source, source_version) = match signed(&built_from) {
        None => (built_from, built_version),
        Some(bare) => {
            let built = paragraph.as_ref().and_then(|paragraph| built_using(paragraph).into_iter().next());
            built.unwrap_or_else(|| (bare.to_owned(), package.version.clone()))
        }
    };
    AuditedPackage {
        purl: purl("deb", "debian", &package.name, &package.version, &qualifiers),
        place: place.to_owned(),
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        source,
        source_version,
        exact: paragraph.is_some(),
    }
}

/// What the archive's directory says (`pool/main/o/openssl/libssl3t64_3.5.1-1_amd64.deb`): the source package's name, and
/// its version as far as a package that was only built again does not differ in it.
fn of_path(package: &LockedPackage) -> (String, String) {
    let source = package.path.rsplit('/').nth(1).filter(|name| !name.is_empty()).unwrap_or(&package.name);
    let built_again = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let version = match package.version.rsplit_once("+b") {
        Some((version, number)) if built_again(number) => version,
        _ => &package.version,
    };
    (source.to_owned(), version.to_owned())
}

/// `linux` of `linux-signed-amd64`: the source packages that hold signatures of Debian's alone.
fn signed(source: &str) -> Option<&str> {
    let (bare, rest) = source.split_once("-signed")?;
    let architecture =
        rest.strip_prefix('-').is_some_and(|a| !a.is_empty() && a.bytes().all(|b| b.is_ascii_alphanumeric()));
    (rest.is_empty() || architecture).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::Digest;

    fn locked(name: &str, version: &str, path: &str) -> LockedPackage {
        LockedPackage {
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            release: "trixie-security".into(),
            path: path.into(),
            size: 1,
            sha256: Digest::of(name.as_bytes()),
        }
    }

    /// The control data is that of Debian's packages, in trixie of November 2026.
    #[test]
    fn the_source_package_is_the_one_that_advisories_name() {
        for (package, control, source, version) in [
            (
                locked("bash", "5.2.37-2+b9", "pool/main/b/bash/x.deb"),
                Some("Package: bash\nSource: bash (5.2.37-2)\n"),
                "bash",
                "5.2.37-2",
            ),
            (locked("bash", "5.2.37-2+b9", "pool/main/b/bash/x.deb"), None, "bash", "5.2.37-2"),
            (
                locked("libssl3t64", "3.5.1-1+deb13u1", "pool/main/o/openssl/x.deb"),
                Some("Source: openssl\n"),
                "openssl",
                "3.5.1-1+deb13u1",
            ),
            (locked("libssl3t64", "3.5.1-1+deb13u1", "pool/main/o/openssl/x.deb"), None, "openssl", "3.5.1-1+deb13u1"),
            (
                locked(
                    "linux-image-6.12.118+deb13-cloud-amd64",
                    "6.12.118-1",
                    "pool/updates/main/l/linux-signed-amd64/x.deb",
                ),
                Some("Source: linux-signed-amd64 (6.12.118+1)\nBuilt-Using: linux (= 6.12.118-1)\n"),
                "linux",
                "6.12.118-1",
            ),
            (
                locked("linux-image-cloud-amd64", "6.12.118-1", "pool/updates/main/l/linux-signed-amd64/x.deb"),
                Some("Source: linux-signed-amd64 (6.12.118+1)\n"),
                "linux",
                "6.12.118-1",
            ),
            (
                locked("linux-image-cloud-amd64", "6.12.118-1", "pool/updates/main/l/linux-signed-amd64/x.deb"),
                None,
                "linux",
                "6.12.118-1",
            ),
            (
                locked("podman", "5.4.2+ds1-2+b2", "x.deb"),
                Some("Source: podman (5.4.2+ds1-2)\nBuilt-Using: go (= 1)\n"),
                "podman",
                "5.4.2+ds1-2",
            ),
            (locked("x-signed-for", "1+bx", "pool/x-signed-for-all/x.deb"), None, "x-signed-for-all", "1+bx"),
        ] {
            let found = audited("machine", &package, "trixie", control);
            assert_eq!(
                (found.source.as_str(), found.source_version.as_str()),
                (source, version),
                "{package:?} {control:?}"
            );
        }
    }
}
