//! Our side: a copy of the project with a store of its own, whose pool is the user's.

use crate::process::{self, Run};
use diorite_archive::lockfile;
use diorite_host::store::Store;
use diorite_model::report::{Report, Verdict};
use diorite_model::{Error, Lock, Recipe, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Rows of the table.
pub const LOCK: &str = "lock";
pub const FULL: &str = "full build";
pub const OVERLAY: &str = "overlay changed";
pub const NOTHING: &str = "nothing changed";

/// The project and our program.
#[derive(Debug)]
pub struct Ours {
    program: PathBuf,
    project: PathBuf,
    store: PathBuf,
    pool: PathBuf,
}

/// One verification.
#[derive(Debug, Serialize, Deserialize)]
pub struct Boot {
    /// From power-on to the last check.
    pub seconds: f64,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Checks passed, and all.
    pub passed: (usize, usize),
}

impl Ours {
    /// Copies profiles and overlays into a fresh directory.
    pub fn new(directory: &Path, store: &Store) -> Result<Self> {
        let program = fs::canonicalize("diorite")
            .map_err(|e| Error::io("our program is not built", "diorite", e).hint("run `make bench`"))?;
        let project = directory.join("project");
        let _ = fs::remove_dir_all(&project);
        for name in ["profiles", "overlays"] {
            copy(Path::new(name), &project.join(name)).map_err(|e| Error::io("cannot be copied", name, e))?;
        }
        Ok(Self { program, store: directory.join("store"), pool: store.root().to_owned(), project })
    }

    fn command(&self, arguments: &[&str], store: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.project).env("DIORITE_STORE", store);
        command
    }

    fn run(&self, what: &str, arguments: &[&str]) -> Result<Run> {
        process::measure(what, self.command(arguments, &self.store))
            .map_err(|e| Error::host("a measured run failed").detail(e))
    }

    /// Resolves as if for the first time.
    pub fn lock(&self) -> Result<Run> {
        let _ = fs::remove_file(self.project.join("profiles/server.lock"));
        self.run(LOCK, &["lock", "server"])
    }

    /// Brings the packages into the user's store, not measured.
    pub fn fetch(&self) -> Result<(Lock, Recipe)> {
        self.quietly(&["fetch", "server"], &self.pool)?;
        let file = self.project.join("profiles/server.lock");
        let shown = self.quietly(&["show", "server", "--json"], &self.pool)?;
        let mut shown: serde_json::Value = serde_json::from_slice(&shown).map_err(|e| unreadable("show", e))?;
        let recipe = serde_json::from_value(shown["recipe"].take()).map_err(|e| unreadable("show", e))?;
        Ok((lockfile::read(&file)?, recipe))
    }

    fn quietly(&self, arguments: &[&str], store: &Path) -> Result<Vec<u8>> {
        let mut command = self.command(arguments, store);
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|e| Error::io("cannot be run", &self.program, e))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(Error::host(format!("`diorite {}` failed", arguments.join(" ")))),
        }
    }

    /// A full build from a fresh store, one with another overlay file, one with nothing changed.
    pub fn build(&self) -> Result<Vec<Run>> {
        let failed = |e| Error::io("a fresh store cannot be made", &self.store, e);
        if self.store.exists() {
            fs::remove_dir_all(&self.store).map_err(failed)?;
        }
        let _ = fs::remove_dir_all(self.project.join("out"));
        fs::create_dir_all(&self.store).map_err(failed)?;
        std::os::unix::fs::symlink(self.pool.join("pool"), self.store.join("pool")).map_err(failed)?;
        let build = &["build", "server"];
        let page = self.project.join("overlays/web/tree/srv/www/index.html");
        let failed = |e| Error::io("the overlay cannot be changed", &page, e);
        let before = fs::read(&page).map_err(failed)?;
        let full = self.run(FULL, build)?;
        fs::copy(self.project.join("out/server/build.json"), self.project.join("full.json")).map_err(failed)?;
        fs::write(&page, "<h1>Changed</h1>\n").map_err(failed)?;
        let runs = vec![full, self.run(OVERLAY, build)?, self.run(NOTHING, build)?];
        fs::write(&page, before).map_err(failed)?;
        Ok(runs)
    }

    /// Boots what was built last.
    pub fn boot(&self) -> Result<Boot> {
        self.quietly(&["verify", "server"], &self.store)?;
        let file = self.project.join("out/server/report.json");
        let text = fs::read(&file).map_err(|e| Error::io("the report cannot be read", &file, e))?;
        let report: Report = serde_json::from_slice(&text).map_err(|e| unreadable("report.json", e))?;
        let passed = (report.count(Verdict::Pass), report.checks.len());
        Ok(Boot { seconds: report.seconds, accelerator: report.accelerator, passed })
    }

    /// The step table of the last full build.
    pub fn steps(&self) -> Result<serde_json::Value> {
        let file = self.project.join("full.json");
        let text = fs::read(&file).map_err(|e| Error::io("build.json cannot be read", &file, e))?;
        let mut build: serde_json::Value = serde_json::from_slice(&text).map_err(|e| unreadable("build.json", e))?;
        Ok(build["steps"].take())
    }

    /// `diorite 0.1.0`.
    pub fn version(&self) -> Result<String> {
        let text = self.quietly(&["--version"], &self.store)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }
}

fn unreadable(what: &str, e: serde_json::Error) -> Error {
    Error::bug(format!("{what} is not as expected")).because(e)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
