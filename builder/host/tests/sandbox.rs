//! The sandbox in every mode this host allows, each in a process of its own: what a program inside sees, what it
//! cannot do, and that nothing of it stays in the tree. Modes the host does not allow are ignored, counted, and say why.
//!
//! No Debian tree is needed: this program is static, so it is its own inmate.

#[path = "sandbox/cases.rs"]
mod cases;
#[path = "sandbox/inmate.rs"]
mod inmate;

use diorite_host::sandbox::{self, SandboxMode, typed};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    diorite_host::simulate::apply();
    if std::env::args().next().is_some_and(|name| name.ends_with("inmate")) {
        return inmate::main();
    }
    if let Some(code) = diorite_host::multicall::dispatch(&[]) {
        return code;
    }
    if let Some(code) = sandbox::inside(&[
        ("sandbox", |json| typed(json, cases::sandbox)),
        ("double", |json| typed(json, |n: u32, _| Ok(2 * n))),
        ("fail", |json| typed(json, cases::fail)),
        ("panic", |json| typed(json, cases::panic)),
        ("own", |json| typed(json, cases::own)),
        ("write", |json| typed(json, cases::write)),
    ]) {
        return code;
    }
    if let Ok(mode) = std::env::var("DIORITE_SANDBOX") {
        // A second thread, as every real build has: what a child of clone(2) may not do shows only then.
        std::thread::spawn(std::thread::park);
        cases::ALL.iter().for_each(|(name, case)| {
            case();
            println!("test {mode}: {name} ... ok");
        });
        return ExitCode::SUCCESS;
    }
    let (mut failed, mut ignored) = (0, 0);
    for mode in SandboxMode::ALL {
        if let Some(why) = sandbox::probe().why_not(mode) {
            ignored += cases::ALL.len();
            println!("test {}: {} cases ... ignored, {}", mode.name(), cases::ALL.len(), why.cause);
            continue;
        }
        let mut again = Command::new("/proc/self/exe");
        again.env("DIORITE_SANDBOX", mode.name());
        if mode == SandboxMode::Chroot {
            // As in the container it is meant for: without CAP_SYS_ADMIN, unshare(2) and mount(2).
            again.env("DIORITE_SIMULATE", "plain-container");
        }
        if !again.status().is_ok_and(|s| s.success()) {
            failed += 1;
        }
    }
    println!("test result: {failed} modes failed; {ignored} cases ignored");
    ExitCode::from(u8::from(failed > 0))
}
