//! A router, with swap space in memory, a file server and packages that were left out: what the checks of these tables ask for,
//! and what can be wrong with each. Its packages are in no other image of the suite.

use super::table::{ASIDE, NONE};
use super::{Image, Wrong};

/// Every edit of a wrong names a text that stands in here once.
pub const PROFILE: &str = r#"extends = "base"
[image]
name = "gate"
version = "1"
[packages]
exclude = ["nano"]
documentation = false
[network.wan]
match = { order = 1 }
dhcp = true
router_advertisements = false
[network.lan]
match = { order = 2 }
addresses = ["10.1.0.1/24", "fd00:1::1/64"]
dhcp_server = { first = "10.1.0.100", last = "10.1.0.199" }
advertise = {}
rules = [{ from = "10.1.0.0/24", table = 254, priority = 100 }]
[firewall.forward]
allow = [{ in = ["lan"], out = ["wan"] }]
[firewall.nat]
masquerade = [{ out = ["wan"], from = ["10.1.0.0/24"] }]
ports = [{ in = ["wan"], port = 443, to = "10.1.0.5", to_port = 8443 }]
[memory]
zram = "64M"
[mounts.share]
path = "/mnt/share"
nfs = { server = "192.0.2.9", export = "/export" }
[backup]
when = "02:30"
directories = ["/home"]
password = "backup.password"
[backup.sftp]
host = "192.0.2.12"
user = "gate"
path = "/backups/gate"
host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"]
credential = "backup.key"
"#;

/// Nothing: whatever fails on it is no wrong's doing.
pub const RIGHT: Image = Image { name: "sound-router", right: PROFILE, wrongs: &[], skip: ASIDE };

/// What passes through the machine, and what it offers to its neighbours, is not what was promised.
pub const ROUTER: Image = Image {
    name: "router",
    right: PROFILE,
    skip: ASIDE,
    wrongs: &[
        Wrong {
            what: "a machine that is silent on a side",
            files: &[(
                "etc/systemd/system/diorite-firewall.service.d/91-wrong.conf",
                "[Service]\n\
                 ExecStartPost=/usr/sbin/nft insert rule inet diorite input ip daddr 10.1.0.1 icmp type echo-request drop\n\
                 ExecReload=/usr/sbin/nft insert rule inet diorite input ip daddr 10.1.0.1 icmp type echo-request drop\n",
            )],
            caught: &[("side-lan-ipv4", "")],
            ..NONE
        },
        Wrong {
            what: "backups that go to whoever has another key",
            edits: &[(
                "AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
                "AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi",
            )],
            caught: &[("backup-server", "the known keys are ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlW")],
            ..NONE
        },
        Wrong {
            what: "another address on a side",
            edits: &[("fd00:1::1/64", "fd00:1::3/64")],
            caught: &[("side-lan-ipv6", ""), ("link-lan", "no address fd00:1::1/64")],
            ..NONE
        },
        Wrong {
            what: "what may pass keeps its own address",
            edits: &[("out = [\"wan\"], from = [\"10.1.0.0/24\"]", "out = [\"wan\"], from = [\"10.2.0.0/24\"]")],
            caught: &[("pass-lan_wan-lan-wan", "as from 10.1.0.")],
            ..NONE
        },
        Wrong {
            what: "a port that passes from outside to within",
            files: &[(
                "etc/systemd/system/diorite-firewall.service.d/92-wrong.conf",
                "[Service]\n\
                 ExecStartPost=/usr/sbin/nft insert rule inet diorite forward tcp dport 4444 accept\n\
                 ExecReload=/usr/sbin/nft insert rule inet diorite forward tcp dport 4444 accept\n",
            )],
            caught: &[("pass-wan-lan-undeclared", "it arrived")],
            ..NONE
        },
        Wrong {
            what: "a forwarded port that leads to another one",
            edits: &[("to_port = 8443", "to_port = 8444")],
            caught: &[("nat-tcp_443-wan", "it did not arrive")],
            ..NONE
        },
        Wrong {
            what: "neighbours are given addresses of another range",
            edits: &[("first = \"10.1.0.100\", last = \"10.1.0.199\"", "first = \"10.1.0.20\", last = \"10.1.0.60\"")],
            caught: &[("dhcp-server-lan", "is not between 10.1.0.100 and 10.1.0.199")],
            ..NONE
        },
        Wrong {
            what: "neighbours are told another network",
            edits: &[("advertise = {}", "advertise = { prefixes = [\"fd00:2::/64\"] }")],
            caught: &[("advertise-lan", "fd00:1::/64 is not advertised")],
            ..NONE
        },
        Wrong {
            what: "a routing rule of another priority",
            edits: &[("priority = 100", "priority = 101")],
            caught: &[("routing-rules", "no rule of priority 100")],
            ..NONE
        },
        Wrong {
            what: "a swap device of another size",
            edits: &[("zram = \"64M\"", "zram = \"48M\"")],
            caught: &[("zram", "49148 KiB")],
            ..NONE
        },
        Wrong {
            // What is declared stays as it was: only the look into the directory shows it.
            what: "a file server that is never asked",
            files: &[("etc/systemd/system/mnt-share.mount.d/90-wrong.conf", "[Unit]\nConditionPathExists=/nowhere\n")],
            caught: &[("mount-share-server", "0 connections begun")],
            ..NONE
        },
        Wrong {
            what: "a package that was excluded",
            files: &[(
                "usr/lib/systemd/system/wrong-package.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/sh -c 'mkdir -p /run/wrong && { cat /var/lib/dpkg/status; echo; echo Package: nano; \
                 echo Status: install ok installed; echo Architecture: amd64; echo Version: 1; echo Maintainer: wrong; \
                 echo Description: wrong; } >/run/wrong/status && mount --bind /run/wrong/status /var/lib/dpkg/status'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("packages-excluded", "ii  nano")],
            ..NONE
        },
        Wrong {
            what: "a manual that was to be left out",
            files: &[("usr/share/man/man1/wrong.1", ".TH WRONG 1\n")],
            caught: &[("packages-left-out", "usr/share/man/man1/wrong.1")],
            ..NONE
        },
    ],
};
