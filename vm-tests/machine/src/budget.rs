//! How much memory machines may use together: what the host, and the control group this program is in, have free now,
//! less a reserve for everybody else. A machine takes its share before it starts and gives it back when it has ended.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// MiB that stay for everybody else; of a small host an eighth.
const RESERVE: u64 = 1024;
/// MiB that QEMU needs besides the machine's own memory: translated code, firmware, devices.
const BESIDE: u64 = 192;

/// The memory that machines share. Copies of the handle are the same budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    /// MiB for all machines together.
    all: u64,
    /// MiB that running machines have taken, whether they have touched it yet or not.
    taken: u64,
    /// What the budget was decided by, for people.
    why: String,
}

/// A machine's share; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    size: u64,
}

impl Budget {
    /// What is free on this host now. `DIORITE_MEMORY`, in MiB, is an upper bound besides.
    pub fn measure() -> Self {
        let wish = std::env::var("DIORITE_MEMORY").ok().and_then(|text| text.trim().parse().ok());
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let (all, why) = free(&read, wish);
        Self::of(all, why)
    }

    /// So many MiB.
    fn of(all: u64, why: String) -> Self {
        Self(Arc::new(Mutex::new(Inner { all, taken: 0, why })))
    }

    /// The share of a machine with `memory` MiB; nothing when that is not free now.
    pub fn take(&self, memory: u32) -> Option<Share> {
        let size = u64::from(memory) + BESIDE;
        let mut inner = self.inner();
        if inner.taken + size > inner.all {
            return None;
        }
        inner.taken += size;
        Some(Share { budget: self.clone(), size })
    }

    /// Whether machines of these sizes, in MiB, fit all at once.
    pub fn fits(&self, memory: &[u32]) -> bool {
        let inner = self.inner();
        inner.taken + memory.iter().map(|m| u64::from(*m) + BESIDE).sum::<u64>() <= inner.all
    }

    /// What there is and what is missing, in a sentence.
    pub fn words(&self, memory: u32) -> String {
        let inner = self.inner();
        format!(
            "it needs {memory} MiB and {BESIDE} MiB for QEMU; machines may use {} MiB here ({}), and {} MiB of them are taken",
            inner.all, inner.why, inner.taken
        )
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.inner().taken -= self.size;
    }
}

/// MiB for machines, and what decided it.
fn free(read: &dyn Fn(&Path) -> Option<String>, wish: Option<u64>) -> (u64, String) {
    let known = read(Path::new("/proc/meminfo")).unwrap_or_default();
    let mebibytes = |key: &str| {
        let line = known.lines().find_map(|l| l.strip_prefix(key)?.split_whitespace().next()?.parse::<u64>().ok());
        line.map_or(0, |kib| kib / 1024)
    };
    let (available, total) = (mebibytes("MemAvailable:"), mebibytes("MemTotal:"));
    let reserve = RESERVE.min(total / 8);
    let host =
        (available.saturating_sub(reserve), format!("{available} MiB are available, {reserve} of them stay free"));
    let group = group(read).map(|left| {
        let words = format!("{left} MiB are left of the control group's limit, {reserve} of them stay free");
        (left.saturating_sub(reserve), words)
    });
    let wish = wish.map(|wish| (wish, "DIORITE_MEMORY".to_owned()));
    [Some(host), group, wish].into_iter().flatten().min_by_key(|(size, _)| *size).unwrap_or_default()
}

/// MiB that the control groups of this process leave it: version 2 (memory.max) or 1 (memory.limit_in_bytes), in the
/// group itself and all above it. Pages of files that nobody uses are as good as free.
fn group(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(kinds), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, limit, usage) = match kinds {
            "" => ("/sys/fs/cgroup", "memory.max", "memory.current"),
            _ if kinds.split(',').any(|k| k == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be one of the host's: then the root of the mount is the group itself.
        let own = Path::new(path.trim_start_matches('/'));
        for directory in own.ancestors().map(|part| PathBuf::from(root).join(part)) {
            let number = |name: &str| read(&directory.join(name))?.trim().parse::<u64>().ok();
            // `max` is no number, and what is larger than any memory is no limit.
            let (Some(limit), Some(usage)) = (number(limit).filter(|l| *l < 1 << 50), number(usage)) else { continue };
            let stat = read(&directory.join("memory.stat")).unwrap_or_default();
            let of = |key: &str| stat.lines().find_map(|l| l.strip_prefix(key)?.trim().parse::<u64>().ok());
            let idle = of("total_inactive_file ").or_else(|| of("inactive_file ")).unwrap_or(0);
            let left = limit.saturating_sub(usage.saturating_sub(idle)) >> 20;
            least = Some(least.map_or(left, |l| l.min(left)));
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn host(files: &[(&str, &str)]) -> impl Fn(&Path) -> Option<String> + use<> {
        let all: BTreeMap<PathBuf, String> = files.iter().map(|(p, t)| (p.into(), (*t).to_owned())).collect();
        move |path| all.get(path).cloned()
    }

    const PLENTY: (&str, &str) =
        ("/proc/meminfo", "MemTotal: 25165824 kB\nMemFree: 1 kB\nMemAvailable:   20971520 kB\n");

    #[test]
    fn the_host_and_its_control_groups_decide() {
        let of = |files: &[(&str, &str)], wish| free(&host(files), wish);
        assert_eq!(of(&[PLENTY], None).0, 20 * 1024 - 1024);
        assert_eq!(of(&[], None).0, 0, "what is not known is not free");
        let small = ("/proc/meminfo", "MemTotal: 2097152 kB\nMemAvailable: 1048576 kB\n");
        assert_eq!(of(&[small], None).0, 1024 - 256, "an eighth of a small host");
        assert_eq!(of(&[PLENTY], Some(700)), (700, "DIORITE_MEMORY".to_owned()));
        assert_eq!(of(&[PLENTY], Some(700_000)).0, 19 * 1024, "a wish makes no memory");

        let two = [
            PLENTY,
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "4294967296\n"),
            ("/sys/fs/cgroup/a/memory.current", "3221225472\n"),
            ("/sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file 1073741824\n"),
        ];
        let (size, why) = of(&two, None);
        assert_eq!(size, 2048 - 1024, "1 GiB free, 1 GiB of idle files, 1 GiB stays free");
        assert!(why.contains("control group"), "{why}");
        let one = [
            PLENTY,
            ("/proc/self/cgroup", "4:memory:/x\n3:cpu:/y\n0::/\n"),
            // The path is the host's; here the mount's root is the group.
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "6442450944\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n"),
        ];
        assert_eq!(of(&one, None).0, 5 * 1024 - 1024);
        let unlimited = [
            PLENTY,
            ("/proc/self/cgroup", "4:memory:/\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n"),
        ];
        assert_eq!(of(&unlimited, None).0, 19 * 1024);
    }

    #[test]
    fn shares_are_taken_and_given_back() {
        let budget = Budget::of(1500, "a test".to_owned());
        let first = budget.take(1024).expect("there is room");
        assert!(budget.take(512).is_none() && !budget.fits(&[512]) && budget.fits(&[64]));
        assert!(budget.words(512).contains("1216 MiB of them are taken"), "{}", budget.words(512));
        drop(first);
        let second = budget.clone().take(512).expect("it was given back");
        assert!(budget.fits(&[512]) && !budget.fits(&[512, 512]));
        drop(second);
    }
}
