//! Native stand-ins for helper programs that Debian's maintainer scripts call by the hundred.
//!
//! Our own static program is bound over the tree's helper while scripts run, and acts by the name it is called with. It
//! leaves behind exactly what the original would; the tree keeps the original. Worth it where a script language is
//! started a hundred times (deb-systemd-helper: 106 starts of perl) or a thousand processes (update-ca-certificates).

mod certificates;
mod systemd;

use diorite_model::{Error, Result};
use std::path::{Path, PathBuf};

/// The helpers we stand in for, by path inside the tree.
const HELPERS: [&str; 2] = ["usr/bin/deb-systemd-helper", "usr/sbin/update-ca-certificates"];

/// To be called first in `main`: if the program's name is that of a helper, does the helper's work and returns the exit
/// status.
pub fn dispatch(argv0: &str, args: &[String]) -> Option<i32> {
    match argv0.rsplit('/').next()? {
        "deb-systemd-helper" => Some(systemd::main(args)),
        "update-ca-certificates" => Some(certificates::main(args)),
        _ => None,
    }
}

/// Our program over which of the tree's, for those that are there. The program is `DIORITE_PROGRAM` or ourselves.
pub fn binds(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let program = match std::env::var_os("DIORITE_PROGRAM") {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe().map_err(|e| Error::host("cannot find our own program").because(e))?,
    };
    let there = HELPERS.iter().filter(|path| std::fs::symlink_metadata(root.join(path)).is_ok_and(|m| m.is_file()));
    Ok(there.map(|path| (program.clone(), format!("/{path}"))).collect())
}

/// Why a helper ends with status 1.
type Outcome<T> = std::result::Result<T, String>;

/// Says what failed on which path.
fn failed(doing: &str, path: &str) -> impl FnOnce(std::io::Error) -> String {
    let text = format!("{doing} {path}");
    move |e| format!("{text}: {e}")
}
