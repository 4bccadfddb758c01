//! Wrongs that never become a disk: the profile's reader or the build refuses them.

use super::{UNSAID_KEY, Wrong};

const NONE: Wrong = Wrong { what: "", edits: &[], files: &[], caught: &[] };

/// Each with the words it is refused with.
pub const REFUSED: &[Wrong] = &[
    Wrong {
        what: "a host key for every copy",
        files: &[("etc/ssh/ssh_host_ed25519_key", UNSAID_KEY)],
        caught: &[("build", "an overlay holds what looks like a private key")],
        ..NONE
    },
    Wrong {
        what: "a default password",
        files: &[(
            "usr/share/wrong/users",
            "root:$6$abcdefghijklmnop$kCzc5HgS8kJFj6AoBDyzsmn8ytcDvXJ5qqVWQoQ6oQ5p3rKXJIn2QbOG6mM0Q5Zt1oE3mNxWl8N1yXv0a0oSx/:20000:0:99999:7:::\n",
        )],
        caught: &[("build", "an overlay holds what looks like the hash of a password")],
        ..NONE
    },
    Wrong {
        what: "a password in a configuration file",
        files: &[("etc/wrong.conf", "password = correct1horse2battery\n")],
        caught: &[("build", "a password or key, by its name")],
        ..NONE
    },
    Wrong {
        what: "a root that nothing verifies",
        edits: &[("[hardening]", "[kernel]\ncommand_line = [\"systemd.verity=no\"]\n[hardening]")],
        caught: &[("profile", "the verified root hangs on it")],
        ..NONE
    },
    Wrong {
        what: "a port that a container publishes and the firewall drops",
        edits: &[("publish = [", "publish = [{ host = 8200, container = 80 }, ")],
        caught: &[("profile", "publishes tcp port 8200, and the firewall drops it")],
        ..NONE
    },
    Wrong {
        what: "a port left open on which nothing listens",
        edits: &[("allow = [", "allow = [{ port = 2222 }, ")],
        caught: &[("profile", "nothing listens on tcp port 2222")],
        ..NONE
    },
    Wrong {
        what: "a weaker kernel without a reason",
        edits: &[("[containers.web]", "[hardening.sysctl]\n\"kernel.sysrq\" = \"176\"\n[containers.web]")],
        caught: &[("profile", "`kernel.sysrq` is set to `0`")],
        ..NONE
    },
    Wrong {
        what: "a disk mounted over the verified root",
        edits: &[("[state]", "[mounts.over]\npath = \"/usr/local\"\ndisk = { label = \"data\" }\n[state]")],
        caught: &[("profile", "belongs to the verified root")],
        ..NONE
    },
    Wrong {
        what: "a mount of a directory that is nowhere",
        edits: &[("bind = \"/srv/late\"", "bind = \"/mnt/nowhere\"")],
        caught: &[("profile", "where nothing is")],
        ..NONE
    },
    Wrong {
        what: "a published port of a container that has no way out",
        edits: &[
            ("allow = [", "allow = [{ port = 8201 }, "),
            ("networks = [\"inner\"]", "networks = [\"inner\"]\npublish = [{ host = 8201, container = 81 }]"),
        ],
        caught: &[("profile", "publishes a port and has no way out")],
        ..NONE
    },
    Wrong {
        what: "address translation of what may not pass",
        edits: &[("[access]\n", "[firewall.nat]\nmasquerade = [{ out = [\"ethernet\"] }]\n[access]\n")],
        caught: &[("profile", "address translation without forwarding")],
        ..NONE
    },
    Wrong {
        what: "a DHCP server that its own firewall hides",
        edits: &[(
            "allow = [",
            "allow = [{ port = 67, protocol = \"udp\", from = [\"private\"], listener = \"dnsmasq\" }, ",
        )],
        caught: &[("profile", "admits no DHCP client that has no address yet")],
        ..NONE
    },
];
