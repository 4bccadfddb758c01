//! One file among those that an index names: of the pinned version, for this interpreter, with a hash of the requirement.

use super::page::IndexFile;
use diorite_model::python::{Pinned, Python, Specifiers, Version, WheelName, normalized};
use diorite_model::{Error, Result};

/// How many versions, files or hashes an error lists.
const SHOWN: usize = 8;

/// The wheel that fits best. `files`: what the index has of this name; none where it does not know the name.
pub(super) fn choose<'a>(
    pinned: &Pinned,
    files: Option<&'a [IndexFile]>,
    python: &Python,
) -> Result<(&'a IndexFile, WheelName)> {
    let Some(files) = files else {
        return Err(Error::input(format!("the index of wheels has no distribution `{}`", pinned.name))
            .hint("see whether its name is written as its author writes it, or name another index of wheels"));
    };
    let named = files.iter().filter_map(|file| Some((file, WheelName::parse(&file.name).ok()?)));
    let all: Vec<(&IndexFile, WheelName)> = named.filter(|(_, name)| name.name == pinned.name).collect();
    let of_version: Vec<_> = all.iter().filter(|(_, name)| name.version == pinned.version).collect();
    if of_version.is_empty() {
        return Err(no_wheel(pinned, files, &all));
    }
    let for_python = |file: &IndexFile| {
        let full = Version::parse(&python.full).ok();
        let asked = file.requires_python.as_deref().and_then(|text| Specifiers::parse(text).ok());
        asked.zip(full).is_none_or(|(asked, full)| asked.contain(&full))
    };
    let running: Vec<_> = of_version.iter().filter(|(_, name)| name.rank(python).is_some()).collect();
    let fitting: Vec<_> = running.iter().filter(|(file, _)| for_python(file)).collect();
    if fitting.is_empty() {
        let error = Error::input(format!("no wheel of {} fits Python {} on x86-64", pinned.words(), python.short()));
        let why = match running.iter().find_map(|(file, _)| file.requires_python.as_deref()) {
            Some(asked) => format!("its author asks for Python {}, and there is {}", asked.escape_debug(), python.full),
            None => {
                let mut tags: Vec<String> = of_version.iter().map(|(_, name)| name.tags()).collect();
                tags.sort();
                tags.dedup();
                format!("there are wheels for: {}", some(&tags))
            }
        };
        return Err(error.because(why).hint("take a version that has one, or build one and name it by its URL"));
    }
    let hashed = fitting.iter().filter(|(file, _)| file.sha256.is_some_and(|sha256| pinned.hashes.contains(&sha256)));
    match hashed.min_by_key(|(_, name)| name.rank(python)) {
        Some((file, name)) => Ok((file, name.clone())),
        None => Err(other_hashes(pinned, &fitting, python)),
    }
}

/// No wheel of this version: what there is instead.
fn no_wheel(pinned: &Pinned, files: &[IndexFile], wheels: &[(&IndexFile, WheelName)]) -> Error {
    let source = |file: &IndexFile| {
        let stem = file.name.strip_suffix(".tar.gz").or_else(|| file.name.strip_suffix(".zip"))?;
        let (name, version) = stem.rsplit_once('-')?;
        let same = normalized(name).ok()? == pinned.name && Version::parse(version).ok()? == pinned.version;
        same.then_some(())
    };
    if files.iter().any(|file| source(file).is_some()) {
        return Error::input(format!("there is only source code of {}, and no wheel", pinned.words()))
            .because("source code would have to be run to be installed, and nothing from outside runs here")
            .hint("take a version that has a wheel, Debian's package of it, or build a wheel and name it by its URL");
    }
    let mut versions: Vec<&Version> = wheels.iter().map(|(_, name)| &name.version).collect();
    versions.sort();
    versions.dedup();
    versions.reverse();
    let versions: Vec<String> = versions.into_iter().map(ToString::to_string).collect();
    let error = Error::input(format!("the index of wheels has no {}", pinned.words()));
    match versions.is_empty() {
        true => error.because("it has no wheel of it at all").hint("name another index of wheels"),
        false => error.hint(format!("it has wheels of: {}", some(&versions))),
    }
}

/// Wheels that fit, and none that the requirement names by its hash.
fn other_hashes(pinned: &Pinned, fitting: &[&&&(&IndexFile, WheelName)], python: &Python) -> Error {
    if fitting.iter().all(|(file, _)| file.sha256.is_none()) {
        return Error::remote(format!("the index of wheels does not say the SHA-256 of {}", pinned.words()))
            .hint("name another index of wheels, or the wheel by its URL");
    }
    let lines: Vec<String> = fitting
        .iter()
        .take(SHOWN)
        .filter_map(|(file, _)| Some(format!("{}  sha256:{}", file.name, file.sha256?)))
        .collect();
    Error::input(format!("none of the hashes of `{}` is that of a wheel for Python {}", pinned.name, python.short()))
        .detail(lines.join("\n"))
        .because(format!("the index has these wheels of {} that fit, and the requirement names others", pinned.words()))
        .hint(
            "make the requirements again with the hashes of all wheels (`pip-compile --generate-hashes`, `uv export`); a file \
             that was replaced under its name is a reason to be careful",
        )
}

fn some(all: &[String]) -> String {
    let mut text = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        text += &format!(", and {} more", all.len() - SHOWN);
    }
    text
}
