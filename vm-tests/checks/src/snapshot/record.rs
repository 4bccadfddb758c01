//! What is written down about a snapshot: what it belongs to, what was known of the machine, and its files.

use crate::{setup::Setup, surroundings::Surroundings};
use diorite_host::tools::{Tool, ToolsTree};
use diorite_lab::EthernetAddress;
use diorite_machine::Accelerator;
use diorite_model::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::Metadata,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Grows when a snapshot of an older program means something else, or its description is written otherwise.
const FORMAT: u32 = 1;
/// QEMU's name for the snapshot of the system that had just settled.
pub(crate) const RUNNING: &str = "running";
/// QEMU's name for the one of the first failure.
pub(crate) const FAILED: &str = "failed";

/// What a snapshot belongs to. All of it must be the same where it is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotIdentity {
    pub format: u32,
    /// The version of QEMU's package.
    pub qemu: String,
    pub disk_sha256: Digest,
    /// Arguments with what is injected, the firmware, the processor where it is the host's.
    pub machine: Vec<String>,
    /// The lab's addresses and the machine's cards.
    pub around: Digest,
}

impl SnapshotIdentity {
    /// That of a machine which is asked everything.
    pub fn of(
        tools: &ToolsTree,
        accelerator: &Accelerator,
        around: &Surroundings,
        disk_sha256: Digest,
    ) -> Result<Self> {
        let none = Path::new("/");
        let setup = Setup { tools, accelerator, around, hardware: around.hardware.main, disk: none, directory: none };
        Ok(Self {
            format: FORMAT,
            qemu: tools.version(Tool::QemuSystem).to_owned(),
            disk_sha256,
            machine: setup.with_shell(Vec::new()).kind()?,
            around: Digest::of(format!("{around:?}").as_bytes()),
        })
    }

    /// The snapshot's name.
    pub fn key(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Why a snapshot of `other` is not one of this; nothing when it is.
    pub fn differs(&self, other: &Self) -> Option<String> {
        if self.format != other.format {
            return Some("another version of this program has kept it".to_owned());
        }
        if self.qemu != other.qemu {
            return Some(format!("QEMU {} has kept it, and this is QEMU {}", other.qemu, self.qemu));
        }
        if self.disk_sha256 != other.disk_sha256 {
            return Some(format!("it is of another disk, sha256 {}", other.disk_sha256));
        }
        (self != other).then(|| "the machine or the network around it was another".to_owned())
    }
}

/// What the lab had learned of the machine when the snapshot was taken. A new lab is told, because the restored machine
/// does not say it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireState {
    /// The hardware address of the card that the lab asks.
    pub mac: Option<[u8; 6]>,
    /// Where questions of each family go.
    pub addresses: Vec<IpAddr>,
    /// What DHCP had given.
    pub leases: Vec<([u8; 6], Ipv4Addr)>,
    /// The injected shell had said its first word.
    pub shell: bool,
}

impl WireState {
    /// The same with what the lab has leased.
    pub fn with_leases(mut self, lab: &diorite_lab::Lab) -> Self {
        self.leases = lab.leases().into_values().map(|lease| (lease.mac.0, lease.ipv4)).collect();
        self
    }

    /// Tells a new lab.
    pub fn tell(&self, lab: &diorite_lab::Lab) -> Result<()> {
        self.leases.iter().try_for_each(|(mac, address)| lab.remember(EthernetAddress(*mac), *address))
    }
}

/// `moment.json`, beside the files that hold the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineSnapshot {
    pub identity: SnapshotIdentity,
    /// [`RUNNING`] or [`FAILED`].
    pub name: String,
    /// The check that had failed, in words; of a machine that was given up, why.
    pub what: String,
    /// Seconds since 1970.
    pub kept: u64,
    /// The accelerator, and why that one.
    pub accelerator: Accelerator,
    /// Where the disk was.
    pub disk: PathBuf,
    /// That file at the time when its digest was taken.
    pub disk_stamp: FileStamp,
    /// Where the tools were.
    pub tools: PathBuf,
    pub known: WireState,
    /// The files as they were left.
    pub files: BTreeMap<String, FileStamp>,
}

impl MachineSnapshot {
    /// Seconds since it was kept.
    pub fn age(&self) -> u64 {
        now().saturating_sub(self.kept)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs())
}

/// Which file it is, and when it was last written: as long as none of this changes, the file was not written. No program
/// can set `changed` (inode(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStamp {
    pub(crate) bytes: u64,
    /// Nanoseconds since 1970.
    modified: i128,
    changed: i128,
    device: u64,
    pub(crate) inode: u64,
}

impl FileStamp {
    /// That of a file, links followed.
    pub fn of(path: &Path) -> Result<Self> {
        let about = std::fs::metadata(path).map_err(|e| Error::io("a file cannot be looked at", path, e))?;
        Ok(Self::from(&about))
    }

    /// Whether the content is the same, as far as size and time tell: also of a file that was copied with its times.
    pub(crate) fn like(&self, other: &Self) -> bool {
        (self.bytes, self.modified) == (other.bytes, other.modified)
    }
}

impl From<&Metadata> for FileStamp {
    fn from(about: &Metadata) -> Self {
        let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            bytes: about.len(),
            modified: nanos(about.mtime(), about.mtime_nsec()),
            changed: nanos(about.ctime(), about.ctime_nsec()),
            device: about.dev(),
            inode: about.ino(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use diorite_machine::AcceleratorKind;

    pub(crate) fn identity() -> SnapshotIdentity {
        SnapshotIdentity {
            format: FORMAT,
            qemu: "1:10.0.2".into(),
            disk_sha256: Digest::of(b"disk"),
            machine: vec!["arguments x".into()],
            around: Digest::of(b"around"),
        }
    }

    pub(crate) fn snapshot(disk: &Path) -> MachineSnapshot {
        MachineSnapshot {
            identity: identity(),
            name: RUNNING.into(),
            what: String::new(),
            kept: 1_760_000_000,
            accelerator: Accelerator { kind: AcceleratorKind::Tcg, reason: "a test".into() },
            disk: disk.to_owned(),
            disk_stamp: FileStamp::of(disk).expect("a disk"),
            tools: "/tools".into(),
            known: WireState::default(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn whatever_differs_is_told() {
        let own = identity();
        assert_eq!(own.differs(&own), None);
        let other = |change: fn(&mut SnapshotIdentity)| {
            let mut other = own.clone();
            change(&mut other);
            assert_ne!(own.key(), other.key());
            own.differs(&other).expect("a difference")
        };
        assert!(other(|i| i.format = 0).contains("another version"));
        assert_eq!(other(|i| i.qemu = "1:9.2".into()), "QEMU 1:9.2 has kept it, and this is QEMU 1:10.0.2");
        assert!(other(|i| i.disk_sha256 = Digest::of(b"")).starts_with("it is of another disk, sha256 e3b0c442"));
        assert!(other(|i| i.machine.clear()).starts_with("the machine"));
        assert!(other(|i| i.around = Digest::of(b"")).starts_with("the machine"));
    }
}
