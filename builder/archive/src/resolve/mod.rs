//! Recipe → Lock: the network's first of two uses. Release files are verified, indexes checked, three kinds of list
//! resolved (image, each container, the tools tree), and every package written down with its digest.

mod entry;
mod explain;
pub mod list;
pub mod needs;
mod request;
mod solver;
mod update;
mod walk;

#[cfg(test)]
mod tests;

pub use update::explain_update;

use crate::deb;
use crate::packages::{Suite, SuiteIndex};
use crate::release::Keyring;
use crate::transport::{Repository, Transport};
use crate::universe::{PackageStanza, Stanzas};
use diorite_host::progress::{BarUnit, Progress};
use diorite_model::lock::{self, LOCAL};
use diorite_model::recipe::{Archive, ContainerSource};
use diorite_model::{Digest, Error, Lock, LockedPackage, Recipe, Result, date};
use entry::IndexedFile;
use list::{List, Resolution};
use needs::{NeedReader, Recommends};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the builder makes itself, so that no package has to: the initrd.
pub const PROVIDED: [&str; 1] = ["linux-initramfs-tool"];

/// Reads a file of a repository that the profile names: name, path.
type ExtraReader<'a> = dyn Fn(&str, &str) -> Result<Option<Vec<u8>>> + 'a;

/// Everything a lock is made from, besides the recipe.
pub struct Inputs<'a> {
    /// Packages of the tools tree.
    pub tools: &'a [&'a str],
    /// The profile's directory: local packages and keyrings are named relative to it.
    pub directory: &'a Path,
    /// Reads the repositories.
    pub transport: &'a dyn Transport,
    /// Seconds since 1970: release files are judged by it.
    pub now: u64,
    /// The lock there was: no release may be older than it was then.
    pub previous: Option<&'a Lock>,
}

/// Resolves a recipe. Errors: `Input` for what the profile asks wrongly, `Remote` for what a mirror answers wrongly.
pub fn lock(recipe: &Recipe, inputs: &Inputs<'_>, progress: &Progress) -> Result<Lock> {
    let archive = &recipe.archive;
    let suites = read_suites(archive, inputs, progress)?;
    reject_older_release(&suites, inputs.previous)?;
    let local = Local::read(&archive.debs, inputs.directory)?;

    let stage = progress.stage("choosing packages");
    let stanzas = Stanzas::read(&suites, &local.controls, &archive.architecture);
    let plain = List {
        name: IMAGE,
        suite: &archive.suite,
        requests: vec![],
        essential: true,
        recommends: Recommends::None,
        excluded: &[],
        provided: &PROVIDED,
        debian_only: false,
    };
    let extra = |name: &str, path: &str| match archive.extra.get(name) {
        Some(extra) => inputs.transport.find(Repository::Extra(&extra.uri), path),
        None => {
            Err(Error::remote(format!("`{name}` names `{path}` by SHA-512 alone")).because("Debian's index has SHA256"))
        }
    };
    let image = image(recipe, &stanzas, &plain)?;
    let image = locked(&image, &local, &extra)?;
    let (mut container, mut images) = (BTreeMap::new(), Vec::new());
    for (name, wanted) in &recipe.containers {
        let ContainerSource::Packages(wanted) = &wanted.source else {
            images.push(name);
            continue;
        };
        let requests = wanted.iter().map(String::as_str).collect();
        let list = List { name: &format!("containers.{name}.packages"), requests, ..plain.clone() };
        container.insert(name.clone(), locked(&list::resolve(&stanzas, &list)?, &local, &extra)?);
    }
    let requests = inputs.tools.to_vec();
    let tools =
        List { name: "the tools tree", requests, essential: false, provided: &[], debian_only: true, ..plain.clone() };
    let tools = locked(&list::resolve(&stanzas, &tools)?, &local, &extra)?;

    let release = suites.iter().map(|(suite, _)| (suite.name.clone(), release(suite))).collect();
    let mut lock =
        Lock { schema: 1, recipe: recipe.digest(), release, image, container, wheels: BTreeMap::new(), tools };
    local.all_used(&lock, &archive.debs)?;
    let packages = lock.packages();
    stage.done(format!("{} packages, {} MB", packages.len(), packages.iter().map(|p| p.size).sum::<u64>() / 1_000_000));
    // Last: a registry may count how often it is asked.
    for name in images {
        lock.container.insert(name.clone(), crate::images::lock(name, recipe, inputs.directory, progress)?);
    }
    Ok(lock)
}

