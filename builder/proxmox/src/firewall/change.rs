//! From what is there to what must be, one call at a time. Each call is right by itself: a run that ends anywhere between
//! two is taken up where it was left.
//!
//! All rules that a profile declares admit something, and nothing else is left between them: their order says nothing, so
//! that one rule which somebody changed is mended by two calls, whatever its place.

use super::{FirewallRule, FirewallRules, SOURCES, comparable, describe};
use std::collections::BTreeMap;
use std::fmt;

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

/// The next call, if one is needed: first what is required and not there, then options, then what is there and not
/// tolerated. What is admitted comes first, so that a VM that runs loses nothing when its firewall is switched on.
pub fn next(required: &FirewallRules, tolerated: &FirewallRules, present: &FirewallRules) -> Option<FirewallChange> {
    // It keeps back what the image may need to send from.
    if present.sets.contains_key(SOURCES) && !tolerated.sets.contains_key(SOURCES) {
        return Some(FirewallChange::RemoveSet(SOURCES.into()));
    }
    let differs = |(name, value): &(&String, &String)| present.options.get(*name) != Some(value);
    let options: BTreeMap<_, _> =
        required.options.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone())).collect();
    additions(required, present)
        .or_else(|| (!options.is_empty()).then_some(FirewallChange::Options(options)))
        .or_else(|| removals(tolerated, present))
}

/// What is required, and what is tolerated besides, until an image has shown that it works. `before`: what the image before
/// it declares, which may still need it, and may come back.
pub fn trial(
    desired: &FirewallRules,
    before: Option<&FirewallRules>,
    present: &FirewallRules,
) -> (FirewallRules, FirewallRules) {
    let Some(before) = before else { return (desired.clone(), desired.clone()) };
    let (mut required, mut tolerated) = (desired.clone(), desired.clone());
    let admitted = comparables(&desired.rules);
    tolerated.rules.extend(comparables(&before.rules).into_iter().filter(|rule| !admitted.contains(rule)));
    for (name, networks) in before.sets.iter().filter(|(name, _)| *name != SOURCES) {
        tolerated.sets.entry(name.clone()).or_default().extend(networks.clone());
    }
    // An option that is as the image before declares it stays where it admits more.
    let stays = |name: &String| {
        let there = present.options.get(name).filter(|value| before.options.get(name) == Some(value));
        is_on(present) && there.is_some_and(|value| is_wider(name, value))
    };
    required.options.retain(|name, _| !stays(name));
    // The addresses that may be sent from admit nothing: those of both images are needed, and where the image before
    // may send from any, nothing keeps the new one back either until it works.
    match (desired.sets.get(SOURCES), before.sets.get(SOURCES)) {
        (Some(_), None) if !present.sets.contains_key(SOURCES) => drop(required.sets.remove(SOURCES)),
        (Some(addresses), Some(others)) => {
            let both: std::collections::BTreeSet<_> = addresses.union(others).cloned().collect();
            required.sets.insert(SOURCES.into(), both.clone());
            tolerated.sets.insert(SOURCES.into(), both);
        }
        _ => {}
    }
    (required, tolerated)
}

fn is_on(present: &FirewallRules) -> bool {
    present.options.get("enable").is_some_and(|v| v == "1")
}

/// Whether an option's value admits more than its other one.
fn is_wider(name: &str, value: &str) -> bool {
    match name {
        "policy_in" | "policy_out" => value == "ACCEPT",
        "dhcp" | "ndp" | "radv" => value == "1",
        "macfilter" => value == "0",
        _ => false,
    }
}

fn additions(required: &FirewallRules, present: &FirewallRules) -> Option<FirewallChange> {
    for (name, networks) in &required.sets {
        let Some(has) = present.sets.get(name) else { return Some(FirewallChange::Set(name.clone())) };
        if let Some(network) = networks.difference(has).next() {
            return Some(FirewallChange::Network(name.clone(), network.clone()));
        }
    }
    let has = comparables(&present.rules);
    // A rule is always made at the top: the last one first, so that they stand as they are declared.
    let missing = required.rules.iter().rev().find(|rule| !has.contains(&comparable(rule)));
    missing.map(|rule| FirewallChange::Rule(rule.clone()))
}

fn removals(tolerated: &FirewallRules, present: &FirewallRules) -> Option<FirewallChange> {
    let (allowed, has) = (comparables(&tolerated.rules), comparables(&present.rules));
    // From the end, so that no place shifts that is still to be looked at. Of two that are the same one goes.
    let superfluous = |place: &usize| !allowed.contains(&has[*place]) || has[..*place].contains(&has[*place]);
    if let Some(place) = (0..has.len()).rev().find(superfluous) {
        return Some(FirewallChange::RemoveRule(place, present.rules[place].clone()));
    }
    for (name, has) in &present.sets {
        let Some(networks) = tolerated.sets.get(name) else { return Some(FirewallChange::RemoveSet(name.clone())) };
        if let Some(network) = has.difference(networks).next() {
            return Some(FirewallChange::RemoveNetwork(name.clone(), network.clone()));
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

impl fmt::Display for FirewallChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FirewallChange::Options(options) => {
                let all: Vec<_> = options.iter().map(|(name, value)| format!("{name} {value}")).collect();
                f.write_str(&all.join(", "))
            }
            FirewallChange::Set(name) => write!(f, "create the IP set {name}"),
            FirewallChange::Network(name, network) => write!(f, "add {network} to the IP set {name}"),
            FirewallChange::Rule(rule) => write!(f, "add the rule {}", describe(rule)),
            FirewallChange::RemoveRule(place, rule) => write!(f, "remove rule {place}, {}", describe(rule)),
            FirewallChange::RemoveNetwork(name, network) => write!(f, "remove {network} from the IP set {name}"),
            FirewallChange::RemoveSet(name) => write!(f, "remove the IP set {name}"),
        }
    }
}

#[cfg(test)]
mod tests;
