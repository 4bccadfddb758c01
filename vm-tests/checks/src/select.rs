//! Which checks of a plan are asked: all, those of some names, one part of several; and what they need first.

use crate::check::{Check, Phase};
use diorite_model::{
    Error, Result,
    report::{Selection, Shard},
};

/// What is wanted of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Patterns of names: `*` is any text, `?` any character. Empty: every check.
    pub only: Vec<String>,
    /// Patterns of names that are left out of these.
    pub skip: Vec<String>,
    /// One part of several. Which part a check is in follows from its place in the list alone.
    pub shard: Option<Shard>,
}

/// A check that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedCheck {
    /// The check.
    pub check: Check,
    /// Not chosen itself: one that was needs it.
    pub needed: bool,
}

impl Choice {
    /// How a report tells it.
    pub fn selection(&self, of: usize) -> Selection {
        Selection { of, plan_digest: None, only: self.only.clone(), skip: self.skip.clone(), shard: self.shard }
    }

    /// The checks to ask, in the plan's order.
    ///
    /// # Errors
    /// A pattern that fits no check's name, and a part without checks: both are taken for mistakes.
    pub fn of(&self, plan: Vec<Check>) -> Result<Vec<SelectedCheck>> {
        if let Some(pattern) = self.only.iter().chain(&self.skip).find(|p| !plan.iter().any(|c| fits(p, &c.id))) {
            let error = Error::input(format!("no check is called `{pattern}`"));
            return Err(error.hint("`diorite verify NAME --list` shows their names; `*` is any text"));
        }
        let mut place = 0;
        let mut chosen = |check: &Check| {
            let named = |patterns: &[String]| patterns.iter().any(|p| fits(p, &check.id));
            if !self.only.is_empty() && !named(&self.only) || named(&self.skip) {
                return false;
            }
            place += 1;
            self.shard.is_none_or(|shard| (place - 1) % shard.count == shard.index - 1)
        };
        let chosen: Vec<bool> = plan.iter().map(&mut chosen).collect();
        if !chosen.contains(&true) {
            let Some(Shard { index, count }) = self.shard.filter(|_| place > 0) else {
                return Err(Error::input("every check is left out").hint("take fewer patterns after --skip"));
            };
            let error =
                Error::input(format!("part {index} of {count} has no check")).because(format!("there are {place}"));
            return Err(error.hint("take fewer parts"));
        }
        let needed = |check: &Check| plan.iter().zip(&chosen).any(|(c, chosen)| *chosen && c.needs(check));
        let roles: Vec<(bool, bool)> =
            plan.iter().zip(&chosen).map(|(check, chosen)| (*chosen, needed(check))).collect();
        let wanted = plan.into_iter().zip(roles).filter(|(_, (chosen, needed))| *chosen || *needed);
        Ok(wanted.map(|(check, (chosen, _))| SelectedCheck { check, needed: !chosen }).collect())
    }
}

/// The same checks, and those that tell what is to be known when a moment of the running machine is kept: where it is, and
/// that it has settled.
pub fn with_its_whereabouts(selected: &[SelectedCheck], plan: Vec<Check>) -> Vec<SelectedCheck> {
    let role = |check: Check| match selected.iter().find(|s| s.check == check) {
        Some(own) => Some(own.clone()),
        None => (check.phase <= Phase::Settled).then_some(SelectedCheck { check, needed: true }),
    };
    plan.into_iter().filter_map(role).collect()
}

