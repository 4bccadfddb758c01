use super::*;
use std::collections::BTreeSet;

fn rules(ports: &[&str]) -> FirewallRules {
    let mut all = FirewallRules::default();
    for port in ports {
        all.add("in", "tcp", &[("dport", (*port).to_owned())], port);
    }
    all.options.insert("enable".into(), "1".into());
    all.sets.insert("set-a".into(), ports.iter().map(|p| format!("10.0.0.{p}")).collect());
    all
}

fn run(required: &FirewallRules, tolerated: &FirewallRules, present: &mut FirewallRules) -> Vec<FirewallChange> {
    let mut all = Vec::new();
    while let Some(change) = next(required, tolerated, present) {
        change.apply(present);
        all.push(change);
        assert!(all.len() < 100, "{all:#?}");
    }
    all
}

fn settle(desired: &FirewallRules, present: &mut FirewallRules) -> Vec<FirewallChange> {
    run(desired, desired, present)
}

fn attempt(
    desired: &FirewallRules,
    before: Option<&FirewallRules>,
    present: &mut FirewallRules,
) -> Vec<FirewallChange> {
    let mut all = Vec::new();
    loop {
        let (required, tolerated) = trial(desired, before, present);
        let Some(change) = next(&required, &tolerated, present) else { return all };
        change.apply(present);
        all.push(change);
        assert!(all.len() < 100, "{all:#?}");
    }
}

/// Without the order of the rules.
fn sorted(rules: &FirewallRules) -> FirewallRules {
    let mut all = rules.clone();
    all.rules.sort();
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
        let (desired, mut present) = (rules(to), rules(from));
        settle(&desired, &mut present);
        assert_eq!(sorted(&present), sorted(&desired), "{from:?} {to:?}");
        assert!(settle(&desired, &mut present).is_empty());
    }
    let (desired, mut present) = (rules(&["1", "2", "3"]), FirewallRules::default());
    settle(&desired, &mut present);
    assert_eq!(present, desired, "in the order in which they are declared");
}

#[test]
fn a_rule_that_somebody_changed_is_mended_by_two_calls() {
    let desired = rules(&["1", "2", "3", "4", "5"]);
    let mut present = desired.clone();
    present.rules[2].insert("source".into(), "0.0.0.0/0".into());
    let changed = present.rules[2].clone();
    let made = desired.rules[2].clone();
    assert_eq!(
        settle(&desired, &mut present),
        [FirewallChange::Rule(made), FirewallChange::RemoveRule(3, changed)],
        "the others stay where they are"
    );
    present.rules.remove(4);
    assert_eq!(settle(&desired, &mut present).len(), 1, "and one that is missing by one");
}

#[test]
fn on_trial_what_both_images_declare_is_admitted_and_nothing_else() {
    let (desired, before) = (rules(&["1", "2"]), rules(&["2", "3"]));
    let mut present = before.clone();
    present.rules.push(rules(&["22"]).rules[0].clone());
    present.sets.get_mut("set-a").expect("a set").insert("0.0.0.0/0".into());
    present.sets.insert("theirs".into(), BTreeSet::new());
    present.options.insert("policy_in".into(), "ACCEPT".into());
    let mut declared = desired.clone();
    declared.options.insert("policy_in".into(), "DROP".into());
    attempt(&declared, Some(&before), &mut present);
    for rule in desired.rules.iter().chain(&before.rules) {
        assert!(present.rules.contains(rule), "{rule:?}");
    }
    assert_eq!(present.rules.len(), 3, "port 22 was nobody's: {:?}", present.rules);
    let both: BTreeSet<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(str::to_owned).into();
    assert_eq!(present.sets, BTreeMap::from([("set-a".to_owned(), both)]));
    assert_eq!(present.options["policy_in"], "DROP", "which neither image declares to be open");
    settle(&declared, &mut present);
    assert_eq!(sorted(&present), sorted(&declared));
}

#[test]
fn a_rule_that_is_switched_off_is_another_rule() {
    let desired = rules(&["1"]);
    let mut present = desired.clone();
    present.rules[0].insert("enable".into(), "0".into());
    assert!(matches!(next(&desired, &desired, &present), Some(FirewallChange::Rule(_))));
    present.rules[0].insert("enable".into(), "1".into());
    present.rules[0].insert("pos".into(), "0".into());
    assert_eq!(next(&desired, &desired, &present), None);
}

#[test]
fn what_the_card_may_send_from_narrows_at_the_end_and_widens_at_once() {
    let from = |addresses: &[&str]| {
        let set: BTreeSet<_> = addresses.iter().map(|a| (*a).to_owned()).collect();
        let sets = if set.is_empty() { BTreeMap::new() } else { BTreeMap::from([(SOURCES.to_owned(), set)]) };
        FirewallRules { sets, ..FirewallRules::default() }
    };
    for (old, new, on_trial) in [
        // Not kept back while it is on trial.
        (&[][..], &["10.0.0.1"][..], &[][..]),
        // Both the old and the new one.
        (&["10.0.0.1"], &["10.0.0.2"], &["10.0.0.1", "10.0.0.2"]),
        // Whatever address it will get.
        (&["10.0.0.1", "10.0.0.2"], &[], &[]),
    ] {
        let (desired, mut present) = (from(new), from(old));
        attempt(&desired, Some(&from(old)), &mut present);
        assert_eq!(present, from(on_trial), "{old:?} {new:?}");
        settle(&desired, &mut present);
        assert_eq!(present, desired, "{old:?} {new:?}");
    }
    // Somebody took it away, or added an address: that is closed before the next image is tried.
    for there in [&[][..], &["10.0.0.1", "203.0.113.9"]] {
        let mut present = from(there);
        attempt(&from(&["10.0.0.2"]), Some(&from(&["10.0.0.1"])), &mut present);
        assert_eq!(present, from(&["10.0.0.1", "10.0.0.2"]), "{there:?}");
    }
}

#[test]
fn a_narrower_policy_waits_for_the_end_of_the_trial() {
    let option = |out: &str| FirewallRules {
        options: [("enable", "1"), ("policy_out", out)].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        ..FirewallRules::default()
    };
    let (open, closed) = (option("ACCEPT"), option("DROP"));
    let on_trial = |desired: &FirewallRules, before: &FirewallRules, present: &FirewallRules| {
        let (required, tolerated) = trial(desired, Some(before), present);
        next(&required, &tolerated, present)
    };
    assert_eq!(on_trial(&closed, &open, &open), None);
    assert!(matches!(next(&closed, &closed, &open), Some(FirewallChange::Options(_))));
    assert!(matches!(on_trial(&open, &closed, &closed), Some(FirewallChange::Options(_))));
    assert!(matches!(on_trial(&closed, &closed, &open), Some(FirewallChange::Options(_))), "nobody declared it open");
    assert_eq!(on_trial(&closed, &open, &closed), None, "it is not opened again");
}
