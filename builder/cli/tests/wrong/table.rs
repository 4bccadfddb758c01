//! What is wrong with which disk, and what catches it. Wrongs that cannot hide each other share a disk: a boot under
//! emulation takes a minute and more, a build after a change of an overlay two seconds.
//! Over 500 lines because it is one table.

use super::{Image, KEY, Wrong, right};

pub const NONE: Wrong = Wrong { what: "", edits: &[], files: &[], caught: &[] };
/// Boots of their own, which cost as much as everything else together.
pub const ASIDE: &[&str] = &["untouched", "clones-differ", "tamper-refused"];

/// Nothing: whatever fails on it is no wrong's doing.
pub const RIGHT: Image = Image { name: "sound", right: right::PROFILE, wrongs: &[], skip: &["tamper-refused"] };

/// What a table of the profile says is not what was promised.
pub const DECLARED: Image = Image {
    name: "declared",
    right: right::PROFILE,
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
            what: "a volatile directory that stays on disk",
            edits: &[("volatile = [\"/var/cache\"]", "volatile = []")],
            caught: &[("volatile-var-cache", "not mounted")],
            ..NONE
        },
        Wrong {
            what: "a disk that is mounted elsewhere",
            edits: &[("path = \"/srv/data\"", "path = \"/srv/date\"")],
            caught: &[("mount-data", "/var/srv/data is not mounted")],
            ..NONE
        },
        Wrong {
            what: "a volume that is not on its disk",
            edits: &[(", mount = \"data\" }", " }")],
            caught: &[("container-back-as-declared", "a volume")],
            ..NONE
        },
        Wrong {
            what: "a bind mount that shows another directory",
            edits: &[("bind = \"/srv/shown\"", "bind = \"/srv/other\"")],
            caught: &[("mount-shown", "nosuid")],
            ..NONE
        },
        Wrong {
            what: "another directory mounted on access",
            edits: &[("bind = \"/srv/late\"", "bind = \"/srv/early\"")],
            caught: &[("mount-late", "/var/srv/early")],
            ..NONE
        },
        Wrong {
            what: "a swap file of another size",
            edits: &[("swap = \"64M\"", "swap = \"48M\"")],
            caught: &[("swap", "49148 KiB")],
            ..NONE
        },
        Wrong {
            what: "a name with another address",
            edits: &[("\"192.0.2.77\"", "\"192.0.2.78\"")],
            caught: &[("host-ledger.example", "192.0.2.78")],
            ..NONE
        },
        Wrong {
            what: "a certificate that differs in one bit",
            edits: &[("XMiGr0lFMFe7tiB+Bi4p", "XMiGr0lFMFe7tiB+Bi4X")],
            caught: &[("trust-school", "self-signed certificate")],
            ..NONE
        },
        Wrong {
            what: "a container without its limit",
            edits: &[("limits = { memory = \"64M\" }\n", "")],
            caught: &[("container-web-as-declared", "other memory")],
            ..NONE
        },
        Wrong {
            what: "a container that asks a stranger for names",
            files: &[("etc/containers/systemd/web.container.d/91-wrong.conf", "[Container]\nDNS=192.0.2.53\n")],
            caught: &[("container-web-dns", "it asks 192.0.2.53, which is not the machine")],
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
            what: "a container that shows another directory",
            edits: &[("\"/srv/www\"]", "\"/\"]")],
            caught: &[("http-8080", "status 404"), ("http-ipv6-8080", "status 404")],
            ..NONE
        },
    ],
};

