//! A run in the sandbox: a program runs in a Debian tree as if it were the system, and sees and reaches nothing else.
//!
//! Inside: the tree as `/`, a fresh /proc with a read-only /proc/sys, a minimal /dev, empty /run and /tmp, no /sys, no
//! network but a loopback that is down, host name `localhost`, root with the capabilities that package scripts use,
//! umask 022, no terminal, a clean environment. Everything it starts dies with it. Of the mounts nothing stays in
//! the tree; mount points that were missing are removed again.

use super::chroot::AsideGuard;
use super::launch::{Launch, Op, c, null_device, pipe};
use super::operations::{Operations, locked_flags};
use super::output::{LOG_LIMIT, Output, collect};
use super::paths::resolve;
use super::policy::{CAPABILITIES, DEVICE_LINKS, DEVICES, NAMESPACES};
use super::program::program_path;
use super::{SandboxMode, filter, mode, outside};
use diorite_model::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Runs programs inside a tree. Made in a job of [`super::run_inside`], where every id is ours.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub(super) root: PathBuf,
    pub(super) binds: Vec<(PathBuf, PathBuf)>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
}

impl Sandbox {
    /// A sandbox round the tree at `root`.
    pub fn new(root: &Path) -> Self {
        let env = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LC_ALL", "C"), ("LANG", "C")];
        let env = env.map(|(k, v)| (OsString::from(k), OsString::from(v))).into();
        Self { root: root.to_owned(), binds: Vec::new(), env, stdin: Vec::new() }
    }

    /// Shows a host file or directory at a path of the tree, read-only. A target that is missing exists only meanwhile.
    pub fn bind(mut self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.binds.push((host.into(), inside.into()));
        self
    }

    /// Sets a variable of the program's environment, which otherwise holds PATH, HOME, LC_ALL and LANG.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.env.retain(|(n, _)| *n != name);
        self.env.push((name, value));
        self
    }

    /// What the program reads on stdin; otherwise /dev/null.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs a program in directory `cwd` of the tree and waits for its end. A program that fails is no error here:
    /// see [`Output::status`].
    ///
    /// # Errors
    /// When the sandbox cannot be set up or the program cannot be found; [`diorite_model::Exit::Interrupted`].
    pub fn run(&self, argv: &[impl AsRef<OsStr>], cwd: impl AsRef<Path>) -> Result<Output> {
        self.run_watched(argv, cwd, &mut |_| {})
    }

    /// Like [`Sandbox::run`]; hands on every line of output when it comes.
    pub fn run_watched(
        &self,
        argv: &[impl AsRef<OsStr>],
        cwd: impl AsRef<Path>,
        line: &mut dyn FnMut(&str),
    ) -> Result<Output> {
        let mode = mode()?;
        let root = fs::canonicalize(&self.root).map_err(|e| Error::io("the tree cannot be entered", &self.root, e))?;
        match mode {
            SandboxMode::Namespaces | SandboxMode::UserNamespace => {
                let inside = Namespaced::prepare(&root, &self.binds, cwd.as_ref())?;
                self.launch(&root, argv, NAMESPACES, inside.ops, line)
            }
            SandboxMode::Chroot => {
                let mut binds = self.binds.clone();
                let program = |p: &&&str| root.join(p).is_file();
                binds.extend(outside::PROGRAMS.iter().filter(program).map(|p| (program_path(), p.into())));
                let place = AsideGuard::prepare(&root, &binds)?;
                let mut list = Operations(Vec::new());
                list.add("chroot", Op::Chroot(c(&root)));
                list.add("umask", Op::Umask(0o022));
                list.add(&format!("chdir {}", cwd.as_ref().display()), Op::Chdir(c(cwd.as_ref())));
                list.add("no_new_privs", Op::NoNewPrivileges);
                list.add("seccomp", Op::Filter(filter::no_network()));
                list.add("capabilities", Op::Capabilities(CAPABILITIES));
                outside::serving(&root, &place, || self.launch(&root, argv, 0, list.0, line))?
            }
        }
    }

    fn launch(
        &self,
        root: &Path,
        argv: &[impl AsRef<OsStr>],
        namespaces: libc::c_int,
        ops: Vec<(String, Op)>,
        line: &mut dyn FnMut(&str),
    ) -> Result<Output> {
        let null = null_device()?;
        let input = self.input()?;
        let (read, write) = pipe().map_err(|e| Error::io("no pipe", root, e))?;
        // Without a pid namespace somebody must be left to end what the program leaves running.
        let signal = if namespaces == 0 { libc::SIGTERM } else { libc::SIGKILL };
        let launch = Launch {
            namespaces,
            ids: None,
            init: namespaces != 0,
            reaper: namespaces == 0,
            ops,
            argv: argv.iter().map(c).collect(),
            env: self.env.iter().map(|(k, v)| (c(k), c(v))).collect(),
            streams: [input.as_ref().map_or(null.as_raw_fd(), |f| f.as_raw_fd()), write.as_raw_fd(), write.as_raw_fd()],
            keep: Vec::new(),
            death_signal: signal,
        };
        let running = launch.start(signal)?;
        drop(write);
        let log = collect(read, line, LOG_LIMIT);
        let ended = running.wait().map_err(|e| if e.place.is_some() { e } else { e.at(root.display().to_string()) })?;
        Ok(Output { status: ended.status, log, stdout: Vec::new(), cpu: ended.cpu })
    }

    /// The bytes for stdin as a file in memory.
    fn input(&self) -> Result<Option<fs::File>> {
        if self.stdin.is_empty() {
            return Ok(None);
        }
        let fail = |e: std::io::Error| Error::host("no memory for a program's input").because(e);
        let file = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC).map_err(|e| fail(e.into()))?;
        let mut file = fs::File::from(file);
        file.write_all(&self.stdin).and_then(|()| file.rewind()).map_err(fail)?;
        Ok(Some(file))
    }
}

