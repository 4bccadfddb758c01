//! A machine that watches others, has a tunnel, a certificate and a backup, and what can be wrong with it. Its packages are in no other image of the
//! suite.

use super::table::{ASIDE, NONE};
use super::{Image, Wrong};

/// One of everything that the checks of `[monitoring]`, `[vpn]`, `[certificates]` and `[backup]` ask for. Every edit of a wrong names a text that stands in
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
[monitoring.logs]
url = "https://192.0.2.27:19532/journals"
[containers.web]
packages = ["busybox", "openssl"]
command = ["openssl", "s_server", "-accept", "8443", "-cert", "/run/certificates/web/certificate.pem", "-key", "/run/certificates/web/key.pem", "-www"]
publish = [{ host = 8443 }]
writable = ["/tmp"]
init = true
[firewall]
allow = [{ port = 8443 }]
[certificates.web]
names = ["watching.example"]
acme = { directory = "https://192.0.2.28:14000/dir" }
container = "web"
port = 8443
[certificates.site]
names = ["watching.example", "*.watching.example"]
acme = { directory = "https://192.0.2.28:14000/dir", challenge = "dns-01", dns = { server = "192.0.2.29", zone = "watching.example", credential = "site.tsig" } }
container = "web"
[backup]
when = "02:30"
directory = "/var/backups/restic"
password = "backup.password"
dumps.word = { container = "web", command = ["busybox", "echo", "a word"] }
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

/// In place of the program that keeps certificates: it makes one, and leaves it at that.
const NEVER_RENEWED: &str = r#"#!/bin/sh
set -eu
directory=$1 owner=$2 metrics=$5 name=$6
shift 6
names=$(printf '%s,' "$@")
[ -s "$directory/certificate.pem" ] || {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 90 -subj "/CN=$name" \
        -addext "subjectAltName=${names%,}" -keyout "$directory/key.pem" -out "$directory/certificate.pem"
    chmod 0400 "$directory/key.pem"
    chmod 0444 "$directory/certificate.pem"
    chown "$owner" "$directory/key.pem" "$directory/certificate.pem"
}
[ -z "$metrics" ] || {
    for what in not_before not_after unsigned_since; do
        echo "diorite_certificate_${what}_seconds{name=\"$name\"} 2000000000"
    done >"$metrics/certificate-$name.prom"
    chmod 0644 "$metrics/certificate-$name.prom"
}
"#;

/// What these tables say is not what was promised.
pub const WATCHING: Image = Image {
    name: "watching",
    right: PROFILE,
    skip: ASIDE,
    wrongs: &[
        Wrong {
            what: "a key that everybody may read",
            files: &[(
                "etc/systemd/system/diorite-certificate-web.service.d/91-wrong.conf",
                "[Service]\nExecStartPost=+/usr/bin/chmod 0444 /var/lib/diorite/certificates/web/key.pem\n",
            )],
            caught: &[("certificate-web", " 0444, the user ")],
            ..NONE
        },
        Wrong {
            what: "a certificate that nobody renews",
            files: &[("usr/lib/diorite/certificate", NEVER_RENEWED)],
            caught: &[("certificate-web-renewed", "serial="), ("certificate-site-renewed", "serial=")],
            ..NONE
        },
        Wrong {
            what: "a server that shows a certificate of its own",
            edits: &[(
                r#""openssl", "s_server", "-accept", "8443", "-cert", "/run/certificates/web/certificate.pem", "-key", "/run/certificates/web/key.pem", "-www""#,
                r#""busybox", "sh", "-c", "openssl req -x509 -newkey ed25519 -noenc -subj /CN=watching.example -addext subjectAltName=DNS:watching.example -config /dev/null -keyout /tmp/key.pem -out /tmp/certificate.pem && exec openssl s_server -accept 8443 -cert /tmp/certificate.pem -key /tmp/key.pem -www""#,
            )],
            caught: &[("certificate-web-shown", "another certificate")],
            ..NONE
        },
        Wrong {
            what: "an authority that gets no answer",
            files: &[(
                "etc/systemd/system/diorite-acme-answer@.service.d/91-wrong.conf",
                "[Service]\nExecStart=\nExecStart=-/bin/false\n",
            )],
            caught: &[("acme-answers-ipv4", ""), ("acme-answers-ipv6", "")],
            ..NONE
        },
        Wrong {
            what: "an authority that is never asked",
            files: &[("etc/systemd/system/diorite-acme-web.timer", "-> /dev/null")],
            caught: &[("certificate-web-acme", "its timer is not active")],
            ..NONE
        },
        Wrong {
            what: "records that another name server is told of",
            edits: &[("server = \"192.0.2.29\"", "server = \"192.0.2.30\"")],
            caught: &[("certificate-site-acme", "updates go to another server")],
            ..NONE
        },
        Wrong {
            what: "a journal that goes to another place",
            edits: &[("19532/journals", "19532/others")],
            caught: &[("logs-sent", "it does not send to https://192.0.2.27:19532/journals")],
            ..NONE
        },
        Wrong {
            what: "a backup that is never made",
            files: &[(
                "etc/systemd/system/diorite-backup.timer.d/91-wrong.conf",
                "[Timer]\nOnCalendar=\nOnCalendar=2020-01-01\nPersistent=no\n",
            )],
            caught: &[("backup-timer", "no next time")],
            ..NONE
        },
        Wrong {
            what: "a backup of which nothing comes back",
            files: &[(
                "etc/systemd/system/diorite-restore@.service.d/91-wrong.conf",
                "[Service]\nExecStart=\nExecStart=/bin/true\n",
            )],
            caught: &[("backup-restored", "what is restored is not what was saved")],
            ..NONE
        },
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
                ("firewall-counters", "there is no only_through_gate"),
                ("metrics-image", "nothing is said of the rule only_through_gate"),
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
            // At another address it would also be traffic that nothing allows, when it is asked before that check ends.
            what: "a target by another name, which no alert means",
            edits: &[("[monitoring.targets.other]", "[monitoring.targets.another]")],
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
