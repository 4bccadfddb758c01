//! Which programs there are, where they lie and which Debian package brings them (trixie's names).

/// A program of the tools tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Tool {
    QemuSystem,
    QemuImg,
    FsckErofs,
    DumpErofs,
    MkfsErofs,
    Veritysetup,
    FsckFat,
    Sgdisk,
    Ukify,
    Objdump,
    SystemdDissect,
    SystemdAnalyze,
    SystemdMeasure,
    Nft,
    AptGet,
    AptCache,
    Dpkg,
    DpkgDeb,
    DpkgQuery,
    E2fsck,
    Mke2fs,
    Ssh,
    SshKeygen,
    Jsonschema,
    Visudo,
    Python,
    Swtpm,
    Sbverify,
}

/// How a program is started where there are no namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramKind {
    Elf,
    /// By the tree's python3.
    Python,
    /// python3 itself.
    Interpreter,
}

impl Tool {
    /// Every tool.
    pub const ALL: [Self; 28] = [
        Self::QemuSystem,
        Self::QemuImg,
        Self::FsckErofs,
        Self::DumpErofs,
        Self::MkfsErofs,
        Self::Veritysetup,
        Self::FsckFat,
        Self::Sgdisk,
        Self::Ukify,
        Self::Objdump,
        Self::SystemdDissect,
        Self::SystemdAnalyze,
        Self::SystemdMeasure,
        Self::Nft,
        Self::AptGet,
        Self::AptCache,
        Self::Dpkg,
        Self::DpkgDeb,
        Self::DpkgQuery,
        Self::E2fsck,
        Self::Mke2fs,
        Self::Ssh,
        Self::SshKeygen,
        Self::Jsonschema,
        Self::Visudo,
        Self::Python,
        Self::Swtpm,
        Self::Sbverify,
    ];

    /// Path in the tree and package.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::QemuSystem => ("usr/bin/qemu-system-x86_64", "qemu-system-x86"),
            Self::QemuImg => ("usr/bin/qemu-img", "qemu-utils"),
            Self::FsckErofs => ("usr/bin/fsck.erofs", "erofs-utils"),
            Self::DumpErofs => ("usr/bin/dump.erofs", "erofs-utils"),
            Self::MkfsErofs => ("usr/bin/mkfs.erofs", "erofs-utils"),
            Self::Veritysetup => ("usr/sbin/veritysetup", "cryptsetup-bin"),
            Self::FsckFat => ("usr/sbin/fsck.fat", "dosfstools"),
            Self::Sgdisk => ("usr/sbin/sgdisk", "gdisk"),
            Self::Ukify => ("usr/bin/ukify", "systemd-ukify"),
            Self::Objdump => ("usr/bin/objdump", "binutils"),
            Self::SystemdDissect => ("usr/bin/systemd-dissect", "systemd-container"),
            Self::SystemdAnalyze => ("usr/bin/systemd-analyze", "systemd"),
            Self::SystemdMeasure => ("usr/lib/systemd/systemd-measure", "systemd"),
            Self::Nft => ("usr/sbin/nft", "nftables"),
            Self::AptGet => ("usr/bin/apt-get", "apt"),
            Self::AptCache => ("usr/bin/apt-cache", "apt"),
            Self::Dpkg => ("usr/bin/dpkg", "dpkg"),
            Self::DpkgDeb => ("usr/bin/dpkg-deb", "dpkg"),
            Self::DpkgQuery => ("usr/bin/dpkg-query", "dpkg"),
            Self::E2fsck => ("usr/sbin/e2fsck", "e2fsprogs"),
            Self::Mke2fs => ("usr/sbin/mke2fs", "e2fsprogs"),
            Self::Ssh => ("usr/bin/ssh", "openssh-client"),
            Self::SshKeygen => ("usr/bin/ssh-keygen", "openssh-client"),
            Self::Jsonschema => ("usr/bin/jsonschema", "python3-jsonschema"),
            Self::Visudo => ("usr/sbin/visudo", "sudo"),
            Self::Python => ("usr/bin/python3", "python3-minimal"),
            Self::Swtpm => ("usr/bin/swtpm", "swtpm"),
            Self::Sbverify => ("usr/bin/sbverify", "sbsigntool"),
        }
    }

    /// Path in the tree, relative to it.
    pub fn path(self) -> &'static str {
        self.place().0
    }

    /// The Debian package that brings it.
    pub fn package(self) -> &'static str {
        self.place().1
    }

    /// The program's name.
    pub fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn kind(self) -> ProgramKind {
        match self {
            Self::Ukify | Self::Jsonschema => ProgramKind::Python,
            Self::Python => ProgramKind::Interpreter,
            _ => ProgramKind::Elf,
        }
    }
}

/// What brings the tools, and what they need without depending on it: firmware for QEMU, and `env` of the Essential
/// coreutils, by which scripts find their interpreter. Two are for tests alone: uidmap, which is never run from here (it
/// must be set-user-ID), and which tests put where a user without privileges finds it; and proxmoxer with what it asks by,
/// another's client of Proxmox VE, which judges the simulator.
pub fn packages() -> &'static [&'static str] {
    &[
        "apt",
        "binutils",
        "coreutils",
        "cryptsetup-bin",
        "dosfstools",
        "dpkg",
        "e2fsprogs",
        "erofs-utils",
        "gdisk",
        "nftables",
        "openssh-client",
        "ovmf",
        "python3-jsonschema",
        "python3-minimal",
        "python3-proxmoxer",
        "python3-requests",
        "python3-requests-toolbelt",
        "qemu-system-x86",
        "qemu-utils",
        "sbsigntool",
        "sudo",
        "swtpm",
        "systemd",
        "systemd-container",
        "systemd-ukify",
        "uidmap",
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_brought_by_a_package_of_the_list() {
        for tool in Tool::ALL {
            assert!(packages().contains(&tool.package()), "{tool:?}");
        }
        assert!(packages().is_sorted());
    }
}
