//! The universe in the words of resolvo: a SAT solver that learns from conflicts and can say what they were.
//!
//! A name has one candidate, so names, solvables and ids of the universe are the same numbers. There are two version sets
//! per name, "it" (2 × id) and "not it" (2 × id + 1); a group of alternatives is an ordered union of "it"s, with virtual
//! packages spelled out as their providers, and a conflict constrains each target to "not it". No synthetic package is
//! needed, and every conflict the solver reports is about packages that exist.

use super::needs::NeedReader;
use crate::universe::Id;
use resolvo::conflict::{ConflictCause, ConflictEdge, ConflictNode};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId, Problem, Requirement, SolvableId, Solver,
    SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;

/// Why a set cannot be installed: the packages and quarrels that the proof needed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnsatCore {
    /// Package (`None`: the request itself) and what meets one of its needs; a need nothing meets has no options.
    pub requires: BTreeSet<(Option<Id>, Vec<Id>)>,
    /// Package, and a package it refuses.
    pub refuses: BTreeSet<(Id, Id)>,
}

/// A set that holds the roots and is closed under what each needs, without quarrels; sorted. `wishes` are added where they
/// can be, in their order.
pub fn solve(reader: &NeedReader<'_, '_>, roots: &[Id], wishes: &[Id]) -> Result<Vec<Id>, UnsatCore> {
    let provider = PackageProvider { reader, unions: RefCell::default() };
    let requirements = roots.iter().map(|&id| Requirement::Single(it(id)).into()).collect();
    let mut solver = Solver::new(provider);
    let wishes: Vec<_> = wishes.iter().map(|&id| SolvableId::from_raw(id)).collect();
    match solver.solve(Problem::new().requirements(requirements).soft_requirements(wishes)) {
        Ok(chosen) => {
            let mut ids: Vec<Id> = chosen.into_iter().map(|s| s.into_raw()).collect();
            ids.sort_unstable();
            Ok(ids)
        }
        Err(UnsolvableOrCancelled::Unsolvable(conflict)) => Err(core(&conflict.graph(&solver), &solver)),
        Err(UnsolvableOrCancelled::Cancelled(_)) => unreachable!("nothing cancels"),
    }
}

fn core(graph: &resolvo::conflict::ConflictGraph, solver: &Solver<PackageProvider<'_, '_, '_>>) -> UnsatCore {
    let mut core = UnsatCore::default();
    let nodes = &graph.graph;
    let package = |node| match nodes[node] {
        ConflictNode::Solvable::<SolvableId>(id) => Some(id.into_raw()),
        _ => None,
    };
    for edge in graph.graph.raw_edges() {
        let (from, to) = (package(edge.source()), package(edge.target()));
        match (edge.weight, from, to) {
            (ConflictEdge::Requires(requirement), from, _) => {
                let options = match requirement {
                    Requirement::Single(set) if set.0 == solver.provider().nothing().0 => Vec::new(),
                    Requirement::Single(set) => vec![set.0 / 2],
                    Requirement::Union(union) => {
                        solver.provider().unions.borrow()[union.0 as usize].iter().map(|set| set.0 / 2).collect()
                    }
                };
                core.requires.insert((from, options));
            }
            (ConflictEdge::Conflict(ConflictCause::Constrains(_)), Some(from), Some(to)) => {
                core.refuses.insert((from, to));
            }
            _ => {}
        }
    }
    core
}

struct PackageProvider<'p, 'u, 'a> {
    reader: &'p NeedReader<'u, 'a>,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
}

fn it(id: Id) -> VersionSetId {
    VersionSetId(2 * id)
}
fn not_it(id: Id) -> VersionSetId {
    VersionSetId(2 * id + 1)
}

impl PackageProvider<'_, '_, '_> {
    /// A version set of a name that does not exist: what a need that nothing meets asks for.
    fn nothing(&self) -> VersionSetId {
        it(self.reader.universe.packages.len() as Id)
    }

    fn requirement(&self, options: &[Id]) -> ConditionalRequirement {
        match options {
            [] => Requirement::Single(self.nothing()).into(),
            [only] => Requirement::Single(it(*only)).into(),
            several => {
                let mut unions = self.unions.borrow_mut();
                unions.push(several.iter().map(|&id| it(id)).collect());
                Requirement::Union(VersionSetUnionId(unions.len() as u32 - 1)).into()
            }
        }
    }

    fn name(&self, id: Id) -> &str {
        self.reader.universe.packages.get(id as usize).map_or("nothing", |p| p.name)
    }
}

impl Interner for PackageProvider<'_, '_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.name(solvable.into_raw())
    }
    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.name(name.into_raw())
    }
    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        if set.0.is_multiple_of(2) { "it" } else { "not it" }
    }
    fn display_string(&self, _: StringId) -> impl Display + '_ {
        ""
    }
    fn version_set_name(&self, set: VersionSetId) -> NameId {
        NameId::from_raw(set.0 / 2)
    }
    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_raw(solvable.into_raw())
    }
    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.unions.borrow()[union.0 as usize].clone().into_iter()
    }
    fn resolve_condition(&self, _: ConditionId) -> Condition {
        unreachable!("no requirement has a condition")
    }
}

impl DependencyProvider for PackageProvider<'_, '_, '_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let wanted = set.0.is_multiple_of(2) != inverse;
        if wanted { candidates.to_vec() } else { Vec::new() }
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let id = name.into_raw();
        ((id as usize) < self.reader.universe.packages.len()).then(|| Candidates {
            candidates: vec![SolvableId::from_raw(id)],
            hint_dependencies_available: HintDependenciesAvailable::None,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {}

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let needs = self.reader.needs(solvable.into_raw());
        Dependencies::Known(KnownDependencies {
            requirements: needs.hard().map(|r| self.requirement(&r.options)).collect(),
            constrains: needs.refused().collect::<BTreeSet<_>>().into_iter().map(not_it).collect(),
        })
    }
}
