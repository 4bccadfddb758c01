//! Starts a program behind prepared system calls: namespaces, mounts, capabilities, descriptors.
//!
//! Between clone(2) and execve(2) the child of a process with threads may only make system calls
//! (signal-safety(7)). So everything is prepared before, as a list of [`Op`]s with their strings, and the child
//! only walks the list. What fails there comes back through a pipe as (place in the list, errno).
//!
//! Over 500 lines because all that runs between clone(2) and execve(2) should be read, and judged, in one place.

use super::ids::Ids;
use super::output::Status;
use crate::interrupt;
use diorite_model::{Error, Result};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::ptr::null;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::Duration;

/// A prepared system call.
#[derive(Debug)]
pub(crate) enum Op {
    Mount {
        source: CString,
        target: CString,
        kind: CString,
        flags: libc::c_ulong,
        data: CString,
    },
    /// A directory, unless it is there.
    Mkdir(CString, libc::mode_t),
    /// An empty file, unless it is there.
    Touch(CString),
    /// A new file with these bytes.
    Write(CString, Vec<u8>),
    Symlink(CString, CString),
    Hostname(CString),
    /// What uname(2) says of machine and release is the kernel's own: PER_LINUX of personality(2).
    PlainPersonality,
    /// Makes a mount point the root and lets go of everything else (pivot_root(2), section "." as new and old root).
    Pivot(CString),
    /// Makes the first a new root and shows the old one at the second.
    PivotInto(CString, CString),
    Chroot(CString),
    Chdir(CString),
    Umask(libc::mode_t),
    /// Keeps these capabilities (bits) and drops all others for good.
    Capabilities(u64),
    NoNewPrivileges,
    /// Classic BPF for seccomp(2).
    Filter(Vec<libc::sock_filter>),
}

/// What a launch is made of.
pub(crate) struct Launch {
    /// CLONE_NEW* flags.
    pub namespaces: libc::c_int,
    /// Ids for CLONE_NEWUSER; the program then is id 0 of the new namespace.
    pub ids: Option<Ids>,
    /// Stay as process 1 and start the program as a child: needed with CLONE_NEWPID.
    pub init: bool,
    /// Without a pid namespace: stay outside as the parent of whatever the program leaves, and end it. Only the
    /// program performs the operations then.
    pub reaper: bool,
    /// What is done, in words for the error, and how.
    pub ops: Vec<(String, Op)>,
    /// Program (absolute, or looked up in `PATH` of `env`) and arguments. Empty: only the operations are tried.
    pub argv: Vec<CString>,
    pub env: Vec<(CString, CString)>,
    /// Descriptors for 0, 1 and 2.
    pub streams: [RawFd; 3],
    /// Further descriptors, inherited under their own numbers.
    pub keep: Vec<RawFd>,
    /// What the child gets when the thread that started it ends.
    pub death_signal: libc::c_int,
}

/// A child that was launched.
#[derive(Debug)]
pub(crate) struct Running {
    pub pid: libc::pid_t,
    report: File,
    whats: Vec<String>,
    program: String,
    ended: Option<ProcessEnd>,
    signal: libc::c_int,
    _guard: interrupt::Guard,
}

/// How it ended, and the CPU time of it and of all it waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessEnd {
    pub status: Status,
    pub cpu: Duration,
}

// Tags of reports; 0 and more: the operation of that number failed.
const EXEC: i32 = -1;
const ENDED: i32 = -2;
const WAIT_FOR_IDS: i32 = -3;

pub(crate) fn c(text: impl AsRef<OsStr>) -> CString {
    // No path or argument of ours holds a zero byte; from outside it would name nothing that exists.
    CString::new(text.as_ref().as_bytes()).unwrap_or_else(|_| c"/dev/null/zero-byte".to_owned())
}

