//! `make endurance`: one disk verified again and again, beside a busy host too, and its ports scanned against the machine's
//! own word. A check that fails once in fifty runs teaches people to press the button again.
//!
//! `RUNS` verifications (5), `LOAD` threads that only count beside them (0), `SCANS` scans (20), `BOOTS` of one machine
//! alone (3). Writes docs/measurements/DATE-endurance[-load-N].{json,md}; `CONTINUE=FILE.json` goes on in an earlier file
//! until it has so many runs, of the same disk, and writes there.

use crate::truth::{QUESTION, Truth};
use crate::{Machine, machine, page};
use diorite_host::tools::ToolsTree;
use diorite_lab::{Config, Lab, Protocol, ScanProbe};
use diorite_machine::{Accelerator, Boot, Machine as Guest, MachineHardware, MachineSpec, accel, credentials};
use diorite_model::report::{Ended, Report, Verdict};
use diorite_model::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Endurance {
    schema: u32,
    date: String,
    machine: Machine,
    accelerator: String,
    disk_sha256: String,
    /// Threads that only counted meanwhile, in a session of their own.
    load: usize,
    /// Linux shares processors between sessions first (sched(7)).
    autogroup: bool,
    /// Days on which it was measured.
    sittings: Vec<String>,
    /// Seconds from power-on to `running` of a machine that has the host for itself.
    boots: Vec<f64>,
    scans: Vec<Scanned>,
    runs: Vec<Verified>,
}

/// One scan of all 65,535 TCP ports by IPv4.
#[derive(Debug, Serialize, Deserialize)]
struct Scanned {
    seconds: f64,
    /// Silence was proven.
    witnessed: bool,
    /// Ports that answer, by the machine's own word.
    answering: usize,
    /// Ports of which the scanner says something else than the machine.
    wrong: Vec<u16>,
}

/// One verification.
#[derive(Debug, Serialize, Deserialize)]
struct Verified {
    seconds: f64,
    /// Seconds after power-on when systemd called the system running.
    running: f64,
    passed: usize,
    of: usize,
    /// Checks that did not pass, with what was seen.
    not_passed: Vec<(String, String)>,
    ended: Option<Ended>,
    /// Runs that the host spoilt.
    retried: usize,
    load_after: f64,
}

/// Measures, and says whether everything passed.
pub fn endurance() -> Result<bool> {
    let (runs, load, scans, boots) = (number("RUNS", 5), number("LOAD", 0), number("SCANS", 20), number("BOOTS", 3));
    let (out, tools) = (material("DIORITE_TEST_OUT")?, ToolsTree::open(&material("DIORITE_TEST_TOOLS")?)?);
    let accelerator = accel::probe()?;
    let work = std::env::temp_dir().join(format!("diorite-endurance-{}", std::process::id()));
    let earlier = std::env::var_os("CONTINUE").map(PathBuf::from);
    let mut data = match &earlier {
        Some(file) => read(file)?,
        None => Endurance {
            schema: 2,
            date: page::date(),
            machine: machine(),
            accelerator: format!("{accelerator:?}"),
            disk_sha256: String::new(),
            load,
            autogroup: fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled").is_ok_and(|t| t.trim() == "1"),
            sittings: vec![],
            boots: vec![],
            scans: vec![],
            runs: vec![],
        },
    };
    data.sittings.push(page::date());
    let _beside = Busy::start(load)?;
    let measured = data.measure(&work, (runs, boots, scans), (&tools, &accelerator), &out);
    let _ = fs::remove_dir_all(&work);
    measured.and_then(|()| data.write()).map(|()| data.good())
}

/// A program whose threads only count, in a session of its own, as one that somebody started at another terminal.
struct Busy(Child);

impl Busy {
    fn start(threads: usize) -> Result<Self> {
        let failed = |e| Error::host("a busy program cannot be started").because(e);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["count", &threads.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        // SAFETY: both are async-signal-safe system calls.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::setsid();
                Ok(())
            })
        };
        command.spawn().map(Self).map_err(failed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What [`Busy`] does, until it is killed.
pub fn count(threads: usize) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        }
    });
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn material(name: &str) -> Result<PathBuf> {
    let missing =
        || Error::input(format!("{name} is not set")).hint("run `make endurance`, which prepares what is measured");
    std::env::var_os(name).map(PathBuf::from).ok_or_else(missing)
}

