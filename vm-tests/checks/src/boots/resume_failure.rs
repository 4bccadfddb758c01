//! A failure, gone back to: the machine as it was when a check had failed, in a lab as it was then, and a shell in
//! it for a person. The evidence is read, never written.

use crate::{
    input::digest,
    session::{LabSession, Workplace},
    setup::Setup,
    snapshot::{self, FileStamp, MachineSnapshot, SnapshotIdentity, StoredSnapshot},
    surroundings::Surroundings,
};
use diorite_host::tools::ToolsTree;
use diorite_machine::{AlarmKind, Output};
use diorite_model::{Error, Exit, Recipe, Result, report::date};
use std::path::{Path, PathBuf};

/// A machine as it was when it failed. Dropping it ends the machine; the evidence stays as it is.
pub struct ResumedMachine {
    // Dropped in this order: the machine lets go of its files first.
    session: LabSession,
    _workplace: Workplace,
    snapshot: MachineSnapshot,
    shell: bool,
}

/// What to go back with.
#[derive(Debug)]
pub struct FailureSnapshot {
    directory: PathBuf,
    snapshot: MachineSnapshot,
    recipe: Recipe,
}

impl FailureSnapshot {
    /// Reads what `diorite verify` has left in a directory `evidence`.
    ///
    /// # Errors
    /// A directory that is none, a machine of which no snapshot could be kept, files that are damaged.
    pub fn read(directory: &Path) -> Result<Self> {
        let at = directory.display().to_string();
        let Some(snapshot) = snapshot::read(directory)? else {
            let there = directory.join("qemu.argv").exists();
            return Err(match there {
                true => Error::input("this failure has no snapshot to go back to")
                    .because("the machine had ended before one could be kept")
                    .hint("its last words are in console.log beside; `diorite verify NAME` tries again"),
                false => Error::input("there is no failure here that could be reopened")
                    .hint("`diorite verify` leaves one in out/NAME/evidence when a check fails"),
            }
            .at(at));
        };
        if snapshot.name != snapshot::FAILED {
            let error = Error::input("this is the snapshot of a machine that ran well, not of a failure");
            return Err(error.at(at).hint("a failure is in out/NAME/evidence"));
        }
        if let Some(name) = snapshot::sound(&snapshot, directory) {
            let error =
                Error::input("the snapshot of the failure is damaged").because(format!("{name} is not as it was left"));
            return Err(error.at(at).hint("`diorite verify NAME` makes a new one, if it fails again"));
        }
        let file = directory.join("recipe.json");
        let text =
            std::fs::read(&file).map_err(|e| Error::io("the recipe beside the failure cannot be read", &file, e))?;
        let recipe = serde_json::from_slice(&text).map_err(|e| {
            let error = Error::input("this is not a recipe of this version").at(file.display().to_string()).because(e);
            error.hint("another version of this program has left it; go back with that one")
        })?;
        Ok(Self { directory: directory.to_owned(), snapshot, recipe })
    }

    /// Where the tools were that ran the machine.
    pub fn tools(&self) -> &Path {
        &self.snapshot.tools
    }

    /// What had failed, and when.
    pub fn what(&self) -> String {
        format!("{}, failed: {}", date(self.snapshot.kept), self.snapshot.what)
    }

    /// Goes back to it with these tools, and with the disk where it was, else with the one beside the evidence.
    ///
    /// # Errors
    /// Another QEMU, another disk, another version of this program; a snapshot that QEMU does not take.
    pub fn reopen(self, tools: &ToolsTree) -> Result<ResumedMachine> {
        let Self { directory, snapshot, recipe } = self;
        let disk = disk(&directory, &snapshot)?;
        let around = Surroundings::of(&recipe);
        let own = SnapshotIdentity::of(tools, &snapshot.accelerator, &around, snapshot.identity.disk_sha256)?;
        if let Some(why) = own.differs(&snapshot.identity) {
            let error =
                Error::input("the snapshot of the failure cannot be reopened here").at(directory.display().to_string());
            let hint = "the tools must be those it was kept with: name a profile whose lock has them, or verify again";
            return Err(error.because(why).hint(hint));
        }
        let workplace = Workplace::new(&directory)?;
        let (kept, directory) = (StoredSnapshot { snapshot, directory }, workplace.path("boot"));
        let accelerator = &kept.snapshot.accelerator;
        let hardware = around.hardware.main;
        let setup = Setup { tools, accelerator, around: &around, hardware, disk: &disk, directory: &directory };
        let session = LabSession::resume(setup, &kept, None)?;
        let shell = kept.snapshot.known.shell;
        Ok(ResumedMachine { session, _workplace: workplace, snapshot: kept.snapshot, shell })
    }
}

/// The disk that the machine had, by its bytes.
fn disk(directory: &Path, snapshot: &MachineSnapshot) -> Result<PathBuf> {
    let beside = directory.join("../disk.raw");
    let Some(disk) = [&snapshot.disk, &beside].into_iter().find(|path| path.exists()) else {
        let error = Error::input("the disk of this failure is not there").at(snapshot.disk.display().to_string());
        return Err(error.hint(format!(
            "a disk with sha256 {} may lie beside the directory, as disk.raw",
            snapshot.identity.disk_sha256
        )));
    };
    if FileStamp::of(disk)? != snapshot.disk_stamp {
        let sha256 = digest(disk)?;
        if sha256 != snapshot.identity.disk_sha256 {
            let error = Error::input("the disk is not the one that failed").at(disk.display().to_string());
            let hint = format!("it had sha256 {}; it was built anew since", snapshot.identity.disk_sha256);
            return Err(error.because(format!("its SHA-256 is {sha256}")).hint(hint));
        }
    }
    Ok(disk.clone())
}

/// Whatever the console says, a person is looking.
const ANYTHING: [AlarmKind; 8] = [
    AlarmKind::Panic,
    AlarmKind::Oops,
    AlarmKind::OutOfMemory,
    AlarmKind::EmergencyMode,
    AlarmKind::Restarting,
    AlarmKind::PoweringOff,
    AlarmKind::VerityCorruption,
    AlarmKind::NothingToBoot,
];

impl ResumedMachine {
    /// Where the machine may be found on the lab's network, for people.
    pub fn addresses(&self) -> String {
        self.snapshot.known.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Runs one line in the machine's shell. Each is a shell of its own: a directory or a variable is forgotten by the next.
    pub fn run(&mut self, line: &str) -> Result<Output> {
        let session = &self.session;
        let mut watch = session.machine.watch(|| session.lab.frames()).expecting(&ANYTHING);
        if !self.shell {
            // It had not come so far when it failed; it runs on since.
            session.machine.wait_shell(&mut watch).map_err(|e| match e.exit {
                Exit::VerificationFailed => {
                    e.hint("it had no shell at that time: look at screenshot.png and console.log beside")
                }
                _ => e,
            })?;
            self.shell = true;
        }
        session.machine.run(line, &mut watch)
    }
}
