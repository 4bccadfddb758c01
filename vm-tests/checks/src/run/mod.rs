//! The machine that `verify` boots, for a person: its console or a root shell, and ports of the host that lead into it.
//! The disk is never written; what the guest writes is thrown away, or kept for the next run.
//!
//! ```text
//! stdin ──┬─ console (serial port) ──┬─ stdout
//!         └─ root shell (injected) ──┘
//! 127.0.0.1:port ── lab (TCP) ── guest
//! ```

mod directory;
mod ports;
mod stdin_pump;
mod terminal;

pub use ports::{Forward, Forwarded};

use crate::{setup::Setup, surroundings::Surroundings};
use diorite_host::{
    interrupt,
    progress::{BarUnit, Progress},
    tools::ToolsTree,
};
use diorite_lab::Lab;
use diorite_machine::{AlarmKind, Machine, accel, credentials};
use diorite_model::{Digest, Error, Exit, Recipe, Result};
use directory::RunDirectory;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    net::{IpAddr, SocketAddr},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    time::{Duration, Instant},
};
use stdin_pump::StdinPump;
use terminal::{CTRL_C, Raw};

/// What is run, and how.
pub struct RunInput<'a> {
    /// QEMU and firmware.
    pub tools: &'a ToolsTree,
    /// The raw disk.
    pub disk: &'a Path,
    /// Its digest.
    pub disk_sha256: Digest,
    /// What the machine is.
    pub recipe: &'a Recipe,
    /// The machine's own files, and what is kept of it, are in directories of this one.
    pub out: &'a Path,
    /// Ports of the host; none: every admitted TCP port of the machine gets one.
    pub forwards: &'a [Forward],
    /// A root shell instead of the console. Something is injected for it, as for `verify`.
    pub shell: bool,
    /// Goes on with what the last run that kept has left, and keeps what this one leaves.
    pub keep: bool,
    /// Where is said how it goes.
    pub progress: &'a Progress,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// By its user: Ctrl-C, or the end of the input.
    User,
    /// The machine has switched itself off.
    Itself,
    /// The shell has ended, with this status.
    Shell(i32),
}

/// How often is looked after what has no descriptor to wait for.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// What waits for the guest to take it, before no more is read.
const PENDING: usize = 16 << 10;

/// Boots the disk and lets stdin and stdout speak with it until one side ends. `tell` hears which port leads where, before
/// the machine is switched on.
///
/// # Errors
/// [`Exit::Input`] when what was kept belongs to another disk; [`Exit::Host`] when a port is taken or QEMU fails;
/// [`Exit::VerificationFailed`] when a machine that commands are waiting for does not come up;
/// [`Exit::Interrupted`].
pub fn run(input: &RunInput<'_>, tell: &mut dyn FnMut(&[Forwarded])) -> Result<RunEnd> {
    let files = RunDirectory::new(input.out)?;
    if input.keep {
        files.take(&input.disk_sha256)?;
    }
    let around = Surroundings::of(input.recipe);
    let (table, listeners) = ports::listen(input.recipe, around.config.ipv4.into(), input.forwards)?;
    tell(&table);
    let accelerator = accel::probe()?;
    input.progress.say(format!("accelerator: {} ({})", accelerator.kind, accelerator.reason));
    let setup = Setup {
        tools: input.tools,
        accelerator: &accelerator,
        around: &around,
        hardware: around.hardware.main,
        disk: input.disk,
        directory: files.directory(),
    };
    let (lab, cables) = setup.network(None, 0)?;
    let injected = if input.shell { credentials::shell() } else { Vec::new() };
    let machine = Machine::start(setup.machine(injected, cables))?;
    let mut session = ConsoleSession { input, around, lab, machine, listeners, alarms: 0 };
    let end = session.converse()?;
    if input.keep {
        session.power_off()?;
        let ConsoleSession { machine, lab, .. } = session;
        machine.leave().1?;
        drop(lab);
        files.keep(&input.disk_sha256)?;
    }
    Ok(end)
}

/// A person's session on the machine's console or in its shell.
struct ConsoleSession<'a> {
    input: &'a RunInput<'a>,
    around: Surroundings,
    lab: Lab,
    machine: Machine,
    /// Ports of the host that wait for the machine to have an address.
    listeners: ports::HostListeners,
    /// Alarms that were told.
    alarms: usize,
}

