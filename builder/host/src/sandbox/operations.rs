//! The list of system calls that set a sandbox up, each with the words an error names it by.

use super::launch::{Op, c};
use std::path::Path;

/// Flags of the mount a path lies on that a remount in a user namespace must not lose (mount_namespaces(7)).
pub(crate) fn locked_flags(path: &Path) -> libc::c_ulong {
    let Ok(stat) = rustix::fs::statvfs(path) else { return 0 };
    let flags = stat.f_flag.bits() as libc::c_ulong;
    let pairs = [
        (libc::ST_NOSUID, libc::MS_NOSUID),
        (libc::ST_NODEV, libc::MS_NODEV),
        (libc::ST_NOEXEC, libc::MS_NOEXEC),
        (libc::ST_NOATIME, libc::MS_NOATIME),
        (libc::ST_NODIRATIME, libc::MS_NODIRATIME),
        (libc::ST_RELATIME, libc::MS_RELATIME),
    ];
    pairs.into_iter().filter(|(st, _)| flags & st != 0).fold(0, |all, (_, ms)| all | ms)
}

/// Operations, each with its description for an error.
pub(crate) struct Operations(pub Vec<(String, Op)>);

impl Operations {
    pub fn add(&mut self, what: &str, op: Op) {
        self.0.push((what.to_owned(), op));
    }
    pub fn mount(&mut self, source: &str, target: &Path, kind: &str, flags: libc::c_ulong, data: &str) {
        let what = format!("mount {} {}", if kind.is_empty() { "flags of" } else { kind }, target.display());
        self.0.push((what, Op::Mount { source: c(source), target: c(target), kind: c(kind), flags, data: c(data) }));
    }
    pub fn bind(&mut self, source: &Path, target: &Path, flags: libc::c_ulong) {
        let what = format!("bind {} at {}", source.display(), target.display());
        let flags = libc::MS_BIND | flags;
        self.0.push((what, Op::Mount { source: c(source), target: c(target), kind: c(""), flags, data: c("") }));
    }
    pub fn mkdir(&mut self, path: &Path, mode: libc::mode_t) {
        self.0.push((format!("make {}", path.display()), Op::Mkdir(c(path), mode)));
    }
    pub fn touch(&mut self, path: &Path) {
        self.0.push((format!("make {}", path.display()), Op::Touch(c(path))));
    }
}