/// The machine's own list.
fn image<'a>(recipe: &Recipe, stanzas: &'a Stanzas<'_>, plain: &List<'_>) -> Result<Resolution<'a>> {
    let wanted = &recipe.packages;
    let recommends = if wanted.recommends { Recommends::All } else { Recommends::Of(&wanted.recommends_of) };
    let requests = wanted.include.iter().map(String::as_str).collect();
    let list = List { requests, recommends, excluded: &wanted.exclude, ..plain.clone() };
    let resolved = list::resolve(stanzas, &list)?;
    let named = |id: &&u32| resolved.universe.package(**id).name;
    if let Some(missing) = wanted.recommends_of.iter().find(|name| !resolved.ids.iter().any(|id| named(&id) == *name)) {
        return Err(Error::input(format!("package `{missing}` is not installed, so it recommends nothing"))
            .at("packages.recommends_of")
            .hint("add it to `packages.include`, or take it out here"));
    }
    if let Some(dkms) = resolved.ids.iter().find(|id| named(id) == "dkms") {
        let needs = NeedReader::new(&resolved.universe, &PROVIDED, recommends);
        let asks = |id: &&u32| needs.needs(**id).hard().any(|r| r.options.contains(dkms));
        let asking: Vec<_> = resolved.ids.iter().filter(asks).map(|id| named(&id)).collect();
        let who = if asking.is_empty() { "dkms".to_owned() } else { asking.join("`, `") };
        return Err(Error::input(format!("`{who}` builds kernel modules with DKMS, and an image cannot have them yet"))
            .at(IMAGE)
            .because(
                "DKMS compiles on the machine, against headers that are not in the image, and its script makes a key of its own \
                 to sign with",
            )
            .hint(
                "take a kernel that has the module (`[kernel] package`), or bring modules that were compiled elsewhere with an \
                 overlay, in /usr/lib/modules/RELEASE/updates",
            ));
    }
    Ok(resolved)
}

/// How the image's list is called in errors: where it stands in the profile.
const IMAGE: &str = "packages.include";

/// Reads all suites at once; their order is that of the lists in apt: main, updates, security, then extra by name.
fn read_suites(archive: &Archive, inputs: &Inputs<'_>, progress: &Progress) -> Result<Vec<(SuiteIndex, bool)>> {
    let debian = Keyring::debian();
    let mut keyrings = BTreeMap::new();
    for (name, extra) in &archive.extra {
        let path = inputs.directory.join(&extra.keyring);
        let bytes =
            std::fs::read(&path).map_err(|e| Error::io(format!("cannot read the keyring of `{name}`"), &path, e))?;
        keyrings.insert(name, Keyring::parse(&bytes, &path.display().to_string())?);
    }
    let own = |suite: String, repository| {
        let components = &archive.components[..];
        (Suite { name: suite.clone(), suite, components, repository, keyring: &debian, priority: None }, true)
    };
    let mut suites = vec![own(archive.suite.clone(), Repository::Main)];
    // Unstable is where updates and fixes arrive first: it has no suites beside it.
    if !matches!(archive.suite.as_str(), "sid" | "unstable" | "experimental") {
        suites.push(own(format!("{}-updates", archive.suite), Repository::Main));
        suites.push(own(format!("{}-security", archive.suite), Repository::Security));
    }
    for (name, extra) in &archive.extra {
        if [LOCAL, lock::ARCHIVED, lock::PULLED, lock::WHEEL].contains(&name.as_str())
            || suites.iter().any(|(s, _)| s.name == *name)
        {
            return Err(Error::input(format!("an extra repository cannot be called `{name}`"))
                .at(format!("archive.extra.{name}"))
                .because("the lock needs that name for something else"));
        }
        let suite = Suite {
            name: name.clone(),
            suite: extra.suite.clone(),
            components: &extra.components,
            repository: Repository::Extra(&extra.uri),
            keyring: &keyrings[name],
            priority: Some(extra.priority),
        };
        suites.push((suite, false));
    }
    let stage = progress.stage("reading package indexes");
    let bar = stage.bar(suites.len() as u64, BarUnit::Items);
    let read = suites.par_iter().map(|(suite, debian)| {
        let index = suite.read(inputs.transport, &archive.architecture, inputs.now)?;
        bar.inc(1);
        Ok((index, *debian))
    });
    let read = read.collect::<Vec<Result<_>>>().into_iter().collect::<Result<Vec<_>>>()?;
    stage.done(
        read.iter()
            .map(|(s, _)| format!("{} of {}", s.name, &date::rfc3339(s.release.date)[..10]))
            .collect::<Vec<_>>()
            .join(", "),
    );
    Ok(read)
}

