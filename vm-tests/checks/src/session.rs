//! One boot: a machine and the network around it, in a directory of their own. Or one that goes on from a kept moment.

use crate::{
    moment::{Kept, Known, Moment},
    surroundings::Surroundings,
};
use diorite_host::tools::ToolsTree;
use diorite_lab::{Config, Lab, PortWatchHandle};
use diorite_machine::{
    Accelerator, Boot, Machine, MachineSpec, Pace, Second,
    credentials::{self, Credential},
};
use diorite_model::{Error, Exit, Result};
use std::{
    cell::Cell,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
};

/// MiB of memory. Enough for a container under emulation, little enough for a small host.
pub const MEMORY: u32 = 1536;
/// Processors of a machine: at most two, and no more than let two machines run at a time. One that waits for a lock
/// which another holds, while the host lets neither run, is time lost to both.
fn cpus() -> u32 {
    let host = std::thread::available_parallelism().map_or(1, usize::from);
    if host >= 4 { 2 } else { 1 }
}

/// What a machine is made of, whoever boots it.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub tools: &'a ToolsTree,
    pub accelerator: &'a Accelerator,
    /// The network that its recipe asks for.
    pub around: &'a Surroundings,
    pub disk: &'a Path,
    /// Of its own; made when it is not there.
    pub directory: &'a Path,
}

/// A running machine in its lab.
pub struct Session {
    // Dropped in this order: the machine lets go of its cable first.
    pub machine: Machine,
    pub lab: Lab,
    /// Ports that must never answer, and who has asked them since before power-on.
    pub quiet: Vec<u16>,
    pub watch: Cell<Option<PortWatchHandle>>,
}

impl Session {
    /// Boots the disk and lets it know these credentials. `capture` gets every frame.
    pub fn start(setup: Setup<'_>, capture: Option<&Path>, credentials: Vec<Credential>) -> Result<Self> {
        let (lab, far) = setup.plugged(capture, 0)?;
        let quiet = setup.around.quiet.clone();
        let watch = Cell::new(Some(lab.keep_watch(quiet.clone())?));
        let machine = Machine::start(setup.spec(credentials, far))?;
        Ok(Self { machine, lab, quiet, watch })
    }

    /// Puts the machine that is asked everything back to a kept moment, in a new lab that is as the old one was: in it no
    /// time has passed since. Nobody has watched it from power-on. Comes back when its shell answers, where it had one.
    ///
    /// # Errors
    /// When it cannot be put back, or does not answer then: nothing is said about the image.
    pub fn resume(setup: Setup<'_>, kept: &Kept, capture: Option<&Path>) -> Result<Self> {
        let Moment { accelerator, known, name, .. } = &kept.moment;
        let setup = Setup { accelerator, ..setup };
        let age = i64::try_from(kept.moment.age()).unwrap_or(i64::MAX);
        let (lab, far) = setup.plugged(capture, age)?;
        known.tell(&lab)?;
        let machine = Machine::resume(setup.asked(far), &kept.directory, name)?;
        let session = Self { machine, lab, quiet: setup.around.quiet.clone(), watch: Cell::new(None) };
        session.answers(known)?;
        Ok(session)
    }

    /// A shell that had said its first word answers soon.
    fn answers(&self, known: &Known) -> Result<()> {
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

impl Setup<'_> {
    /// Its network, `age` seconds ago, and the far ends of its cables.
    fn plugged(&self, capture: Option<&Path>, age: i64) -> Result<(Lab, Vec<OwnedFd>)> {
        let config = &self.around.config;
        std::fs::create_dir_all(self.directory)
            .map_err(|e| Error::io("a directory cannot be made", self.directory, e))?;
        let (mut near, mut far): (Vec<OwnedFd>, Vec<OwnedFd>) = (Vec::new(), Vec::new());
        for _ in &self.around.macs {
            let pair = UnixStream::pair().map_err(|e| Error::host("no socket pair for the network").because(e))?;
            near.push(pair.0.into());
            far.push(pair.1.into());
        }
        // A conversation is given up when the guest could have booted its kernel several times over.
        let quiet = Pace::measure(self.accelerator.kind).unit * 5;
        let clock_offset = config.clock_offset.saturating_sub(age);
        let lab = Lab::start_with(Config { quiet, clock_offset, ..config.clone() }, near)?;
        if let Some(path) = capture {
            lab.capture(path)?;
        }
        Ok((lab, far))
    }

    /// The machine that everything is asked of, inside too.
    pub fn asked(&self, network: Vec<OwnedFd>) -> MachineSpec {
        self.spec(credentials::shell(), network)
    }

    fn spec(&self, credentials: Vec<Credential>, network: Vec<OwnedFd>) -> MachineSpec {
        let Self { tools, accelerator, around, disk, directory } = *self;
        MachineSpec {
            tools: tools.clone(),
            accelerator: accelerator.clone(),
            disk: disk.to_owned(),
            second: around.second.map(Second::Blank),
            disc: None,
            tpm: around.tpm.then(|| directory.join("tpm")),
            boot: Boot::Firmware,
            memory: MEMORY,
            cpus: cpus(),
            uuid: None,
            // What the recipe says the machine is given belongs to it; nothing else is injected for it.
            credentials: [credentials, around.credentials.clone()].concat(),
            network,
            macs: around.macs.clone(),
            directory: directory.to_owned(),
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
