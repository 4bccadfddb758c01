//! `make bench`: what a build of `server` costs beside mmdebstrap and mkosi, in one run on one machine.
//!
//! Writes docs/measurements/DATE-build.{json,md,svg}; ends with 1 when a limit is missed. `RUNS=1` measures once.
//! The peers need root; without it their part is skipped and counted. Run from the repository, with ./diorite built.
//! `bench page FILE.json` draws the page of a measurement again.

mod chart;
mod endurance;
mod ours;
mod page;
mod peers;
mod process;
mod repository;
mod room;
mod truth;

use diorite_host::progress::Progress;
use diorite_host::store::Store;
use diorite_host::{interrupt, multicall, sandbox};
use diorite_model::{Error, Result};
use process::Run;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Everything that was measured: DATE-build.json.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    schema: u32,
    date: String,
    machine: Machine,
    versions: Vec<String>,
    packages: usize,
    package_bytes: u64,
    peers_work_on: String,
    boot: ours::Boot,
    skipped: Vec<String>,
    limits: Vec<Limit>,
    steps: serde_json::Value,
    runs: Vec<Run>,
}

/// What it was measured on.
#[derive(Debug, Serialize, Deserialize)]
struct Machine {
    cpu: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
}

/// One figure that has a limit.
#[derive(Debug, Serialize, Deserialize)]
pub struct Limit {
    what: String,
    value: f64,
    limit: f64,
    unit: String,
    met: bool,
}

fn main() -> ExitCode {
    // The peers' tree is configured with the same stand-ins as ours.
    if let Some(code) = multicall::dispatch(&[]) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(status) = diorite_rootfs::helpers::dispatch(&arguments[0], &arguments[1..]) {
        std::process::exit(status);
    }
    if let Some(code) = sandbox::inside(&[("peers", |json| sandbox::typed(json, peers::tree))]) {
        return code;
    }
    if let [_, verb, threads] = &arguments[..]
        && verb == "count"
    {
        endurance::count(threads.parse().unwrap_or(0));
        return ExitCode::SUCCESS;
    }
    interrupt::install();
    if arguments.get(1).is_some_and(|verb| verb == "endurance") {
        return match endurance::endurance() {
            Ok(good) => ExitCode::from(u8::from(!good)),
            Err(e) => {
                eprintln!("{e}");
                ExitCode::from(e.exit as u8)
            }
        };
    }
    let data = match &arguments[1..] {
        [verb, file] if verb == "page" => again(Path::new(file)),
        _ => bench(),
    };
    match data {
        Ok(data) => {
            let missed: Vec<&Limit> = data.limits.iter().filter(|l| !l.met).collect();
            for limit in &missed {
                eprintln!("missed: {}: {:.2} {}, the limit is {:.2}", limit.what, limit.value, limit.unit, limit.limit);
            }
            ExitCode::from(u8::from(!missed.is_empty()))
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(e.exit as u8)
        }
    }
}

fn bench() -> Result<Data> {
    let rounds: usize = std::env::var("RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let progress = Progress::new();
    let store = Store::open(None)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let directory = target.join("bench-work");
    fs::create_dir_all(&directory).map_err(|e| Error::io("cannot be made", &directory, e))?;
    let directory = fs::canonicalize(&directory).map_err(|e| Error::io("cannot be found", &directory, e))?;

    let ours = ours::Ours::new(&directory, &store)?;
    let mut runs = vec![];
    for _ in 0..rounds {
        runs.push(said(ours.lock()?));
    }
    let (lock, recipe) = ours.fetch()?;
    let mut skipped = Vec::new();
    // SAFETY: geteuid takes nothing and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let peers = if root {
        Some(peers::prepare(&store, &directory, &lock, &recipe, &progress)?)
    } else {
        skipped.push("mmdebstrap and mkosi: they need root".to_owned());
        None
    };
    // Round by round, so that a machine that grows slower or busier does so for everybody.
    for _ in 0..rounds {
        if let Some(peers) = &peers {
            runs.push(said(peers.mmdebstrap(peers::MMDEBSTRAP, &lock)?));
            runs.push(said(peers.mmdebstrap(peers::NO_INITRAMFS, &lock)?));
            runs.push(said(peers.mkosi(&lock)?));
        }
        runs.extend(ours.build()?.into_iter().map(said));
    }
    let boot = ours.boot()?;
    let mut versions = vec![ours.version()?];
    versions.extend(peers.iter().flat_map(|p| p.versions.clone()));
    let steps = ours.steps()?;
    let limits = limits(&runs, &steps);
    let data = Data {
        schema: 1,
        date: page::date(),
        machine: machine(),
        versions,
        packages: lock.image.len(),
        package_bytes: lock.image.iter().map(|p| p.size).sum(),
        peers_work_on: peers.as_ref().map_or("nothing", |p| p.on).to_owned(),
        boot,
        skipped,
        limits,
        steps,
        runs,
    };
    put(&data, "json", serde_json::to_string_pretty(&data).expect("our own types serialize") + "\n")?;
    write(&data)?;
    Ok(data)
}