/// Boots the disk with nothing beside it, and scans it so many times.
fn alone(
    tools: &ToolsTree,
    accelerator: &Accelerator,
    disk: &Path,
    directory: &Path,
    scans: usize,
) -> Result<(f64, Vec<Scanned>)> {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory).map_err(|e| Error::io("a directory cannot be made", directory, e))?;
    let (near, far) = UnixStream::pair().map_err(|e| Error::host("no socket pair for the network").because(e))?;
    let lab = Lab::start_with(Config::default(), vec![near.into()])?;
    let guest = Guest::start(MachineSpec {
        hardware: MachineHardware::default(),
        tools: tools.clone(),
        accelerator: accelerator.clone(),
        disk: disk.to_owned(),
        second: None,
        data: Vec::new(),
        disc: None,
        tpm: None,
        boot: Boot::Firmware,
        memory: 1536,
        cpus: 2,
        uuid: None,
        credentials: credentials::shell(),
        network: vec![far.into()],
        macs: vec![],
        directory: directory.to_owned(),
    })?;
    let mut watch = guest.watch(|| lab.frames());
    let address = lab.wait_for_lease(&mut || watch.check())?.ipv4.into();
    guest.wait_shell(&mut watch)?;
    guest.run("systemctl is-system-running --wait", &mut watch)?;
    let seconds = guest.uptime().as_secs_f64();
    let mut seen = Vec::new();
    for _ in 0..scans {
        let truth = Truth::read(&guest.run(QUESTION, &mut watch)?.text);
        let begun = Instant::now();
        let scan = lab.wait_for(&lab.begin(ScanProbe::all(address, Protocol::Tcp))?)?;
        let seconds = begun.elapsed().as_secs_f64();
        let wrong = scan.verdicts.iter().filter(|(port, verdict)| truth.of(**port) != **verdict).map(|(port, _)| *port);
        let wrong = wrong.chain((1..=u16::MAX).filter(|port| !scan.verdicts.contains_key(port))).collect();
        seen.push(Scanned { seconds, witnessed: scan.witnessed, answering: truth.answering(), wrong });
    }
    Ok((seconds, seen))
}

/// One verification of the disk, by the program, as a user runs it.
fn verification(built: &Path, out: &Path) -> Result<(Report, Verified)> {
    let mut command = Command::new("./diorite");
    command.arg("verify").arg(built.join("disk.raw")).arg("--recipe").arg(built.join("recipe.json"));
    command.arg("--lock").arg(material("DIORITE_TEST_LOCK")?).arg("--out").arg(out);
    command.env("DIORITE_STORE", material("DIORITE_TEST_STORE")?).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map_err(|e| Error::io("our program cannot be run", "./diorite", e))?;
    let file = out.join("report.json");
    let text = fs::read(&file).map_err(|e| Error::io("a verification left no report", &file, e))?;
    let report: Report =
        serde_json::from_slice(&text).map_err(|e| Error::bug("the report cannot be read").because(e))?;
    fs::remove_file(&file).map_err(|e| Error::io("the report cannot be put away", &file, e))?;
    let not_passed = report.checks.iter().filter(|c| c.verdict != Verdict::Pass);
    let run = Verified {
        seconds: report.seconds,
        running: report.checks.iter().find(|c| c.id == "running").map_or(0.0, |c| c.at),
        passed: report.count(Verdict::Pass),
        of: report.checks.len(),
        not_passed: not_passed.map(|c| (c.id.clone(), c.seen.clone())).collect(),
        ended: report.ended.clone(),
        retried: report.retried.len(),
        load_after: fs::read_to_string("/proc/loadavg")
            .ok()
            .and_then(|t| t.split(' ').next()?.parse().ok())
            .unwrap_or(0.0),
    };
    Ok((report, run))
}

/// Minimum, median and maximum.
fn spread(values: impl Iterator<Item = f64>) -> Option<[f64; 3]> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    Some([*all.first()?, (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0, *all.last()?])
}

impl Endurance {
    fn measure(
        &mut self,
        work: &Path,
        (runs, boots, scans): (usize, usize, usize),
        (tools, accelerator): (&ToolsTree, &Accelerator),
        built: &Path,
    ) -> Result<()> {
        for boot in self.boots.len()..boots {
            let scans = if boot == 0 { scans } else { 0 };
            let (seconds, seen) = alone(tools, accelerator, &built.join("disk.raw"), &work.join("boot"), scans)?;
            eprintln!("boot alone {seconds:.1} s, {} scans", seen.len());
            self.boots.push(seconds);
            self.scans.extend(seen);
        }
        for number in self.runs.len() + 1..=runs {
            let (report, run) = verification(built, &work.join("verify"))?;
            eprintln!("{number} of {runs}: {} of {} in {:.1} s", run.passed, run.of, run.seconds);
            let disk = report.disk_sha256.to_string();
            if !self.runs.is_empty() && self.disk_sha256 != disk {
                return Err(Error::input("the earlier runs were of another disk")
                    .because(format!("{}, and this one is {disk}", self.disk_sha256))
                    .hint("measure anew, without CONTINUE"));
            }
            self.disk_sha256 = disk;
            self.runs.push(run);
            // What was measured before an interruption is measured.
            self.write()?;
        }
        Ok(())
    }

