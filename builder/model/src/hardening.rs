//! What is closed and why, once: the profile's reader, the generators, the checks and the guide's page come from here.

use serde::{Deserialize, Serialize};

/// How much is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What costs nothing and no server misses.
    #[default]
    Standard,
    /// What costs speed, or something that some servers do need.
    Strict,
}

/// Where a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// sysctl.d(5): name and value.
    Sysctl,
    /// The kernel's command line: one word, no value.
    Word,
    /// A kernel module that does not load: its name, no value.
    Module,
    /// sshd_config(5): keyword and value.
    Sshd,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The level from which on it is made. A strict row replaces a standard one of the same name.
    pub level: Level,
    /// The file that it goes into.
    pub place: SettingKind,
    /// Its name.
    pub name: &'static str,
    /// Its value, empty where it has none.
    pub value: &'static str,
    /// The reason.
    pub why: &'static str,
}

const fn row(level: Level, place: SettingKind, name: &'static str, value: &'static str, why: &'static str) -> Setting {
    Setting { level, place, name, value, why }
}
const fn sysctl(name: &'static str, value: &'static str, why: &'static str) -> Setting {
    row(Level::Standard, SettingKind::Sysctl, name, value, why)
}
const fn strict(place: SettingKind, name: &'static str, value: &'static str, why: &'static str) -> Setting {
    row(Level::Strict, place, name, value, why)
}
const fn word(name: &'static str, why: &'static str) -> Setting {
    row(Level::Standard, SettingKind::Word, name, "", why)
}
const fn module(name: &'static str, why: &'static str) -> Setting {
    row(Level::Standard, SettingKind::Module, name, "", why)
}

const REDIRECTS: &str = "a neighbour could send the traffic elsewhere";
const SOURCE_ROUTES: &str = "the sender of a packet does not choose its way";
const PROTOCOL: &str =
    "a rarely used protocol with many known vulnerabilities; any user could load it by opening a socket";
const FILE_SYSTEM: &str = "a file system no server needs; mounting a prepared one attacks the kernel";

