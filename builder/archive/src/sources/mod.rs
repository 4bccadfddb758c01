//! Where packages come from. No mirror is built in: the profile names it, else the environment, else the build host's
//! own apt sources do. None of this enters a digest: the lock names bytes, and any mirror that has them will do.

mod apt;
mod snapshot;
#[cfg(test)]
mod tests;
mod wheel_index;

use crate::url;
use diorite_model::lock::ARCHIVED;
use diorite_model::profile::Settings;
use diorite_model::{Error, Lock, LockedPackage, Recipe, Result};
pub use snapshot::Snapshot;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
pub use wheel_index::WheelIndex;

/// [`LockedPackage::release`] of a .deb that lies beside the profile.
pub const LOCAL: &str = "local";

/// What a profile says about mirrors; all of it may be empty.
#[derive(Debug, Clone, Default)]
pub struct SourceConfig {
    /// Mirrors in order of preference; one whose path ends in `debian-security` is a mirror of the security archive.
    pub mirrors: Vec<String>,
    /// Mirrors of the security archive whose path does not say so.
    pub security_mirrors: Vec<String>,
    /// `[archive] snapshot`, a template.
    pub snapshot: Option<String>,
    /// `[archive] wheel_index`.
    pub wheel_index: Option<String>,
    /// Further repositories: name in the lock's release table → root.
    pub extra: BTreeMap<String, String>,
    /// The profile's directory, below which local .debs lie.
    pub directory: PathBuf,
}

impl SourceConfig {
    /// What a profile in this directory says.
    pub fn of(settings: &Settings, recipe: &Recipe, directory: &Path) -> Self {
        Self {
            mirrors: settings.mirrors.clone(),
            security_mirrors: Vec::new(),
            snapshot: settings.snapshot.clone(),
            wheel_index: settings.wheel_index.clone(),
            extra: recipe.archive.extra.iter().map(|(name, extra)| (name.clone(), extra.uri.clone())).collect(),
            directory: directory.to_owned(),
        }
    }
}

/// Where the mirrors were named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MirrorOrigin {
    /// `[archive] mirrors` of the profile.
    Profile,
    /// The environment variable DIORITE_MIRROR.
    Environment,
    /// The build host's apt sources, sources.list(5).
    Host,
}

/// Every place packages may be fetched from, in the order they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Roots of the main archive, without a slash at the end.
    pub main: Vec<String>,
    /// Roots of the security archive.
    pub security: Vec<String>,
    /// Archive of packages that have gone.
    pub snapshot: Option<Snapshot>,
    /// Index of wheels, or why none is known: most profiles need none.
    wheel_index: Result<WheelIndex, Box<Error>>,
    /// Who named the mirrors.
    pub origin: MirrorOrigin,
    extra: BTreeMap<String, String>,
    directory: PathBuf,
}

/// One place to try for one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageUrl {
    /// The mirror's root, the same text for every package of that mirror.
    pub root: String,
    /// The whole URL.
    pub url: String,
}

impl Sources {
    /// The sources for this profile on this machine: process environment and `/etc/apt`.
    pub fn of_machine(wanted: &SourceConfig) -> Result<Self> {
        Self::discover(wanted, &|name| std::env::var(name).ok(), Path::new("/"))
    }

