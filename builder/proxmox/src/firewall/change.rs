//! From what is there to what must be, one call at a time. Each call is right by itself: a run that ends anywhere between
//! two is taken up where it was left.

use super::{FirewallRule, FirewallRules, SOURCES, comparable};
use std::collections::BTreeMap;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirewallChange {
    /// Options that get other values.
    Options(BTreeMap<String, String>),
    /// A set that is made.
    Set(String),
    /// A network that a set gets.
    Network(String, String),
    /// A rule that is put at the top.
    Rule(FirewallRule),
    /// The rule at this place goes.
    RemoveRule(usize, FirewallRule),
    /// A network goes from a set.
    RemoveNetwork(String, String),
    /// An empty set goes.
    RemoveSet(String),
}

/// The next call, if one is needed. With `exact` nothing stays that is not desired; without it nothing goes, and the
/// policies are the wider ones of both; the set of addresses that the card may send from is the other way round, as it
/// admits nothing and only keeps back.
pub fn next(desired: &FirewallRules, there: &FirewallRules, exact: bool) -> Option<FirewallChange> {
    let wider = |name: &str| !exact && there.options.get(name).is_some_and(|v| v == "ACCEPT") && is_on(there);
    let options: BTreeMap<_, _> = desired
        .options
        .iter()
        .filter(|(name, value)| there.options.get(*name) != Some(value) && !wider(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // What is admitted first, so that a machine that runs loses nothing when its firewall is switched on.
    let filtered = there.sets.contains_key(SOURCES);
    if filtered && !desired.sets.contains_key(SOURCES) {
        return Some(FirewallChange::RemoveSet(SOURCES.into()));
    }
    additions(desired, there, exact || filtered)
        .or_else(|| (!options.is_empty()).then_some(FirewallChange::Options(options)))
        .or_else(|| exact.then(|| removals(desired, there)).flatten())
}

fn is_on(there: &FirewallRules) -> bool {
    there.options.get("enable").is_some_and(|v| v == "1")
}

fn additions(desired: &FirewallRules, there: &FirewallRules, sources: bool) -> Option<FirewallChange> {
    for (name, networks) in desired.sets.iter().filter(|(name, _)| sources || *name != SOURCES) {
        let Some(has) = there.sets.get(name) else { return Some(FirewallChange::Set(name.clone())) };
        if let Some(network) = networks.difference(has).next() {
            return Some(FirewallChange::Network(name.clone(), network.clone()));
        }
    }
    let (rules, has) = (&desired.rules, comparables(&there.rules));
    let done = inserted(rules, &has);
    (done < rules.len()).then(|| FirewallChange::Rule(rules[rules.len() - 1 - done].clone()))
}

/// Each rule is put at the top, so that the last is made first: how many stand there already.
fn inserted(rules: &[FirewallRule], has: &[FirewallRule]) -> usize {
    let fits = |n: &usize| has.len() >= *n && has[..*n] == rules[rules.len() - n..];
    (0..=rules.len()).rev().find(fits).unwrap_or(0)
}

fn removals(desired: &FirewallRules, there: &FirewallRules) -> Option<FirewallChange> {
    // From the end, so that no place shifts.
    if there.rules.len() > desired.rules.len() {
        let last = there.rules.len() - 1;
        return Some(FirewallChange::RemoveRule(last, there.rules[last].clone()));
    }
    for (name, has) in &there.sets {
        let empty = Default::default();
        let networks = desired.sets.get(name).unwrap_or(&empty);
        if let Some(network) = has.difference(networks).next() {
            return Some(FirewallChange::RemoveNetwork(name.clone(), network.clone()));
        }
        if !desired.sets.contains_key(name) {
            return Some(FirewallChange::RemoveSet(name.clone()));
        }
    }
    None
}

fn comparables(rules: &[FirewallRule]) -> Vec<FirewallRule> {
    rules.iter().map(comparable).collect()
}

impl FirewallChange {
    /// What is there afterwards.
    pub fn apply(&self, there: &mut FirewallRules) {
        match self {
            FirewallChange::Options(options) => there.options.extend(options.clone()),
            FirewallChange::Set(name) => drop(there.sets.insert(name.clone(), Default::default())),
            FirewallChange::Network(name, network) => {
                there.sets.entry(name.clone()).or_default().insert(network.clone());
            }
            FirewallChange::Rule(rule) => there.rules.insert(0, rule.clone()),
            FirewallChange::RemoveRule(place, _) => drop(there.rules.remove(*place)),
            FirewallChange::RemoveNetwork(name, network) => {
                there.sets.get_mut(name).map(|set| set.remove(network));
            }
            FirewallChange::RemoveSet(name) => drop(there.sets.remove(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(ports: &[&str]) -> FirewallRules {
        let mut all = FirewallRules::default();
        for port in ports {
            all.add("in", "tcp", &[("dport", (*port).to_owned())], port);
        }
        all.options.insert("enable".into(), "1".into());
        all.sets.insert("set-a".into(), ports.iter().map(|p| format!("10.0.0.{p}")).collect());
        all
    }

    fn run(desired: &FirewallRules, there: &mut FirewallRules, exact: bool) -> Vec<FirewallChange> {
        let mut all = Vec::new();
        while let Some(change) = next(desired, there, exact) {
            change.apply(there);
            all.push(change);
            assert!(all.len() < 100, "{all:#?}");
        }
        all
    }

    #[test]
    fn it_arrives_from_anywhere_and_rests() {
        for (from, to) in [
            (&[][..], &["1", "2", "3"][..]),
            (&["1", "2", "3"], &["2"]),
            (&["3", "2", "1"], &["1", "2", "3"]),
            (&["2", "2"], &["2"]),
            (&["9", "1", "2", "3"], &["1", "2", "3"]),
        ] {
            let (desired, mut there) = (rules(to), rules(from));
            run(&desired, &mut there, true);
            assert_eq!(there, desired, "{from:?} {to:?}");
            assert!(run(&desired, &mut there, true).is_empty());
        }
    }

    #[test]
    fn on_trial_nothing_goes() {
        let (desired, old) = (rules(&["1", "2"]), rules(&["2", "3"]));
        let mut there = old.clone();
        run(&desired, &mut there, false);
        assert_eq!(there.rules[..2], desired.rules[..]);
        assert!(old.rules.iter().all(|rule| there.rules.contains(rule)), "{there:?}");
        assert_eq!(there.sets["set-a"].len(), 3);
        run(&desired, &mut there, true);
        assert_eq!(there, desired);
    }

    #[test]
    fn a_rule_that_is_switched_off_is_another_rule() {
        let desired = rules(&["1"]);
        let mut there = desired.clone();
        there.rules[0].insert("enable".into(), "0".into());
        assert!(matches!(next(&desired, &there, true), Some(FirewallChange::Rule(_))));
        there.rules[0].insert("enable".into(), "1".into());
        there.rules[0].insert("pos".into(), "0".into());
        assert_eq!(next(&desired, &there, true), None);
    }

    #[test]
    fn what_the_card_may_send_from_narrows_at_the_end_and_widens_at_once() {
        let from = |addresses: &[&str]| {
            let set: std::collections::BTreeSet<_> = addresses.iter().map(|a| (*a).to_owned()).collect();
            let sets = if set.is_empty() { BTreeMap::new() } else { BTreeMap::from([(SOURCES.to_owned(), set)]) };
            FirewallRules { sets, ..FirewallRules::default() }
        };
        for (old, new, trial) in [
            // Not kept back while it is on trial.
            (&[][..], &["10.0.0.1"][..], &[][..]),
            // Both the old and the new one.
            (&["10.0.0.1"], &["10.0.0.2"], &["10.0.0.1", "10.0.0.2"]),
            // Whatever address it will get.
            (&["10.0.0.1", "10.0.0.2"], &[], &[]),
        ] {
            let (desired, mut there) = (from(new), from(old));
            run(&desired, &mut there, false);
            assert_eq!(there, from(trial), "{old:?} {new:?}");
            run(&desired, &mut there, true);
            assert_eq!(there, desired, "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_narrower_policy_waits_for_the_end_of_the_trial() {
        let option = |out: &str| FirewallRules {
            options: [("enable", "1"), ("policy_out", out)].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            ..FirewallRules::default()
        };
        assert_eq!(next(&option("DROP"), &option("ACCEPT"), false), None);
        assert!(matches!(next(&option("DROP"), &option("ACCEPT"), true), Some(FirewallChange::Options(_))));
        assert!(matches!(next(&option("ACCEPT"), &option("DROP"), false), Some(FirewallChange::Options(_))));
    }
}