/// A mirror that shows an older state than the one locked before hides updates, by accident or not.
fn reject_older_release(suites: &[(SuiteIndex, bool)], previous: Option<&Lock>) -> Result<()> {
    for (suite, _) in suites {
        let Some(before) = previous.and_then(|lock| lock.release.get(&suite.name)) else { continue };
        let now = date::rfc3339(suite.release.date);
        // Both are RFC 3339 in UTC, whose order is that of the text.
        if before.suite == suite.suite && now < before.date {
            return Err(Error::remote(format!(
                "the release file of `{}` is older than the one locked before",
                suite.suite
            ))
            .because(format!("it is dated {now}, and the lock has seen {}", before.date))
            .hint("the mirror is behind: try another one, or remove the lock to go back on purpose"));
        }
    }
    Ok(())
}

fn release(suite: &SuiteIndex) -> lock::Release {
    lock::Release {
        suite: suite.suite.clone(),
        date: date::rfc3339(suite.release.date),
        valid_until: suite.release.valid_until.map(date::rfc3339),
        sha256: suite.release.sha256,
        components: suite.components.clone(),
    }
}

/// The profile's own packages.
struct Local {
    controls: Vec<String>,
    /// By position in `controls`: path as written, bytes, digest.
    files: Vec<(String, u64, Digest)>,
}

impl Local {
    fn read(debs: &[String], directory: &Path) -> Result<Self> {
        let (mut controls, mut files) = (Vec::new(), Vec::new());
        for name in debs {
            let path = directory.join(name);
            let bytes = std::fs::read(&path).map_err(|e| Error::io("cannot read the local package", &path, e))?;
            let control = deb::read_control(&bytes[..]).map_err(|cause| {
                Error::input("this is not a Debian package").at(path.display().to_string()).because(cause)
            })?;
            if deb::identity(&control).is_none() {
                return Err(Error::input("this package's control file is incomplete")
                    .at(path.display().to_string())
                    .because("its control file lacks Package, Version or Architecture"));
            }
            controls.push(control);
            files.push((name.clone(), bytes.len() as u64, Digest::of(&bytes)));
        }
        Ok(Self { controls, files })
    }

    /// The file a local stanza was read from.
    fn file(&self, package: &PackageStanza<'_>) -> Option<&(String, u64, Digest)> {
        let here = package.stanza.as_ptr() as usize;
        let position =
            self.controls.iter().position(|c| (c.as_ptr() as usize..c.as_ptr() as usize + c.len()).contains(&here))?;
        self.files.get(position)
    }

    /// A local package that no list asks for is an error: its author expects it on the machine.
    fn all_used(&self, lock: &Lock, debs: &[String]) -> Result<()> {
        let used: BTreeSet<&str> =
            lock.packages().into_iter().filter(|p| p.release == LOCAL).map(|p| p.path.as_str()).collect();
        match debs.iter().find(|name| !used.contains(name.as_str())) {
            None => Ok(()),
            Some(unused) => Err(Error::input(format!("the local package `{unused}` is not used"))
                .at("archive.debs")
                .because("no list asks for it, nothing asked for needs it, or it is for another architecture")
                .hint("add its name to packages.include, or take the file out of archive.debs")),
        }
    }
}

/// The lock's words for a resolved list, sorted by name. `extra` reads a file of a repository, by its name in the profile.
fn locked(resolved: &Resolution<'_>, local: &Local, extra: &ExtraReader<'_>) -> Result<Vec<LockedPackage>> {
    let mut packages = Vec::with_capacity(resolved.ids.len());
    for &id in &resolved.ids {
        let package = resolved.universe.package(id);
        let origin = resolved.universe.stanzas.origin(package);
        let (path, size, sha256) = match origin.name == LOCAL {
            true => local.file(package).cloned().ok_or_else(|| Error::bug(format!("{} has no file", package.name)))?,
            false => {
                let entry = IndexedFile::read(package, &origin.name)?;
                let sha256 = entry.sha256(|path| extra(&origin.name, path))?;
                (entry.path, entry.size, sha256)
            }
        };
        packages.push(LockedPackage {
            name: package.name.to_owned(),
            version: package.version.to_owned(),
            architecture: package.architecture.to_owned(),
            release: origin.name.clone(),
            path,
            size,
            sha256,
        });
    }
    packages.sort();
    Ok(packages)
}
