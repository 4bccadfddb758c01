//! What a machine is made of and plugged into, in one place: `verify`, `run` and `scenario` take their machine and its
//! network from here, so that it is the same machine for all of them.

use crate::surroundings::Surroundings;
use diorite_host::tools::ToolsTree;
use diorite_lab::{Behaviour, Config, Lab};
use diorite_machine::{
    Accelerator, Boot, MachineHardware, MachineSpec, Pace, Second,
    credentials::{self, Credential},
};
use diorite_model::{Error, Result};
use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

/// MiB of memory. Enough for a container under emulation, little enough for a small host.
pub const MEMORY: u32 = 1536;

/// Processors of a machine: at most two, and no more than let two machines run at a time. One that waits for a lock
/// which another holds, while the host lets neither run, is time lost to both.
fn cpus() -> u32 {
    let host = std::thread::available_parallelism().map_or(1, usize::from);
    if host >= 4 { 2 } else { 1 }
}

/// What a machine is made of, for every verb that boots one.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub tools: &'a ToolsTree,
    pub accelerator: &'a Accelerator,
    /// The network that its recipe asks for.
    pub around: &'a Surroundings,
    pub hardware: MachineHardware,
    pub disk: &'a Path,
    /// Of its own; made when it is not there.
    pub directory: &'a Path,
}

impl Setup<'_> {
    /// Its network, as it was `age` seconds ago, and the far ends of its cables. `capture` gets every frame.
    pub fn network(&self, capture: Option<&Path>, age: i64) -> Result<(Lab, Vec<OwnedFd>)> {
        std::fs::create_dir_all(self.directory)
            .map_err(|e| Error::io("a directory cannot be made", self.directory, e))?;
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for _ in &self.around.macs {
            let (one, other) = cable()?;
            near.push(one);
            far.push(other);
        }
        let quiet = quiet(self.accelerator);
        let network = self.around.topology(|config| {
            let clock_offset = config.clock_offset.saturating_sub(age);
            Config { quiet, clock_offset, ..config }
        });
        let lab = Lab::start_in(network, near)?;
        for side in self.around.sides.iter().filter(|side| !side.learns) {
            lab.at(side.segment)?.change(|services| {
                services.dhcp.behaviour = Behaviour::Silent;
                services.router.behaviour = Behaviour::Silent;
            })?;
        }
        if let Some(path) = capture {
            lab.capture(path)?;
        }
        Ok((lab, far))
    }

    /// The machine with the root shell through which everything inside is asked.
    pub fn with_shell(&self, network: Vec<OwnedFd>) -> MachineSpec {
        self.machine(credentials::shell(), network)
    }

    /// The machine, given these credentials.
    pub fn machine(&self, injected: Vec<Credential>, network: Vec<OwnedFd>) -> MachineSpec {
        let Self { tools, accelerator, around, hardware, disk, directory } = *self;
        MachineSpec {
            tools: tools.clone(),
            accelerator: accelerator.clone(),
            hardware,
            disk: disk.to_owned(),
            second: around.second.map(Second::Blank),
            data: around.data.clone(),
            disc: None,
            tpm: around.tpm.then(|| directory.join("tpm")),
            boot: if around.own_keys { Boot::OwnKeys } else { Boot::Firmware },
            memory: MEMORY,
            cpus: cpus(),
            uuid: None,
            // What the recipe says the machine is given belongs to it; nothing else is injected for it.
            credentials: [injected, around.credentials.clone()].concat(),
            network,
            macs: around.macs.clone(),
            directory: directory.to_owned(),
        }
    }
}

/// Both ends of one network cable.
pub fn cable() -> Result<(OwnedFd, OwnedFd)> {
    let pair = UnixStream::pair().map_err(|e| Error::host("no socket pair for the network").because(e))?;
    Ok((pair.0.into(), pair.1.into()))
}

/// How long the lab waits in a conversation before it gives up: the guest could have booted its kernel several times over.
pub fn quiet(accelerator: &Accelerator) -> Duration {
    Pace::measure(accelerator.kind).unit * 5
}
