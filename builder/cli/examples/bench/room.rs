//! Where the peers run: the tree made for them as root file system, their work on tmpfs, the packages beside it, no
//! network. Needs root, because mmdebstrap and mkosi then need no user namespace and cost the least.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null;

/// A tree with its mounts, set up anew in each command's own mount namespace.
#[derive(Debug)]
pub struct Room {
    /// The configured tree.
    pub tree: PathBuf,
    /// Shown read-only as /archive.
    pub repository: PathBuf,
    /// Shown as /work when given; else /work and /var/tmp are tmpfs that end with the command.
    pub work: Option<PathBuf>,
    /// Shown as /results.
    pub results: PathBuf,
}

const MOUNT_POINTS: [&str; 9] = ["proc", "sys", "dev", "run", "tmp", "var/tmp", "archive", "work", "results"];

impl Room {
    /// A program of the tree, in the tree.
    pub fn command(&self, argv: &[&str]) -> io::Result<Command> {
        for name in MOUNT_POINTS {
            std::fs::create_dir_all(self.tree.join(name))?;
        }
        let inside = |name: &str| path(&self.tree.join(name));
        let mut mounts = vec![
            mount(Some("proc"), inside("proc"), Some("proc"), 0),
            mount_at(Path::new("/sys"), inside("sys"), libc::MS_BIND | libc::MS_REC),
            mount_at(Path::new("/dev"), inside("dev"), libc::MS_BIND | libc::MS_REC),
            mount(Some("tmpfs"), inside("run"), Some("tmpfs"), 0),
            mount(Some("tmpfs"), inside("tmp"), Some("tmpfs"), 0),
            mount_at(&self.repository, inside("archive"), libc::MS_BIND),
            mount(None, inside("archive"), None, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY),
            mount_at(&self.results, inside("results"), libc::MS_BIND),
        ];
        match &self.work {
            Some(directory) => mounts.push(mount_at(directory, inside("work"), libc::MS_BIND)),
            // systemd-repart puts its file systems into /var/tmp whatever TMPDIR says.
            None => mounts.extend(["work", "var/tmp"].map(|n| mount(Some("tmpfs"), inside(n), Some("tmpfs"), 0))),
        }
        let tree = path(&self.tree);
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).env_clear().envs([
            ("PATH", "/usr/sbin:/usr/bin"),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("TMPDIR", "/work"),
        ]);
        // SAFETY: system calls on memory that was prepared before the fork.
        unsafe { command.pre_exec(move || enter(&tree, &mounts)) };
        Ok(command)
    }
}

struct Mount {
    source: Option<CString>,
    target: CString,
    kind: Option<CString>,
    flags: libc::c_ulong,
}

fn mount(source: Option<&str>, target: CString, kind: Option<&str>, flags: libc::c_ulong) -> Mount {
    let c = |text: &str| CString::new(text).expect("no NUL in a constant");
    Mount { source: source.map(c), target, kind: kind.map(c), flags }
}

fn mount_at(source: &Path, target: CString, flags: libc::c_ulong) -> Mount {
    Mount { source: Some(path(source)), target, kind: None, flags }
}

fn path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path")
}

/// In the child: namespaces, mounts, and the tree becomes the root (by pivot_root(2): in a chroot mkosi could make no
/// user namespace).
fn enter(tree: &CString, mounts: &[Mount]) -> io::Result<()> {
    let ok = |result: libc::c_int| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    let pointer = |text: &Option<CString>| text.as_ref().map_or(null(), |t| t.as_ptr());
    // SAFETY: all pointers are to NUL-terminated strings that live in the caller, or null where that is allowed.
    unsafe {
        ok(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC))?;
        ok(libc::mount(null(), c"/".as_ptr(), null(), libc::MS_REC | libc::MS_PRIVATE, null()))?;
        ok(libc::mount(tree.as_ptr(), tree.as_ptr(), null(), libc::MS_BIND, null()))?;
        for m in mounts {
            ok(libc::mount(pointer(&m.source), m.target.as_ptr(), pointer(&m.kind), m.flags, null()))?;
        }
        ok(libc::chdir(tree.as_ptr()))?;
        ok(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) as libc::c_int)?;
        ok(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
        ok(libc::chdir(c"/".as_ptr()))
    }
}
