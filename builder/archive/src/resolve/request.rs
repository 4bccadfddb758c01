//! What a list asks for, in apt's words: `name`, `name=version`, `name:architecture`.

use crate::universe::{Id, Universe, is_name};
use crate::version;
use diorite_model::{Error, Result};
use std::collections::BTreeMap;

/// One asked-for package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageRequest<'a> {
    /// The name of the package.
    pub name: &'a str,
    /// Version, when only this one will do.
    pub version: Option<&'a str>,
}

impl<'a> PackageRequest<'a> {
    /// Reads a request; `list` names the list it stands in, for errors.
    pub fn parse(text: &'a str, architecture: &str, list: &str) -> Result<Self> {
        let wrong = |cause: &str| {
            Err(Error::input(format!("`{text}` is not a package request"))
                .at(list.to_owned())
                .because(cause)
                .hint("write `name` or `name=version`"))
        };
        let (name, version) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
        let name = match name.split_once(':') {
            None => name,
            Some((name, qualifier)) if qualifier == architecture => name,
            Some((_, other)) => {
                return wrong(&format!("packages are installed for `{architecture}`, not for `{other}`"));
            }
        };
        if !is_name(name) {
            return wrong("a package's name has small letters, digits and `+-.` only, two at least");
        }
        match version {
            Some(v) if !version::is_valid(v) => wrong(&format!("`{v}` is not a version")),
            version => Ok(Self { name, version }),
        }
    }
}

/// The versions that requests pin.
pub fn pins<'a>(requests: &[PackageRequest<'a>], list: &str) -> Result<BTreeMap<&'a str, &'a str>> {
    let mut pins: BTreeMap<&str, &str> = BTreeMap::new();
    for request in requests {
        let Some(version) = request.version else { continue };
        if let Some(other) = pins.insert(request.name, version).filter(|other| *other != version) {
            return Err(Error::input(format!("`{}` is asked for in two versions", request.name))
                .at(list.to_owned())
                .because(format!("one request says {other}, another {version}"))
                .hint("keep one of them"));
        }
    }
    Ok(pins)
}

/// The package a request means. `list` names the list, `suite` the suite, for errors.
pub fn find(request: &PackageRequest<'_>, universe: &Universe<'_>, list: &str, suite: &str) -> Result<Id> {
    if let Some(id) = universe.named(request.name) {
        return Ok(id);
    }
    let versions = universe.stanzas.versions(request.name);
    if let (Some(version), false) = (request.version, versions.is_empty()) {
        let mut there: Vec<String> =
            versions.iter().map(|p| format!("{} ({})", p.version, universe.stanzas.origin(p).name)).collect();
        there.dedup();
        return Err(Error::input(format!("`{}` has no version {version}", request.name))
            .at(list.to_owned())
            .because(format!("the indexes list {}", there.join(", ")))
            .hint("ask for one of these, or for the name alone"));
    }
    if !versions.is_empty() {
        return Err(Error::input(format!("`{}` may not be installed", request.name))
            .at(list.to_owned())
            .because("every repository that has it has a pin priority below 0, or is not Debian's own where only Debian's will do"));
    }
    match &universe.providers(request.name)[..] {
        [] => {}
        [only] => return Ok(*only),
        several => {
            let names: Vec<&str> = several.iter().map(|&id| universe.package(id).name).collect();
            return Err(Error::input(format!("`{}` is a virtual package", request.name))
                .at(list.to_owned())
                .because(format!("it is provided by {}", shortened(&names)))
                .hint("ask for one of these by name"));
        }
    }
    Err(unknown(request.name, universe, list, suite))
}

/// The error of a name that no index lists.
pub fn unknown(name: &str, universe: &Universe<'_>, list: &str, suite: &str) -> Error {
    let mut error = Error::input(format!("there is no package `{name}`"))
        .at(list.to_owned())
        .because(format!("no index of {suite} lists it for `{}`", universe.stanzas.architecture()));
    error.hint = Some(match &similar(name, universe)[..] {
        [] => "check the spelling; components other than `main` must be named in the profile".to_owned(),
        names => format!("did you mean {}?", names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ")),
    });
    error
}

/// At most eight names, and how many there are beyond.
pub fn shortened(names: &[&str]) -> String {
    let shown = names.iter().take(8).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(8) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Up to three names that a slip of the finger could have turned into this one, the nearest first.
fn similar<'a>(name: &str, universe: &Universe<'a>) -> Vec<&'a str> {
    let most = (name.len() / 4).clamp(1, 3);
    let mut near: Vec<(usize, &str)> = universe
        .stanzas
        .names()
        .filter(|other| other.len().abs_diff(name.len()) <= most)
        .filter_map(|other| Some((distance(name.as_bytes(), other.as_bytes(), most)?, other)))
        .collect();
    near.sort_unstable();
    let best = near.first().map_or(0, |n| n.0);
    near.into_iter().filter(|n| n.0 == best).map(|n| n.1).take(3).collect()
}

/// Edits (insertion, deletion, substitution, swap of neighbours) from `a` to `b`, if at most `most`.
fn distance(a: &[u8], b: &[u8], most: usize) -> Option<usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = change.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        if next.iter().all(|&n| n > most) {
            return None;
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().filter(|&n| n <= most)
}
