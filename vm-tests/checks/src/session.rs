//! One boot: a machine and the network around it, in a directory of their own. Or one that goes on from a kept snapshot.

use crate::{
    setup::Setup,
    snapshot::{MachineSnapshot, StoredSnapshot, WireState},
};
use diorite_lab::{Lab, PortWatchHandle};
use diorite_machine::{Machine, credentials::Credential};
use diorite_model::{Error, Exit, Result};
use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

/// A running machine in its lab.
pub struct LabSession {
    // Dropped in this order: the machine lets go of its cable first.
    pub machine: Machine,
    pub lab: Lab,
    /// Ports that must never answer, and who has asked them since before power-on.
    pub quiet: Vec<u16>,
    pub watch: Cell<Option<PortWatchHandle>>,
}

impl LabSession {
    /// Boots the disk and lets it know these credentials. `capture` gets every frame.
    pub fn start(setup: Setup<'_>, capture: Option<&Path>, credentials: Vec<Credential>) -> Result<Self> {
        let (lab, far) = setup.network(capture, 0)?;
        let quiet = setup.around.quiet.clone();
        let watch = Cell::new(Some(lab.keep_watch(quiet.clone())?));
        let machine = Machine::start(setup.machine(credentials, far))?;
        Ok(Self { machine, lab, quiet, watch })
    }

    /// Puts the machine that is asked everything back to a kept snapshot, in a new lab that is as the old one was: in it no
    /// time has passed since. It was not watched from power-on. Returns when its shell answers, where it had one.
    ///
    /// # Errors
    /// When it cannot be put back, or does not answer then: nothing is said about the image.
    pub(crate) fn resume(setup: Setup<'_>, kept: &StoredSnapshot, capture: Option<&Path>) -> Result<Self> {
        let MachineSnapshot { accelerator, known, name, .. } = &kept.snapshot;
        let setup = Setup { accelerator, ..setup };
        let age = i64::try_from(kept.snapshot.age()).unwrap_or(i64::MAX);
        let (lab, far) = setup.network(capture, age)?;
        known.tell(&lab)?;
        let machine = Machine::resume(setup.with_shell(far), &kept.directory, name)?;
        let session = Self { machine, lab, quiet: setup.around.quiet.clone(), watch: Cell::new(None) };
        session.answers(known)?;
        Ok(session)
    }

    /// A shell that had said its first word answers soon.
    fn answers(&self, known: &WireState) -> Result<()> {
        if !known.shell {
            return Ok(());
        }
        let mut watch = self.machine.watch(|| self.lab.frames()).within(self.machine.pace.unit * 6);
        match self.machine.run("echo here", &mut watch) {
            Ok(output) if output.text == "here" => Ok(()),
            Ok(output) => Err(Error::host("the restored machine's shell is out of step").because(output.text)),
            Err(error) if error.exit == Exit::VerificationFailed => {
                Err(Error::host("the restored machine does not answer").because(error.what))
            }
            Err(error) => Err(error),
        }
    }
}

/// A directory for what only the run needs; gone with its content when the run is over. What a killed run left is swept
/// by the next one.
pub struct Workplace(PathBuf);

impl Workplace {
    /// Makes it below `out`.
    pub fn new(out: &Path) -> Result<Self> {
        let path = out.join(".verify");
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("what an earlier verification left cannot be removed", &path, e));
            }
            _ => {}
        }
        std::fs::create_dir_all(&path).map_err(|e| Error::io("a directory cannot be made", &path, e))?;
        Ok(Self(path))
    }
    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
