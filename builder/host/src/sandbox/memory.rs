//! Memory for what a job writes and does not keep: a tmpfs at a directory that only the job's process and its
//! children see. It is gone with the last of them, so nothing needs removing.
//!
//! A Debian tree is tens of thousands of small files that live for seconds. On a disk's file system each of them costs
//! an inode on the disk, a journal entry and a write; in memory none of it.

use super::launch::Op;
use super::{SandboxMode, mode};
use crate::simulate;
use rustix::fs::XattrFlags;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process does without.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Room in memory at a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    directory: PathBuf,
    /// At most this many bytes.
    limit: u64,
}

impl Memory {
    /// Room at an existing directory for about `need` bytes; none where that would be more than half of the memory that is
    /// free for us, or where we may not mount. What is written may grow to that half.
    pub fn at(directory: &Path, need: u64) -> Option<Self> {
        if REFUSED.load(Ordering::Relaxed) || mode().ok()? == SandboxMode::Chroot {
            return None;
        }
        if simulate::little_memory() {
            return Some(Self { directory: directory.to_owned(), limit: 64 << 20 });
        }
        let limit = available()? / 2;
        (need <= limit).then(|| Self { directory: directory.to_owned(), limit })
    }

    /// From here on this process finds no room in memory.
    pub fn refuse() {
        REFUSED.store(true, Ordering::Relaxed);
    }

    /// What the child does first, in a mount namespace of its own.
    pub(super) fn ops(&self) -> Vec<(String, Op)> {
        let mut list = super::operations::Operations(Vec::new());
        list.mount("", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "");
        // Neither nodev nor nosuid: as it would be on the disk. What runs in it runs in the sandbox.
        list.mount("tmpfs", &self.directory, "tmpfs", 0, &format!("mode=700,size={}", self.limit));
        list.0
    }

    /// Whether a directory of this kind keeps all that packages and their scripts give to files, access lists included:
    /// kernels may be built without. Asked by the job, inside.
    pub fn suits(directory: &Path) -> bool {
        // Version 2; owner rwx, group 4 r-x, owning group r-x, mask r-x, others none (linux/posix_acl_xattr.h).
        let entry =
            |tag: u16, perm: u16, id: u32| [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat();
        let entries = [(1, 7, !0), (4, 5, !0), (8, 5, 4), (16, 5, !0), (32, 0, !0)];
        let list = entries.iter().fold(2u32.to_le_bytes().to_vec(), |mut all, &(tag, perm, id)| {
            all.extend(entry(tag, perm, id));
            all
        });
        // cap_net_raw=ep, version 2 (linux/capability.h).
        let capability = [0x0200_0001u32, 1 << 13, 0, 0, 0].map(u32::to_le_bytes).concat();
        let probe = directory.join(".probe");
        let keeps = |name: &str, value: &[u8]| rustix::fs::setxattr(&probe, name, value, XattrFlags::empty()).is_ok();
        let suits = crate::file::write_scratch(&probe, "").is_ok()
            && keeps("system.posix_acl_access", &list)
            && keeps("security.capability", &capability);
        let _ = fs::remove_file(&probe);
        suits
    }

    /// Whether the file system of a directory has next to no room left, so that what failed in it may succeed elsewhere.
    pub fn full(directory: &Path) -> bool {
        rustix::fs::statvfs(directory).is_ok_and(|s| s.f_bavail * s.f_frsize < 32 << 20 || s.f_favail < 1024)
    }
}

/// Bytes of memory that this process may still use: of the machine (proc_meminfo(5)) and of the control groups it is in.
fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(groups.lines().filter_map(|line| left_in(Path::new("/sys/fs/cgroup"), line)).fold(machine, u64::min))
}

/// What the limits of a control group and of all above it leave; `line` is one of /proc/self/cgroup (cgroups(7)).
fn left_in(base: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (base, limit, used) = match controllers {
        "" => (base.to_owned(), "memory.max", "memory.current"),
        list if list.split(',').any(|c| c == "memory") => {
            (base.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
        }
        _ => return None,
    };
    // In a container the path may be that outside; then the group at the top is ours.
    let number = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let own = base.join(path.trim_start_matches('/'));
    let left = own.ancestors().take_while(|a| a.starts_with(&base)).filter_map(|group| {
        let used = number(group.join(used)).unwrap_or(0);
        Some(number(group.join(limit))?.saturating_sub(used))
    });
    left.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_limit_counts() {
        let base = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = base.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        put("user/memory.max", "5000\n");
        put("user/memory.current", "1000\n");
        put("user/session/memory.max", "max\n");
        put("user/session/job/memory.max", "9000\n");
        put("user/session/job/memory.current", "100\n");
        put("memory/job/memory.limit_in_bytes", "700\n");
        put("memory/job/memory.usage_in_bytes", "800\n");
        let left = |line: &str| left_in(base.path(), line);
        assert_eq!(left("0::/user/session/job"), Some(4000));
        assert_eq!(left("0::/user/gone"), Some(4000));
        assert_eq!(left("0::/elsewhere"), None, "no limit is no number");
        assert_eq!(left("4:cpu,memory:/job"), Some(0));
        assert_eq!(left("5:cpuset:/job"), None);
    }

    #[test]
    fn what_is_too_much_gets_no_room() {
        assert_eq!(Memory::at(Path::new("/"), u64::MAX), None);
    }
}