/// What happens inside is not what was promised.
pub const INSIDE: Image = Image {
    name: "inside",
    right: right::PROFILE,
    skip: ASIDE,
    wrongs: &[
        Wrong {
            what: "a unit that fails",
            files: &[(
                "usr/lib/systemd/system/wrong-fails.service",
                "[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[
                ("no-failed-unit", "wrong-fails.service"),
                ("running", "degraded"),
                ("journal", "Failed to start wrong-fails.service"),
            ],
            ..NONE
        },
        Wrong {
            // Not written right and altered then: for a moment that would be right.
            what: "metrics that lie about the version",
            files: &[
                (
                    "etc/systemd/system/diorite-metrics.service.d/90-wrong.conf",
                    "[Service]\nBindReadOnlyPaths=/usr/lib/wrong-release:/etc/os-release\n",
                ),
                ("usr/lib/wrong-release", "IMAGE_ID=server\nIMAGE_VERSION=2\n"),
            ],
            caught: &[("metrics-image", "version=\"2\"")],
            ..NONE
        },
        Wrong {
            what: "a kernel that has warned",
            files: &[(
                "usr/lib/systemd/system/wrong-taint.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/sh -c 'echo 512 >/proc/sys/kernel/tainted'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("kernel-sound", "tainted: W")],
            ..NONE
        },
        Wrong {
            what: "a default password",
            files: &[(
                "usr/lib/systemd/system/wrong-password.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/sh -c 'mkdir -p /run/wrong && sed s/^root:[^:]*:/root:abcdefghijklm:/ /etc/shadow \
                 >/run/wrong/shadow && mount --bind /run/wrong/shadow /etc/shadow'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("accounts-locked", "root")],
            ..NONE
        },
        Wrong {
            what: "/etc takes files",
            files: &[(
                "usr/lib/systemd/system/wrong-etc.service",
                "[Unit]\nAfter=wrong-password.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/sh -c 'mkdir -p /run/wrong && cp -a /etc /run/wrong/etc && mount --bind /run/wrong/etc /etc'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            // The copy holds the identity that is bound there.
            caught: &[("write-etc-refused", "nothing"), ("power-off", "/etc/machine-id")],
            ..NONE
        },
        Wrong {
            // The containers' images stay where they were: they cannot be mounted from another overlay.
            what: "/usr takes files",
            files: &[(
                "usr/lib/systemd/system/wrong-usr.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/sh -c 'cd /run && mkdir -p wrong-usr/up wrong-usr/work wrong-usr/images && \
                 mount --bind /usr/lib/containers wrong-usr/images && mount -t overlay \
                 -o lowerdir=/usr,upperdir=/run/wrong-usr/up,workdir=/run/wrong-usr/work overlay /usr && \
                 mount --bind wrong-usr/images /usr/lib/containers'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("write-usr-refused", "nothing")],
            ..NONE
        },
        Wrong {
            what: "a stranger's key beside an administrator's",
            edits: &[(
                "ssh_keys = [",
                "ssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCj who@else\", ",
            )],
            caught: &[("administrator-anna", "2 keys, or others than the 1 declared")],
            ..NONE
        },
        Wrong {
            what: "a stranger's key for root",
            files: &[(
                "usr/lib/systemd/system/wrong-key.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/sh -c 'mkdir -p /root/.ssh && echo ssh-ed25519 \
                 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi >/root/.ssh/authorized_keys'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("strangers-keys", "/root/.ssh/authorized_keys")],
            ..NONE
        },
        Wrong {
            what: "a stranger's name server is asked",
            files: &[("etc/systemd/resolved.conf.d/90-wrong.conf", "[Resolve]\nDNS=203.0.113.53\nDomains=~.\n")],
            caught: &[("names", ""), ("container-web-dns", "does not find the address")],
            ..NONE
        },
        Wrong {
            what: "the time server is ignored",
            files: &[("etc/systemd/system/systemd-timesyncd.service", "-> /dev/null")],
            caught: &[("clock", "no")],
            ..NONE
        },
        Wrong {
            what: "a port is open until the machine has its addresses",
            files: &[
                (
                    "usr/lib/systemd/system/wrong-early.service",
                    "[Unit]\nDefaultDependencies=no\nAfter=diorite-firewall.service\nBefore=network-pre.target\n\
                     [Service]\nType=oneshot\nRemainAfterExit=yes\n\
                     ExecStart=/usr/sbin/nft insert rule inet diorite input tcp dport 111 accept\n\
                     [Install]\nWantedBy=sysinit.target\n",
                ),
                (
                    "usr/lib/systemd/system/wrong-late.service",
                    "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                     ExecStart=/bin/sh -c 'until ip -4 route show default | grep -q via; do sleep 1; done; \
                     sleep 5; nft -f /etc/diorite/firewall.nft'\n\
                     [Install]\nWantedBy=multi-user.target\n",
                ),
            ],
            caught: &[("firewall-from-power-on", "Tcp port 111 ")],
            ..NONE
        },
        Wrong {
            // It waits until nobody scans: only who asks all the time must see it.
            what: "a port is open for two seconds while the firewall is loaded again",
            files: &[(
                "etc/systemd/system/diorite-firewall.service.d/91-wrong.conf",
                "[Service]\nTimeoutSec=900\nExecReload=\n\
                 ExecReload=/bin/bash -c 'now() { nft list counter inet diorite input_dropped | sed -n \"s/.*packets //;s/ bytes.*//p\"; }; \
                 a=$(now); while sleep 2; b=$(now); [ $((b - a)) -gt 2000 ]; do a=$b; done; \
                 nft insert rule inet diorite input tcp dport 9999 accept; sleep 2; nft -f /etc/diorite/firewall.nft'\n",
            )],
            caught: &[("firewall-under-churn", "Tcp port 9999 ")],
            ..NONE
        },
        Wrong {
            what: "stopping the firewall changes its rules",
            files: &[(
                "etc/systemd/system/diorite-firewall.service.d/92-wrong.conf",
                "[Service]\nExecStop=/usr/sbin/nft add rule inet diorite input counter\n",
            )],
            caught: &[("firewall-stays", "inactive")],
            ..NONE
        },
        Wrong {
            what: "a word to somebody far away, at the time servers' port",
            files: &[(
                "usr/lib/systemd/system/wrong-home.service",
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
                 ExecStart=/bin/bash -c 'until ip -4 route show default | grep -q via; do sleep 1; done; \
                 exec 3<>/dev/udp/203.0.113.9/123; echo here >&3'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            caught: &[("nothing-unasked", "203.0.113.9, UDP port 123")],
            ..NONE
        },
        Wrong {
            what: "a container with a way out that it must not have",
            edits: &[("internal = true", "internal = false")],
            caught: &[("container-back-as-declared", "it has a way out")],
            ..NONE
        },
        Wrong {
            what: "a container that keeps a capability",
            edits: &[("capabilities = []", "capabilities = [\"NET_RAW\"]")],
            caught: &[("container-web-as-declared", "other capabilities")],
            ..NONE
        },
        Wrong {
            what: "no agent for the hypervisor",
            files: &[("etc/systemd/system/qemu-guest-agent.service", "-> /dev/null")],
            caught: &[("guest-agent", "it says nothing")],
            ..NONE
        },
    ],
};

/// Doors that stand open, and what two machines have in common.
pub const LOOSE: Image = Image {
    name: "loose",
    right: right::PROFILE,
    skip: &["tamper-refused"],
    wrongs: &[
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
                 ExecStart=/bin/bash -c 'until ip -4 route show default | grep -q via; do sleep 1; done; \
                 timeout 60 bash -c \": >/dev/tcp/203.0.113.9/443\"; true'\n\
                 [Install]\nWantedBy=multi-user.target\n",
            )],
            // The machine with nothing injected may get to it while it is swept, and the sweep of a disk that admits all
            // of IPv6 leaves no room in its table of connections for one of its own.
            caught: &[("nothing-unasked", "203.0.113.9, TCP port 443")],
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
                ("ports-ipv6-tcp-fragments", "others"),
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
