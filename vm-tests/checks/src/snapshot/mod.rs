//! Snapshots: a machine with its memory, its disks and its firmware's variables, as it was when it ran well or when a check
//! failed. The first is kept between runs below the directory for results, so that a single check needs no boot; the second
//! lies with the evidence. A snapshot is restored only where every circumstance is the same again: the bytes of the disk,
//! QEMU, each argument of the machine, the firmware, what is around it.

mod record;
mod store;

pub(crate) use record::{FAILED, FileStamp, MachineSnapshot, RUNNING, SnapshotIdentity, WireState, now};
pub(crate) use store::{SnapshotStore, StoredSnapshot, evidence, read, sound};
