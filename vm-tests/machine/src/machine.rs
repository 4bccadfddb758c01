//! One running machine: started, asked, snapshotted, ended. Nothing of it is left behind.

use crate::{
    arguments::{Boot, Descriptors, MachineSpec},
    console::Console,
    pace::Pace,
    qmp::Qmp,
    shell::{Output, Shell},
    watch::Watch,
};
use diorite_host::interrupt;
use diorite_model::{Error, Result};
use serde_json::{Value, json};
use std::{
    fs::File,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Child, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A machine. It ends, with everything QEMU started, when this is dropped or the user interrupts.
#[derive(Debug)]
pub struct Machine {
    child: Mutex<Child>,
    _guard: interrupt::Guard,
    qmp: Mutex<Qmp>,
    shell: Mutex<Shell>,
    /// The serial console.
    pub console: Console,
    /// Calibrated when the machine started.
    pub pace: Pace,
    power_on: Instant,
    argv: Vec<String>,
    spec: MachineSpec,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    /// Prepares overlay and firmware variables and powers the machine on.
    pub fn start(mut spec: MachineSpec) -> Result<Self> {
        let disk = spec.disk.canonicalize().map_err(|e| Error::io("the disk cannot be opened", &spec.disk, e))?;
        let overlay = spec.overlay().display().to_string();
        let base = disk.display().to_string();
        spec.programs.qemu_img(&["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &base, &overlay])?;
        if spec.boot == Boot::Firmware {
            let template = spec.programs.file("usr/share/OVMF/OVMF_VARS_4M.fd").display().to_string();
            let variables = spec.variables().display().to_string();
            spec.programs.qemu_img(&["convert", "-q", "-f", "raw", "-O", "qcow2", &template, &variables])?;
        }
        let pair = || UnixStream::pair().map_err(|e| Error::host("no socket pair for the machine").because(e));
        let ((console, far_console), (qmp, far_qmp), (shell, far_shell)) = (pair()?, pair()?, pair()?);
        let network = std::mem::take(&mut spec.network);
        let cables: Vec<RawFd> = network.iter().map(AsRawFd::as_raw_fd).collect();
        let (c, q, s) = (far_console.as_raw_fd(), far_qmp.as_raw_fd(), far_shell.as_raw_fd());
        let arguments = spec.arguments(&Descriptors { console: c, qmp: q, shell: s, network: &cables });
        let log = spec.folder.join("qemu.log");
        let stderr = File::create(&log).map_err(|e| Error::io("QEMU's log cannot be written", &log, e))?;
        let mut command = spec.programs.qemu();
        command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
        let inherited: Vec<RawFd> = [c, q, s].into_iter().chain(cables).collect();
        // SAFETY: fcntl and prctl are async-signal-safe, and nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                for fd in &inherited {
                    if libc::fcntl(*fd, libc::F_SETFD, 0) != 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                // When this process is killed, QEMU must not outlive it.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let argv = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let pace = Pace::measure(spec.accelerator.kind);
        let power_on = Instant::now();
        let child = command.spawn().map_err(|e| Error::host("QEMU cannot be started").because(e))?;
        let guard = interrupt::guard(-(child.id() as i32), libc::SIGKILL);
        // QEMU alone holds the far ends now: their end is its end.
        drop::<(UnixStream, UnixStream, UnixStream, Vec<OwnedFd>)>((far_console, far_qmp, far_shell, network));
        let console = Console::listen(console, &spec.folder.join("console.log"), power_on)?;
        let mut running = Starting(Some(child));
        let qmp = Qmp::connect(qmp, pace.unit * 30).map_err(|mut e| {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            e.detail = (!said.trim().is_empty()).then(|| said.trim().to_owned());
            e
        })?;
        let child = Mutex::new(running.0.take().expect("taken once"));
        let (qmp, shell) = (Mutex::new(qmp), Mutex::new(Shell::new(shell)?));
        Ok(Self { child, _guard: guard, qmp, shell, console, pace, power_on, argv, spec })
    }

    /// Time since power-on.
    pub fn uptime(&self) -> Duration {
        self.power_on.elapsed()
    }

    /// QEMU's command line, as it was run.
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// How QEMU ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        // A child that cannot be asked is one that still runs.
        locked(&self.child).try_wait().ok().flatten()
    }

    /// What QEMU itself complained about.
    pub fn complaints(&self) -> String {
        std::fs::read_to_string(self.spec.folder.join("qemu.log")).unwrap_or_default().trim().to_owned()
    }

    /// A watchdog over this machine. `wire` counts what else shows life, frames from the guest for one.
    pub fn watch<'a>(&'a self, wire: impl Fn() -> u64 + 'a) -> Watch<'a> {
        Watch::new(self, Box::new(wire))
    }

    /// Waits for the injected root shell.
    pub fn wait_shell(&self, watch: &mut Watch<'_>) -> Result<()> {
        locked(&self.shell).wait_ready(&mut |bytes| watch.check_with(bytes))
    }

    /// Runs a command in the injected root shell.
    pub fn run(&self, command: &str, watch: &mut Watch<'_>) -> Result<Output> {
        locked(&self.shell).run(command, &mut |bytes| watch.check_with(bytes))
    }

    /// Any QMP command.
    pub fn qmp(&self, command: &str, arguments: Value) -> Result<Value> {
        locked(&self.qmp).execute(command, arguments, self.pace.unit * 10)
    }

    /// Keeps this moment under a name: memory, devices, disk and firmware variables.
    pub fn snapshot(&self, name: &str) -> Result<()> {
        self.monitor("savevm", name)
    }

    /// Goes back to a moment that was kept. Connections over the network are older than the guest then.
    pub fn restore(&self, name: &str) -> Result<()> {
        self.monitor("loadvm", name)
    }

    fn monitor(&self, verb: &str, name: &str) -> Result<()> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(Error::bug(format!("`{name}` is no name for a snapshot")).hint("letters, digits and -"));
        }
        let said = locked(&self.qmp).human(&format!("{verb} {name}"), self.pace.unit * 60)?;
        match said.is_empty() {
            true => Ok(()),
            false => Err(Error::host(format!("QEMU could not {verb} `{name}`")).because(said)),
        }
    }

    /// Sum over the disks of everything read and written: it moves as long as the guest works with them.
    pub(crate) fn block_activity(&self) -> Option<u64> {
        let answer = self.qmp("query-blockstats", json!({})).ok()?;
        let disks = answer.as_array()?;
        let fields = ["rd_operations", "wr_operations", "flush_operations", "unmap_operations"];
        Some(disks.iter().flat_map(|d| fields.iter().filter_map(|f| d["stats"][f].as_u64())).sum())
    }

    /// Leaves what helps to understand a failure in `folder`: console and QEMU's own log, its command line, its state.
    pub fn evidence(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|e| Error::io("the evidence cannot be written", &path, e))
        };
        std::fs::create_dir_all(folder).map_err(|e| Error::io("the evidence cannot be written", folder, e))?;
        for name in ["console.log", "qemu.log"] {
            let (from, to) = (self.spec.folder.join(name), folder.join(name));
            if from != to {
                std::fs::copy(&from, &to).map_err(|e| Error::io("the evidence cannot be written", &to, e))?;
            }
        }
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

    fn kill(&mut self) {
        let mut child = locked(&self.child);
        end_group(&mut child);
        drop(child);
        for file in [self.spec.overlay(), self.spec.variables()] {
            // Not every machine has both.
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        self.console.finish();
    }
}

/// Ends a child that is not yet in a machine when setting up fails half-way.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end_group(child);
        }
    }
}

fn end_group(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        // SAFETY: the group is the one this child was made the leader of, and it has not been waited for.
        unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
        // It cannot refuse.
        let _ = child.wait();
    }
}