impl Launch {
    /// Starts the child. `signal` is what it gets when we are interrupted.
    pub fn start(&self, signal: libc::c_int) -> Result<Running> {
        let program = self.argv.first().map_or("probe", |p| p.to_str().unwrap_or("?")).to_owned();
        let fail = |what: &str, e: io::Error| {
            Error::host(format!("`{program}` cannot be started")).because(format!("{what}: {e}"))
        };
        let (report, report_end) = pipe().map_err(|e| fail("pipe", e))?;
        let (go, go_end) = pipe().map_err(|e| fail("pipe", e))?;
        let prepared = Prepared::new(self, report_end.as_raw_fd(), go.as_raw_fd(), go_end.as_raw_fd());
        let flags = self.namespaces | libc::SIGCHLD | if self.ids.is_some() { libc::CLONE_NEWUSER } else { 0 };
        // SAFETY: like fork(2): no memory is shared. The child runs `prepared.child()`, which only makes system calls.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_long, 0, 0, 0, 0) };
        if pid == 0 {
            prepared.child();
        }
        if pid < 0 {
            return Err(fail("clone", io::Error::last_os_error()));
        }
        let pid = pid as libc::pid_t;
        drop((report_end, go));
        let running = Running {
            pid,
            report: File::from(report),
            whats: self.ops.iter().map(|(what, _)| what.clone()).collect(),
            program,
            ended: None,
            signal,
            _guard: interrupt::guard(pid, signal),
        };
        if let Some(ids) = &self.ids {
            // On failure `running` is dropped, which ends the child.
            ids.map(pid)?;
        }
        // The child may have died already; then its report says why.
        let _ = File::from(go_end).write_all(b"!");
        Ok(running)
    }
}

impl Running {
    /// Waits for the end.
    ///
    /// # Errors
    /// When the program never ran: the step that failed, in words.
    pub fn wait(mut self) -> Result<ProcessEnd> {
        let mut report = Vec::new();
        let _ = self.report.read_to_end(&mut report);
        let ended = self.reap(0).expect("a blocking wait ends");
        let mut status = ended.status;
        for message in report.chunks_exact(8) {
            let number = |at: usize| i32::from_ne_bytes(message[at..at + 4].try_into().expect("four bytes"));
            let (tag, value) = (number(0), number(4));
            if tag == ENDED {
                status = Status::from_wait(value);
                continue;
            }
            let what = match tag {
                EXEC => format!("`{}` cannot be executed", self.program),
                WAIT_FOR_IDS => "no ids could be mapped into the user namespace".to_owned(),
                n => self.whats.get(n as usize).cloned().unwrap_or_default(),
            };
            let error = Error::host("the sandbox cannot be set up");
            return Err(error
                .at(self.program.clone())
                .because(format!("{what}: {}", io::Error::from_raw_os_error(value))));
        }
        interrupt::check()?;
        Ok(ProcessEnd { status, cpu: ended.cpu })
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<ProcessEnd> {
        if self.ended.is_none() && self.reap(libc::WNOHANG).is_some() {
            // Process 1 always ends well; how the program ended it has told.
            let mut report = Vec::new();
            let _ = self.report.read_to_end(&mut report);
            let told = report.chunks_exact(8).rev().find(|message| message[..4] == ENDED.to_ne_bytes());
            if let (Some(message), Some(ended)) = (told, self.ended.as_mut()) {
                let status = i32::from_ne_bytes(message[4..].try_into().expect("four bytes"));
                ended.status = Status::from_wait(status);
            }
        }
        self.ended
    }

    /// Ends it; a pid namespace goes with its process 1, a reaper takes the rest along.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            // SAFETY: our own child, not reaped yet, so the number is still its.
            unsafe { libc::kill(self.pid, self.signal) };
        }
    }

    fn reap(&mut self, flags: libc::c_int) -> Option<ProcessEnd> {
        if self.ended.is_some() {
            return self.ended;
        }
        let mut status = 0;
        loop {
            // SAFETY: both out parameters are valid for the call; all-zero is a valid rusage.
            let (pid, usage) = unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                (libc::wait4(self.pid, &mut status, flags, &mut usage), usage)
            };
            if pid == self.pid || (pid < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR)) {
                let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
                let cpu = time(usage.ru_utime) + time(usage.ru_stime);
                self.ended = Some(ProcessEnd { status: Status::from_wait(status), cpu });
                return self.ended;
            }
            if pid == 0 {
                return None;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        self.reap(0);
    }
}

/// A pipe closed on exec: (read, write).
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Everything the child needs, in the form the system calls take.
struct Prepared<'a> {
    launch: &'a Launch,
    paths: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    _env: Vec<CString>,
    envp: Vec<*const libc::c_char>,
    last_capability: libc::c_int,
    report: RawFd,
    go: RawFd,
    go_end: RawFd,
}

