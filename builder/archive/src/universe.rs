//! Package indexes → the universe of one list: for each name the one version that may be installed, and who provides what.
//!
//! As in apt, a name has one candidate: the highest pin priority, then the highest version, unless the request names a
//! version (apt_preferences(5)). Another version is never taken in silence because a dependency would like it.

use crate::packages::SuiteIndex;
use crate::relation::{self, Relation};
use crate::{stanza, version};
use diorite_model::lock::LOCAL;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A package of a [`Universe`]: an index into [`Universe::packages`].
pub type Id = u32;

/// Where packages come from: one suite, or the profile's local files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name in the lock; `local` for local files.
    pub name: String,
    /// Pin priority, apt_preferences(5). Below 0: never installed.
    pub priority: i32,
    /// One of Debian's own suites.
    pub debian: bool,
}

/// One stanza of an index.
#[derive(Debug, Clone, Copy)]
pub struct PackageStanza<'a> {
    /// The field Package: the name.
    pub name: &'a str,
    /// The field Version, deb-version(7).
    pub version: &'a str,
    /// Architecture: this one or `all`.
    pub architecture: &'a str,
    /// The whole stanza, for the fields that have no place here.
    pub stanza: &'a str,
    /// Index into the origins.
    pub origin: u16,
    /// Essential: yes.
    pub essential: bool,
    /// Important: yes or Protected: yes, deb-control(5).
    pub protected: bool,
    /// Multi-Arch: allowed, so that `name:any` may mean it.
    pub allowed: bool,
    /// Place of its Priority: 0 is `required`.
    pub rank: u8,
    provides: &'a str,
}

/// All stanzas of all indexes, sorted by name and within a name by origin.
pub struct Stanzas<'a> {
    packages: Vec<PackageStanza<'a>>,
    origins: Vec<Origin>,
    architecture: String,
}

impl<'a> Stanzas<'a> {
    /// Reads the indexes and the control paragraphs of local packages.
    pub fn read(suites: &'a [(SuiteIndex, bool)], local: &'a [String], architecture: &str) -> Self {
        let mut origins = Vec::new();
        let mut texts: Vec<(u16, &'a str)> = Vec::new();
        for (suite, debian) in suites {
            let number = origins.len() as u16;
            texts.extend(suite.texts.iter().flat_map(|text| pieces(text)).map(|text| (number, text)));
            origins.push(Origin { name: suite.name.clone(), priority: suite.priority, debian: *debian });
        }
        // A file the profile names is meant: it comes before every archive.
        texts.extend(local.iter().map(|text| (origins.len() as u16, text.as_str())));
        origins.push(Origin { name: LOCAL.to_owned(), priority: i32::MAX, debian: false });

        let parsed: Vec<Vec<PackageStanza<'a>>> = texts
            .par_iter()
            .map(|&(origin, text)| stanza::stanzas(text).filter_map(|s| package(s, origin, architecture)).collect())
            .collect();
        let mut packages = parsed.concat();
        // Stable: within a name the order of the sources stays, and the first of equals wins below.
        packages.sort_by_key(|p| p.name);
        Self { packages, origins, architecture: architecture.to_owned() }
    }

    /// Every version of this name, in the order of the sources.
    pub fn versions(&self, name: &str) -> &[PackageStanza<'a>] {
        let start = self.packages.partition_point(|p| p.name < name);
        let end = start + self.packages[start..].partition_point(|p| p.name == name);
        &self.packages[start..end]
    }

    /// The names there are, each once, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.packages.chunk_by(|a, b| a.name == b.name).map(|same| same[0].name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// The architecture this is about.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Where a package came from.
    pub fn origin(&self, package: &PackageStanza<'_>) -> &Origin {
        &self.origins[usize::from(package.origin)]
    }
}

/// Cuts an index into pieces of some megabytes at empty lines, so that several cores can read it. The cuts depend on
/// nothing but the text.
fn pieces(text: &str) -> Vec<&str> {
    const PIECE: usize = 4 << 20;
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > PIECE {
        let start = (PIECE..).find(|&i| rest.is_char_boundary(i)).unwrap_or(rest.len());
        let Some(cut) = rest[start..].find("\n\n") else { break };
        let (piece, after) = rest.split_at(start + cut + 2);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

fn package<'a>(text: &'a str, origin: u16, architecture: &str) -> Option<PackageStanza<'a>> {
    let (mut name, mut version, mut arch, mut provides) = ("", "", "", "");
    let (mut essential, mut protected, mut allowed, mut rank) = (false, false, false, u8::MAX);
    for (field, value) in stanza::fields(text) {
        match field {
            "Package" => name = value,
            "Version" => version = value,
            "Architecture" => arch = value,
            "Provides" => provides = value,
            "Essential" => essential = value == "yes",
            "Important" | "Protected" => protected |= value == "yes",
            "Multi-Arch" => allowed = value == "allowed",
            "Priority" => {
                let order = ["required", "important", "standard", "optional", "extra"];
                rank = order.iter().position(|p| *p == value).map_or(u8::MAX, |p| p as u8);
            }
            _ => {}
        }
    }
    let known = arch == architecture || arch == "all";
    (known && is_name(name) && version::is_valid(version)).then_some(PackageStanza {
        name,
        version,
        architecture: arch,
        stanza: text,
        origin,
        essential,
        protected,
        allowed,
        rank,
        provides,
    })
}

/// A package's name by Policy 5.6.1; capital letters, which dpkg accepts, are accepted too.
pub fn is_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// What a list of packages is resolved from.
pub struct Universe<'a> {
    /// One candidate per name, sorted by name.
    pub packages: Vec<PackageStanza<'a>>,
    /// All versions, for messages.
    pub stanzas: &'a Stanzas<'a>,
    /// Names that were left out on purpose.
    pub excluded: BTreeSet<&'a str>,
    names: HashMap<&'a str, Id>,
    providers: HashMap<&'a str, Vec<Provider<'a>>>,
}