    /// As [`Sources::of_machine`], with the environment and the root of the host's file system given.
    ///
    /// Errors: [`diorite_model::Exit::Host`] when nobody names a mirror; `Input` for one that is no URL.
    pub fn discover(wanted: &SourceConfig, environment: &dyn Fn(&str) -> Option<String>, host: &Path) -> Result<Self> {
        let words = |name: &str| -> Vec<String> {
            environment(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let (main, security) = (words("DIORITE_MIRROR"), words("DIORITE_SECURITY_MIRROR"));
        let (origin, main, security) = if !wanted.mirrors.is_empty() || !wanted.security_mirrors.is_empty() {
            (MirrorOrigin::Profile, wanted.mirrors.clone(), wanted.security_mirrors.clone())
        } else if !main.is_empty() || !security.is_empty() {
            (MirrorOrigin::Environment, main, security)
        } else {
            let found = apt::discover(host);
            if found.main.is_empty() {
                return Err(nobody_names_a_mirror(&found));
            }
            (MirrorOrigin::Host, found.main, found.security)
        };
        let (main_name, security_name) = match origin {
            MirrorOrigin::Profile => ("[archive] mirrors in the profile", "[archive] mirrors in the profile"),
            MirrorOrigin::Environment => ("DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR"),
            MirrorOrigin::Host => ("the host's apt sources", "the host's apt sources"),
        };
        let (also_security, main): (Vec<_>, Vec<_>) =
            checked(&main, main_name)?.into_iter().partition(|root| root.ends_with("/debian-security"));
        let mut security = checked(&security, security_name)?;
        security.extend(also_security);
        if main.is_empty() {
            return Err(Error::input("a mirror of the security archive is named, but none of the main archive")
                .at(if wanted.mirrors.is_empty() { security_name } else { main_name })
                .because("the main archive cannot be derived from the security archive")
                .hint(format!("name {main_name} as well")));
        }
        if security.is_empty() {
            security = main.iter().map(|root| sibling(root)).collect();
        }
        let snapshot = match (&wanted.snapshot, environment("DIORITE_SNAPSHOT").filter(|t| !t.trim().is_empty())) {
            (Some(template), _) => Some(Snapshot::new(template, "[archive] snapshot in the profile")?),
            (None, Some(template)) => Some(Snapshot::new(template.trim(), "DIORITE_SNAPSHOT")?),
            (None, None) => None,
        };
        let mut extra = BTreeMap::new();
        for (name, root) in &wanted.extra {
            let root = checked(std::slice::from_ref(root), &format!("[archive.extra.{name}] in the profile"))?;
            extra.extend(root.into_iter().map(|root| (name.clone(), root)));
        }
        let wheel_index = WheelIndex::discover(wanted.wheel_index.as_deref(), environment, host).map_err(Box::new);
        Ok(Self { main, security, snapshot, wheel_index, origin, extra, directory: wanted.directory.clone() })
    }

    /// The index of wheels. Error: that of [`WheelIndex::discover`].
    pub fn wheel_index(&self) -> Result<&WheelIndex> {
        self.wheel_index.as_ref().map_err(|error| (**error).clone())
    }

    /// The file of what lies beside the profile, or nothing for a package of a repository.
    pub fn local(&self, package: &LockedPackage) -> Result<Option<PathBuf>> {
        Ok((package.release == LOCAL || package.release == ARCHIVED).then(|| self.directory.join(&package.path)))
    }

    /// Whether a package is of a repository that the profile names, besides Debian's.
    pub fn is_extra(&self, package: &LockedPackage) -> bool {
        self.extra.contains_key(&package.release)
    }

    /// The mirrors of a package, best first. Errors: a path that leaves the mirror, a release the profile does not know.
    pub fn places(&self, package: &LockedPackage, lock: &Lock) -> Result<Vec<PackageUrl>> {
        within(package)?;
        let roots = match self.extra.get(&package.release) {
            Some(root) => std::slice::from_ref(root),
            None if !lock.release.contains_key(&package.release) => return Err(unknown_release(package)),
            None if of_security(package, lock) => &self.security,
            None => &self.main,
        };
        Ok(roots.iter().map(|root| place(root, package)).collect())
    }

    /// Places in the snapshot archive for a package that has gone from every mirror; none without such an archive, and
    /// none for packages that are not Debian's own.
    pub fn archived(&self, package: &LockedPackage, lock: &Lock) -> Result<Vec<PackageUrl>> {
        within(package)?;
        let (Some(snapshot), Some(release)) = (&self.snapshot, lock.release.get(&package.release)) else {
            return Ok(Vec::new());
        };
        if self.is_extra(package) {
            return Ok(Vec::new());
        }
        let archive = if of_security(package, lock) { "debian-security" } else { "debian" };
        Ok(snapshot.roots(archive, &release.date)?.iter().map(|root| place(root, package)).collect())
    }
}

fn place(root: &str, package: &LockedPackage) -> PackageUrl {
    PackageUrl { root: root.to_owned(), url: url::join(root, &package.path) }
}

/// Does this package come from the security archive?
fn of_security(package: &LockedPackage, lock: &Lock) -> bool {
    let suite = lock.release.get(&package.release).map_or(package.release.as_str(), |r| r.suite.as_str());
    suite.ends_with("-security") || suite.ends_with("/updates")
}

/// A path in a lock must stay below the mirror's root.
fn within(package: &LockedPackage) -> Result<()> {
    let path = &package.path;
    if path.is_empty() || path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(Error::input(format!(
            "the lock's path of package `{}` is not a path below the mirror",
            package.name
        ))
        .at(path.clone())
        .hint("lock again: `diorite lock NAME --update`"));
    }
    Ok(())
}

/// `…/debian` → `…/debian-security`: mirrors keep the two archives side by side.
fn sibling(root: &str) -> String {
    let authority = root.find("://").map_or(root.find(':').map_or(0, |i| i + 1), |i| i + 3);
    match root[authority..].rfind('/') {
        Some(slash) => format!("{}debian-security", &root[..authority + slash + 1]),
        None => format!("{root}/debian-security"),
    }
}

/// Roots without a slash at the end, each with a scheme Diorite can read.
fn checked(roots: &[String], place: &str) -> Result<Vec<String>> {
    let mut out: Vec<String> = Vec::new();
    for root in roots {
        let good = match url::scheme(root) {
            None => false,
            Some("file") => url::file_path(root).is_some(),
            Some(_) => root.split_once("://").is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with('/')),
        };
        if !good {
            return Err(Error::input(format!("`{}` is not a mirror's URL", url::shown(root))).at(place).hint(
                "http://HOST/debian, https://HOST/debian or file:///DIRECTORY: the directory that holds `dists` and `pool`",
            ));
        }
        let root = root.trim_end_matches('/').to_owned();
        if !out.contains(&root) {
            out.push(root);
        }
    }
    Ok(out)
}

fn nobody_names_a_mirror(found: &apt::HostMirrors) -> Error {
    let read = found.files.iter().map(|f| format!("read: {}", f.display())).collect::<Vec<_>>().join("\n");
    let error = Error::host("no Debian mirror is known")
        .because("neither the profile nor DIORITE_MIRROR names one, and this host's apt sources list no Debian archive")
        .hint(
            "set DIORITE_MIRROR=http://HOST/debian (the directory that holds `dists` and `pool`), or write \
             `mirrors = [\"http://HOST/debian\"]` under [archive] in the profile",
        );
    if read.is_empty() { error } else { error.detail(read) }
}

fn unknown_release(package: &LockedPackage) -> Error {
    Error::input(format!(
        "the lock takes package `{}` from `{}`, which is not in its release table",
        package.name, package.release
    ))
    .hint("lock again: `diorite lock NAME --update`")
}
