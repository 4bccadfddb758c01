//! One process tree, measured: CPU seconds, wall seconds, the largest process, and what else the machine did meanwhile.
//!
//! CPU comes from a cgroup where one can be made (it also counts children nobody waited for), else from wait4(2).

use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What one run cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Row it belongs to: `full build`, `mmdebstrap`.
    pub what: String,
    /// The command line.
    pub argv: Vec<String>,
    /// Wall-clock seconds.
    pub wall: f64,
    /// User + system seconds of the whole process tree.
    pub cpu: f64,
    /// Where `cpu` comes from: `cgroup` or `wait4`.
    pub cpu_source: String,
    /// User seconds by wait4.
    pub user: f64,
    /// System seconds by wait4.
    pub system: f64,
    /// Largest resident set of any one process, in MiB.
    pub peak_mib: f64,
    /// Load average over one minute, before the run.
    pub load_before: f64,
    /// CPU seconds that the rest of the machine used meanwhile.
    pub others_cpu: f64,
    /// Lines on stderr with the wall and CPU seconds at which they came (CPU only with a cgroup).
    pub lines: Vec<Line>,
}

/// One line of a program's progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Wall-clock seconds since the start.
    pub wall: f64,
    /// CPU seconds since the start.
    pub cpu: f64,
    /// The line.
    pub text: String,
}

/// Runs a command to its end; an unsuccessful one is an error that shows its last words.
pub fn measure(what: &str, mut command: Command) -> Result<Run, String> {
    let group = Group::new();
    if let Some(group) = &group {
        let procs = group.procs.clone();
        // SAFETY: this process has no other thread here, so the child may allocate before it becomes the program.
        unsafe { command.pre_exec(move || fs::write(&procs, "0")) };
    }
    // Where the program lies is nobody's business.
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let argv: Vec<String> =
        std::iter::once(program).chain(command.get_args()).map(|a| a.to_string_lossy().into_owned()).collect();
    let failed = |e: io::Error| format!("{what}: {}: {e}", argv[0]);
    let load_before = load();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (busy, started) = (busy(), Instant::now());
    let mut child = command.spawn().map_err(failed)?;
    let mut lines = Vec::new();
    for text in BufReader::new(child.stderr.take().expect("stderr is a pipe")).split(b'\n') {
        let text = String::from_utf8_lossy(&text.map_err(failed)?)
            .trim_end()
            .rsplit('\r')
            .next()
            .unwrap_or_default()
            .to_owned();
        let cpu = group.as_ref().map_or(0.0, Group::cpu);
        lines.push(Line { wall: started.elapsed().as_secs_f64(), cpu, text });
    }
    let (status, usage) = wait(child.id()).map_err(failed)?;
    let wall = started.elapsed().as_secs_f64();
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    let (user, system) = (seconds(usage.ru_utime), seconds(usage.ru_stime));
    let (cpu, cpu_source) = match &group {
        Some(group) => (group.cpu(), "cgroup"),
        None => (user + system, "wait4"),
    };
    let others_cpu = (self::busy() - busy - cpu).max(0.0);
    if status != 0 {
        let last: Vec<&str> = lines.iter().rev().take(15).rev().map(|l| l.text.as_str()).collect();
        return Err(format!("{what}: {} ended with status {status:#x}\n{}", argv.join(" "), last.join("\n")));
    }
    let peak_mib = usage.ru_maxrss as f64 / 1024.0;
    let what = what.to_owned();
    Ok(Run {
        what,
        argv,
        wall,
        cpu,
        cpu_source: cpu_source.to_owned(),
        user,
        system,
        peak_mib,
        load_before,
        others_cpu,
        lines,
    })
}

fn wait(pid: u32) -> io::Result<(i32, libc::rusage)> {
    // SAFETY: wait4 fills the two structures it is given; the child is ours and nobody else waits for it.
    unsafe {
        let (mut status, mut usage) = (0, std::mem::zeroed());
        loop {
            if libc::wait4(pid as libc::pid_t, &mut status, 0, &mut usage) >= 0 {
                return Ok((status, usage));
            }
            let e = io::Error::last_os_error();
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(e);
            }
        }
    }
}

/// A control group of one run: version 2, or cpuacct of version 1.
struct Group {
    directory: PathBuf,
    procs: PathBuf,
}

impl Group {
    fn new() -> Option<Self> {
        let base = ["/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"];
        let base = base.iter().map(Path::new).find(|b| b.join("cgroup.procs").exists())?;
        let directory = base.join(format!("diorite-bench-{}", std::process::id()));
        fs::create_dir(&directory).ok()?;
        Some(Self { procs: directory.join("cgroup.procs"), directory })
    }
    /// Seconds used so far.
    fn cpu(&self) -> f64 {
        let number = |text: &str| text.trim().parse::<f64>().unwrap_or(0.0);
        if let Ok(nanoseconds) = fs::read_to_string(self.directory.join("cpuacct.usage")) {
            return number(&nanoseconds) / 1e9;
        }
        let stat = fs::read_to_string(self.directory.join("cpu.stat")).unwrap_or_default();
        stat.lines().find_map(|l| l.strip_prefix("usage_usec ")).map_or(0.0, |n| number(n) / 1e6)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Load average over one minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// CPU seconds the whole machine has used: proc_stat(5), the fields that are not idling.
fn busy() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = text.lines().next().unwrap_or_default().split(' ').filter_map(|n| n.parse().ok()).collect();
    // user, nice, system; then idle, iowait; then irq, softirq. Hundredths of a second on every Linux in use.
    [0, 1, 2, 5, 6].iter().filter_map(|&i| fields.get(i)).sum::<f64>() / 100.0
}
