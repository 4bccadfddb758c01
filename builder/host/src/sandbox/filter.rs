//! Classic BPF for seccomp(2), written by hand: a list of system calls and what becomes of them.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

/// A condition on the first argument of a call, after which it gets an errno.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Always,
    /// The low 32 bits are not this value.
    FirstIsNot(u32),
    /// The low 32 bits have one of these bits.
    FirstHas(u32),
}

/// A call, when it is refused, and with which errno.
pub(crate) type DeniedCall = (libc::c_long, When, libc::c_int);

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64, linux/audit.h
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

/// Offsets in struct seccomp_data (seccomp(2)).
const NR: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST: u32 = 16;

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
fn jump(test: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt: yes, jf: no, k }
}
fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}
fn refuse(errno: libc::c_int) -> sock_filter {
    statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32)
}

/// A filter that refuses these calls and allows all others; calls of another architecture do not exist for it.
pub(crate) fn refusing(calls: &[DeniedCall]) -> Vec<sock_filter> {
    let mut filter = vec![load(ARCHITECTURE), jump(BPF_JEQ, ARCH, 1, 0), refuse(libc::ENOSYS), load(NR)];
    // x32 calls have bit 30 set and would pass under other numbers.
    filter.extend([jump(BPF_JGE, 0x4000_0000, 0, 1), refuse(libc::ENOSYS)]);
    for (number, when, errno) in calls {
        let body = match when {
            When::Always => vec![refuse(*errno)],
            When::FirstIsNot(value) => vec![load(FIRST), jump(BPF_JEQ, *value, 1, 0), refuse(*errno), load(NR)],
            When::FirstHas(bits) => {
                let mask = statement(BPF_ALU | BPF_AND | BPF_K, *bits);
                vec![load(FIRST), mask, jump(BPF_JEQ, 0, 1, 0), refuse(*errno), load(NR)]
            }
        };
        filter.push(jump(BPF_JEQ, *number as u32, 0, body.len() as u8));
        filter.extend(body);
    }
    filter.push(statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW));
    filter
}

/// No sockets but Unix ones. A family that does not exist is what libraries (libaudit too) take for "not here".
pub(crate) fn no_network() -> Vec<sock_filter> {
    refusing(&[
        (libc::SYS_socket, When::FirstIsNot(libc::AF_UNIX as u32), libc::EAFNOSUPPORT),
        // Its requests make sockets too, unseen by a filter.
        (libc::SYS_io_uring_setup, When::Always, libc::ENOSYS),
    ])
}