/// The operations that set the sandbox up, and the mount points made for it, which go with it.
struct Namespaced {
    ops: Vec<(String, Op)>,
    _made: super::mountpoints::MountPoints,
}

impl Namespaced {
    fn prepare(root: &Path, binds: &[(PathBuf, PathBuf)], cwd: &Path) -> Result<Self> {
        let mut made = super::mountpoints::MountPoints::default();
        let mut place = |name: &str| -> Result<PathBuf> {
            let path =
                resolve(root, Path::new(name), true).map_err(|e| Error::io("the tree cannot be entered", root, e))?;
            made.directory(root, &path)?;
            Ok(path)
        };
        let [proc, dev, run, tmp] = [place("proc")?, place("dev")?, place("run")?, place("tmp")?];
        let mut list = Operations(Vec::new());
        list.mount("", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "");
        list.bind(root, root, libc::MS_REC);
        list.add("umask", Op::Umask(0));
        // no exec in /dev and /run would be stricter than a real system, where scripts may run from /run.
        let plain = libc::MS_NOSUID | libc::MS_NODEV;
        list.mount("tmpfs", &dev, "tmpfs", libc::MS_NOSUID, "mode=755,size=1m");
        for (name, ..) in DEVICES {
            list.touch(&dev.join(name));
            list.bind(&Path::new("/dev").join(name), &dev.join(name), 0);
        }
        for (name, target) in DEVICE_LINKS {
            list.add(&format!("link /dev/{name}"), Op::Symlink(c(target), c(dev.join(name))));
        }
        list.mkdir(&dev.join("pts"), 0o755);
        list.mount(
            "devpts",
            &dev.join("pts"),
            "devpts",
            libc::MS_NOSUID | libc::MS_NOEXEC,
            "newinstance,ptmxmode=0666,mode=620",
        );
        list.mkdir(&dev.join("shm"), 0o1777);
        list.mount("tmpfs", &dev.join("shm"), "tmpfs", plain, "mode=1777,size=256m");
        let proc_flags = plain | libc::MS_NOEXEC;
        list.mount("proc", &proc, "proc", proc_flags, "");
        // Root's own /proc/sys is the host's: nothing in a tree may turn its switches.
        for name in ["sys", "sysrq-trigger"] {
            if !Path::new("/proc").join(name).exists() {
                continue;
            }
            let path = proc.join(name);
            list.bind(&path, &path, 0);
            list.mount("", &path, "", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | proc_flags, "");
        }
        list.mount("tmpfs", &run, "tmpfs", plain, "mode=755,size=256m");
        list.mkdir(&run.join("lock"), 0o1777);
        list.mount("tmpfs", &tmp, "tmpfs", plain, "mode=1777,size=1g");
        for (host, inside) in binds {
            let host =
                fs::canonicalize(host).map_err(|e| Error::io("a file to show in the tree is missing", host, e))?;
            let target = resolve(root, inside, true).map_err(|e| Error::io("the tree cannot be entered", inside, e))?;
            let directory = host.is_dir();
            match [&proc, &dev, &run, &tmp].into_iter().any(|fresh| target.starts_with(fresh)) {
                true if directory => list.mkdir(&target, 0o755),
                true => list.touch(&target),
                false if directory => made.directory(root, &target)?,
                false => made.file(root, &target)?,
            }
            list.bind(&host, &target, libc::MS_REC);
            list.mount("", &target, "", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | locked_flags(&host), "");
        }
        list.add("host name", Op::Hostname(c("localhost")));
        list.add("personality", Op::PlainPersonality);
        list.add("pivot_root", Op::Pivot(c(root)));
        list.add("umask", Op::Umask(0o022));
        list.add(&format!("chdir {}", cwd.display()), Op::Chdir(c(cwd)));
        list.add("capabilities", Op::Capabilities(CAPABILITIES));
        Ok(Self { ops: list.0, _made: made })
    }
}
