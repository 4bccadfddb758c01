//! `[monitoring]`: what is refused, and what follows.

use super::*;
use crate::recipe::{Condition, Severity};

/// The smallest profile with these tables.
fn parsed(tables: &str) -> Result<Recipe> {
    let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{tables}");
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

fn refused(tables: &str) -> String {
    parsed(tables).map(|recipe| format!("accepted: {:?}", recipe.monitoring)).unwrap_or_else(|e| e.to_string())
}

/// With Prometheus.
fn watched(tables: &str) -> String {
    refused(&format!("[monitoring.prometheus]\n{tables}"))
}

const DROP: &str = "[firewall.egress]\npolicy = \"drop\"\n";

#[test]
fn errors_show_the_line() {
    let all = [
        // Nothing works without Prometheus.
        refused("[monitoring.probes.a]\nping = { host = \"192.0.2.1\" }"),
        refused("[monitoring.alertmanager.receivers.a]\nwebhook = { url = \"http://a.example/\" }"),
        // Fields.
        watched("from = [\"nobody\"]"),
        watched("interval = \"0s\""),
        watched("retention_size = \"512M\""),
        watched("[monitoring.targets.a]\nhosts = []\nport = 9100"),
        watched("[monitoring.targets.a]\nhosts = [\"a.example\"]\nport = 9100\ncredential = \"token\""),
        watched("[monitoring.targets.a]\nhosts = [\"a.example\"]\nport = 9100\nverify_certificate = false"),
        watched("[monitoring.targets.a]\nhosts = [\"a.example:9100\"]\nport = 9100"),
        watched("[monitoring.targets.prometheus]\nhosts = [\"a.example\"]\nport = 9100"),
        watched("[monitoring.probes.a]"),
        watched("[monitoring.probes.a]\nping = { host = \"a\" }\ntcp = { host = \"a\", port = 1 }"),
        watched("[monitoring.probes.a]\nhttp = { url = \"www.example.org\" }"),
        watched("[monitoring.probes.a]\nhttp = { url = \"https://anna:pw@www.example.org/\" }"),
        watched("[monitoring.probes.a]\nhttp = { url = \"http://www.example.org/\", verify_certificate = false }"),
        watched("[monitoring.probes.a]\nping = { host = \"a\" }\ntimeout = \"1m\""),
        watched("[monitoring.probes.a]\ndns = { server = \"192.0.2.53\", name = \"a b\" }"),
        watched("[monitoring.alerts.a]"),
        watched("[monitoring.alerts.a]\nwhen = \"on-fire\""),
        watched("[monitoring.alerts.a]\nwhen = \"target-down\"\nexpr = \"up == 0\""),
        watched("[monitoring.alerts.a]\nwhen = \"target-down\"\npercent = 50"),
        watched("[monitoring.alerts.a]\nexpr = \"rate(up[5m] > 1\""),
        watched("[monitoring.alerts.a]\nexpr = \"up == 0\"\nsummary = \"{{ $value }}\""),
        watched("[monitoring.alertmanager.receivers.a]"),
        watched("[monitoring.alertmanager.receivers.a]\nwebhook = { url = \"http://a.example/\", credential = \"t\" }"),
        watched(
            "[monitoring.alertmanager.receivers.a]\n\
             mail = { smarthost = \"a.example\", from = \"a@example.org\", to = [\"b@example.org\"] }",
        ),
        watched(
            "[monitoring.alertmanager.receivers.a]\n\
             mail = { smarthost = \"a.example:25\", from = \"a@example.org\", to = [\"b\"] }",
        ),
        watched(
            "[monitoring.alertmanager.receivers.a]\n\
             mail = { smarthost = \"a.example:25\", from = \"a@example.org\", to = [\"b@example.org\"], user = \"a\" }",
        ),
        watched(
            "[monitoring.alertmanager.receivers.a]\nmail = { smarthost = \"a.example:25\", from = \"a@example.org\", \
             to = [\"b@example.org\"], user = \"a\", credential = \"pw\", starttls = false }",
        ),
        watched("[monitoring.alertmanager]\nreceivers = {}"),
        refused("[monitoring.logs]\nurl = \"http://logs.example:19532\""),
        refused("[monitoring.logs]\nurl = \"logs.example\""),
        refused("[monitoring.logs]\nurl = \"https://logs.example:19532/?a=b\""),
        refused("[monitoring.logs]\nurl = \"https://logs.example:19532\"\nauthority = \"school\""),
        refused(&format!("{DROP}[monitoring.logs]\nurl = \"https://logs.example:19532\"")),
        // The firewall admits whom these tables name.
        watched("[firewall]\nallow = [{ port = 9090 }]"),
        watched("[monitoring.probes.a]\nping = { host = \"a\" }\n[firewall]\nallow = [{ port = 9115 }]"),
        watched(
            "[containers.a]\npackages = [\"busybox\"]\ncommand = [\"true\"]\npublish = [{ host = 9090, local = true }]",
        ),
        // Alerts that could never be raised.
        watched("[monitoring.alerts.a]\nwhen = \"probe-failing\""),
        watched("[monitoring.alerts.a]\nwhen = \"target-down\"\nof = [\"b\"]"),
        watched(
            "[monitoring.probes.gate]\nping = { host = \"a\" }\n[monitoring.alerts.a]\nwhen = \"probe-failing\"\nof = [\"gte\"]",
        ),
        watched(
            "[monitoring.probes.a]\nping = { host = \"a\" }\n[monitoring.alerts.a]\nwhen = \"certificate-near-end\"",
        ),
        watched("[monitoring.alerts.a]\nwhen = \"container-down\""),
        watched("[monitoring.node_exporter]\nfrom = []\n[monitoring.alerts.a]\nwhen = \"container-down\""),
        watched("[monitoring.alerts.a]\nwhen = \"certificate-not-renewed\""),
        watched("[monitoring.node_exporter]\nfrom = []\n[monitoring.alerts.a]\nwhen = \"certificate-not-renewed\""),
        watched("[monitoring.node_exporter]\nfrom = []\n[monitoring.alerts.a]\nwhen = \"certificate-never-signed\""),
        watched("[monitoring.node_exporter]\nfrom = []\n[monitoring.alerts.a]\nwhen = \"backup-too-old\""),
        watched("[monitoring.alerts.a]\nwhen = \"backup-too-old\"\ndays = 2"),
        watched("[monitoring.alerts.a]\nwhen = \"disk-nearly-full\""),
        watched("[monitoring.alerts.a]\nwhen = \"boot-not-blessed\""),
        watched("[monitoring.alerts.a]\nwhen = \"clock-off\""),
        watched("[monitoring.alerts.a]\nexpr = \"node_load5 > 8\""),
        watched("[monitoring.alerts.a]\nexpr = \"probe_duration_seconds > 8\""),
        // What egress forbids.
        watched(&format!("{DROP}[monitoring.probes.a]\ntcp = {{ host = \"192.0.2.1\", port = 22 }}")),
        watched(&format!("{DROP}[monitoring.probes.a]\nping = {{ host = \"2001:db8::1\" }}")),
        watched(&format!("{DROP}[monitoring.probes.a]\nhttp = {{ url = \"https://www.example.org:8443/\" }}")),
        watched(&format!(
            "{DROP}[monitoring.probes.a]\ndns = {{ server = \"192.0.2.53\", name = \"a\" }}\n[network.lan]\naddresses = [\"192.0.2.2/24\"]\nrouter_advertisements = false"
        )),
        watched(&format!(
            "{DROP}allow = [{{ port = 22, to = [\"198.51.100.0/24\"] }}]\n[monitoring.probes.a]\ntcp = {{ host = \"db.example\", port = 22 }}\n[hosts]\n\"db.example\" = \"192.0.2.7\""
        )),
        watched(&format!("{DROP}[monitoring.targets.a]\nhosts = [\"192.0.2.1\"]\nport = 9100")),
        watched(&format!(
            "{DROP}[monitoring.alertmanager.receivers.a]\nwebhook = {{ url = \"https://chat.example/\" }}"
        )),
    ];
    assert!(!all.iter().any(|text| text.starts_with("accepted")), "{all:#?}");
    insta::assert_snapshot!("monitoring", all.join("\n\n"));
}

#[test]
fn what_egress_admits_is_accepted() {
    for (allow, tables) in [
        ("{ port = 22 }", "[monitoring.probes.a]\ntcp = { host = \"a.example\", port = 22 }"),
        ("{ port = 22, to = [\"192.0.2.0/24\"] }", "[monitoring.probes.a]\ntcp = { host = \"192.0.2.9\", port = 22 }"),
        ("{ port = 1, last_port = 1024 }", "[monitoring.probes.a]\nhttp = { url = \"https://a.example/\" }"),
        ("{ protocol = \"icmp\" }", "[monitoring.probes.a]\nping = { host = \"a.example\" }"),
        (
            "{ protocol = \"icmpv6\", type = \"echo-request\" }",
            "[monitoring.probes.a]\nping = { host = \"2001:db8::1\" }",
        ),
        // On this machine, and to the machine's own name servers.
        ("{ port = 22 }", "[monitoring.probes.a]\nhttp = { url = \"http://127.0.0.1:8080/\" }"),
        ("{ port = 22 }", "[monitoring.probes.a]\ndns = { server = \"127.0.0.53\", name = \"a.example\" }"),
        (
            "{ port = 22 }",
            "[monitoring.probes.a]\ndns = { server = \"192.0.2.53\", name = \"a\" }\n[network.lan]\ndns = [\"192.0.2.53\"]\ndhcp = true",
        ),
    ] {
        let text = format!("{DROP}allow = [{allow}]\n[monitoring.prometheus]\n{tables}");
        assert!(parsed(&text).is_ok(), "{text}: {}", refused(&text));
    }
}

#[test]
fn the_journals_place_has_its_port() {
    for (url, place) in [
        ("https://logs.example", "https://logs.example:443"),
        ("https://logs.example/", "https://logs.example:443"),
        ("https://logs.example:19532/a/b/", "https://logs.example:19532/a/b"),
        ("https://[2001:db8::9]", "https://[2001:db8::9]:443"),
        ("https://[2001:db8::9]:19532/", "https://[2001:db8::9]:19532"),
    ] {
        let recipe = parsed(&format!("[monitoring.logs]\nurl = \"{url}\"")).unwrap_or_else(|e| panic!("{e}"));
        let logs = recipe.monitoring.logs.expect("it is there");
        assert_eq!(logs.place(), (place.to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()));
    }
}

#[test]
fn what_follows() {
    let recipe = parsed(
        "[firewall.sets.team]\nnetworks = [\"192.0.2.0/28\"]\n[monitoring.prometheus]\nfrom = [\"team\"]\n\
         [monitoring.probes.page]\nhttp = { url = \"https://a.example/\" }\n[monitoring.alerts.probe-failing]\n\
         when = \"probe-failing\"\nfor = \"10m\"\n[monitoring.targets.other]\nhosts = [\"a.example\"]\nport = 9100\n\
         serves = \"diorite\"\n[monitoring.alertmanager.receivers.a]\nwebhook = { url = \"http://a.example/\" }",
    )
    .unwrap_or_else(|e| panic!("{e}"));
    for package in ["prometheus", "prometheus-blackbox-exporter", "prometheus-alertmanager"] {
        assert!(recipe.packages.include.iter().any(|p| p == package), "{package}");
    }
    // Who may read Prometheus is admitted; nobody is admitted to Alertmanager.
    let rules: Vec<String> = recipe.firewall.allow.iter().map(|a| a.id()).collect();
    assert_eq!(rules, ["prometheus"]);
    let alerts: Vec<&str> = recipe.monitoring.alerts.keys().map(String::as_str).collect();
    let standard = [
        "backup-too-old",
        "boot-not-blessed",
        "certificate-near-end",
        "certificate-never-signed",
        "certificate-not-renewed",
        "clock-off",
        "container-down",
        "disk-nearly-full",
    ];
    assert_eq!(alerts, [&standard[..], &["probe-failing", "target-down"]].concat());
    let declared = &recipe.monitoring.alerts["probe-failing"];
    assert_eq!((declared.hold, declared.severity), (600, Severity::Critical));
    assert_eq!(recipe.monitoring.prometheus.as_ref().map(|p| p.retention_size), Some(128 << 20));
    let without = parsed("[monitoring.prometheus]\nstandard_alerts = false").unwrap();
    assert!(without.monitoring.alerts.is_empty());
    let own = parsed("[monitoring.prometheus]").unwrap().monitoring.alerts;
    assert!(own.len() == 1 && matches!(own["target-down"].when, Condition::TargetDown { .. }));
}