/// Every setting of both levels (Documentation/admin-guide/sysctl, Documentation/admin-guide/kernel-parameters).
pub const SETTINGS: &[Setting] = &[
    sysctl("kernel.kptr_restrict", "2", "kernel addresses help whoever exploits the kernel"),
    sysctl(
        "kernel.dmesg_restrict",
        "1",
        "the kernel's log holds addresses and hardware; `journalctl -k` shows it to administrators",
    ),
    sysctl(
        "kernel.unprivileged_bpf_disabled",
        "1",
        "the BPF verifier had many vulnerabilities; only root loads programs",
    ),
    sysctl("net.core.bpf_jit_harden", "2", "BPF programs cannot be used to place code in the kernel"),
    sysctl("kernel.perf_event_paranoid", "3", "performance counters are a side channel"),
    sysctl("kernel.yama.ptrace_scope", "1", "a program cannot read the memory of another one that it did not start"),
    sysctl("kernel.sysrq", "0", "the console's magic keys need no login"),
    sysctl("kernel.kexec_load_disabled", "1", "the running kernel is replaced by a verified boot only"),
    sysctl("kernel.randomize_va_space", "2", "addresses of programs cannot be guessed"),
    sysctl("vm.unprivileged_userfaultfd", "0", "it makes races in the kernel easy to win"),
    sysctl("dev.tty.ldisc_autoload", "0", "any user could load line disciplines, which had vulnerabilities"),
    sysctl("dev.tty.legacy_tiocsti", "0", "a program could type into the terminal of the one that started it"),
    sysctl("fs.protected_hardlinks", "1", "links to files of others were a way to get them changed"),
    sysctl("fs.protected_symlinks", "1", "the same with links in /tmp"),
    sysctl("fs.protected_fifos", "2", "the same with pipes in /tmp"),
    sysctl("fs.protected_regular", "2", "the same with files in /tmp"),
    sysctl("fs.suid_dumpable", "0", "the memory of privileged programs is never written to disk"),
    sysctl("net.ipv4.tcp_syncookies", "1", "half-open connections cannot fill the queue"),
    sysctl("net.ipv4.tcp_rfc1337", "1", "a late packet cannot end a new connection (RFC 1337)"),
    sysctl(
        "net.ipv4.conf.all.rp_filter",
        "2",
        "a packet from an address that has no way back is dropped (RFC 3704, loose)",
    ),
    sysctl("net.ipv4.conf.default.rp_filter", "2", "the same for interfaces that come later"),
    sysctl("net.ipv4.conf.all.accept_redirects", "0", REDIRECTS),
    sysctl("net.ipv4.conf.default.accept_redirects", "0", REDIRECTS),
    sysctl("net.ipv4.conf.all.secure_redirects", "0", REDIRECTS),
    sysctl("net.ipv4.conf.default.secure_redirects", "0", REDIRECTS),
    sysctl("net.ipv4.conf.all.send_redirects", "0", "a server tells nobody where to send packets"),
    sysctl("net.ipv4.conf.default.send_redirects", "0", "a server tells nobody where to send packets"),
    sysctl("net.ipv6.conf.all.accept_redirects", "0", REDIRECTS),
    sysctl("net.ipv6.conf.default.accept_redirects", "0", REDIRECTS),
    sysctl("net.ipv4.conf.all.accept_source_route", "0", SOURCE_ROUTES),
    sysctl("net.ipv4.conf.default.accept_source_route", "0", SOURCE_ROUTES),
    sysctl("net.ipv6.conf.all.accept_source_route", "0", SOURCE_ROUTES),
    sysctl("net.ipv6.conf.default.accept_source_route", "0", SOURCE_ROUTES),
    word(
        "slab_nomerge",
        "objects of different kinds do not share memory, so a vulnerability in one does not reach the other",
    ),
    word("init_on_alloc=1", "memory is empty when it is handed out"),
    word("randomize_kstack_offset=on", "the kernel's stack is elsewhere at each system call"),
    word("vsyscall=none", "a page at a fixed address that only programs from before about 2012 need"),
    module("dccp", PROTOCOL),
    module("sctp", PROTOCOL),
    module("rds", PROTOCOL),
    module("tipc", PROTOCOL),
    module("kcm", PROTOCOL),
    module("smc", PROTOCOL),
    module("orangefs", FILE_SYSTEM),
    module("sysv", FILE_SYSTEM),
    module("udf", FILE_SYSTEM),
    module("ksmbd", "a file server inside the kernel"),
    module("pktgen", "a packet generator that passes the packet filter"),
    strict(SettingKind::Sysctl, "kernel.yama.ptrace_scope", "2", "only root looks into other programs"),
    strict(
        SettingKind::Sysctl,
        "kernel.unprivileged_userns_clone",
        "0",
        "user namespaces show more of the kernel to every user; rootless containers need them",
    ),
    strict(
        SettingKind::Sysctl,
        "kernel.io_uring_disabled",
        "2",
        "io_uring had many vulnerabilities; some databases are faster with it",
    ),
    strict(
        SettingKind::Sysctl,
        "kernel.panic_on_oops",
        "1",
        "the machine reboots after a kernel oops; work in progress is lost",
    ),
    strict(
        SettingKind::Sysctl,
        "net.ipv4.conf.all.rp_filter",
        "1",
        "a packet must come in where the answer goes out (RFC 3704, strict); not with two ways to one network",
    ),
    strict(SettingKind::Sysctl, "net.ipv4.conf.default.rp_filter", "1", "the same for interfaces that come later"),
    strict(
        SettingKind::Word,
        "init_on_free=1",
        "",
        "memory is emptied when it is given back; every program is a little slower",
    ),
    strict(SettingKind::Word, "page_alloc.shuffle=1", "", "pages are handed out in random order"),
    strict(SettingKind::Word, "debugfs=off", "", "the kernel's debugging files do not exist"),
    strict(SettingKind::Word, "lockdown=integrity", "", "not even root changes the running kernel, kernel_lockdown(7)"),
    strict(SettingKind::Module, "af_key", "", "an old interface to IPsec that current daemons do not use"),
    strict(SettingKind::Module, "squashfs", "", FILE_SYSTEM),
    strict(SettingKind::Module, "algif_hash", "", "kernel crypto sockets; userspace has libraries"),
    strict(SettingKind::Module, "algif_skcipher", "", "kernel crypto sockets; userspace has libraries"),
    strict(
        SettingKind::Sshd,
        "DisableForwarding",
        "yes",
        "a login is a shell and file transfer, and no way into the networks behind the machine",
    ),
];

