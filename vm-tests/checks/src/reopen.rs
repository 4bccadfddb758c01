//! A failure, gone back to: the machine at the moment at which a check had failed, in a lab as it was then, and a shell in
//! it for a person. The evidence is read, never written.

use crate::{
    moment::{self, Identity, Kept, Moment, Stamp},
    session::{Session, Setup, Workplace},
    surroundings::Surroundings,
    verify::digest,
};
use diorite_host::tools::ToolsTree;
use diorite_machine::{AlarmKind, Output};
use diorite_model::{Error, Exit, Recipe, Result, report::date};
use std::path::{Path, PathBuf};

/// A machine at the moment of its failure. Dropping it ends the machine; the evidence stays as it is.
pub struct Reopened {
    // Dropped in this order: the machine lets go of its files first.
    session: Session,
    _workplace: Workplace,
    moment: Moment,
    shell: bool,
}

/// What to go back with.
#[derive(Debug)]
pub struct Failure {
    directory: PathBuf,
    moment: Moment,
    recipe: Recipe,
}

impl Failure {
    /// Reads what `diorite verify` has left in a directory `evidence`.
    ///
    /// # Errors
    /// A directory that is none, a machine of which no moment could be kept, files that are damaged.
    pub fn read(directory: &Path) -> Result<Self> {
        let at = directory.display().to_string();
        let Some(moment) = moment::read(directory)? else {
            let there = directory.join("qemu.argv").exists();
            return Err(match there {
                true => Error::input("this failure has no moment to go back to")
                    .because("the machine had ended before one could be kept")
                    .hint("its last words are in console.log beside; `diorite verify NAME` tries again"),
                false => Error::input("there is no failure here that could be reopened")
                    .hint("`diorite verify` leaves one in out/NAME/evidence when a check fails"),
            }
            .at(at));
        };
        if moment.name != moment::FAILED {
            let error = Error::input("this is the moment of a machine that ran well, not of a failure");
            return Err(error.at(at).hint("a failure is in out/NAME/evidence"));
        }
        if let Some(name) = moment::sound(&moment, directory) {
            let error =
                Error::input("the moment of failure is damaged").because(format!("{name} is not as it was left"));
            return Err(error.at(at).hint("`diorite verify NAME` makes a new one, if it fails again"));
        }
        let file = directory.join("recipe.json");
        let text =
            std::fs::read(&file).map_err(|e| Error::io("the recipe beside the failure cannot be read", &file, e))?;
        let recipe = serde_json::from_slice(&text).map_err(|e| {
            let error = Error::input("this is not a recipe of this version").at(file.display().to_string()).because(e);
            error.hint("another version of this program has left it; go back with that one")
        })?;
        Ok(Self { directory: directory.to_owned(), moment, recipe })
    }

    /// Where the tools were that ran the machine.
    pub fn tools(&self) -> &Path {
        &self.moment.tools
    }

    /// What had failed, and when.
    pub fn what(&self) -> String {
        format!("{}, failed: {}", date(self.moment.kept), self.moment.what)
    }

    /// Goes back to it with these tools, and with the disk where it was, else with the one beside the evidence.
    ///
    /// # Errors
    /// Another QEMU, another disk, another version of this program; a moment that QEMU does not take.
    pub fn reopen(self, tools: &ToolsTree) -> Result<Reopened> {
        let Self { directory, moment, recipe } = self;
        let disk = disk(&directory, &moment)?;
        let around = Surroundings::of(&recipe);
        let own = Identity::of(tools, &moment.accelerator, &around, moment.identity.disk_sha256)?;
        if let Some(why) = own.differs(&moment.identity) {
            let error =
                Error::input("the moment of failure cannot be reopened here").at(directory.display().to_string());
            let hint = "the tools must be those it was kept with: name a profile whose lock has them, or verify again";
            return Err(error.because(why).hint(hint));
        }
        let workplace = Workplace::new(&directory)?;
        let (kept, directory) = (Kept { moment, directory }, workplace.path("boot"));
        let accelerator = &kept.moment.accelerator;
        let setup = Setup { tools, accelerator, around: &around, disk: &disk, directory: &directory };
        let session = Session::resume(setup, &kept, None)?;
        let shell = kept.moment.known.shell;
        Ok(Reopened { session, _workplace: workplace, moment: kept.moment, shell })
    }
}

/// The disk that the machine had, by its bytes.
fn disk(directory: &Path, moment: &Moment) -> Result<PathBuf> {
    let beside = directory.join("../disk.raw");
    let Some(disk) = [&moment.disk, &beside].into_iter().find(|path| path.exists()) else {
        let error = Error::input("the disk of this failure is not there").at(moment.disk.display().to_string());
        return Err(error.hint(format!(
            "a disk with sha256 {} may lie beside the directory, as disk.raw",
            moment.identity.disk_sha256
        )));
    };
    if Stamp::of(disk)? != moment.disk_stamp {
        let sha256 = digest(disk)?;
        if sha256 != moment.identity.disk_sha256 {
            let error = Error::input("the disk is not the one that failed").at(disk.display().to_string());
            let hint = format!("it had sha256 {}; it was built anew since", moment.identity.disk_sha256);
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

impl Reopened {
    /// Where the machine may be found on the lab's network, for people.
    pub fn addresses(&self) -> String {
        self.moment.known.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Runs one line in the machine's shell. Each is a shell of its own: a directory or a variable is forgotten by the next.
    pub fn run(&mut self, line: &str) -> Result<Output> {
        let session = &self.session;
        let mut watch = session.machine.watch(|| session.lab.frames()).expecting(&ANYTHING);
        if !self.shell {
            // It had not come so far when it failed; it runs on since.
            session.machine.wait_shell(&mut watch).map_err(|e| match e.exit {
                Exit::VerificationFailed => {
                    e.hint("it had no shell at that moment: look at screenshot.png and console.log beside")
                }
                _ => e,
            })?;
            self.shell = true;
        }
        session.machine.run(line, &mut watch)
    }
}