impl<'a> Prepared<'a> {
    fn new(launch: &'a Launch, report: RawFd, go: RawFd, go_end: RawFd) -> Self {
        let mut argv: Vec<_> = launch.argv.iter().map(|a| a.as_ptr()).collect();
        argv.push(null());
        let join = |(k, v): &(CString, CString)| c(OsStr::from_bytes(&[k.as_bytes(), b"=", v.as_bytes()].concat()));
        let env: Vec<CString> = launch.env.iter().map(join).collect();
        let mut envp: Vec<_> = env.iter().map(|e| e.as_ptr()).collect();
        envp.push(null());
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok().and_then(|t| t.trim().parse().ok());
        Self {
            paths: candidates(launch),
            argv,
            _env: env,
            envp,
            last_capability: last.unwrap_or(40),
            report,
            go,
            go_end,
            launch,
        }
    }

    /// Runs in the child. Never returns, allocates nothing, takes no lock.
    fn child(&self) -> ! {
        // SAFETY: system calls on prepared, zero-ended strings and on descriptors that were open at the clone.
        unsafe {
            libc::setsid();
            libc::prctl(libc::PR_SET_PDEATHSIG, self.launch.death_signal);
            for signal in 1..65 {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            libc::close(self.go_end);
            let mut byte = 0u8;
            if libc::read(self.go, (&raw mut byte).cast(), 1) != 1 {
                self.fail(WAIT_FOR_IDS);
            }
            if self.launch.ids.as_ref().is_some_and(|ids| ids.become_root()) {
                // The calls themselves: the C library's functions would wait for threads that only the parent has.
                // setgroups(2) is refused with a single id, where there is nothing to give up either.
                libc::syscall(libc::SYS_setgroups, 0, null::<libc::gid_t>());
                if libc::syscall(libc::SYS_setresgid, 0, 0, 0) != 0 || libc::syscall(libc::SYS_setresuid, 0, 0, 0) != 0
                {
                    self.fail(WAIT_FOR_IDS);
                }
                libc::prctl(libc::PR_SET_PDEATHSIG, self.launch.death_signal);
            }
            if !self.launch.reaper {
                self.perform_all();
            }
            if self.launch.argv.is_empty() {
                libc::_exit(0);
            }
            if self.launch.init || self.launch.reaper {
                if self.launch.reaper {
                    libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
                }
                let program = libc::syscall(libc::SYS_clone, libc::SIGCHLD as libc::c_long, 0, 0, 0, 0);
                if program < 0 {
                    self.fail(EXEC);
                }
                if program > 0 {
                    self.be_init(program as libc::pid_t);
                }
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            }
            if self.launch.reaper {
                self.perform_all();
            }
            self.execute()
        }
    }

    /// # Safety
    /// In the child, see [`Prepared::child`].
    unsafe fn perform_all(&self) {
        for (n, (_, op)) in self.launch.ops.iter().enumerate() {
            // SAFETY: as promised to us.
            unsafe {
                if self.perform(op) != 0 {
                    self.fail(n as i32);
                }
            }
        }
    }

    /// # Safety
    /// In the child, see [`Prepared::child`].
    unsafe fn execute(&self) -> ! {
        unsafe {
            // Moved out of the way first: a source may be one of 0, 1, 2.
            let mut moved = [0; 3];
            for (to, from) in moved.iter_mut().zip(self.launch.streams) {
                *to = libc::fcntl(from, libc::F_DUPFD, 10);
            }
            for (n, from) in moved.iter().enumerate() {
                libc::dup2(*from, n as RawFd);
            }
            if libc::syscall(libc::SYS_close_range, 3, !0u32, libc::CLOSE_RANGE_CLOEXEC) != 0 {
                for fd in 3..4096 {
                    libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
                }
            }
            for fd in &self.launch.keep {
                libc::fcntl(*fd, libc::F_SETFD, 0);
            }
            let mut errno = libc::ENOENT;
            for path in &self.paths {
                libc::execve(path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
                match *libc::__errno_location() {
                    libc::ENOENT | libc::ENOTDIR => {}
                    other => errno = other,
                }
            }
            *libc::__errno_location() = errno;
            self.fail(EXEC)
        }
    }

    /// Process 1: waits for the program and for whatever is left to it, tells how the program ended. Its own end
    /// takes everything in the pid namespace along (pid_namespaces(7)).
    ///
    /// # Safety
    /// In the child, see [`Prepared::child`].
    unsafe fn be_init(&self, program: libc::pid_t) -> ! {
        unsafe {
            // Whoever reads the program's output must see its end; only the report stays open.
            let end = |from: libc::c_long, to: libc::c_long| libc::syscall(libc::SYS_close_range, from, to, 0);
            let report = self.report as libc::c_long;
            if (report > 0 && end(0, report - 1) != 0) || end(report + 1, !0u32 as libc::c_long) != 0 {
                (0..4096).filter(|fd| *fd != self.report).for_each(|fd| {
                    libc::close(fd);
                });
            }
            if self.launch.reaper {
                // Asked to end, it ends the program and then all the rest, as at any other end.
                PROGRAM.store(program, SeqCst);
                libc::signal(libc::SIGTERM, end_program as *const () as usize);
            }
            let mut status = 0;
            loop {
                let pid = libc::wait4(-1, &mut status, 0, std::ptr::null_mut());
                if pid == program {
                    if self.launch.reaper {
                        end_children();
                    }
                    self.tell(ENDED, status);
                    libc::_exit(0);
                }
                if pid < 0 && *libc::__errno_location() != libc::EINTR {
                    libc::_exit(1);
                }
            }
        }
    }

    /// # Safety
    /// In the child, see [`Prepared::child`].
    unsafe fn perform(&self, op: &Op) -> libc::c_int {
        // SAFETY (closure): access(2) on a zero-ended string; errno of a failed call before it is put back.
        let there = |path: &CString| unsafe {
            let errno = *libc::__errno_location();
            let found = libc::access(path.as_ptr(), libc::F_OK) == 0;
            *libc::__errno_location() = errno;
            found
        };
        let text = |t: &CString| if t.is_empty() { null() } else { t.as_ptr() };
        unsafe {
            match op {
                Op::Mount { source, target, kind, flags, data } => {
                    libc::mount(text(source), target.as_ptr(), text(kind), *flags, text(data).cast())
                }
                Op::Mkdir(path, mode) => match libc::mkdir(path.as_ptr(), *mode) {
                    0 => 0,
                    // Also in a read-only file system, where mkdir(2) may say EROFS first.
                    failed => {
                        if there(path) {
                            0
                        } else {
                            failed
                        }
                    }
                },
                Op::Touch(path) if there(path) => 0,
                Op::Write(path, bytes) => {
                    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC | libc::O_WRONLY;
                    let fd = libc::open(path.as_ptr(), flags, 0o644);
                    let written = libc::write(fd, bytes.as_ptr().cast(), bytes.len());
                    libc::close(fd);
                    if written == bytes.len() as isize { 0 } else { -1 }
                }
                Op::PivotInto(new, old) => match libc::syscall(libc::SYS_pivot_root, new.as_ptr(), old.as_ptr()) {
                    0 => libc::chdir(c"/".as_ptr()),
                    failed => failed as libc::c_int,
                },
                Op::Touch(path) => {
                    match libc::open(path.as_ptr(), libc::O_CREAT | libc::O_CLOEXEC | libc::O_WRONLY, 0o644) {
                        fd if fd >= 0 => libc::close(fd),
                        _ => -1,
                    }
                }
                Op::Symlink(target, path) => libc::symlink(target.as_ptr(), path.as_ptr()),
                Op::Hostname(name) => libc::sethostname(name.as_ptr(), name.as_bytes().len()),
                // Each number is a valid one; the answer is the one before.
                Op::PlainPersonality => libc::personality(0).min(0),
                Op::Pivot(root) => {
                    if libc::chdir(root.as_ptr()) != 0 {
                        return -1;
                    }
                    if libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0 {
                        return libc::umount2(c".".as_ptr(), libc::MNT_DETACH);
                    }
                    // An initial ramfs cannot be pivoted away from (pivot_root(2), NOTES).
                    match libc::mount(c".".as_ptr(), c"/".as_ptr(), null(), libc::MS_MOVE, null()) {
                        0 => libc::chroot(c".".as_ptr()),
                        failed => failed,
                    }
                }
                Op::Chroot(path) => libc::chroot(path.as_ptr()),
                Op::Chdir(path) => libc::chdir(path.as_ptr()),
                Op::Umask(mask) => {
                    libc::umask(*mask);
                    0
                }
                Op::Capabilities(keep) => self.keep_capabilities(*keep),
                Op::NoNewPrivileges => libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                Op::Filter(program) => {
                    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
                    libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
                }
            }
        }
    }

    /// Bounding set and own sets (capabilities(7)); the layout of capset(2), version 3.
    ///
    /// # Safety
    /// In the child, see [`Prepared::child`].
    unsafe fn keep_capabilities(&self, keep: u64) -> libc::c_int {
        unsafe {
            for capability in 0..=self.last_capability {
                if keep >> capability & 1 == 0 && libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) == 1 {
                    let dropped = libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
                    if dropped != 0 {
                        return dropped;
                    }
                }
            }
            let header = [0x2008_0522u32, 0];
            let mut sets = [0u32; 6];
            if libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) != 0 {
                return -1;
            }
            for (half, mask) in [keep as u32, (keep >> 32) as u32].into_iter().enumerate() {
                let [effective, permitted, inheritable] = [half * 3, half * 3 + 1, half * 3 + 2];
                sets[effective] &= mask;
                sets[permitted] &= mask;
                sets[inheritable] = 0;
            }
            libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) as libc::c_int
        }
    }

    /// # Safety
    /// In the child, see [`Prepared::child`].
    unsafe fn tell(&self, tag: i32, value: i32) {
        let message = [tag, value];
        unsafe { libc::write(self.report, message.as_ptr().cast(), 8) };
    }

    /// # Safety
    /// In the child, see [`Prepared::child`].
    unsafe fn fail(&self, tag: i32) -> ! {
        unsafe {
            self.tell(tag, *libc::__errno_location());
            libc::_exit(127)
        }
    }
}