    /// Every run passed, and no scan was wrong.
    fn good(&self) -> bool {
        self.runs.iter().all(|r| r.not_passed.is_empty() && r.ended.is_none() && r.of > 0)
            && self.scans.iter().all(|s| s.wrong.is_empty() && s.witnessed)
    }

    fn write(&self) -> Result<()> {
        let load = if self.load > 0 { format!("-load-{}", self.load) } else { String::new() };
        let name = format!("{}-endurance{load}", self.date);
        let raw = serde_json::to_string_pretty(self).expect("our own types serialize") + "\n";
        for (ending, text) in [("json", raw), ("md", self.page(&name))] {
            let file = Path::new("docs/measurements").join(format!("{name}.{ending}"));
            fs::write(&file, text).map_err(|e| Error::io("the measurement cannot be written", &file, e))?;
        }
        Ok(())
    }

    fn page(&self, name: &str) -> String {
        let beside = match self.load {
            0 => "nothing else at work".to_owned(),
            n if self.autogroup => format!(
                "{n} threads that only count beside it, in a session of their own; Linux shares between sessions first (sched(7), autogroup)"
            ),
            n => format!("{n} threads that only count beside it"),
        };
        let mut page = format!(
            "# One disk, verified again and again, {}\n\n`RUNS={} LOAD={} SCANS={} BOOTS={} make endurance`; every figure is in \
             [{name}.json]({name}.json). {}, {} cores, {} MiB, Linux {}, {beside}.\n\n| | minimum | median | maximum | of |\n|---|---|---|---|---|\n",
            self.date,
            self.runs.len(),
            self.load,
            self.scans.len(),
            self.boots.len(),
            self.machine.cpu,
            self.machine.cores,
            self.machine.memory_mib,
            self.machine.kernel,
        );
        let mut row = |what: &str, values: Vec<f64>| {
            if let Some([min, median, max]) = spread(values.iter().copied()) {
                let _ = writeln!(page, "| {what} | {min:.1} | {median:.1} | {max:.1} | {} |", values.len());
            }
        };
        row("one boot alone, power-on → `running`, s", self.boots.clone());
        row("all 65,535 TCP ports by IPv4, s", self.scans.iter().map(|s| s.seconds).collect());
        row(
            "`verify`, power-on → `running` while another machine boots, s",
            self.runs.iter().map(|r| r.running).collect(),
        );
        row("`verify`, everything, s", self.runs.iter().map(|r| r.seconds).collect());
        let median = |values: Vec<f64>| spread(values.into_iter()).map(|s| s[1]);
        let whole = median(self.runs.iter().map(|r| r.seconds).collect());
        if let (Some(whole), Some(boot)) = (whole, median(self.boots.clone())) {
            let _ = writeln!(page, "\nEverything / one boot alone: **{:.2}** (at most 2.0 is wanted).", whole / boot);
        }
        let wrong: usize = self.scans.iter().map(|s| s.wrong.len()).sum();
        let _ = writeln!(
            page,
            "\n{} scans, {wrong} verdicts that the machine's own `nft` and `ss` contradict; silence was proven in {}.",
            self.scans.len(),
            self.scans.iter().filter(|s| s.witnessed).count()
        );
        let good = self.runs.iter().filter(|r| r.not_passed.is_empty() && r.ended.is_none()).count();
        let retried: usize = self.runs.iter().map(|r| r.retried).sum();
        let _ = writeln!(
            page,
            "\n{good} of {} verifications passed every check; {retried} were begun again for the host's sake.",
            self.runs.len()
        );
        for (number, run) in self.runs.iter().enumerate() {
            for (id, seen) in &run.not_passed {
                let _ = writeln!(page, "\n- run {}: `{id}`: {seen}", number + 1);
            }
            if let Some(ended) = &run.ended {
                let _ = writeln!(page, "\n- run {}: ended: {}", number + 1, ended.what);
            }
        }
        page
    }
}

fn read(file: &Path) -> Result<Endurance> {
    let text = fs::read(file).map_err(|e| Error::io("the earlier measurement cannot be read", file, e))?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::input("no earlier measurement").at(file.display().to_string()).because(e))
}
