//! Programs of a tree for which ours stands in: our own static program, shown in their place, acts by the name it
//! is called by.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// A stand-in: its arguments without the name; its exit code.
pub type Standin = fn(&[OsString]) -> ExitCode;

/// The very first thing `main` does: when we were called by the name of a stand-in (the last part of `argv[0]`), acts
/// as that and says the exit code.
pub fn dispatch(registry: &[(&str, Standin)]) -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = arguments.next()?;
    let name = Path::new(&name).file_name()?.to_str()?.to_owned();
    let arguments: Vec<OsString> = arguments.collect();
    let own = crate::sandbox::outside::PROGRAMS.iter().any(|p| p.rsplit('/').next() == Some(name.as_str()));
    if own {
        return Some(crate::sandbox::outside::ask(&name, &arguments));
    }
    registry.iter().find(|(n, _)| *n == name).map(|(_, standin)| standin(&arguments))
}