static PROGRAM: AtomicI32 = AtomicI32::new(0);

extern "C" fn end_program(_: libc::c_int) {
    // SAFETY: kill(2) is async-signal-safe; the program is our child and not reaped before we end.
    unsafe { libc::kill(PROGRAM.load(SeqCst), libc::SIGKILL) };
}

/// Kills and reaps our children until there are none; a killed one's own children become ours meanwhile.
///
/// # Safety
/// In a process with one thread and children that are nobody else's business; makes system calls only.
unsafe fn end_children() {
    unsafe {
        loop {
            // Needs CONFIG_PROC_CHILDREN (proc(5)), which Debian and its like have.
            let list = libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if list < 0 {
                return;
            }
            let mut buffer = [0u8; 4096];
            let n = libc::read(list, buffer.as_mut_ptr().cast(), buffer.len());
            libc::close(list);
            let mut pid = 0;
            for byte in &buffer[..n.max(0) as usize] {
                match byte {
                    b'0'..=b'9' => pid = pid * 10 + libc::pid_t::from(byte - b'0'),
                    _ => {
                        // A number cut off at the end of the buffer has no space behind it.
                        if pid > 1 {
                            libc::kill(pid, libc::SIGKILL);
                        }
                        pid = 0;
                    }
                }
            }
            let mut status = 0;
            if libc::wait4(-1, &mut status, 0, std::ptr::null_mut()) < 0 && *libc::__errno_location() != libc::EINTR {
                return;
            }
        }
    }
}

/// Where the program may lie: as named, or in the directories of `PATH`.
fn candidates(launch: &Launch) -> Vec<CString> {
    let Some(program) = launch.argv.first() else { return Vec::new() };
    if program.as_bytes().contains(&b'/') {
        return vec![program.clone()];
    }
    let path = launch.env.iter().find(|(k, _)| k.as_bytes() == b"PATH").map_or(&b"/usr/bin"[..], |(_, v)| v.as_bytes());
    path.split(|b| *b == b':')
        .map(|directory| c(OsStr::from_bytes(&[directory, b"/", program.as_bytes()].concat())))
        .collect()
}

/// A descriptor on /dev/null.
pub(crate) fn null_device() -> Result<OwnedFd> {
    let path = c"/dev/null";
    // SAFETY: a plain open(2); the descriptor is new and ours.
    unsafe {
        match libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(Error::io("the host's null device cannot be opened", "/dev/null", io::Error::last_os_error())),
        }
    }
}
