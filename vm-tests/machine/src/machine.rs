//! One running machine: started, asked, snapshotted, ended. Nothing of it is left behind.

mod enrolment;

use crate::{
    arguments::{Boot, Descriptors, MachineSpec, Second},
    console::Console,
    disks,
    pace::Pace,
    qmp::Qmp,
    shell::{Output, Shell},
    watch::Watch,
};
use diorite_host::{
    sandbox::Status,
    tools::{Child, Tool},
};
use diorite_model::{Error, Result};
use serde_json::{Value, json};
use std::{
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A machine. It ends, with everything QEMU started, when this is dropped or the user interrupts.
#[derive(Debug)]
pub struct Machine {
    child: Mutex<Option<Child>>,
    /// Ended after QEMU.
    tpm: Mutex<Option<Child>>,
    qmp: Mutex<Qmp>,
    shell: Mutex<Shell>,
    /// The serial console.
    pub console: Console,
    /// Calibrated when the machine started.
    pub pace: Pace,
    power_on: Instant,
    argv: Vec<String>,
    spec: MachineSpec,
    /// What it has written is not to go with it.
    stays: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What names a moment.
fn named(name: &str) -> Result<()> {
    match !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        true => Ok(()),
        false => Err(Error::bug(format!("`{name}` is no name for a snapshot")).hint("letters, digits and -")),
    }
}

impl Machine {
    /// Prepares overlay and firmware variables and powers the machine on. With [`Boot::OwnKeys`] a new machine has been switched
    /// on once before, until its firmware had the keys. What is in its directory from an earlier life
    /// ([`Machine::leave`]) is gone on with. QEMU ends with the thread that called this.
    pub fn start(mut spec: MachineSpec) -> Result<Self> {
        disks::absolute(&mut spec)?;
        let new = spec.boot == Boot::OwnKeys && !spec.variables().exists();
        disks::fresh(&spec)?;
        if new {
            Self::launch(enrolment::spec(&spec), None).and_then(|first| enrolment::wait(first, &spec))?;
        }
        Self::launch(spec, None)
    }

    /// Puts a machine back to a moment called `name` that one of the same kind has kept ([`Machine::snapshot`]) and left
    /// in the directory `from` ([`Machine::leave`]). The files there are copied, not changed. It runs on from that moment;
    /// the shell, if it had one, is still there and says no first word again.
    ///
    /// # Errors
    /// Also when QEMU does not take the moment: another QEMU's, another machine's, a damaged file.
    pub fn resume(mut spec: MachineSpec, from: &Path, name: &str) -> Result<Self> {
        disks::absolute(&mut spec)?;
        named(name)?;
        disks::copied(&spec, from)?;
        Self::launch(spec, Some(name))
    }

    fn launch(mut spec: MachineSpec, moment: Option<&str>) -> Result<Self> {
        let pair = || UnixStream::pair().map_err(|e| Error::host("no socket pair for the machine").because(e));
        let ((console, far_console), (qmp, far_qmp), (shell, far_shell)) = (pair()?, pair()?, pair()?);
        let tpm = spec.tpm.as_ref().map(|directory| crate::tpm::start(&spec.tools, directory)).transpose()?;
        let (tpm, tpm_control) = tpm.unzip();
        let network = std::mem::take(&mut spec.network);
        let cables: Vec<RawFd> = network.iter().map(AsRawFd::as_raw_fd).collect();
        let (c, q, s) = (far_console.as_raw_fd(), far_qmp.as_raw_fd(), far_shell.as_raw_fd());
        let mut arguments = spec.arguments(&Descriptors {
            console: c,
            qmp: q,
            shell: s,
            tpm: tpm_control.as_ref().map(AsRawFd::as_raw_fd),
            network: &cables,
        })?;
        arguments.extend(moment.iter().flat_map(|name| ["-loadvm".to_owned(), (*name).to_owned()]));
        let mut command =
            spec.tools.command(Tool::QemuSystem).args(&arguments).input(&spec.disk).output(&spec.directory);
        if let Some(Second::Holding(disk)) = &spec.second {
            command = command.input(disk);
        }
        if let Some(disc) = &spec.disc {
            command = command.input(disc);
        }
        if let Boot::Kernel { kernel, initrd, .. } = &spec.boot {
            command = command.input(kernel).input(initrd);
        }
        for fd in [&far_console, &far_qmp, &far_shell] {
            command = command.fd(fd);
        }
        if let Some(fd) = &tpm_control {
            command = command.fd(fd);
        }
        for fd in &network {
            command = command.fd(fd);
        }
        let argv = command.record().argv;
        let pace = Pace::measure(spec.accelerator.kind);
        let power_on = Instant::now();
        let child = command.spawn()?;
        // QEMU alone holds the far ends now: their end is its end.
        drop::<([UnixStream; 3], _, Vec<OwnedFd>)>(([far_console, far_qmp, far_shell], tpm_control, network));
        let console = Console::listen(console, &spec.directory.join("console.log"), power_on)?;
        let qmp = Qmp::connect(qmp, pace.unit * 30).map_err(|mut e| {
            let said = child.log();
            let said = said + &tpm.as_ref().map(Child::log).unwrap_or_default();
            e.detail = (!said.trim().is_empty()).then(|| said.trim().to_owned());
            e
        })?;
        let (child, qmp, shell) = (Mutex::new(Some(child)), Mutex::new(qmp), Mutex::new(Shell::new(shell)?));
        Ok(Self { child, tpm: Mutex::new(tpm), qmp, shell, console, pace, power_on, argv, spec, stays: false })
    }

    /// Time since power-on.
    pub fn uptime(&self) -> Duration {
        self.power_on.elapsed()
    }

    /// How QEMU ended, if it has.
    pub fn ended(&self) -> Option<Status> {
        locked(&self.child).as_mut().and_then(Child::try_wait)
    }

    /// What QEMU itself complained about.
    pub fn complaints(&self) -> String {
        locked(&self.child).as_ref().map(Child::log).unwrap_or_default().trim().to_owned()
    }

    /// A watchdog over this machine. `wire` counts what else shows life, frames from the guest for one.
    pub fn watch<'a>(&'a self, wire: impl Fn() -> u64 + 'a) -> Watch<'a> {
        Watch::new(self, Box::new(wire))
    }

    /// Waits for the injected root shell.
    pub fn wait_shell(&self, watch: &mut Watch<'_>) -> Result<()> {
        locked(&self.shell).wait_ready(&mut |bytes| watch.check_with(bytes))
    }

    /// Whether the injected root shell has said its first word; waits for at most a fifth of a second.
    pub fn shell_ready(&self) -> bool {
        locked(&self.shell).try_ready()
    }

    /// Runs a command in the injected root shell.
    pub fn run(&self, command: &str, watch: &mut Watch<'_>) -> Result<Output> {
        locked(&self.shell).run(command, &mut |bytes| watch.check_with(bytes))
    }

    /// Any QMP command.
    pub fn qmp(&self, command: &str, arguments: Value) -> Result<Value> {
        locked(&self.qmp).execute(command, arguments, self.pace.unit * 10)
    }

    /// Lets the guest start anew, or be switched off and on again, without an end of QEMU; or no more. What it wrote and
    /// what its TPM holds stays either way.
    pub fn may_restart(&self, may: bool) -> Result<()> {
        let (reboot, shutdown) = if may { ("reset", "pause") } else { ("shutdown", "poweroff") };
        self.qmp("set-action", json!({ "reboot": reboot, "shutdown": shutdown })).map(drop)
    }

    /// Presses the reset button. Needs [`Machine::may_restart`].
    pub fn reset(&self) -> Result<()> {
        self.qmp("system_reset", json!({})).map(drop)
    }

    /// Whether the guest has switched itself off, and QEMU waits. Needs [`Machine::may_restart`].
    pub fn off(&self) -> Result<bool> {
        Ok(self.qmp("query-status", json!({}))?["status"] == "shutdown")
    }

    /// Switches a machine that is off on again.
    pub fn on(&self) -> Result<()> {
        self.reset()?;
        self.qmp("cont", json!({})).map(drop)
    }

    /// Presses the power button.
    pub fn power_button(&self) -> Result<()> {
        self.qmp("system_powerdown", json!({})).map(drop)
    }

    /// Pulls out the cable of a card, from 0, or plugs it in: the card sees it.
    pub fn carrier(&self, card: usize, up: bool) -> Result<()> {
        self.qmp("set_link", json!({ "name": format!("net{card}"), "up": up })).map(drop)
    }

    /// Keeps this moment under a name: memory, devices, disk and firmware variables.
    pub fn snapshot(&self, name: &str) -> Result<()> {
        self.monitor("savevm", name)
    }

    /// Lets go of a moment that was kept under this name; the next one takes its room.
    pub fn forget(&self, name: &str) -> Result<()> {
        self.monitor("delvm", name)
    }

    /// Names of the files in its directory that it writes: see [`MachineSpec::files`].
    pub fn files(&self) -> Vec<String> {
        self.spec.files()
    }

    /// The files that hold what the guest wrote to its disks: qcow2, neither compressed nor encrypted.
    pub fn written(&self) -> Vec<PathBuf> {
        let second = self.spec.second.as_ref().map(|_| self.spec.second_overlay());
        let data = (0..self.spec.data.len()).map(|number| self.spec.data_overlay(number));
        [self.spec.overlay()].into_iter().chain(second).chain(data).collect()
    }

    /// The port of the injected root shell, for somebody who speaks to it by himself from now on.
    pub fn shell_port(&self) -> Result<UnixStream> {
        locked(&self.shell).port()
    }

    /// Goes back to a moment that was kept. Connections over the network are older than the guest then.
    pub fn restore(&self, name: &str) -> Result<()> {
        self.monitor("loadvm", name)
    }

    fn monitor(&self, verb: &str, name: &str) -> Result<()> {
        named(name)?;
        let said = locked(&self.qmp).human(&format!("{verb} {name}"), self.pace.unit * 60)?;
        match said.is_empty() {
            true => Ok(()),
            false => Err(Error::host(format!("QEMU could not {verb} `{name}`")).because(said)),
        }
    }

    /// A picture of the screen, PNG.
    pub fn screenshot(&self, to: &Path) -> Result<()> {
        // QEMU sees no other directory.
        let here = self.spec.directory.join("screenshot.png");
        self.qmp("screendump", json!({ "filename": here, "format": "png" }))?;
        let moved = std::fs::copy(&here, to).and_then(|_| std::fs::remove_file(&here));
        moved.map_err(|e| Error::io("the screenshot cannot be written", to, e))
    }

    /// The share of its time in which the machine could have run and the host ran others, 0 to 1, where that is known.
    pub fn waited(&self) -> Option<f64> {
        locked(&self.child).as_ref().and_then(Child::waited)
    }

    /// Sum over the disks of everything read and written: it moves as long as the guest works with them.
    pub(crate) fn block_activity(&self) -> Option<u64> {
        let answer = self.qmp("query-blockstats", json!({})).ok()?;
        let disks = answer.as_array()?;
        let fields = ["rd_operations", "wr_operations", "flush_operations", "unmap_operations"];
        Some(disks.iter().flat_map(|d| fields.iter().filter_map(|f| d["stats"][f].as_u64())).sum())
    }

    /// Leaves what helps to understand a failure in `directory`: console and QEMU's own log, its command line, its state.
    pub fn evidence(&self, directory: &Path) -> Result<()> {
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            diorite_host::file::write_scratch(&path, text)
                .map_err(|e| Error::io("the evidence cannot be written", &path, e))
        };
        std::fs::create_dir_all(directory).map_err(|e| Error::io("the evidence cannot be written", directory, e))?;
        let (from, to) = (self.spec.directory.join("console.log"), directory.join("console.log"));
        if from != to {
            std::fs::copy(&from, &to).map_err(|e| Error::io("the evidence cannot be written", &to, e))?;
        }
        write("qemu.log", self.complaints() + "\n")?;
        write("qemu.argv", self.argv.join("\n") + "\n")?;
        let mut state = serde_json::Map::new();
        for question in ["query-status", "query-blockstats", "query-cpus-fast"] {
            let answer = self.qmp(question, json!({})).unwrap_or_else(|e| Value::String(e.to_string()));
            state.insert(question.to_owned(), answer);
        }
        write("qemu.json", format!("{:#}\n", Value::Object(state)))
    }

    /// Ends the machine at once, as by pulling its plug, and completes the console's log.
    pub fn end(mut self) -> Console {
        self.kill();
        self.console.finish();
        std::mem::replace(&mut self.console, Console::silent())
    }

    /// Ends the machine in QEMU's own order and leaves what it has written, with every moment that was kept, in its
    /// directory: the files of [`MachineSpec::files`].
    ///
    /// # Errors
    /// Beside the console, when QEMU did not end by itself, or ended badly: its files cannot be trusted then, and are gone.
    pub fn leave(mut self) -> (Console, Result<()>) {
        let ended = self.quit();
        self.stays = ended.is_ok();
        (self.end(), ended)
    }

    fn quit(&self) -> Result<()> {
        if self.ended().is_none() {
            // It may be gone before its answer is.
            let _ = self.qmp("quit", json!({}));
        }
        let end = Instant::now() + self.pace.unit * 10;
        let status = loop {
            match self.ended() {
                Some(status) => break status,
                None if Instant::now() >= end => return Err(Error::host("QEMU does not end when it is told to")),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        match status.success() {
            true => Ok(()),
            false => Err(Error::host(format!("QEMU has ended: {status}")).because(self.complaints())),
        }
    }

    fn kill(&mut self) {
        // Dropping it kills it and everything it started.
        drop(locked(&self.child).take());
        drop(locked(&self.tpm).take());
        if self.stays {
            return;
        }
        for name in self.spec.files() {
            // It may never have been made.
            let _ = std::fs::remove_file(self.spec.directory.join(name));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        self.console.finish();
    }
}