impl ConsoleSession<'_> {
    fn converse(&mut self) -> Result<RunEnd> {
        let (port, mut pump) = match self.input.shell {
            false => {
                // Without one the machine would be gone after its first restart.
                self.machine.qmp("set-action", serde_json::json!({ "reboot": "reset" }))?;
                self.machine.console.follow(|bytes| {
                    // An error is a closed stdout: nobody reads any more.
                    let _ = say(bytes);
                })?;
                (self.machine.console.input()?, None)
            }
            true => {
                self.wait_for_shell()?;
                (self.machine.shell_port()?, Some(StdinPump::new(std::io::stdin().is_terminal())))
            }
        };
        let raw = Raw::new(pump.is_some())?;
        let mut pending = pump.as_ref().map(StdinPump::first).unwrap_or_default();
        let mut open = true;
        loop {
            self.look()?;
            if self.machine.ended().is_some() {
                self.input.progress.say("the machine has switched itself off");
                return Ok(RunEnd::Itself);
            }
            if !open && pending.is_empty() && pump.is_none() {
                return Ok(RunEnd::User);
            }
            let (stdin, mut to) = (std::io::stdin(), PollFlags::empty());
            to.set(PollFlags::OUT, !pending.is_empty());
            to.set(PollFlags::IN, pump.is_some());
            let mut watched = Vec::new();
            if !to.is_empty() {
                watched.push(PollFd::new(&port, to));
            }
            let reads = open && pending.len() < PENDING && pump.as_ref().is_none_or(StdinPump::begun);
            if reads {
                watched.push(PollFd::new(&stdin, PollFlags::IN));
            }
            match poll(&mut watched, Some(&LOOK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::host("the terminal cannot be watched").because(e)),
            }
            let ready = |place: Option<&PollFd<'_>>| place.is_some_and(|fd| !fd.revents().is_empty());
            let (port_ready, stdin_ready) = (!to.is_empty() && ready(watched.first()), reads && ready(watched.last()));
            drop(watched);
            if stdin_ready {
                let mut bytes = [0; 4096];
                let n = match rustix::io::read(stdin.as_fd(), &mut bytes) {
                    Err(rustix::io::Errno::INTR) => continue,
                    other => other.map_err(|e| Error::input("what is to be typed cannot be read").because(e))?,
                };
                if raw.is_some() && bytes[..n].contains(&CTRL_C) {
                    return Ok(RunEnd::User);
                }
                open = n > 0;
                match (&pump, open) {
                    (None, _) => pending.extend_from_slice(&bytes[..n]),
                    (Some(pump), true) => pending.extend(pump.letters(&bytes[..n])),
                    (Some(pump), false) => pending.extend(pump.last()),
                }
            }
            if port_ready {
                send(&port, &mut pending);
                match pump.as_mut().map(|pump| heard(&port, pump)) {
                    Some(Ok(Some(status))) => return Ok(RunEnd::Shell(status)),
                    // An error is a closed stdout: nobody reads any more.
                    Some(Err(_)) => return Ok(RunEnd::User),
                    None | Some(Ok(None)) => {}
                }
            }
        }
    }

    /// Looks for events that have no descriptor to poll: an end, an address, an alarm.
    fn look(&mut self) -> Result<()> {
        interrupt::check()?;
        if let Some(status) = self.machine.ended().filter(|status| !status.success()) {
            return Err(Error::host(format!("QEMU has ended: {status}")).because(self.machine.complaints()));
        }
        if !self.listeners.is_empty()
            && let Some(guest) = self.address()
        {
            for (listener, port) in std::mem::take(&mut self.listeners) {
                self.lab.forward(listener, SocketAddr::new(guest, port))?;
            }
            self.input.progress.say(format!("the machine has the address {guest}"));
        }
        let alarms = self.machine.console.alarms();
        let news = alarms[self.alarms.min(alarms.len())..].iter();
        let bad =
            news.filter(|a| !matches!(a.kind, AlarmKind::PoweringOff | AlarmKind::Restarting)).collect::<Vec<_>>();
        self.alarms = alarms.len();
        // On the console itself the user has seen it already.
        if let Some(alarm) = bad.first().filter(|_| self.input.shell) {
            let what = format!("the machine's console says: {}", alarm.line);
            if alarm.kind != AlarmKind::Oops && !std::io::stdin().is_terminal() {
                let error = Error::new(Exit::VerificationFailed, what).detail(self.machine.console.tail(12));
                return Err(error.hint("without --shell the console itself is shown"));
            }
            self.input.progress.say(what);
        }
        Ok(())
    }

    /// The machine's address: a fixed one, or the one it was leased.
    fn address(&self) -> Option<IpAddr> {
        let leased = || self.lab.leases().into_values().next().map(|lease| lease.ipv4.into());
        let usual = self.around.fixed.iter().find(|ip| ip.is_ipv4()).copied().or_else(leased);
        usual.or_else(|| {
            let dhcp = self.around.front.as_ref().and_then(|name| self.input.recipe.network.get(name));
            let global = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if !v6.is_unicast_link_local());
            let six = self.lab.addresses().into_keys().find(global);
            six.filter(|_| dhcp.is_none_or(|link| !link.dhcp_ipv4))
        })
    }

    fn wait_for_shell(&mut self) -> Result<()> {
        let stage = self.input.progress.stage("boot");
        let bar = stage.bar(0, BarUnit::Items);
        // Patience ends with a machine in which nothing moves any more.
        let (mut told, mut moved, mut seen) = (Instant::now(), Instant::now(), [0; 2]);
        while !self.machine.shell_ready() {
            if self.machine.ended().is_some_and(|status| status.success()) {
                let error = Error::new(Exit::VerificationFailed, "the machine has ended before it gave a shell");
                return Err(error.detail(self.machine.console.tail(12)));
            }
            self.look()?;
            let now = [self.machine.console.news() as u64, self.lab.frames()];
            if now != seen {
                (moved, seen) = (Instant::now(), now);
            }
            if moved.elapsed() > self.machine.pace.stall_limit() {
                let error = Error::new(Exit::VerificationFailed, "the machine gives no shell, and nothing moves in it");
                return Err(error.detail(self.machine.console.tail(12)));
            }
            if told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                let line: String = self.machine.console.tail(1).chars().take(60).collect();
                bar.set_message(format!("{:.0} s  {line}", self.machine.uptime().as_secs_f64()));
            }
        }
        bar.finish();
        stage.done(format!("a root shell after {:.0} s", self.machine.uptime().as_secs_f64()));
        Ok(())
    }

    /// Presses the power button until the machine has ended.
    fn power_off(&mut self) -> Result<()> {
        let (limit, begun) = (self.machine.pace.stall_limit(), Instant::now());
        let mut pressed: Option<Instant> = None;
        if self.machine.ended().is_none() {
            self.input.progress.say("the machine is switched off, and what it wrote is kept");
        }
        while self.machine.ended().is_none() {
            interrupt::check()?;
            if begun.elapsed() > limit {
                let what = format!("the machine still runs {:.0} s after the power button", limit.as_secs_f64());
                let error = Error::new(Exit::VerificationFailed, what).because("nothing of this run is kept");
                return Err(error.detail(self.machine.console.tail(12)));
            }
            // A guest that is starting does not hear it yet.
            if pressed.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) {
                pressed = Some(Instant::now());
                // It may have ended between.
                let _ = self.machine.qmp("system_powerdown", serde_json::json!({}));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// Writes what the other side takes now.
fn send(port: &UnixStream, pending: &mut Vec<u8>) {
    use rustix::net::{SendFlags, send};
    // Whatever else is wrong with it shows as the machine's end.
    if let Ok(sent) = send(port, pending, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        pending.drain(..sent);
    }
}

/// Takes what the shell said and shows it. Its status, once it has ended.
fn heard(mut port: &UnixStream, pump: &mut StdinPump) -> std::io::Result<Option<i32>> {
    let (mut bytes, mut out) = ([0; 65_536], Vec::new());
    let n = port.read(&mut bytes).unwrap_or(0);
    let status = pump.heard(&bytes[..n], &mut out);
    say(&out)?;
    Ok(status)
}

fn say(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
