//! The first minute of a machine whose firmware has no keys yet: the boot loader gives it those of the disk and restarts it, and
//! QEMU ends with that. What the firmware keeps stays; then the machine is switched on for good.

use super::Machine;
use crate::{arguments::MachineSpec, console::AlarmKind, disks};
use diorite_model::Result;
use std::time::Duration;

/// What a console says when a kernel has been started: then nobody has taken keys.
const STARTED: [&str; 2] = ["EFI stub:", "Linux version"];

/// The same machine with nothing that it could need later: no network, no TPM, nothing injected.
pub(crate) fn spec(spec: &MachineSpec) -> MachineSpec {
    MachineSpec { tpm: None, credentials: Vec::new(), macs: Vec::new(), ..spec.likeness() }
}

/// Waits for the restart. A disk that brings no keys starts its kernel instead, or nothing: then the machine is as if it had
/// never been switched on, and its firmware enforces nothing.
///
/// # Errors
/// Nothing has moved for too long, or the user has interrupted.
pub(crate) fn wait(mut first: Machine, spec: &MachineSpec) -> Result<()> {
    let over = [AlarmKind::NothingToBoot, AlarmKind::Restarting, AlarmKind::Panic];
    let mut watch = first.watch(|| 0).expecting(&over);
    let restarted = loop {
        if first.ended().is_some_and(|status| status.success()) {
            break true;
        }
        let said = first.console.tail(100);
        if STARTED.iter().any(|word| said.contains(word)) || !first.console.alarms().is_empty() {
            break false;
        }
        match watch.check() {
            // It may have ended between the two questions.
            Err(_) if first.ended().is_some_and(|status| status.success()) => break true,
            other => other?,
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    drop(watch);
    if restarted {
        first.stays = true;
        first.end();
        return Ok(());
    }
    // What it has written goes with it.
    first.end();
    disks::fresh(spec)
}
