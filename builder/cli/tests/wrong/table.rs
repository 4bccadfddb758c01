//! What is wrong with which disk, and what catches it. Wrongs that cannot hide each other share a disk: a boot under
//! emulation takes a minute and more, a build after a change of an overlay two seconds.

use super::{Image, KEY, Wrong};

const NONE: Wrong = Wrong { what: "", edits: &[], files: &[], caught: &[] };
/// Boots of their own, which cost as much as everything else together.
const ASIDE: &[&str] = &["untouched", "clones-differ", "tamper-refused"];

/// Nothing: whatever fails on it is no wrong's doing.
pub const RIGHT: Image = Image { name: "sound", wrongs: &[], skip: &["tamper-refused"] };

/// What a table of the profile says is not what was promised.
pub const DECLARED: Image = Image {
    name: "declared",
    skip: ASIDE,
    wrongs: &[
        Wrong {
            what: "a TCP port left open",
            edits: &[("allow = [", "allow = [{ port = 2222, listener = \"wrong\" }, ")],
            caught: &[("ports-ipv4-tcp", "2222 closed"), ("ports-ipv6-tcp", "2222 closed")],
            ..NONE
        },
        Wrong {
            what: "a UDP port left open",
            edits: &[("allow = [", "allow = [{ port = 5000, protocol = \"udp\", listener = \"wrong\" }, ")],
            caught: &[("ports-ipv4-udp", "5000 closed"), ("ports-ipv6-udp", "5000 closed")],
            ..NONE
        },
        Wrong {
            what: "whoever asks from a name server's port is let in, over IPv6",
            files: &[(
                "etc/systemd/system/diorite-firewall.service.d/91-wrong.conf",
                "[Service]\n\
                 ExecStartPost=/usr/sbin/nft insert rule inet diorite input meta nfproto ipv6 tcp sport 53 accept\n\
                 ExecReload=/usr/sbin/nft insert rule inet diorite input meta nfproto ipv6 tcp sport 53 accept\n",
            )],
            caught: &[("ports-ipv6-tcp-source-port-53", "others")],
            ..NONE
        },
        Wrong {
            what: "whoever asks from FTP's port is let in, over IPv4",
            files: &[(
                "etc/systemd/system/diorite-firewall.service.d/92-wrong.conf",
                "[Service]\n\
                 ExecStartPost=/usr/sbin/nft insert rule inet diorite input meta nfproto ipv4 tcp sport 20 accept\n\
                 ExecReload=/usr/sbin/nft insert rule inet diorite input meta nfproto ipv4 tcp sport 20 accept\n",
            )],
            caught: &[("ports-ipv4-tcp-source-port-20", "others")],
            ..NONE
        },
        Wrong {
            what: "a rule without its counter",
            edits: &[("{ port = 8080 }", "{ port = 8080, name = \"other\" }")],
            caught: &[("firewall-counters", "forward_tcp_8080"), ("metrics-image", "forward_tcp_8080")],
            ..NONE
        },
        Wrong {
            what: "another host name",
            edits: &[("version = \"1\"", "version = \"1\"\nhostname = \"wrong\"")],
            caught: &[("hostname", "wrong")],
            ..NONE
        },
        Wrong {
            what: "a sysctl that is not set",
            edits: &[("exceptions = [", "exceptions = [{ setting = \"kernel.sysrq\", why = \"wrong\" }, ")],
            caught: &[("sysctl", "kernel.sysrq is ")],
            ..NONE
        },
        Wrong {
            what: "a word missing on the kernel's command line",
            edits: &[("exceptions = [", "exceptions = [{ setting = \"slab_nomerge\", why = \"wrong\" }, ")],
            caught: &[("command-line", "slab_nomerge")],
            ..NONE
        },
        Wrong {
            what: "a kernel module that is not blocked",
            edits: &[("exceptions = [", "exceptions = [{ setting = \"sctp\", why = \"wrong\" }, ")],
            caught: &[("modules-blocked", "sctp loads")],
            ..NONE
        },
        Wrong {
            what: "an extra setuid program",
            edits: &[("setuid = [", "setuid = [{ path = \"/usr/bin/mount\", why = \"wrong\" }")],
            caught: &[("setuid", "/usr/bin/mount")],
            ..NONE
        },
        Wrong {
            what: "a service outside of its sandbox",
            edits: &[(
                "exceptions = [",
                "exceptions = [\n\
                 { unit = \"prometheus-node-exporter.service\", setting = \"ProtectSystem\", why = \"wrong\" },\n\
                 { unit = \"prometheus-node-exporter.service\", setting = \"CapabilityBoundingSet\", why = \"wrong\" },\n\
                 { unit = \"prometheus-node-exporter.service\", setting = \"SystemCallFilter\", why = \"wrong\" },\n",
            )],
            caught: &[("exposure", "prometheus-node-exporter.service is exposed")],
            ..NONE
        },
        Wrong {
            what: "a volatile folder that stays on disk",
            edits: &[("volatile = [\"/var/cache\"]", "volatile = []")],
            caught: &[("volatile-var-cache", "not mounted")],
            ..NONE
        },
        Wrong {
            what: "a container without its limit",
            edits: &[("limits = { memory = \"64M\" }\n", "")],
            caught: &[("container-web-as-declared", "other memory")],
            ..NONE
        },
        Wrong {
            what: "a container that is never healthy",
            files: &[(
                "etc/containers/systemd/back.container.d/90-wrong.conf",
                "[Container]\nHealthCmd=[\"busybox\",\"false\"]\nHealthInterval=disable\nHealthOnFailure=none\n\
                 Notify=false\n",
            )],
            caught: &[("container-back-as-declared", "not healthy")],
            ..NONE
        },
        Wrong {
            what: "a route that leads elsewhere",
            edits: &[("to = \"192.0.2.0/24\"", "to = \"192.0.3.0/24\"")],
            caught: &[("link-ethernet", "no route to 192.0.2.0/24")],
            ..NONE
        },
        Wrong {
            what: "programs speak another language",
            files: &[("etc/locale.conf", "LANG=C\n")],
            caught: &[("language", "C; ANSI_X3.4-1968")],
            ..NONE
        },
        Wrong {
            what: "a container that shows another folder",
            edits: &[("\"/srv/www\"]", "\"/\"]")],
            caught: &[("http-8080", "status 404")],
            ..NONE
        },
    ],
};

