//! `make endurance`: one disk verified again and again, beside a busy host too, and its ports scanned against the machine's
//! own word. A check that fails once in fifty runs teaches people to press the button again.
//!
//! `RUNS` verifications (5), `LOAD` threads that only count beside them (0), `SCANS` scans (20), `BOOTS` of one machine
//! alone (3). Writes docs/measurements/DATE-endurance[-load-N].{json,md}.

use crate::truth::{QUESTION, Truth};
use crate::{Machine, machine, page};
use diorite_host::tools::ToolsTree;
use diorite_lab::{Config, Lab, Probe, Protocol};
use diorite_machine::{Accelerator, Boot, Machine as Guest, MachineSpec, accel, credentials};
use diorite_model::report::{Ended, Report, Verdict};
use diorite_model::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Endurance {
    schema: u32,
    date: String,
    machine: Machine,
    accelerator: String,
    disk_sha256: String,
    /// Threads that only counted meanwhile.
    load: usize,
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
    let mut data = Endurance {
        schema: 1,
        date: page::date(),
        machine: machine(),
        accelerator: format!("{accelerator:?}"),
        disk_sha256: String::new(),
        load,
        boots: vec![],
        scans: vec![],
        runs: vec![],
    };
    let over = AtomicBool::new(false);
    let measured = std::thread::scope(|scope| {
        for _ in 0..load {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop()
                }
            });
        }
        let mut measure = || {
            for boot in 0..boots {
                let (seconds, seen) = alone(
                    &tools,
                    &accelerator,
                    &out.join("disk.raw"),
                    &work.join("boot"),
                    if boot == 0 { scans } else { 0 },
                )?;
                eprintln!("boot alone {seconds:.1} s, {} scans", seen.len());
                data.boots.push(seconds);
                data.scans.extend(seen);
            }
            for number in 1..=runs {
                let (report, run) = verification(&out, &work.join("verify"))?;
                eprintln!("{number} of {runs}: {} of {} in {:.1} s", run.passed, run.of, run.seconds);
                data.disk_sha256 = report.disk_sha256.to_string();
                data.runs.push(run);
                // What was measured before an interruption is measured.
                write(&data)?;
            }
            Ok(())
        };
        let measured = measure();
        over.store(true, Ordering::Relaxed);
        measured
    });
    let _ = fs::remove_dir_all(&work);
    measured.and_then(|()| write(&data)).map(|()| data.good())
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
    folder: &Path,
    scans: usize,
) -> Result<(f64, Vec<Scanned>)> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|e| Error::io("a folder cannot be made", folder, e))?;
    let (near, far) = UnixStream::pair().map_err(|e| Error::host("no socket pair for the network").because(e))?;
    let lab = Lab::start_with(Config::default(), vec![near.into()])?;
    let guest = Guest::start(MachineSpec {
        tools: tools.clone(),
        accelerator: accelerator.clone(),
        disk: disk.to_owned(),
        second: None,
        tpm: None,
        boot: Boot::Firmware,
        memory: 1536,
        cpus: 2,
        uuid: None,
        credentials: credentials::shell(),
        network: vec![far.into()],
        macs: vec![],
        folder: folder.to_owned(),
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
        let scan = lab.wait_for(&lab.begin(Probe::all(address, Protocol::Tcp))?)?;
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
    /// Every run passed, and no scan was wrong.
    fn good(&self) -> bool {
        self.runs.iter().all(|r| r.not_passed.is_empty() && r.ended.is_none() && r.of > 0)
            && self.scans.iter().all(|s| s.wrong.is_empty() && s.witnessed)
    }

    fn page(&self, name: &str) -> String {
        let beside = match self.load {
            0 => "nothing else at work".to_owned(),
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

fn write(data: &Endurance) -> Result<()> {
    let load = if data.load > 0 { format!("-load-{}", data.load) } else { String::new() };
    let name = format!("{}-endurance{load}", data.date);
    let raw = serde_json::to_string_pretty(data).expect("our own types serialize") + "\n";
    for (ending, text) in [("json", raw), ("md", data.page(&name))] {
        let file = Path::new("docs/measurements").join(format!("{name}.{ending}"));
        fs::write(&file, text).map_err(|e| Error::io("the measurement cannot be written", &file, e))?;
    }
    Ok(())
}
