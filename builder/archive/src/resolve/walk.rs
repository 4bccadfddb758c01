//! The set apt would take, found in apt's own way: depth first, in the order things are asked for and written, the first
//! alternative that can be had. It never revises a choice, so where it fails the solver looks further; where it succeeds,
//! its set is what people know from apt, and the solver only confirms it.

use super::needs::{NeedKind, NeedReader};
use crate::universe::Id;

/// Marks beyond this many mean that choices are being tried over and over: then the solver is the better way.
const PATIENCE: usize = 200_000;

/// Walks from the roots; `None` when a dependency could not be met without revising a choice.
pub fn walk(reader: &NeedReader<'_, '_>, roots: &[Id]) -> Option<Vec<Id>> {
    let all = reader.universe.packages.len();
    let mut walk = Walk { reader, marked: vec![false; all], refused: vec![0; all], trail: Vec::new(), left: PATIENCE };
    for &root in roots {
        if !walk.mark(root) {
            return None;
        }
    }
    for &root in roots {
        if !walk.follow(root) {
            return None;
        }
    }
    Some(walk.needed(roots))
}

struct Walk<'w, 'u, 'a> {
    reader: &'w NeedReader<'u, 'a>,
    marked: Vec<bool>,
    /// How many marked packages refuse each.
    refused: Vec<u32>,
    trail: Vec<Id>,
    left: usize,
}

impl Walk<'_, '_, '_> {
    /// Marks one package alone; false when something marked refuses it or is refused by it, or nothing can meet one of its needs.
    fn mark(&mut self, id: Id) -> bool {
        if self.marked[id as usize] {
            return true;
        }
        self.left = self.left.saturating_sub(1);
        let needs = self.reader.needs(id);
        if self.left == 0
            || needs.hard().any(|r| r.options.is_empty())
            || needs.refused().any(|other| self.marked[other as usize])
            || self.refused[id as usize] > 0
        {
            return false;
        }
        needs.refused().for_each(|other| self.refused[other as usize] += 1);
        self.marked[id as usize] = true;
        self.trail.push(id);
        true
    }

    /// Meets what a marked package needs.
    fn follow(&mut self, id: Id) -> bool {
        let needs = self.reader.needs(id);
        for requirement in &needs.requires {
            if requirement.options.iter().any(|&option| self.marked[option as usize]) {
                continue;
            }
            let met = requirement.options.iter().any(|&option| self.take(option));
            if !met && requirement.kind != NeedKind::Recommends {
                return false;
            }
        }
        true
    }

    /// Marks a package and all it needs, or nothing.
    fn take(&mut self, id: Id) -> bool {
        let before = self.trail.len();
        if self.mark(id) && self.follow(id) {
            return true;
        }
        for undone in self.trail.drain(before..) {
            self.marked[undone as usize] = false;
            self.reader.needs(undone).refused().for_each(|other| self.refused[other as usize] -= 1);
        }
        false
    }

    /// What is reachable from the roots through marked packages; apt calls the rest garbage.
    fn needed(&self, roots: &[Id]) -> Vec<Id> {
        let mut reached = vec![false; self.marked.len()];
        let mut queue = roots.to_vec();
        let mut kept = Vec::new();
        while let Some(id) = queue.pop() {
            if !std::mem::replace(&mut reached[id as usize], true) {
                kept.push(id);
                let needs = self.reader.needs(id);
                queue.extend(needs.requires.iter().flat_map(|r| &r.options).filter(|&&o| self.marked[o as usize]));
            }
        }
        kept.sort_unstable();
        kept
    }
}
