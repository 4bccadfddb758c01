//! A machine that watches others and has a tunnel, and what can be wrong with it. Its packages are in no other image of the
//! suite.

use super::table::{ASIDE, NONE};
use super::{Image, Wrong};

/// One of everything that the checks of `[monitoring]` and `[vpn]` ask for. Every edit of a wrong names a text that stands in
/// here once.
pub const PROFILE: &str = r#"extends = "base"
[image]
name = "watching"
version = "1"
[state]
minimum = "512M"
[firewall.sets.private]
networks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"]
[monitoring.node_exporter]
from = []
[monitoring.prometheus]
from = ["private"]
interval = "5s"
[monitoring.targets.other]
hosts = ["192.0.2.10"]
port = 9100
serves = "node-exporter"
[monitoring.probes.shell]
tcp = { host = "127.0.0.1", port = 22, expect = "SSH-2.0-" }
interval = "5s"
timeout = "4s"
[monitoring.alerts.load]
expr = "node_load5 > 8"
[monitoring.alertmanager.receivers.team]
mail = { smarthost = "192.0.2.25:587", from = "monitor@example.org", to = ["team@example.org"], user = "monitor", credential = "mail.password" }
[monitoring.alertmanager.receivers.chat]
webhook = { url = "https://192.0.2.26/hook" }
[vpn.site]
type = "wireguard"
addresses = ["10.97.0.1/24"]
[vpn.site.peers.school]
public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
allowed = ["10.97.0.2/32"]
endpoint = "192.0.2.9:51820"
[vpn.gate]
type = "ipsec"
gateway = "192.0.2.9"
peer_id = "gate.example"
addresses = ["10.96.0.1/32"]
remote = ["10.95.0.0/16"]
routes = false
only_through = ["10.95.0.0/16"]
"#;

/// What these tables say is not what was promised.
pub const WATCHING: Image = Image {
    name: "watching",
    right: PROFILE,
    skip: ASIDE,
    wrongs: &[
        Wrong {
            what: "a tunnel whose peer may come as anybody",
            edits: &[("10.97.0.2/32", "10.97.0.0/24")],
            caught: &[("vpn-site", "peer school is allowed 10.97.0.0/24")],
            ..NONE
        },
        Wrong {
            what: "a tunnel whose other end may be anybody's",
            edits: &[("gate.example", "evil.example")],
            caught: &[("vpn-gate", "the other end need not be gate.example")],
            ..NONE
        },
        Wrong {
            what: "a network that is reached beside its tunnel",
            edits: &[("only_through = [\"10.95.0.0/16\"]\n", "")],
            caught: &[
                ("vpn-gate-only-through", "packets to 10.95.0.1 on the wire"),
                ("nothing-unasked", "10.95.0.1"),
                ("firewall-counters", "there is no only_through_gate"),
            ],
            ..NONE
        },
        Wrong {
            what: "an alert that nobody evaluates",
            edits: &[("[monitoring.alerts.load]", "[monitoring.alerts.lode]")],
            caught: &[("prometheus-rules", "not evaluated: load")],
            ..NONE
        },
        Wrong {
            what: "a target at another address",
            edits: &[("192.0.2.10", "192.0.2.11")],
            caught: &[("prometheus-targets", "not known: other 192.0.2.10:9100")],
            ..NONE
        },
        Wrong {
            what: "a receiver who is not told",
            edits: &[("receivers.chat]", "receivers.cat]")],
            caught: &[("alertmanager-receivers", "no receiver/chat")],
            ..NONE
        },
        Wrong {
            what: "probes that anybody may ask for",
            files: &[(
                "etc/systemd/system/prometheus-blackbox-exporter.service.d/91-wrong.conf",
                "[Service]\nExecStart=\nExecStart=/usr/bin/prometheus-blackbox-exporter \
                 --config.file=/etc/prometheus/blackbox.yml --web.listen-address=:9115\n",
            )],
            caught: &[("monitoring-listens", "port 9115 is listened to on *")],
            ..NONE
        },
        Wrong {
            what: "an alert whose metric is gone",
            files: &[(
                "etc/systemd/system/prometheus-node-exporter.service.d/91-wrong.conf",
                "[Service]\nExecStart=\nExecStart=/usr/bin/prometheus-node-exporter --no-collector.filesystem \
                 --collector.textfile.directory=/run/diorite-metrics\n",
            )],
            caught: &[("alert-metrics", "no node_filesystem_avail_bytes with job=node-exporter, mountpoint=/var")],
            ..NONE
        },
    ],
};
