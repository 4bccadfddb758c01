//! Other surroundings: what a rebuild changes about its host, so that whatever a build takes from there shows.
//!
//! The clock is not among them: Linux has no namespace for it (docs/decisions/clock.md), and a rebuild has another time anyway.

use crate::sandbox::Memory;
use rustix::fs::Mode;
use rustix::process::umask;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// Name of the host during a rebuild, where it may be changed.
pub const HOST_NAME: &str = "another-host.invalid";
/// Time zone during a rebuild: far from every other.
pub const TIME_ZONE: &str = "Pacific/Kiritimati";
/// Language during a rebuild: one in which `i` is not the small letter of `I`.
pub const LANGUAGE: &str = "tr_TR.UTF-8";
/// Permissions that are not given during a rebuild.
const UMASK: u32 = 0o077;

/// How far from those of the first build the surroundings of another one are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// All that costs nothing.
    Near,
    /// Trees are made on the disk, too: its file system gives the entries of a directory in another order than memory does.
    Far,
}

/// Variables of a process with other surroundings, and the same in words. `threads`: those of this process.
pub fn variables(threads: usize) -> Vec<(&'static str, OsString, String)> {
    let more = threads + 1;
    vec![
        ("TZ", TIME_ZONE.into(), format!("time zone {TIME_ZONE}")),
        ("LANG", LANGUAGE.into(), format!("language {LANGUAGE}")),
        ("LC_ALL", LANGUAGE.into(), String::new()),
        ("RAYON_NUM_THREADS", more.to_string().into(), format!("{more} threads")),
    ]
}

/// Changes what no variable says: the umask, the kernel's release, and the host's name where this process may give itself another.
/// To be called before there are other threads. What was changed, in words.
pub fn change(distance: Distance) -> Vec<String> {
    umask(Mode::from_raw_mode(UMASK));
    let mut changed = vec![format!("umask {UMASK:04o}")];
    if rename_kernel() {
        changed.push(format!("kernel release {}", rustix::system::uname().release().to_string_lossy()));
    }
    if distance == Distance::Far {
        Memory::refuse();
        changed.push("trees on the disk, where directories have another order".into());
    }
    if rename_host() {
        changed.push(format!("host name {HOST_NAME}"));
    }
    changed
}

/// For this process and those that it starts, uname(2) says 2.6, personality(2).
fn rename_kernel() -> bool {
    // SAFETY: personality(2) takes a number and changes only how this process is answered.
    unsafe { libc::personality(libc::UNAME26 as libc::c_ulong) >= 0 }
}

/// In a namespace of this process alone, uts_namespaces(7): the host keeps its name.
fn rename_host() -> bool {
    // SAFETY: unshare(2) of the name alone moves nothing that memory refers to, and the name has the length given.
    unsafe {
        libc::unshare(libc::CLONE_NEWUTS) == 0 && libc::sethostname(HOST_NAME.as_ptr().cast(), HOST_NAME.len()) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_of_threads_and_every_variable_is_said() {
        let variables = variables(2);
        let threads = variables.iter().find(|(name, ..)| *name == "RAYON_NUM_THREADS").expect("threads");
        assert_eq!((threads.1.to_str(), threads.2.as_str()), (Some("3"), "3 threads"));
        assert!(variables.iter().all(|(_, value, _)| !value.is_empty()));
    }
}
