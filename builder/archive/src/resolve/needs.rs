//! What a package needs and what it cannot stand, as ids of the universe.

use crate::relation::{self, Relation};
use crate::stanza;
use crate::universe::{Id, Universe};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// The field a requirement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedKind {
    /// The field Pre-Depends: must be configured before this package is unpacked.
    PreDepends,
    /// The field Depends: must be installed.
    Depends,
    /// The field Recommends: installed unless the profile turns it off.
    Recommends,
}

/// One group of alternatives.
pub struct Requirement<'a> {
    /// The field it was written in.
    pub kind: NeedKind,
    /// The alternatives as the control file gives them.
    pub group: Vec<Relation<'a>>,
    /// What meets it, the preferred first: alternatives from left to right, in each the real package first.
    pub options: Vec<Id>,
}

/// What cannot be installed together with a package, and what its control file says about it.
pub struct PackageConflict<'a> {
    /// Field: `conflicts with` or `breaks`.
    pub verb: &'static str,
    /// The relation as the control file gives it.
    pub relation: Relation<'a>,
    /// What it means.
    pub targets: Vec<Id>,
}

/// Relations of one package.
pub struct Needs<'a> {
    /// Pre-Depends, Depends and, when asked for, Recommends; in the order of the fields.
    pub requires: Vec<Requirement<'a>>,
    /// Conflicts and Breaks.
    pub refuses: Vec<PackageConflict<'a>>,
}

impl Needs<'_> {
    /// The requirements that must be met.
    pub fn hard(&self) -> impl Iterator<Item = &Requirement<'_>> {
        self.requires.iter().filter(|r| r.kind != NeedKind::Recommends)
    }
    /// The requirements that should be met.
    pub fn soft(&self) -> impl Iterator<Item = &Requirement<'_>> {
        self.requires.iter().filter(|r| r.kind == NeedKind::Recommends)
    }
    /// All packages that cannot be installed together with this one.
    pub fn refused(&self) -> impl Iterator<Item = Id> {
        self.refuses.iter().flat_map(|r| r.targets.iter().copied())
    }
}

/// Whose Recommends are installed as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recommends<'a> {
    /// Nobody's.
    None,
    /// Everybody's.
    All,
    /// Those of the packages of these names.
    Of(&'a [String]),
}

impl Recommends<'_> {
    fn has(self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Of(names) => names.iter().any(|n| n == name),
        }
    }
}

/// Reads relations when they are first asked for: a list touches some hundreds of seventy thousand packages.
pub struct NeedReader<'u, 'a> {
    /// The candidates that relations are resolved against.
    pub universe: &'u Universe<'a>,
    /// Names that the builder itself provides: what they meet is met already.
    pub provided: &'u [&'u str],
    /// Whose Recommends are installed like Depends.
    pub recommends: Recommends<'u>,
    read: RefCell<HashMap<Id, Rc<Needs<'a>>>>,
}

impl<'u, 'a> NeedReader<'u, 'a> {
    /// A reader that has read nothing yet.
    pub fn new(universe: &'u Universe<'a>, provided: &'u [&'u str], recommends: Recommends<'u>) -> Self {
        Self { universe, provided, recommends, read: RefCell::default() }
    }

    /// Relations of one package.
    pub fn needs(&self, id: Id) -> Rc<Needs<'a>> {
        if let Some(known) = self.read.borrow().get(&id) {
            return known.clone();
        }
        let needs = Rc::new(self.parse(id));
        self.read.borrow_mut().insert(id, needs.clone());
        needs
    }

    fn parse(&self, id: Id) -> Needs<'a> {
        let package = *self.universe.package(id);
        let (mut pre, mut hard, mut soft, mut refuses) = (vec![], vec![], vec![], vec![]);
        for (field, value) in stanza::fields(package.stanza) {
            match field {
                "Pre-Depends" => self.requirements(value, NeedKind::PreDepends, &mut pre),
                "Depends" => self.requirements(value, NeedKind::Depends, &mut hard),
                "Recommends" if self.recommends.has(package.name) => {
                    self.requirements(value, NeedKind::Recommends, &mut soft)
                }
                "Conflicts" => self.refusals(id, value, "conflicts with", &mut refuses),
                "Breaks" => self.refusals(id, value, "breaks", &mut refuses),
                _ => {}
            }
        }
        pre.append(&mut hard);
        pre.append(&mut soft);
        Needs { requires: pre, refuses }
    }

    fn requirements(&self, value: &'a str, kind: NeedKind, into: &mut Vec<Requirement<'a>>) {
        for group in relation::groups(value, self.universe.stanzas.architecture()) {
            if group.iter().any(|r| r.version.is_none() && self.provided.contains(&r.name)) {
                continue;
            }
            let mut options = Vec::new();
            for relation in &group {
                for id in self.universe.meets(relation) {
                    if !options.contains(&id) {
                        options.push(id);
                    }
                }
            }
            into.push(Requirement { kind, group, options });
        }
    }

    fn refusals(&self, own: Id, value: &'a str, verb: &'static str, into: &mut Vec<PackageConflict<'a>>) {
        for relation in relation::groups(value, self.universe.stanzas.architecture()).flatten() {
            // A package never refuses itself: that is how "only one of these" is written (Policy 7.6.2).
            let targets: BTreeSet<Id> = self.universe.meets(&relation).into_iter().filter(|&id| id != own).collect();
            if !targets.is_empty() {
                into.push(PackageConflict { verb, relation, targets: targets.into_iter().collect() });
            }
        }
    }
}
