//! Requirements of a container → wheels in the lock: for each the file that fits its interpreter best, among those whose
//! SHA-256 the requirement names. No dependency is looked for: what is not in the requirements is not installed.

mod choose;
pub mod index;
pub mod page;
#[cfg(test)]
mod tests;

use crate::http::MirrorClient;
use choose::choose;
use diorite_host::interrupt;
use diorite_host::progress::{BarUnit, Progress, bytes};
use diorite_model::lock::WHEEL;
use diorite_model::python::{INTERPRETER, Pinned, Python, WheelName, WheelSource};
use diorite_model::{Error, Exit, Lock, LockedPackage, Recipe, Result};
use index::IndexClient;
use rayon::prelude::*;

/// No wheel is larger: what would fill a disk is refused before it does.
const LARGEST: u64 = 8 << 30;

/// Writes the wheels of each container into a lock that has its packages already.
///
/// Errors: `Input` for a container without an interpreter, and for a requirement that no wheel meets; `Remote` for an index
/// that does not answer; `Host` when no index is known.
pub fn lock(recipe: &Recipe, lock: &mut Lock, archive: &MirrorClient, progress: &Progress) -> Result<()> {
    for (name, container) in recipe.containers.iter().filter(|(_, c)| !c.wheels.is_empty()) {
        let place = format!("containers.{name}.wheels");
        let packages = lock.container.get(name).map(Vec::as_slice).unwrap_or_default();
        let python = Python::of(packages).ok_or_else(|| no_interpreter(name))?;
        let wanted = applying(&container.wheels, &python).map_err(|e| e.at(&*place))?;
        let stage = progress.stage(format!("choosing wheels of container {name}"));
        let bar = stage.bar(wanted.len() as u64, BarUnit::Items);
        let found = wanted.par_iter().map(|pinned| {
            interrupt::check()?;
            let found = one(pinned, &python, archive).map_err(|e| if e.place.is_none() { e.at(&*place) } else { e });
            bar.inc(1);
            found
        });
        let found = found.collect::<Vec<Result<_>>>().into_iter().collect::<Result<Vec<_>>>()?;
        let mut files = Vec::new();
        for (file, withdrawn) in found {
            if let Some(why) = withdrawn {
                let why: String = why.chars().take(200).collect();
                progress.say(format!("{} was withdrawn by its author: {}", file.file_name(), why.escape_debug()));
            }
            files.push(file);
        }
        files.sort();
        bar.finish();
        stage.done(format!("{}, for Python {}", words(&files), python.short()));
        lock.wheels.insert(name.clone(), files);
    }
    Ok(())
}

/// Refuses a lock whose wheels are not those that the recipe asks for: each one named by a requirement, with one of its
/// hashes, and none of them missing. A lock is edited by nobody; this is what holds if it was.
///
/// Errors: [`Exit::LockOutdated`].
pub fn agree(recipe: &Recipe, lock: &Lock) -> Result<()> {
    let wrong = |cause: String| {
        Error::new(Exit::LockOutdated, "the lock does not name the wheels that the profile asks for")
            .because(cause)
            .hint("lock again: `diorite lock NAME --update`, and look at the difference")
    };
    for (name, container) in recipe.containers.iter().filter(|(_, c)| !c.wheels.is_empty()) {
        let place = |error: Error| error.at(format!("containers.{name}.wheels"));
        let packages = lock.container.get(name).map(Vec::as_slice).unwrap_or_default();
        let python = Python::of(packages).ok_or_else(|| no_interpreter(name))?;
        let wanted = applying(&container.wheels, &python).map_err(place)?;
        let wheels = lock.wheels.get(name).map(Vec::as_slice).unwrap_or_default();
        let is = |pinned: &Pinned, wheel: &LockedPackage| {
            let version = WheelName::parse(&file_of(wheel)).is_ok_and(|name| name.version == pinned.version);
            pinned.name == wheel.name && version && pinned.hashes.contains(&wheel.sha256)
        };
        if let Some(pinned) = wanted.iter().find(|pinned| !wheels.iter().any(|wheel| is(pinned, wheel))) {
            return Err(place(wrong(format!("there is no wheel of {} with one of its hashes", pinned.words()))));
        }
        if let Some(wheel) = wheels.iter().find(|wheel| !wanted.iter().any(|pinned| is(pinned, wheel))) {
            return Err(place(wrong(format!("nothing asks for `{}` {}", wheel.name, wheel.version))));
        }
    }
    let asked = |name: &String| recipe.containers.get(name).is_some_and(|container| !container.wheels.is_empty());
    match lock.wheels.keys().find(|name| !asked(name)) {
        Some(name) => Err(wrong(format!("it has wheels for the container `{name}`, which asks for none"))),
        None => Ok(()),
    }
}

/// The name of a wheel's file, without what a URL escapes.
fn file_of(wheel: &LockedPackage) -> String {
    wheel.file_name().replace("%2B", "+").replace("%2b", "+")
}

