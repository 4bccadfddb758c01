//! What an initrd holds: programs, units, device rules, kernel modules. Kept as lists so that adding something is one
//! line. Paths are those of a merged-/usr tree.

/// Something that must be there, and the Debian package that brings it.
pub struct RequiredFile {
    /// Path in the tree.
    pub path: &'static str,
    /// The package to name when it is missing.
    pub package: &'static str,
}

const fn wanted(path: &'static str, package: &'static str) -> RequiredFile {
    RequiredFile { path, package }
}

/// Programs without which the image does not boot, or does not come back from a failed boot.
pub const PROGRAMS: &[RequiredFile] = &[
    wanted("usr/lib/systemd/systemd", "systemd"),
    // systemd starts every service through it.
    wanted("usr/lib/systemd/systemd-executor", "systemd"),
    wanted("usr/lib/systemd/systemd-journald", "systemd"),
    wanted("usr/lib/systemd/systemd-udevd", "udev"),
    wanted("usr/lib/systemd/systemd-modules-load", "systemd"),
    wanted("usr/lib/systemd/systemd-fsck", "systemd"),
    wanted("usr/lib/systemd/systemd-shutdown", "systemd"),
    wanted("usr/lib/systemd/systemd-sysroot-fstab-check", "systemd"),
    wanted("usr/lib/systemd/systemd-veritysetup", "systemd-cryptsetup"),
    wanted("usr/lib/systemd/system-generators/systemd-debug-generator", "systemd"),
    wanted("usr/lib/systemd/system-generators/systemd-fstab-generator", "systemd"),
    wanted("usr/lib/systemd/system-generators/systemd-veritysetup-generator", "systemd-cryptsetup"),
    wanted("usr/bin/systemctl", "systemd"),
    wanted("usr/bin/journalctl", "systemd"),
    wanted("usr/bin/systemd-tmpfiles", "systemd"),
    wanted("usr/bin/systemd-repart", "systemd-repart"),
    wanted("usr/bin/udevadm", "udev"),
    wanted("usr/bin/kmod", "kmod"),
    wanted("usr/sbin/modprobe", "kmod"),
    wanted("usr/bin/mount", "mount"),
    wanted("usr/bin/umount", "mount"),
    // The device mapper's rules ask it.
    wanted("usr/sbin/dmsetup", "dmsetup"),
    // The state partition is made and checked here.
    wanted("usr/sbin/mke2fs", "e2fsprogs"),
    wanted("usr/sbin/mkfs.ext4", "e2fsprogs"),
    wanted("usr/sbin/e2fsck", "e2fsprogs"),
    wanted("usr/sbin/fsck.ext4", "e2fsprogs"),
    wanted("usr/sbin/fsck", "util-linux"),
];

/// Taken along where the tree has them.
pub const OPTIONAL: &[&str] = &[
    "usr/lib/systemd/systemd-growfs",
    // 99-systemd.rules runs it for every network card.
    "usr/lib/systemd/systemd-sysctl",
    "usr/sbin/resize2fs",
    "usr/lib/udev/ata_id",
    "usr/lib/udev/scsi_id",
    "usr/lib/tmpfiles.d/static-nodes-permissions.conf",
    "usr/lib/modprobe.d/systemd.conf",
    "usr/lib/repart.d",
    "etc/mke2fs.conf",
    "etc/e2fsck.conf",
];

/// Taken along, with their units, where the tree holds the TPM library: measuring and unsealing before the root is there.
pub const TPM_LIBRARY: &str = "libtss2-esys.so.0";
/// See [`TPM_LIBRARY`].
pub const TPM: &[&str] = &[
    "usr/lib/systemd/systemd-pcrextend",
    "usr/lib/systemd/systemd-tpm2-setup",
    "usr/lib/systemd/systemd-cryptsetup",
    "usr/bin/systemd-cryptsetup",
    "usr/lib/systemd/system-generators/systemd-cryptsetup-generator",
    "usr/lib/systemd/system-generators/systemd-tpm2-generator",
    // Asks for a recovery key.
    "usr/bin/systemd-tty-ask-password-agent",
];
/// Opened by name: libtss2 its way to the device, libcryptsetup what knows systemd's tokens. See [`TPM_LIBRARY`].
pub const TPM_LIBRARIES: &[&str] = &["libtss2-tcti-device.so.0", "cryptsetup/libcryptsetup-token-systemd-tpm2.so"];
/// See [`TPM_LIBRARY`].
pub const TPM_UNITS: &[&str] = &[
    "cryptsetup.target",
    "cryptsetup-pre.target",
    "remote-cryptsetup.target",
    "tpm2.target",
    "systemd-pcrphase-initrd.service",
    "systemd-tpm2-setup-early.service",
    "systemd-ask-password-console.path",
    "systemd-ask-password-console.service",
    "system-systemd\\x2dcryptsetup.slice",
];

/// Features of dlopen notes whose libraries are needed here; everything else libsystemd can open is not.
pub const FEATURES: &[&str] = &["kmod", "cryptsetup", "tpm"];

/// Libraries glibc opens by name without saying so: libgcc for pthread_cancel(3).
pub const LIBRARIES: &[&str] = &["libgcc_s.so.1"];

/// Device rules. 60-tpm-udev.rules is left out on purpose: it names a user the initrd does not have.
pub const RULES: &[RequiredFile] = &[
    wanted("usr/lib/udev/rules.d/50-udev-default.rules", "udev"),
    wanted("usr/lib/udev/rules.d/55-dm.rules", "dmsetup"),
    wanted("usr/lib/udev/rules.d/60-block.rules", "udev"),
    wanted("usr/lib/udev/rules.d/60-persistent-storage.rules", "udev"),
    wanted("usr/lib/udev/rules.d/60-persistent-storage-dm.rules", "dmsetup"),
    wanted("usr/lib/udev/rules.d/80-drivers.rules", "udev"),
    wanted("usr/lib/udev/rules.d/95-dm-notify.rules", "dmsetup"),
    wanted("usr/lib/udev/rules.d/99-systemd.rules", "udev"),
];

