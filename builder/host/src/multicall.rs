//! One program under several names: our own static program replaces some programs of a tree and acts by the name
//! under which it is called, as a multi-call binary does.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// A replacement for a program: its arguments without the name; its exit code.
pub type Applet = fn(&[OsString]) -> ExitCode;

/// The very first thing `main` does: when we were called by the name of a replacement (the last part of `argv[0]`),
/// runs it and returns the exit code.
pub fn dispatch(registry: &[(&str, Applet)]) -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = arguments.next()?;
    let name = Path::new(&name).file_name()?.to_str()?.to_owned();
    let arguments: Vec<OsString> = arguments.collect();
    let own = crate::sandbox::outside::PROGRAMS.iter().any(|p| p.rsplit('/').next() == Some(name.as_str()));
    if own {
        return Some(crate::sandbox::outside::ask(&name, &arguments));
    }
    registry.iter().find(|(n, _)| *n == name).map(|(_, applet)| applet(&arguments))
}
