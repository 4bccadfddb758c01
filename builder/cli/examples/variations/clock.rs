//! A program, and every program that it starts, with another clock. Linux has no namespace for it, and a library that is loaded
//! before others reaches no static program: so the calls that ask for the time are stopped by seccomp(2) and answered by
//! ptrace(2). That they are calls at all, the kernel's own library in each process (vdso(7)) is hidden from it when a program
//! starts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The kernel's library in the auxiliary vector (elf.h, AT_SYSINFO_EHDR), and an entry that nobody reads.
const AT_SYSINFO_EHDR: u64 = 33;
const AT_IGNORE: u64 = 1;

/// What the clock shows when the program starts, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct StartTime(pub i64);

/// Runs the program to its end on this thread; its exit code, or nothing where a signal ended it.
pub fn run(mut command: Command, start: StartTime) -> io::Result<Option<i32>> {
    let filter = filter();
    // SAFETY: between fork and exec only system calls on memory made before.
    unsafe {
        command.pre_exec(move || {
            let check = |result: i64| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
            check(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0))?;
            let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
            check(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0).into())
        });
    }
    let offset = start.0 - now();
    let main = command.spawn()?.id() as libc::pid_t;
    let mut known = BTreeSet::new();
    loop {
        let mut status = 0;
        // SAFETY: waits for a child, into an integer.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        if !libc::WIFSTOPPED(status) {
            known.remove(&pid);
            if pid == main {
                return Ok(libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)));
            }
            continue;
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let new = known.insert(pid);
        let deliver = match (signal, event) {
            (libc::SIGTRAP, libc::PTRACE_EVENT_SECCOMP) => {
                answer(pid, offset)?;
                0
            }
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) => {
                hide_library(pid)?;
                0
            }
            // The first program: from here on all that it starts is followed.
            (libc::SIGTRAP, 0) if new && pid == main => {
                let options = libc::PTRACE_O_TRACESECCOMP
                    | libc::PTRACE_O_TRACEEXEC
                    | libc::PTRACE_O_TRACEFORK
                    | libc::PTRACE_O_TRACEVFORK
                    | libc::PTRACE_O_TRACECLONE
                    | libc::PTRACE_O_EXITKILL;
                request(libc::PTRACE_SETOPTIONS, pid, 0, options as usize)?;
                hide_library(pid)?;
                0
            }
            (libc::SIGTRAP, event) if event != 0 => 0,
            // A new process or thread stops before it runs.
            (libc::SIGSTOP, 0) if new => 0,
            (signal, _) => signal,
        };
        match request(libc::PTRACE_CONT, pid, 0, deliver as usize) {
            // It was killed meanwhile.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
            other => other?,
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn request(what: libc::c_uint, pid: libc::pid_t, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: requests whose data is a number, or points to a structure of the caller's that outlives the call.
    match unsafe { libc::ptrace(what, pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn registers(pid: libc::pid_t) -> io::Result<libc::user_regs_struct> {
    // SAFETY: a structure of numbers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    request(libc::PTRACE_GETREGS, pid, 0, (&raw mut registers) as usize)?;
    Ok(registers)
}

/// Answers a call that asks for the time, in place of the kernel.
fn answer(pid: libc::pid_t, offset: i64) -> io::Result<()> {
    let mut registers = registers(pid)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() as i64 + offset;
    let (place, fraction) = match registers.orig_rax as i64 {
        libc::SYS_clock_gettime => match registers.rdi as libc::clockid_t {
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => {
                (registers.rsi, i64::from(since.subsec_nanos()))
            }
            // Others count from the start of the machine.
            _ => return Ok(()),
        },
        libc::SYS_gettimeofday => (registers.rdi, i64::from(since.subsec_micros())),
        libc::SYS_time => (registers.rdi, 0),
        _ => return Ok(()),
    };
    let time = registers.orig_rax as i64 == libc::SYS_time;
    if place != 0 {
        let memory = File::options().write(true).open(format!("/proc/{pid}/mem"))?;
        memory.write_all_at(&seconds.to_ne_bytes(), place)?;
        if !time {
            memory.write_all_at(&fraction.to_ne_bytes(), place + 8)?;
        }
    }
    // No call any more: the kernel does nothing, and this is its answer.
    registers.orig_rax = u64::MAX;
    registers.rax = if time { seconds as u64 } else { 0 };
    request(libc::PTRACE_SETREGS, pid, 0, (&raw const registers) as usize)
}

/// A program has been loaded: on its stack lie arguments, environment and the auxiliary vector (System V ABI, AMD64, 3.4.1).
fn hide_library(pid: libc::pid_t) -> io::Result<()> {
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
    let word = |at: u64| {
        let mut bytes = [0; 8];
        memory.read_exact_at(&mut bytes, at).map(|()| u64::from_ne_bytes(bytes))
    };
    let mut at = registers(pid)?.rsp + 8;
    for _ in ["arguments", "environment"] {
        while word(at)? != 0 {
            at += 8;
        }
        at += 8;
    }
    while word(at)? != 0 {
        if word(at)? == AT_SYSINFO_EHDR {
            memory.write_all_at(&AT_IGNORE.to_ne_bytes(), at)?;
        }
        at += 16;
    }
    Ok(())
}

/// Stops the calls that ask for the time (seccomp(2): the number is the first word of its data).
fn filter() -> Vec<libc::sock_filter> {
    let line = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let calls = [libc::SYS_clock_gettime, libc::SYS_gettimeofday, libc::SYS_time];
    let mut lines = vec![line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (at, call) in calls.iter().enumerate() {
        lines.push(line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, (calls.len() - at) as u8, 0, *call as u32));
    }
    lines.push(line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    lines.push(line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_TRACE));
    lines
}