/// Which version of a name may be installed, if any.
#[derive(Debug, Clone, Copy)]
pub struct CandidateRules<'r> {
    /// The versions asked for by `name=version`.
    pub pins: &'r BTreeMap<&'r str, &'r str>,
    /// Names that are never installed.
    pub excluded: &'r [String],
    /// Only what Debian's own suites have.
    pub debian_only: bool,
}

struct Provider<'a> {
    package: Id,
    version: Option<&'a str>,
    /// Meets `name`.
    plain: bool,
    /// Meets `name:any`.
    any: bool,
}

impl<'a> Universe<'a> {
    /// Chooses the candidates.
    pub fn new(stanzas: &'a Stanzas<'a>, rules: &CandidateRules<'_>) -> Self {
        let mut excluded = BTreeSet::new();
        let mut packages: Vec<PackageStanza<'a>> = Vec::with_capacity(stanzas.packages.len());
        for same in stanzas.packages.chunk_by(|a, b| a.name == b.name) {
            if rules.excluded.iter().any(|name| name == same[0].name) {
                excluded.insert(same[0].name);
                continue;
            }
            let pin = rules.pins.get(same[0].name);
            let mut best: Option<(i32, PackageStanza<'a>)> = None;
            for package in same {
                let origin = stanzas.origin(package);
                let priority = match pin {
                    Some(wanted) if package.version != *wanted => continue,
                    // Asked for by version: the pin of its source no longer matters, only the order of sources.
                    Some(_) => origin.priority.max(0),
                    None => origin.priority,
                };
                if priority < 0 || (rules.debian_only && !origin.debian) {
                    continue;
                }
                let better = best.as_ref().is_none_or(|(held, other)| {
                    priority.cmp(held).then_with(|| version::compare(package.version, other.version)).is_gt()
                });
                if better {
                    best = Some((priority, *package));
                }
            }
            packages.extend(best.map(|(_, package)| package));
        }

        let mut names = HashMap::with_capacity(packages.len());
        let mut providers: HashMap<&str, Vec<Provider<'_>>> = HashMap::new();
        for (id, package) in (0..).zip(&packages) {
            names.insert(package.name, id);
            for relation in relation::groups(package.provides, &stanzas.architecture).flatten() {
                // Only `=` says something in Provides (Policy 7.5).
                let version = relation.version.map(|(_, version)| version);
                let plain = relation.qualifier.is_none_or(|q| q == stanzas.architecture);
                let any = relation.qualifier == Some("any") || (relation.qualifier.is_none() && package.allowed);
                providers.entry(relation.name).or_default().push(Provider { package: id, version, plain, any });
            }
        }
        // Where nothing else decides, the order in which a person would look: what the system needs anyway first.
        for list in providers.values_mut() {
            list.sort_by_key(|p| {
                let package = &packages[p.package as usize];
                (!package.essential, !package.protected, package.rank, package.name)
            });
        }
        Self { packages, stanzas, excluded, names, providers }
    }

    /// The package of this id.
    pub fn package(&self, id: Id) -> &PackageStanza<'a> {
        &self.packages[id as usize]
    }

    /// The candidate of this name.
    pub fn named(&self, name: &str) -> Option<Id> {
        self.names.get(name).copied()
    }

    /// Who provides this name, the preferred first; the package of that name itself is not among them.
    pub fn providers(&self, name: &str) -> Vec<Id> {
        let mut ids = Vec::new();
        for provider in self.providers.get(name).map_or(&[][..], Vec::as_slice) {
            if !ids.contains(&provider.package) && self.named(name) != Some(provider.package) {
                ids.push(provider.package);
            }
        }
        ids
    }

    /// The names that are only provided, sorted.
    pub fn virtual_names(&self) -> Vec<&'a str> {
        let mut names: Vec<_> = self.providers.keys().copied().filter(|n| !self.names.contains_key(n)).collect();
        names.sort_unstable();
        names
    }

    /// Every Essential package.
    pub fn essential(&self) -> impl Iterator<Item = Id> {
        (0..).zip(&self.packages).filter(|(_, p)| p.essential).map(|(id, _)| id)
    }

    /// What meets a relation, the preferred first: the package of that name, then providers (Policy 7.5). A relation with
    /// a version is met only by a Provides that says one.
    pub fn meets(&self, relation: &Relation<'_>) -> Vec<Id> {
        let architecture = self.stanzas.architecture.as_str();
        let any = match relation.qualifier {
            None | Some("native") => false,
            Some("any") => true,
            Some(other) if other == architecture => false,
            Some(_) => return Vec::new(),
        };
        let holds = |version: Option<&str>| match (relation.version, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((operator, wanted)), Some(version)) => operator.holds(version, wanted),
        };
        let mut ids = Vec::new();
        if let Some(id) = self.named(relation.name) {
            let package = self.package(id);
            if holds(Some(package.version)) && (!any || package.allowed) {
                ids.push(id);
            }
        }
        for provider in self.providers.get(relation.name).map_or(&[][..], Vec::as_slice) {
            let qualifies = if any { provider.any } else { provider.plain };
            if qualifies && holds(provider.version) && !ids.contains(&provider.package) {
                ids.push(provider.package);
            }
        }
        ids
    }
}
