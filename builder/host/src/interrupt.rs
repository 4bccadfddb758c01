//! SIGINT, SIGTERM and SIGHUP: remember that they came, end the children, let every loop come to its own end.
//!
//! The handler does only what signal-safety(7) allows: it sets a flag and sends signals to the children that
//! were registered. Blocking waits on a child therefore end by themselves; long loops call [`check`].

use diorite_model::{Error, Exit, Result};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

static CAME: AtomicBool = AtomicBool::new(false);

/// Children to end: a slot holds 0, a process (positive) or a process group (negative), and the signal it gets.
static CHILDREN: [(AtomicI32, AtomicI32); 64] = [const { (AtomicI32::new(0), AtomicI32::new(0)) }; 64];

extern "C" fn handler(_signal: libc::c_int) {
    // SAFETY: only atomics and kill(2), both async-signal-safe; errno is put back.
    unsafe {
        let errno = *libc::__errno_location();
        if CAME.swap(true, SeqCst) {
            // The second signal is from somebody who does not want to wait.
            for (pid, _) in &CHILDREN {
                let pid = pid.load(SeqCst);
                if pid != 0 {
                    libc::kill(pid, libc::SIGKILL);
                }
            }
            libc::_exit(Exit::Interrupted as i32);
        }
        for (pid, signal) in &CHILDREN {
            let pid = pid.load(SeqCst);
            if pid != 0 {
                libc::kill(pid, signal.load(SeqCst));
            }
        }
        *libc::__errno_location() = errno;
    }
}

/// Catches SIGINT, SIGTERM and SIGHUP from now on. Called once, first thing in `main`. A second signal ends the
/// process at once (exit 130); what it leaves in the store is swept by the next one.
///
/// What a child leaves behind becomes ours (`PR_SET_CHILD_SUBREAPER`, prctl(2)), so that [`settle`] can wait for it.
pub fn install() {
    // SAFETY: a flag of this process, without pointers.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the action is fully initialised and the handler async-signal-safe.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            libc::sigemptyset(&mut action.sa_mask);
            // No SA_RESTART: waits that can be interrupted should be.
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Waits for everything that an interrupted child left: it has been killed, but a process takes a moment to let go of
/// hundreds of megabytes, and whoever interrupted us is to find nothing running.
pub fn settle() {
    if came() {
        // SAFETY: waitpid(2) for any child, its status not asked for.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
    }
}

/// Whether a signal came.
pub fn came() -> bool {
    CAME.load(SeqCst)
}

/// `Err` with [`Exit::Interrupted`] once a signal came. Long loops call it.
pub fn check() -> Result<()> {
    match came() {
        true => {
            Err(Error::new(Exit::Interrupted, "interrupted; nothing half-written is left, the next build continues"))
        }
        false => Ok(()),
    }
}

/// A child that gets a signal when we are interrupted, until the guard is dropped.
#[derive(Debug)]
pub struct Guard(Option<usize>);

/// Registers a process (`pid > 0`) or a process group (`pid < 0`): `signal` is sent to it when a signal comes,
/// at once if one has come already.
pub fn guard(pid: i32, signal: i32) -> Guard {
    let slot = CHILDREN
        .iter()
        .position(|(slot, s)| slot.compare_exchange(0, pid, SeqCst, SeqCst).map(|_| s.store(signal, SeqCst)).is_ok());
    if came() {
        // SAFETY: sending a signal to our own child.
        unsafe { libc::kill(pid, signal) };
    }
    Guard(slot)
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            CHILDREN[slot].0.store(0, SeqCst);
        }
    }
}