/// Doors that stand open, and what two machines have in common.
pub const LOOSE: Image = Image {
    name: "loose",
    skip: &["tamper-refused"],
    wrongs: &[
        Wrong {
            what: "an error in the journal",
            files: &[(
                "usr/lib/systemd/system/wrong-word.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/echo everything is lost\nSyslogLevel=err\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("journal", "echo: everything is lost")],
            ..NONE
        },
        Wrong {
            what: "the secure shell takes passwords",
            files: &[(
                "etc/ssh/sshd_config.d/05-wrong.conf",
                "AuthenticationMethods any\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\n",
            )],
            caught: &[
                ("secure-shell", "not said: passwordauthentication no"),
                ("administrator-anna", "sshd does not say"),
                ("login-anna", "without the key"),
            ],
            ..NONE
        },
        Wrong {
            what: "everything may go out",
            edits: &[("policy = \"drop\"", "policy = \"accept\"")],
            caught: &[
                ("egress-tcp-9-dropped", ""),
                ("firewall-counters", "output_dropped"),
                ("metrics-image", "output_dropped"),
            ],
            ..NONE
        },
        Wrong {
            what: "a connection to somebody far away",
            files: &[(
                "usr/lib/systemd/system/wrong-home.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/bash -c 'until ip -4 address show scope global | grep -q inet; do sleep 1; done; \
                 timeout 60 bash -c \": >/dev/tcp/203.0.113.9/443\"; true'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("nothing-unasked", "203.0.113.9, TCP port 443"), ("untouched", "203.0.113.9, TCP port 443")],
            ..NONE
        },
        Wrong {
            what: "a container's port published past the firewall",
            files: &[
                ("etc/containers/systemd/web.container.d/90-wrong.conf", "[Container]\nPublishPort=8200:80/tcp\n"),
                (
                    "etc/systemd/system/diorite-firewall.service.d/91-wrong.conf",
                    "[Service]\nExecStartPost=/usr/sbin/nft insert rule inet diorite forward ct status dnat accept\n\
                     ExecReload=/usr/sbin/nft insert rule inet diorite forward ct status dnat accept\n",
                ),
            ],
            caught: &[("ports-ipv4-tcp", "8200 open"), ("untouched", "ports-ipv4-tcp: ")],
            ..NONE
        },
        Wrong {
            what: "node-exporter for everybody",
            edits: &[("from = [\"private\"]", "from = [\"private\", \"0.0.0.0/0\"]")],
            caught: &[("ports-ipv4-tcp-other-network", "9100 open")],
            ..NONE
        },
        Wrong {
            what: "IPv6 forgotten",
            files: &[(
                "etc/systemd/system/diorite-firewall.service.d/92-wrong.conf",
                "[Service]\nExecStartPost=/usr/sbin/nft insert rule inet diorite input meta nfproto ipv6 accept\n\
                 ExecReload=/usr/sbin/nft insert rule inet diorite input meta nfproto ipv6 accept\n",
            )],
            caught: &[
                ("ports-ipv6-tcp", "others"),
                ("ports-ipv6-udp", "others"),
                ("ports-ipv6-tcp-other-network", "others"),
                ("ports-ipv6-tcp-source-port-53", "others"),
                ("ports-ipv6-tcp-source-port-20", "others"),
                ("firewall-from-power-on", "closed"),
                ("firewall-under-churn", "closed"),
                ("untouched", "ports-ipv6-tcp: "),
            ],
            ..NONE
        },
        Wrong {
            what: "a host key that every copy has",
            files: &[
                ("usr/share/wrong/key", KEY),
                (
                    "etc/systemd/system/diorite-host-key.service.d/90-wrong.conf",
                    "[Service]\nExecStart=\n\
                     ExecStart=/usr/bin/install -D -m 0600 /usr/share/wrong/key /var/lib/ssh/ssh_host_ed25519_key\n",
                ),
            ],
            caught: &[("clones-differ", "both have SHA256:")],
            ..NONE
        },
        Wrong {
            what: "the power button is ignored",
            files: &[("etc/systemd/logind.conf.d/90-wrong.conf", "[Login]\nHandlePowerKey=ignore\n")],
            caught: &[("power-off", "")],
            ..NONE
        },
    ],
};
