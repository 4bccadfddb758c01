//! `diorite doctor`: what this host offers, and what it takes to get more.

use crate::sandbox::{SandboxMode, Why, mode, probe};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// What the host offers.
#[derive(Debug, Clone, Serialize)]
pub struct DoctorReport {
    /// Version of this format: 1.
    pub schema: u32,
    /// Every kind of sandbox, and why not, where it is not possible.
    pub sandboxes: Vec<SandboxReport>,
    /// The one a build will use.
    pub chosen: Option<SandboxMode>,
    /// What is weaker in the chosen one than in namespaces.
    pub weaker: Vec<String>,
    /// Whether /dev/kvm opens for us; that guests run is only known by running one.
    pub kvm: bool,
    /// Processors this process may use.
    pub cores: usize,
    /// Bytes of memory available.
    pub memory: u64,
    /// Bytes free where the store lies.
    pub free: Option<u64>,
}

/// Whether one kind of sandbox is possible.
#[derive(Debug, Clone, Serialize)]
pub struct SandboxReport {
    /// The kind of sandbox.
    pub mode: SandboxMode,
    /// `None`: it works here.
    pub why_not: Option<Why>,
}

/// Looks at the host.
pub fn report() -> DoctorReport {
    // First: sandboxes are tried where trees will be made.
    let store = crate::store::Store::open(None).ok();
    let chosen = mode().ok();
    let weaker = match chosen {
        Some(SandboxMode::Chroot) => &[
            "package scripts see the host's processes and may signal those of root",
            "they see the host's name and kernel, which some packages write down",
            "Unix sockets of the host with abstract names can be reached",
            "there is no /proc inside; systemd-tmpfiles of the tree runs outside",
        ][..],
        _ => &[],
    };
    DoctorReport {
        schema: 1,
        sandboxes: SandboxMode::ALL.map(|mode| SandboxReport { mode, why_not: probe().why_not(mode).cloned() }).into(),
        chosen,
        weaker: weaker.iter().map(|w| (*w).to_owned()).collect(),
        kvm: std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: available_memory(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        free: store.and_then(|s| free(s.root())),
    }
}

fn free(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|s| s.f_bavail.saturating_mul(s.f_frsize))
}

/// MemAvailable of proc_meminfo(5), in bytes.
fn available_memory(text: &str) -> u64 {
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1024)
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for SandboxReport { mode, why_not } in &self.sandboxes {
            match why_not {
                None if self.chosen == Some(*mode) => writeln!(f, "sandbox {}: works, will be used", mode.name())?,
                None => writeln!(f, "sandbox {}: works", mode.name())?,
                Some(why) => {
                    writeln!(f, "sandbox {}: not here", mode.name())?;
                    writeln!(f, "  because {}", why.cause)?;
                    if !why.hint.is_empty() {
                        writeln!(f, "  help: {}", why.hint)?;
                    }
                }
            }
        }
        for weaker in &self.weaker {
            writeln!(f, "  weaker: {weaker}")?;
        }
        writeln!(
            f,
            "/dev/kvm: {}",
            if self.kvm { "opens; whether guests run is tried at verify" } else { "no; software emulation" }
        )?;
        writeln!(f, "cores: {}", self.cores)?;
        writeln!(f, "memory: {} available", crate::progress::bytes(self.memory))?;
        match self.free {
            Some(free) => writeln!(f, "store: {} free", crate::progress::bytes(free)),
            None => writeln!(f, "store: cannot be used; name a directory with DIORITE_STORE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_in_words() {
        let why = Why { cause: "only root may".into(), hint: "run as root".into() };
        let report = DoctorReport {
            schema: 1,
            sandboxes: vec![
                SandboxReport { mode: SandboxMode::Namespaces, why_not: Some(why) },
                SandboxReport { mode: SandboxMode::UserNamespace, why_not: None },
            ],
            chosen: Some(SandboxMode::UserNamespace),
            weaker: vec!["something".into()],
            kvm: false,
            cores: 2,
            memory: available_memory("MemTotal: 9 kB\nMemAvailable:    1000000 kB\n"),
            free: None,
        };
        let text = report.to_string();
        assert!(
            text.starts_with("sandbox namespaces: not here\n  because only root may\n  help: run as root\n"),
            "{text}"
        );
        assert!(text.contains("sandbox userns: works, will be used\n  weaker: something\n"), "{text}");
        assert!(text.ends_with(
            "cores: 2\nmemory: 1.02 GB available\nstore: cannot be used; name a directory with DIORITE_STORE\n"
        ));
    }
}
