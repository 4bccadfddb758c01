//! `[monitoring]` with everything in it.

use super::*;

const MONITOR: &str = r#"
[image]
name = "monitor"
version = "1"

[state]
minimum = "1G"

[firewall.sets.team]
networks = ["192.0.2.0/28"]

[monitoring.node_exporter]
from = []

[monitoring.prometheus]
from = ["team"]
retention_size = "512M"

[monitoring.targets.inventory]
hosts = ["192.0.2.10", "2001:db8::10"]
port = 9100
serves = "diorite"

[monitoring.targets.shop]
hosts = ["shop.example"]
port = 443
path = "/metrics?all=1"
https = true
verify_certificate = false
credential = "shop.token"

[monitoring.probes.gateway]
ping = { host = "192.0.2.1" }

[monitoring.probes.shell]
tcp = { host = "192.0.2.10", port = 22, expect = "SSH-2.0-" }

[monitoring.probes.page]
http = { url = "https://inventory.example/health", status = [200, 204], contains = "it's \"fine\": 100%" }
interval = "1m"
timeout = "20s"
family = "ipv4"

[monitoring.probes.names]
dns = { server = "192.0.2.53", name = "inventory.example" }

[monitoring.alerts.load]
expr = "node_load5 > 8 and on(instance) up{job=\"node-exporter\"} == 1"
for = "5m"
summary = "too much to do"

[monitoring.alerts.page-down]
when = "probe-failing"
of = ["page", "shell"]
for = "30s"

[monitoring.logs]
url = "https://logs.example:19532/"
credential = "logs.certificate"

[monitoring.alertmanager]
receivers.team.mail = { smarthost = "mail.example:587", from = "monitor@example.org", to = ["team@example.org", "b@example.org"], user = "monitor", credential = "mail.password" }
receivers.chat = { webhook = { url = "https://chat.example/hook", credential = "chat.token" }, least_severity = "critical" }
"#;

/// The tree with Debian's units of these packages.
fn watching() -> Tree {
    let mut tree = tree();
    for unit in ["prometheus", "prometheus-blackbox-exporter", "prometheus-alertmanager", "systemd-journal-upload"] {
        let unit = format!("usr/lib/systemd/system/{unit}.service");
        tree.insert(unit, Node::file(0o644, "[Install]\nWantedBy=multi-user.target\n"));
    }
    tree
}

#[test]
fn everything_of_a_monitor() {
    let recipe = recipe(MONITOR);
    let all = generate(&recipe, &watching(), &[], &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"));
    let mut text = String::new();
    for (path, node) in &all.nodes {
        let path = String::from_utf8_lossy(path);
        if let NodeKind::File(content) = &node.kind
            && (path.contains("prometheus")
                || path.contains("journal-upload")
                || path.ends_with("start-failed")
                || path.contains("retry.service"))
        {
            text += &format!("\n=== /{path} {:04o}\n{}", node.mode, String::from_utf8_lossy(content.bytes()));
        }
    }
    insta::assert_snapshot!("monitor", text);
}

/// Nothing that a profile leaves out is there, and nothing but node-exporter is in the way of a blessing.
#[test]
fn only_what_is_declared() {
    let all = generated(&recipe(PROFILE)).unwrap();
    assert!(!all.nodes.keys().any(|p| String::from_utf8_lossy(p).contains("etc/prometheus/")));
    let watched = generate(&recipe(MONITOR), &watching(), &[], &BTreeMap::new()).unwrap();
    let NodeKind::File(gate) = &watched.nodes[&b"etc/systemd/system/diorite-health.service"[..]].kind else {
        panic!("a file")
    };
    let gate = String::from_utf8_lossy(gate.bytes()).into_owned();
    assert!(gate.contains("prometheus-node-exporter.service") && !gate.contains("prometheus.service"), "{gate}");
}

/// A recipe can come from elsewhere: what would be a key of its own is refused, everything else stays one string.
#[test]
fn a_hostile_recipe_stays_in_its_strings() {
    const HOSTILE: &str = "x\"\nINJECTED: 1\n";
    type Change = fn(&mut Recipe);
    let changes: [Change; 11] = [
        |r| r.monitoring.targets.get_mut("shop").unwrap().hosts.push(HOSTILE.into()),
        |r| r.monitoring.targets.get_mut("shop").unwrap().path = HOSTILE.into(),
        |r| r.monitoring.alerts.get_mut("load").unwrap().summary = Some(HOSTILE.into()),
        |r| {
            r.monitoring.alerts.get_mut("load").unwrap().when =
                diorite_model::recipe::Condition::Expression(HOSTILE.into())
        },
        |r| drop(r.monitoring.alerts.insert(HOSTILE.into(), r.monitoring.alerts["load"].clone())),
        |r| drop(r.monitoring.targets.insert(HOSTILE.into(), r.monitoring.targets["shop"].clone())),
        |r| drop(r.monitoring.probes.insert(HOSTILE.into(), r.monitoring.probes["shell"].clone())),
        |r| r.monitoring.targets.get_mut("shop").unwrap().credential = Some(HOSTILE.into()),
        |r| r.monitoring.logs.as_mut().unwrap().url = format!("https://{HOSTILE}"),
        |r| r.monitoring.logs.as_mut().unwrap().authority = Some(HOSTILE.into()),
        |r| r.monitoring.logs.as_mut().unwrap().credential = Some(HOSTILE.into()),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut recipe = recipe(MONITOR);
        change(&mut recipe);
        let Ok(all) = generate(&recipe, &watching(), &[], &BTreeMap::new()) else {
            assert!(at >= 6, "{at} is refused");
            continue;
        };
        assert!(at < 6, "{at} lets a line through");
        for (path, node) in &all.nodes {
            if let NodeKind::File(content) = &node.kind {
                let text = String::from_utf8_lossy(content.bytes());
                assert!(!text.lines().any(|l| l.starts_with("INJECTED")), "{at}: {}", String::from_utf8_lossy(path));
            }
        }
    }
}