/// Units, below usr/lib/systemd/system. One that this systemd does not have is passed over.
pub const UNITS: &[&str] = &[
    // the initrd's own way: bootup(7)
    "initrd.target",
    "initrd-root-device.target",
    "initrd-root-fs.target",
    "initrd-usr-fs.target",
    "initrd-fs.target",
    "initrd-switch-root.target",
    "initrd-cleanup.service",
    "initrd-parse-etc.service",
    "initrd-switch-root.service",
    "initrd-udevadm-cleanup-db.service",
    // synchronization points
    "basic.target",
    "sysinit.target",
    "local-fs.target",
    "local-fs-pre.target",
    "swap.target",
    "slices.target",
    "sockets.target",
    "paths.target",
    "timers.target",
    "time-set.target",
    "time-sync.target",
    "remote-fs.target",
    "remote-fs-pre.target",
    "network.target",
    "network-online.target",
    "network-pre.target",
    "nss-lookup.target",
    "nss-user-lookup.target",
    "first-boot-complete.target",
    "blockdev@.target",
    "-.slice",
    "system.slice",
    "syslog.socket",
    // failing and stopping
    "emergency.target",
    "emergency.service",
    "rescue.target",
    "shutdown.target",
    "umount.target",
    "final.target",
    "reboot.target",
    "poweroff.target",
    "halt.target",
    "systemd-reboot.service",
    "systemd-poweroff.service",
    "systemd-halt.service",
    "exit.target",
    "ctrl-alt-del.target",
    "sigpwr.target",
    // journal
    "systemd-journald.service",
    "systemd-journald.socket",
    "systemd-journald-dev-log.socket",
    "systemd-journald-audit.socket",
    // devices and modules
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-udev-settle.service",
    "systemd-modules-load.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "kmod-static-nodes.service",
    "modprobe@.service",
    // root and state
    "veritysetup.target",
    "veritysetup-pre.target",
    "remote-veritysetup.target",
    "system-systemd\\x2dveritysetup.slice",
    "systemd-repart.service",
    "systemd-fsck-root.service",
    "systemd-fsck@.service",
    "systemd-growfs@.service",
];

/// systemd-repart is wanted from two places; by this one it would run before /sysroot is mounted, find no root to look
/// beside, and fail.
pub const LEFT_OUT: (&str, &str) = ("sysinit.target.wants", "systemd-repart.service");

/// Kernel modules without which no image of ours boots (built in is as good).
pub const MODULES: &[&str] = &["erofs", "dm_mod", "dm_verity", "overlay", "ext4", "vfat", "nls_ascii", "nls_cp437"];

/// Kernel modules of the machines an image may meet, and what makes those above fast. Passed over where the kernel has
/// none of that name.
pub const DRIVERS: &[&str] = &[
    // disks and their buses
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_mmio",
    "nvme",
    "ahci",
    "sd_mod",
    "sr_mod",
    "ata_piix",
    "hv_vmbus",
    "hv_storvsc",
    "vmw_pvscsi",
    "xen_blkfront",
    "mptspi",
    "mptsas",
    "megaraid_sas",
    // physical machines: RAID and SAS controllers, NVMe behind Intel's VMD, older SATA, USB, memory cards
    "aacraid",
    "arcmsr",
    "hpsa",
    "isci",
    "mpi3mr",
    "mpt3sas",
    "mvsas",
    "smartpqi",
    "vmd",
    "sata_mv",
    "sata_nv",
    "sata_sil24",
    "usb_storage",
    "uas",
    "xhci_pci",
    "ehci_pci",
    "ohci_pci",
    "uhci_hcd",
    "sdhci_acpi",
    "sdhci_pci",
    "mmc_block",
    // what systemd looks for early; no network card: it gets its lasting name from the root's own rules
    "virtio_console",
    "virtio_rng",
    "efivarfs",
    "qemu_fw_cfg",
    "autofs4",
    "loop",
    "nls_utf8",
    "nls_iso8859_1",
    "dmi_sysfs",
    "vsock",
    "vmw_vsock_virtio_transport",
    // encrypted state
    "dm_crypt",
    "xts",
    "aesni_intel",
    "essiv",
    "authenc",
    "tpm_crb",
    "tpm_tis",
    // hashing by the processor's own instructions
    "crc32c_intel",
    "crc32c",
    "sha256_ssse3",
    "crc32_pclmul",
    "crc32c_generic",
    "sha256_generic",
];

/// The groups of files written by us, at fixed paths: path and text.
pub const FILES: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n"),
    ("etc/fstab", ""),
    (
        "etc/systemd/system/systemd-repart.service.d/10-after-root.conf",
        "# The root is a verity device: which disk to partition is known once /sysroot is mounted.\n\
         [Unit]\nAfter=sysroot.mount\nRequires=sysroot.mount\n",
    ),
    (
        "etc/systemd/system/emergency.service",
        "# Nobody watches this console: a boot that fails here is counted and the other slot gets its turn.\n\
         [Unit]\nDescription=The initrd failed: restart\nDefaultDependencies=no\nConflicts=shutdown.target\n\
         Before=shutdown.target\n\
         [Service]\nType=oneshot\nStandardOutput=journal+console\n\
         ExecStartPre=-/usr/bin/systemctl --failed --no-pager\n\
         ExecStartPre=-/usr/bin/journalctl -b -p warning --no-pager -n 30\n\
         ExecStart=/usr/bin/systemctl --force reboot\n",
    ),
];
