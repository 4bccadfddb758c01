//! Poorer hosts, simulated for tests of whole builds: `DIORITE_SIMULATE=single-uid`, `plain-container` or
//! `little-memory`.

use crate::sandbox::filter::{DeniedCall, When, refusing};
use std::io;

/// Does to this process what `DIORITE_SIMULATE` says. Called first in `main`, before any thread. When it cannot be
/// done the process ends: a test must not pass on a richer host than it thinks.
pub fn apply() {
    if wanted("plain-container")
        && let Err(e) = plain_container()
    {
        eprintln!("DIORITE_SIMULATE=plain-container cannot be done here: {e}");
        std::process::exit(70);
    }
}

/// Whether this process shall believe that no range of ids is to be had.
pub(crate) fn single_uid() -> bool {
    wanted("single-uid")
}

/// Whether room in memory shall turn out to be too little.
pub(crate) fn little_memory() -> bool {
    wanted("little-memory")
}

fn wanted(name: &str) -> bool {
    std::env::var("DIORITE_SIMULATE").is_ok_and(|v| v.split(',').any(|w| w == name))
}

/// What a container runtime leaves to root by default: chown, dac_override, fowner, fsetid, kill, setgid, setuid,
/// setpcap, net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap (numbers of linux/capability.h).
const CAPABILITIES: u64 = 0xa80c_25fb & !(1 << 19);

/// Makes this process and its children root of a plain container: no CAP_SYS_ADMIN, and a seccomp filter that
/// refuses namespaces and mounts. Needs to be real root. A second call does nothing.
pub fn plain_container() -> io::Result<()> {
    let check = |result: i64| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) };
    const SYS_ADMIN: libc::c_int = 21;
    // SAFETY: prctl(2) and capset(2) with valid arguments; the filter outlives the call.
    unsafe {
        if libc::prctl(libc::PR_CAPBSET_READ, SYS_ADMIN, 0, 0, 0) == 0 {
            if libc::prctl(libc::PR_GET_SECCOMP) == 2 {
                return Ok(());
            }
            // A container already, without a filter of its own. Elsewhere CAP_SYS_ADMIN does instead.
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        }
        let filter = refusing(&namespaces_and_mounts());
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        check(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0).into())?;
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse().unwrap_or(40);
        for capability in (0..=last).filter(|c| CAPABILITIES >> c & 1 == 0) {
            check(libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0).into())?;
        }
        let header = [0x2008_0522u32, 0];
        let (low, high) = (CAPABILITIES as u32, (CAPABILITIES >> 32) as u32);
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), [low, low, 0, high, high, 0].as_ptr()))?;
    }
    Ok(())
}

fn namespaces_and_mounts() -> Vec<DeniedCall> {
    let new = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    let mut calls: Vec<DeniedCall> = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_mount_setattr,
    ]
    .map(|call| (call, When::Always, libc::EPERM))
    .into();
    calls.push((libc::SYS_clone, When::FirstHas(new as u32), libc::EPERM));
    // Its flags lie in memory; libraries fall back to clone(2).
    calls.push((libc::SYS_clone3, When::Always, libc::ENOSYS));
    calls
}
