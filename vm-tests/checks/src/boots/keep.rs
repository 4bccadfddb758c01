//! The snapshots that a pass keeps of its machine: one when the system has settled, one when the first check has failed.

use super::pass::Pass;
use crate::{
    asker::Asker,
    input::VerifyInput,
    session::LabSession,
    snapshot::{self, MachineSnapshot, SnapshotIdentity, WireState},
};
use diorite_host::progress;
use diorite_model::{Error, Result};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// That of the settled system, while its files are still QEMU's.
struct SettledMark {
    known: WireState,
    at: u64,
    took: Duration,
}

/// That of the failure, while its files are still QEMU's.
struct FailureMark {
    known: WireState,
    what: String,
    at: u64,
}

/// What takes them, and stores them when the machine has ended.
pub(super) struct Keeper<'a> {
    input: &'a VerifyInput<'a>,
    pass: &'a Pass<'a>,
    settled: Option<SettledMark>,
    failure: Option<FailureMark>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(input: &'a VerifyInput<'a>, pass: &'a Pass<'a>) -> Self {
        Self { input, pass, settled: None, failure: None }
    }

    /// Whether a failure was seen, and a snapshot taken of it.
    pub(super) fn has_failure(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether there is any snapshot to store.
    pub(super) fn has_any(&self) -> bool {
        self.settled.is_some() || self.failure.is_some()
    }

    /// Takes one of the system that has just settled, where one is wanted. When that fails the user is told; no check
    /// depends on it.
    pub(super) fn settled(&mut self, session: &LabSession, asker: &Asker<'_>) {
        if self.pass.keep.is_none() {
            return;
        }
        let begun = Instant::now();
        match session.machine.snapshot(snapshot::RUNNING) {
            Ok(()) => {
                self.settled = Some(SettledMark { known: asker.known(), at: snapshot::now(), took: begun.elapsed() })
            }
            Err(error) => self.not_kept(&error),
        }
    }

    /// Takes one when something has failed, with a picture of the screen.
    pub(super) fn failed(&mut self, session: &LabSession, known: WireState, what: &str) -> Result<()> {
        let directory = self.input.out.join("evidence");
        std::fs::create_dir_all(&directory).map_err(|e| Error::io("the evidence cannot be written", &directory, e))?;
        // Of a machine that has ended there is nothing to keep but what it has said.
        if session.machine.ended().is_some() {
            return Ok(());
        }
        let machine = &session.machine;
        let pictured = machine.screenshot(&directory.join("screenshot.png"));
        // The snapshot that the machine was restored from is no longer needed in its files.
        let freed = self.pass.from.map_or(Ok(()), |kept| machine.forget(&kept.snapshot.name));
        match pictured.and(freed).and_then(|()| machine.snapshot(snapshot::FAILED)) {
            Ok(()) => self.failure = Some(FailureMark { known, what: what.to_owned(), at: snapshot::now() }),
            // It may have ended just now, which is told elsewhere.
            Err(_) if session.machine.ended().is_some() => {}
            Err(error) => self.not_kept(&error),
        }
        Ok(())
    }

    pub(super) fn not_kept(&self, error: &Error) {
        let cause = error.cause.as_deref().map(|c| format!(": {c}")).unwrap_or_default();
        self.input.progress.say(format!("the snapshot is not kept: {}{cause}", error.what));
    }

    /// Moves the machine's files, which it has left in `directory`, to where they are looked for.
    pub(super) fn store(&self, directory: &Path, names: &[String]) -> Result<()> {
        let (input, pass) = (self.input, self.pass);
        let identity = match pass.keep {
            Some(identity) => identity.clone(),
            None => SnapshotIdentity::of(input.tools, pass.accelerator, pass.around, input.disk_sha256)?,
        };
        let whole = MachineSnapshot {
            identity,
            name: snapshot::RUNNING.to_owned(),
            what: String::new(),
            kept: 0,
            accelerator: pass.accelerator.clone(),
            disk: input.disk.canonicalize().unwrap_or_else(|_| input.disk.to_owned()),
            disk_stamp: pass.disk.clone(),
            tools: input.tools.root().to_owned(),
            known: WireState::default(),
            files: Default::default(),
        };
        if let Some(FailureMark { known, what, at }) = &self.failure {
            let (name, what, known) = (snapshot::FAILED.to_owned(), what.clone(), known.clone());
            let failed = MachineSnapshot { name, what, kept: *at, known, ..whole.clone() };
            let evidence = input.out.join("evidence");
            snapshot::evidence(failed, directory, names, &evidence)?;
            let (recipe, file) = (serde_json::to_string(input.recipe), evidence.join("recipe.json"));
            let recipe = recipe.map_err(|e| Error::bug("the recipe is no JSON").because(e))?;
            diorite_host::file::write_scratch(&file, recipe)
                .map_err(|e| Error::io("the evidence cannot be written", &file, e))?;
        }
        if let Some(SettledMark { known, at, took }) = &self.settled {
            let (kept, bytes) =
                pass.snapshots.keep(MachineSnapshot { kept: *at, known: known.clone(), ..whole }, directory, names)?;
            let (path, size) = (kept.directory.display(), progress::bytes(bytes));
            let took = took.as_secs_f64();
            let said =
                format!("this boot is kept in {path}, {size}, saved in {took:.1} s: `--only CHECK` goes on from it");
            input.progress.say(said);
        }
        Ok(())
    }
}
