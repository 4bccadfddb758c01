//! One pass over a disk: what it is made of, and what it saw.

use crate::{
    select::SelectedCheck,
    snapshot::{FileStamp, SnapshotIdentity, SnapshotStore, StoredSnapshot},
    surroundings::Surroundings,
};
use diorite_machine::Accelerator;
use diorite_model::{
    Error,
    report::{Boot, CheckResult, Ended},
};

/// What a pass is made of besides its input.
pub(crate) struct Pass<'a> {
    pub accelerator: &'a Accelerator,
    pub around: &'a Surroundings,
    /// Every check that is asked.
    pub checks: &'a [SelectedCheck],
    /// The snapshot from which the machine goes on; none: it is switched on.
    pub from: Option<&'a StoredSnapshot>,
    /// What identifies the snapshot to keep when the system has settled; none: no snapshot is kept.
    pub keep: Option<&'a SnapshotIdentity>,
    pub snapshots: &'a SnapshotStore,
    /// The disk's file when its digest was right.
    pub disk: &'a FileStamp,
}

/// What a pass saw.
pub(crate) struct PassResult {
    pub results: Vec<CheckResult>,
    pub boot: Boot,
    pub seconds: f64,
    /// Why it ended early, and the error to end with when nothing helps.
    pub ended: Option<(Ended, Error)>,
    /// Why the machine could not be restored from its snapshot; nothing was asked then.
    pub unrestored: Option<Error>,
}
