//! Why a list cannot be installed, in a few lines that name what requires what.

use super::needs::NeedReader;
use super::request::shortened;
use super::solver::UnsatCore;
use crate::relation::Relation;
use crate::universe::Id;
use diorite_model::Error;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is said of a package that the profile leaves out.
const EXCLUDED: &str = "which `packages.exclude` leaves out";

/// More reasons than this do not help anybody.
const MOST_REASONS: usize = 6;

/// The error for a list whose roots cannot be installed together. `root` says in words why a root is one.
pub fn unsatisfiable(reader: &NeedReader<'_, '_>, core: &UnsatCore, list: &str, root: impl Fn(Id) -> String) -> Error {
    let story = Explanation { reader, core, root: &root, reached: reach(core) };
    let mut lines = Vec::new();
    let missing = core.requires.iter().filter(|(_, options)| options.is_empty()).filter_map(|(from, _)| *from);
    for id in missing {
        lines.push(story.missing(id));
    }
    for &(from, to) in &core.refuses {
        lines.push(story.quarrel(from, to));
    }
    lines.sort();
    lines.dedup();
    let more = lines.len().saturating_sub(MOST_REASONS);
    lines.truncate(MOST_REASONS);
    if more > 0 {
        lines.push(format!("… and {more} more of this kind"));
    }
    let hint = if lines.iter().any(|line| line.contains(EXCLUDED)) {
        "take it out of `packages.exclude`, or leave out what requires it"
    } else if core.refuses.is_empty() {
        "name the component or repository that has what is missing, or leave out what requires it"
    } else {
        "leave out one side, or ask for another package that serves the same purpose"
    };
    Error::input("the packages cannot be installed together").at(list).detail(lines.join("\n")).hint(hint)
}

/// For each package of the core, the way it came in: the package that needs it, nearest to the request.
fn reach(core: &UnsatCore) -> BTreeMap<Id, Option<Id>> {
    let mut reached: BTreeMap<Id, Option<Id>> = BTreeMap::new();
    let mut queue: VecDeque<Option<Id>> = VecDeque::from([None]);
    while let Some(from) = queue.pop_front() {
        for option in core.requires.iter().filter(|(f, _)| *f == from).flat_map(|(_, options)| options) {
            if !reached.contains_key(option) {
                reached.insert(*option, from);
                queue.push_back(Some(*option));
            }
        }
    }
    reached
}

struct Explanation<'s, 'u, 'a> {
    reader: &'s NeedReader<'u, 'a>,
    core: &'s UnsatCore,
    root: &'s dyn Fn(Id) -> String,
    reached: BTreeMap<Id, Option<Id>>,
}

impl Explanation<'_, '_, '_> {
    fn name(&self, id: Id) -> String {
        let package = self.reader.universe.package(id);
        format!("{} {}", package.name, package.version)
    }

    /// `a 1 (is asked for) depends on b (>= 2), which no index lists`.
    fn missing(&self, id: Id) -> String {
        let needs = self.reader.needs(id);
        let unmet = needs.hard().filter(|r| r.options.is_empty());
        let unmet: Vec<String> = unmet.map(|r| format!("{} ({})", group(&r.group), self.instead(&r.group))).collect();
        let unmet = unmet.join(", and ");
        format!("{} depends on {unmet}{}", self.name(id), self.because(id))
    }

    /// What there is instead of what a group asks for.
    fn instead(&self, group: &[Relation<'_>]) -> String {
        let universe = self.reader.universe;
        let mut there = Vec::new();
        for relation in group {
            if let Some(id) = universe.named(relation.name) {
                let version = universe.package(id).version;
                there.push(match relation.qualifier {
                    Some(qualifier) if relation.version.is_none_or(|(op, v)| op.holds(version, v)) => {
                        format!("{} cannot be used as `:{qualifier}`", self.name(id))
                    }
                    _ => format!("there is {}", self.name(id)),
                });
            } else if let [first, ..] = universe.providers(relation.name)[..] {
                there.push(format!("{} provides no such version of it", self.name(first)));
            }
        }
        if group.iter().any(|relation| universe.excluded.contains(relation.name)) {
            there.push(EXCLUDED.to_owned());
        }
        if there.is_empty() { "which no index lists".to_owned() } else { there.join(", ") }
    }

    /// `a 1 conflicts with b, …`.
    fn quarrel(&self, from: Id, to: Id) -> String {
        let needs = self.reader.needs(from);
        let said = needs.refuses.iter().find(|r| r.targets.contains(&to));
        let (verb, relation) = said.map_or(("refuses", String::new()), |r| (r.verb, r.relation.to_string()));
        let target = if said.is_some_and(|r| r.relation.name == self.reader.universe.package(to).name) {
            format!("{relation}, and {} is needed too", self.name(to))
        } else {
            format!("{relation}, which {} provides", self.name(to))
        };
        format!("{} {verb} {target}{}{}", self.name(from), self.because(from), self.because(to))
    }

    /// The way from the request to a package, one line per step.
    fn because(&self, id: Id) -> String {
        let mut lines = String::new();
        let (mut at, mut seen) = (id, BTreeSet::new());
        while seen.insert(at) {
            match self.reached.get(&at) {
                Some(Some(from)) => {
                    lines.push_str(&format!("\n    {} depends on {}", self.name(*from), self.wanted(*from, at)));
                    at = *from;
                }
                _ => {
                    lines.push_str(&format!("\n    {} {}", self.name(at), (self.root)(at)));
                    break;
                }
            }
        }
        lines
    }

    /// How `from` asks for `to`, with the other ways to meet it that do not work either.
    fn wanted(&self, from: Id, to: Id) -> String {
        let needs = self.reader.needs(from);
        let options = self.core.requires.iter().find(|(f, options)| *f == Some(from) && options.contains(&to));
        let requirement =
            needs.hard().find(|r| options.is_some_and(|(_, o)| *o == r.options) || r.options.contains(&to));
        let Some(requirement) = requirement else { return self.reader.universe.package(to).name.to_owned() };
        let text = group(&requirement.group);
        if requirement.group.iter().any(|r| r.name == self.reader.universe.package(to).name) {
            return text;
        }
        let names: Vec<&str> = requirement.options.iter().map(|&o| self.reader.universe.package(o).name).collect();
        format!("{text}, provided by {}", shortened(&names))
    }
}

fn group(group: &[Relation<'_>]) -> String {
    group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}
