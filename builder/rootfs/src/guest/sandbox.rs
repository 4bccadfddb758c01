//! Sandboxes of units, systemd.exec(5): one list that closes everything, opened again directive by directive, and the
//! drop-ins for units that packages bring.

use super::ini::Ini;

/// Everything closed: a unit that computes, talks over local sockets and writes where its directories are.
pub const CLOSED: [(&str, &str); 29] = [
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("DevicePolicy", "closed"),
    ("PrivateNetwork", "yes"),
    ("IPAddressDeny", "any"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("RemoveIPC", "yes"),
    ("KeyringMode", "private"),
    ("UMask", "0077"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
    ("SystemCallErrorNumber", "EPERM"),
];

/// Adds everything of [`CLOSED`] to the section a unit has open, except what `open` gives another value; an empty one
/// there leaves the directive out.
pub fn closed(ini: Ini, open: &[(&str, &str)]) -> Ini {
    let ini =
        CLOSED.iter().filter(|(key, _)| !open.iter().any(|(o, _)| o == key)).fold(ini, |ini, (k, v)| ini.set(k, *v));
    open.iter().filter(|(_, value)| !value.is_empty()).fold(ini, |ini, (key, value)| ini.set(key, *value))
}

/// The secure shell. Sessions inherit what its processes have: nothing here has a mount namespace, a read-only directory
/// or forbids new privileges, or `sudo mount` would have no effect outside the session and `sudo` none at all.
pub(super) const SSH: &[(&str, &str)] = &[
    (
        "CapabilityBoundingSet",
        "~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_PACCT CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_BPF \
         CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LINUX_IMMUTABLE CAP_LEASE CAP_MKNOD CAP_IPC_LOCK CAP_SYS_TTY_CONFIG",
    ),
    ("LockPersonality", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
    ("KeyringMode", "private"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap"),
    ("SystemCallErrorNumber", "EPERM"),
];

/// The message bus: it passes messages between local sockets, and becomes another user first.
pub(super) const MESSAGE_BUS: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", "CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_AUDIT_WRITE CAP_SYS_RESOURCE"),
    ("ProtectHome", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_NETLINK"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("KeyringMode", "private"),
    ("UMask", "0077"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("IPAddressDeny", "any"),
];

/// The hypervisor's agent: it freezes file systems, tells addresses, sets the clock and shuts the machine down.
pub(super) const GUEST_AGENT: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    (
        "CapabilityBoundingSet",
        "CAP_SYS_ADMIN CAP_SYS_TIME CAP_SYS_BOOT CAP_SYS_RAWIO CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_KILL",
    ),
    ("ProtectHome", "read-only"),
    ("ProtectControlGroups", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_VSOCK"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("KeyringMode", "private"),
    ("UMask", "0077"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "~@cpu-emulation @debug @module @obsolete @swap"),
    ("SystemCallErrorNumber", "EPERM"),
];

/// What podman needs is most of what there is: it makes namespaces, mounts and networks. What no container ever needs
/// goes; the container itself is closed by podman.
pub(super) const CONTAINER: &[(&str, &str)] = &[
    (
        "CapabilityBoundingSet",
        "~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_PACCT CAP_MAC_ADMIN CAP_MAC_OVERRIDE \
         CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LINUX_IMMUTABLE CAP_SYSLOG",
    ),
    ("LockPersonality", "yes"),
    ("RestrictRealtime", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap"),
    ("SystemCallErrorNumber", "EPERM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_is_said_once() {
        let text = closed(Ini::new().section("Service"), &[("PrivateTmp", ""), ("ProtectHome", "read-only")])
            .finish()
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            !text.contains("PrivateTmp")
                && text.contains("ProtectHome=read-only\n")
                && !text.contains("ProtectHome=yes")
        );
        assert!(text.contains("CapabilityBoundingSet=\n") && text.contains("ProtectSystem=strict\n"));
    }

    /// An exception can be made of everything that is closed.
    #[test]
    fn the_model_knows_every_directive() {
        let known: Vec<&str> = diorite_model::hardening::DIRECTIVES.iter().map(|(name, _)| *name).collect();
        for (key, _) in [&CLOSED[..], SSH, MESSAGE_BUS, GUEST_AGENT, CONTAINER].concat() {
            assert!(key == "SystemCallErrorNumber" || known.contains(&key), "{key}");
        }
    }
}
