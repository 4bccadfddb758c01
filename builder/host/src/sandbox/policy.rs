//! What every sandbox has in common: the namespaces, the capabilities that are kept, the nodes of /dev.

/// The flags of the sandbox's namespaces.
pub(crate) const NAMESPACES: libc::c_int =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;

/// What container runtimes leave to root by default, without mknod and chroot: the same in every mode, so that a script
/// cannot succeed in one and fail in another. Numbers of linux/capability.h.
pub(crate) const CAPABILITIES: u64 = {
    let [chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap] = [0, 1, 3, 4, 5, 6, 7, 8];
    let [net_bind_service, audit_write, setfcap] = [10, 29, 31];
    let low = 1 << chown | 1 << dac_override | 1 << fowner | 1 << fsetid | 1 << kill | 1 << setgid | 1 << setuid;
    low | 1 << setpcap | 1 << net_bind_service | 1 << audit_write | 1 << setfcap
};

/// Nodes of /dev: name, minor number; all of major 1 but tty (5, 0). Documentation/admin-guide/devices.txt.
pub(crate) const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links of /dev.
pub(crate) const DEVICE_LINKS: [(&str, &str); 5] =
    [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx")];
