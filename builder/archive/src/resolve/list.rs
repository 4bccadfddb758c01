//! One list of packages: requests → ids of the universe, closed under what they need.

use super::explain;
use super::needs::{NeedReader, Recommends};
use super::request::{self, PackageRequest};
use super::solver;
use super::walk::walk;
use crate::universe::{CandidateRules, Id, Stanzas, Universe};
use diorite_model::{Error, Result};

/// Offering recommended packages to the solver ends after this many rounds at the latest; Debian's chains are short.
const ROUNDS: usize = 32;

/// What one list asks for.
#[derive(Debug, Clone)]
pub struct List<'a> {
    /// What it is called in errors: `packages.include`, `containers.web.packages`, `the tools tree`.
    pub name: &'a str,
    /// Suite, for errors.
    pub suite: &'a str,
    /// Requests in apt's words, in the order apt would be given them.
    pub requests: Vec<&'a str>,
    /// Every Essential package as well.
    pub essential: bool,
    /// Whose Recommends as well.
    pub recommends: Recommends<'a>,
    /// Names that are never installed.
    pub excluded: &'a [String],
    /// Names that the builder itself provides.
    pub provided: &'a [&'a str],
    /// Only what Debian's own suites have.
    pub debian_only: bool,
}

/// A resolved list.
pub struct Resolution<'a> {
    /// The universe it was resolved in.
    pub universe: Universe<'a>,
    /// The packages, sorted by name.
    pub ids: Vec<Id>,
}

/// Resolves a list.
pub fn resolve<'a>(stanzas: &'a Stanzas<'_>, list: &List<'_>) -> Result<Resolution<'a>> {
    // What the builder provides is there whether it is asked for or not.
    let asked = list.requests.iter().filter(|r| !list.provided.contains(r));
    let requests =
        asked.map(|text| PackageRequest::parse(text, stanzas.architecture(), list.name)).collect::<Result<Vec<_>>>()?;
    let pins = request::pins(&requests, list.name)?;
    let rules = CandidateRules { pins: &pins, excluded: list.excluded, debian_only: list.debian_only };
    let universe = Universe::new(stanzas, &rules);
    excluded(list, &universe)?;
    let mut roots: Vec<Id> = Vec::new();
    if list.essential {
        roots.extend(universe.essential());
    }
    for request in &requests {
        let id = request::find(request, &universe, list.name, list.suite)?;
        if !roots.contains(&id) {
            roots.push(id);
        }
    }
    let reader = NeedReader::new(&universe, list.provided, list.recommends);
    let ids = complete(&reader, &roots).map_err(|core| {
        let root = |id| match universe.package(id).essential && list.essential {
            true => "is Essential".to_owned(),
            false => "is asked for".to_owned(),
        };
        explain::unsatisfiable(&reader, &core, list.name, root)
    })?;
    Ok(Resolution { universe, ids })
}

/// Refuses to leave out what is not there, and what every Debian system has.
fn excluded(list: &List<'_>, universe: &Universe<'_>) -> Result<()> {
    for name in list.excluded {
        let versions = universe.stanzas.versions(name);
        if versions.is_empty() {
            return Err(request::unknown(name, universe, EXCLUDE, list.suite));
        }
        if list.essential && versions.iter().any(|p| p.essential) {
            return Err(Error::input(format!("package `{name}` cannot be excluded"))
                .at(EXCLUDE)
                .because("it is Essential: Debian's packages rely on it without saying so")
                .hint("take it out of `packages.exclude`"));
        }
    }
    Ok(())
}

/// Where the names that are left out stand in the profile.
pub(super) const EXCLUDE: &str = "packages.exclude";

/// The set for these roots: apt's own way where it leads to an end, else the solver's.
fn complete(reader: &NeedReader<'_, '_>, roots: &[Id]) -> Result<Vec<Id>, solver::UnsatCore> {
    if let Some(set) = walk(reader, roots)
        && let Ok(confirmed) = solver::solve(reader, &set, &[])
        && confirmed == set
    {
        return Ok(set);
    }
    search(reader, roots)
}

/// The solver alone; Recommends by rounds, because each accepted one may recommend more.
pub(super) fn search(reader: &NeedReader<'_, '_>, roots: &[Id]) -> Result<Vec<Id>, solver::UnsatCore> {
    let mut wishes: Vec<Id> = Vec::new();
    let mut chosen = solver::solve(reader, roots, &[])?;
    for _ in 0..if reader.recommends == Recommends::None { 0 } else { ROUNDS } {
        let mut fresh = Vec::new();
        for &id in &chosen {
            for soft in reader.needs(id).soft() {
                if soft.options.iter().any(|o| chosen.binary_search(o).is_ok()) {
                    continue;
                }
                // The first alternative that has not been tried in vain.
                fresh.extend(soft.options.iter().copied().find(|o| !wishes.contains(o) && !fresh.contains(o)));
            }
        }
        if fresh.is_empty() {
            break;
        }
        wishes.extend(fresh);
        chosen = solver::solve(reader, roots, &wishes)?;
    }
    Ok(chosen)
}