/// The settings of one level, each name once.
pub fn settings(level: Level) -> impl Iterator<Item = &'static Setting> {
    let within = move |s: &&Setting| s.level <= level;
    SETTINGS.iter().enumerate().filter(move |(_, s)| within(s)).filter_map(move |(i, s)| {
        let replaced = SETTINGS[i + 1..].iter().filter(within).any(|o| (o.place, o.name) == (s.place, s.name));
        (!replaced).then_some(s)
    })
}

/// Directives of systemd.exec(5) and systemd.resource-control(5) that close something, with the value that opens it.
pub const DIRECTIVES: &[(&str, &str)] = &[
    ("AmbientCapabilities", ""),
    ("CapabilityBoundingSet", "~"),
    ("DeviceAllow", ""),
    ("DevicePolicy", "auto"),
    ("IPAddressDeny", ""),
    ("KeyringMode", "inherit"),
    ("LockPersonality", "no"),
    ("MemoryDenyWriteExecute", "no"),
    ("NoNewPrivileges", "no"),
    ("PrivateDevices", "no"),
    ("PrivateNetwork", "no"),
    ("PrivateTmp", "no"),
    ("PrivateUsers", "no"),
    ("ProcSubset", "all"),
    ("ProtectClock", "no"),
    ("ProtectControlGroups", "no"),
    ("ProtectHome", "no"),
    ("ProtectHostname", "no"),
    ("ProtectKernelLogs", "no"),
    ("ProtectKernelModules", "no"),
    ("ProtectKernelTunables", "no"),
    ("ProtectProc", "default"),
    ("ProtectSystem", "no"),
    ("RemoveIPC", "no"),
    ("RestrictAddressFamilies", ""),
    ("RestrictNamespaces", "no"),
    ("RestrictRealtime", "no"),
    ("RestrictSUIDSGID", "no"),
    ("SystemCallArchitectures", ""),
    ("SystemCallFilter", ""),
    ("UMask", "0022"),
];

/// At most so many programs of an image keep a setuid or setgid bit.
pub const SETUID_AT_MOST: usize = 3;

/// The exposure of a unit that `systemd-analyze security` may find at most, in tenths: services that are not ours, and
/// every unit that is.
pub const EXPOSURE: [(&str, u32); 6] = [
    ("ssh.service", 70),
    ("prometheus-node-exporter.service", 25),
    ("prometheus.service", 25),
    ("prometheus-blackbox-exporter.service", 25),
    ("prometheus-alertmanager.service", 25),
    ("*", 30),
];

/// The same for a container's unit: podman makes namespaces, mounts and networks, which is most of what a sandbox closes.
pub const CONTAINER_EXPOSURE: u32 = 80;

/// Above this, in tenths, a server's documentation says why.
pub const EXPOSURE_WITHOUT_REASON: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_row_replaces_a_standard_one() {
        let of = |level| {
            settings(level).filter(|s| s.name == "kernel.yama.ptrace_scope").map(|s| s.value).collect::<Vec<_>>()
        };
        assert_eq!((of(Level::Standard), of(Level::Strict)), (vec!["1"], vec!["2"]));
    }

    /// Every row in the guide's page, with its reason: the page is for users, this table is what happens.
    #[test]
    fn the_guide_says_what_the_table_says() {
        let page = include_str!("../../../docs/guide/hardening.md");
        let mut wanted = Vec::new();
        for s in SETTINGS {
            let level = if s.level == Level::Standard { "standard" } else { "strict" };
            let setting = match (s.place, s.value) {
                (SettingKind::Sysctl, value) => format!("`{} = {value}`", s.name),
                (SettingKind::Sshd, value) => format!("sshd: `{} {value}`", s.name),
                (SettingKind::Word, _) => format!("kernel: `{}`", s.name),
                (SettingKind::Module, _) => format!("module `{}` blocked", s.name),
            };
            wanted.push(format!("| {setting} | {level} | {} |", s.why));
        }
        let said: Vec<&str> = page.lines().filter(|l| l.contains("| standard |") || l.contains("| strict |")).collect();
        assert_eq!(said.join("\n"), wanted.join("\n"), "the page must hold this table:\n{}", wanted.join("\n"));
    }
}
