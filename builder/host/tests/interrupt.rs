//! A signal ends registered children and fails the next check. A file of its own: the flag belongs to the process.

use diorite_host::interrupt;
use diorite_model::Exit;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

#[test]
fn a_signal_ends_registered_children_and_fails_the_next_check() {
    interrupt::install();
    assert!(interrupt::check().is_ok());
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let guard = interrupt::guard(child.id() as i32, libc::SIGKILL);
    // SAFETY: a signal to ourselves, which has a handler.
    unsafe { libc::raise(libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    drop(guard);
    assert_eq!(interrupt::check().unwrap_err().exit, Exit::Interrupted);
}