/// `5 wheels, 1.2 MB`.
pub fn words(files: &[LockedPackage]) -> String {
    let noun = if files.len() == 1 { "wheel" } else { "wheels" };
    format!("{} {noun}, {}", files.len(), bytes(files.iter().map(|f| f.size).sum()))
}

fn no_interpreter(name: &str) -> Error {
    Error::input(format!("container `{name}` has wheels and no Python"))
        .at(format!("containers.{name}.packages"))
        .because(format!("the package `{INTERPRETER}` is not among its packages, nor needed by one of them"))
        .hint(format!("write `packages = [\"{INTERPRETER}\", …]`"))
}

/// The requirements that count for this interpreter, each name once.
fn applying<'a>(all: &'a [Pinned], python: &Python) -> Result<Vec<&'a Pinned>> {
    let mut wanted: Vec<&Pinned> = Vec::new();
    for pinned in all {
        let counts = pinned.marker.as_ref().map_or(Ok(true), |marker| marker.is_true(python, ""));
        let counts = counts.map_err(|cause| {
            Error::input(format!("it cannot be told whether `{}` is wanted", pinned.name))
                .because(cause)
                .hint("take the marker away where the requirement is wanted, or the requirement where it is not")
        })?;
        if !counts {
            continue;
        }
        if let Some(other) = wanted.iter().find(|other| other.name == pinned.name) {
            let both = format!("{} and {}", other.words(), pinned.words());
            return Err(Error::input(format!("`{}` is asked for twice for Python {}", pinned.name, python.short()))
                .because(format!("both {both} count there by their markers"))
                .hint("remove one of them"));
        }
        wanted.push(pinned);
    }
    Ok(wanted)
}

/// The wheel of a requirement, and why its author withdrew it, if that happened.
fn one(pinned: &Pinned, python: &Python, archive: &MirrorClient) -> Result<(LockedPackage, Option<String>)> {
    let index = || -> Result<IndexClient<'_>> {
        Ok(IndexClient { http: &archive.http, index: archive.sources.wheel_index()? })
    };
    let (url, name, path, sha256, size, withdrawn) = match &pinned.source {
        WheelSource::Index => {
            let index = index()?;
            let files = index.files(&pinned.name).map_err(|failure| {
                let hint = index::hint(&failure);
                failure.into_error(format!("wheels of `{}` cannot be looked up", pinned.name)).hint(hint)
            })?;
            let (file, name) = choose(pinned, files.as_deref(), python)?;
            let path = format!("{}/{}", pinned.name, file.name);
            let sha256 = file.sha256.ok_or_else(|| Error::bug("a file without a digest was chosen"))?;
            (file.url.clone(), name, path, sha256, file.size, file.yanked.clone())
        }
        WheelSource::Url(url) => {
            let file = url.rsplit('/').next().unwrap_or_default().replace("%2B", "+").replace("%2b", "+");
            let name = WheelName::parse(&file).map_err(Error::bug)?;
            if name.rank(python).is_none() {
                return Err(Error::input(format!("the wheel of `{}` does not run in this container", pinned.name))
                    .because(format!(
                        "it is for {}; the container has Python {} on x86-64",
                        name.tags(),
                        python.short()
                    ))
                    .hint("name the URL of one that does"));
            }
            let [sha256] = pinned.hashes[..] else {
                return Err(Error::input(format!("`{}` is named by its URL and has several hashes", pinned.name))
                    .because("at a URL there is one file")
                    .hint("keep the hash of that file"));
            };
            (url.clone(), name, url.clone(), sha256, None, None)
        }
    };
    let size = match size {
        Some(size) => size,
        None => {
            let opened = match &pinned.source {
                WheelSource::Index => index()?.open(&url, 0),
                WheelSource::Url(url) => archive.http.open(url, 0),
            };
            let size = opened.map_err(|failure| {
                let hint = match &pinned.source {
                    WheelSource::Index => index::hint(&failure),
                    WheelSource::Url(_) => index::hint_of_url(&failure),
                };
                failure.into_error(format!("the wheel of `{}` cannot be reached", pinned.name)).hint(hint)
            })?;
            size.size.ok_or_else(|| {
                Error::remote(format!("the size of the wheel of `{}` is not known", pinned.name))
                    .at(crate::url::shown(&url))
                    .because("neither the index nor the server says it")
                    .hint("take an index that does, or a URL at a server that does")
            })?
        }
    };
    if size > LARGEST {
        return Err(Error::input(format!("the wheel of `{}` is too large", pinned.name))
            .because(format!("it has {size} bytes, and more than {LARGEST} are not taken")));
    }
    let wheel = LockedPackage {
        name: name.name.clone(),
        version: name.version.to_string(),
        architecture: if name.is_pure() { "all" } else { "amd64" }.into(),
        release: WHEEL.into(),
        path,
        size,
        sha256,
    };
    Ok((wheel, withdrawn))
}