/// Whether a name fits a pattern.
fn fits(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last star was, and how much of the name it stood for so far.
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < n.len() {
        match p.get(i) {
            Some('*') => {
                star = Some((i, j));
                i += 1;
            }
            Some(c) if *c == '?' || *c == n[j] => (i, j) = (i + 1, j + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (i, j) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scope::tests::server};

    fn ids(choice: &Choice) -> Vec<(String, bool)> {
        let wanted = choice.of(plan::of(&server(), &[])).unwrap_or_else(|e| panic!("{e}"));
        wanted.into_iter().map(|w| (w.check.id, w.needed)).collect()
    }

    fn only(patterns: &[&str]) -> Choice {
        Choice { only: patterns.iter().map(|p| (*p).to_owned()).collect(), ..Choice::default() }
    }

    #[test]
    fn patterns() {
        for (pattern, name) in
            [("*", ""), ("*", "a"), ("a*c", "abbc"), ("a*b*c", "aXbYbc"), ("a?c", "abc"), ("abc", "abc"), ("**", "x")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("a", ""), ("a?", "a"), ("a*c", "abcd"), ("?", "ab"), ("port-*-open", "port-22-silent")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        let long = "a".repeat(5_000);
        assert!(!fits(&"a*".repeat(30).replace("a*a*a*", "a*b"), &long), "it ends");
    }

    #[test]
    fn what_a_check_needs_is_asked_first() {
        let of = |list: &[(&str, bool)]| list.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(ids(&only(&["http-8080"])), of(&[("lease", true), ("running", true), ("http-8080", false)]));
        let six = ids(&only(&["ping-ipv6"]));
        assert_eq!(six, of(&[("address-ipv6", true), ("running", true), ("ping-ipv6", false)]));
        assert_eq!(ids(&only(&["tamper-*"])), of(&[("tamper-refused", false)]));
        assert_eq!(ids(&only(&["lease"])), of(&[("lease", false)]));
        assert_eq!(ids(&only(&["root-verity", "running"])), of(&[("running", false), ("root-verity", false)]));
        assert_eq!(ids(&Choice::default()).len(), plan::of(&server(), &[]).len());
        let error = only(&["ping-*", "pong-*"]).of(plan::of(&server(), &[])).expect_err("nothing fits");
        assert_eq!(error.what, "no check is called `pong-*`");
    }

    #[test]
    fn what_is_left_out_is_asked_only_when_it_is_needed() {
        let all = ids(&Choice::default());
        let skip = |patterns: &[&str]| Choice { skip: only(patterns).only, ..Choice::default() };
        let left = ids(&skip(&["untouched", "clones-*", "tamper-*"]));
        assert_eq!(left.len(), all.len() - 3);
        assert!(left.iter().all(|(id, needed)| !needed && id != "untouched" && id != "tamper-refused"));
        let kept = ids(&skip(&["untouched"]));
        assert!(kept.contains(&("untouched".to_owned(), true)), "two machines are compared");
        let lease = |list: &[(String, bool)]| list.iter().find(|(id, _)| id == "lease").map(|(_, needed)| *needed);
        assert_eq!(lease(&ids(&skip(&["lease"]))), Some(true), "others need the address");
        let both = Choice { only: vec!["lease".into(), "setuid".into()], ..skip(&["lease"]) };
        assert_eq!(lease(&ids(&both)), None, "nobody needs it");
        let wrong = |choice: Choice| choice.of(plan::of(&server(), &[])).expect_err("wrong").what;
        assert_eq!(wrong(skip(&["pong"])), "no check is called `pong`");
        assert_eq!(wrong(skip(&["*"])), "every check is left out");
    }

    #[test]
    fn what_a_moment_must_know_is_asked_too() {
        let plan = plan::of(&server(), &[]);
        let wanted = only(&["root-verity"]).of(plan.clone()).unwrap_or_else(|e| panic!("{e}"));
        let more = with_its_whereabouts(&wanted, plan.clone());
        let ids: Vec<(&str, bool)> = more.iter().map(|w| (w.check.id.as_str(), w.needed)).collect();
        assert_eq!(ids, [("lease", true), ("address-ipv6", true), ("running", true), ("root-verity", false)]);
        let all = Choice::default().of(plan.clone()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(with_its_whereabouts(&all, plan), all, "of everything there is no more");
    }

    #[test]
    fn parts_are_disjoint_and_whole() {
        let all: Vec<String> = plan::of(&server(), &[]).into_iter().map(|c| c.id).collect();
        for count in [1, 2, 3, 7] {
            let part = |index| ids(&Choice { shard: Some(Shard { index, count }), ..Choice::default() });
            let mut together: Vec<String> =
                (1..=count).flat_map(part).filter(|(_, needed)| !needed).map(|(id, _)| id).collect();
            assert_eq!(part(1), part(1), "the same each time");
            let mut expected = all.clone();
            expected.sort();
            together.sort();
            assert_eq!(together, expected, "{count} parts");
        }
        let last = Choice { shard: Some(Shard { index: 3, count: 3 }), ..only(&["ping-*"]) };
        assert_eq!(last.of(plan::of(&server(), &[])).expect_err("two checks").what, "part 3 of 3 has no check");
    }
}