/// Draws page and chart again from raw data: `bench page FILE.json`.
fn again(file: &Path) -> Result<Data> {
    let text = fs::read(file).map_err(|e| Error::io("the raw data cannot be read", file, e))?;
    let data = serde_json::from_slice(&text)
        .map_err(|e| Error::input("this is no measurement").at(file.display().to_string()).because(e))?;
    write(&data)?;
    Ok(data)
}

fn said(run: Run) -> Run {
    eprintln!(
        "{:<23} {:7.2} CPU s {:7.2} s {:6.0} MiB  load {:.2}",
        run.what, run.cpu, run.wall, run.peak_mib, run.load_before
    );
    run
}

/// The limits of the specification, against medians; peak memory against the maximum.
fn limits(runs: &[Run], steps: &serde_json::Value) -> Vec<Limit> {
    let mut limits = Vec::new();
    let mut add = |what: &str, value: f64, limit: f64, unit: &str| {
        limits.push(Limit { what: what.to_owned(), value, limit, unit: unit.to_owned(), met: value <= limit });
    };
    let full = page::spread(runs, ours::FULL, |r| r.cpu);
    for (peer, limit) in [(peers::MMDEBSTRAP, 0.7), (peers::MKOSI, 0.4)] {
        if let (Some(full), Some(theirs)) = (full, page::spread(runs, peer, |r| r.cpu)) {
            add(&format!("CPU of a full build / CPU of {peer}"), full[1] / theirs[1], limit, "");
        }
    }
    for (what, limit) in [(ours::OVERLAY, 3.0), (ours::NOTHING, 0.5)] {
        if let Some(wall) = page::spread(runs, what, |r| r.wall) {
            add(what, wall[1], limit, "s");
        }
    }
    let peak = runs.iter().filter(|r| r.what == ours::FULL || r.what == ours::OVERLAY).map(|r| r.peak_mib);
    // The trees lie in memory while they are made, about as large as their packs.
    let trees = steps
        .as_array()
        .into_iter()
        .flatten()
        .filter(|s| s["name"].as_str().is_some_and(|name| name == "tree" || name.starts_with("container ")));
    let trees: f64 = trees.filter_map(|s| s["bytes"].as_f64()).sum();
    add("peak memory of any build", peak.fold(0.0, f64::max) + trees / f64::from(1 << 20), 1536.0, "MiB");
    limits
}

fn machine() -> Machine {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|l| l.starts_with(name)).and_then(|l| l.split_once(':'));
        line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    Machine {
        cpu: field(&read("/proc/cpuinfo"), "model name"),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
        memory_mib: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
    }
}

/// The page and its chart.
fn write(data: &Data) -> Result<()> {
    put(data, "svg", chart::draw(data))?;
    let text = page::write(data);
    print!("{text}");
    put(data, "md", text)
}

fn put(data: &Data, ending: &str, text: String) -> Result<()> {
    let directory = Path::new("docs/measurements");
    let file = directory.join(format!("{}-build.{ending}", data.date));
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&file, text))
        .map_err(|e| Error::io("the measurement cannot be written", &file, e))
}
