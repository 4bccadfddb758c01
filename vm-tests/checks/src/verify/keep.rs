//! What a run keeps of its machine: the moment when it had settled, and the moment when something had failed.

use super::Run;
use crate::{
    ask::Asker,
    moment::{self, Identity, Known, Moment},
    session::Session,
};
use diorite_host::progress;
use diorite_model::{Error, Result};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// The moment of the settled system, while its files are still QEMU's.
pub(super) struct Settled {
    known: Known,
    at: u64,
    took: Duration,
}

/// The moment of failure, while its files are still QEMU's.
pub(super) struct Failure {
    known: Known,
    what: String,
    at: u64,
}

impl Run<'_> {
    /// Keeps the moment at which the system has just settled, where one is wanted. That this fails is told, and is no
    /// answer to anything.
    pub(super) fn keep_settled(&mut self, session: &Session, asker: &Asker<'_>) {
        if self.pass.keep.is_none() {
            return;
        }
        let begun = Instant::now();
        match session.machine.snapshot(moment::RUNNING) {
            Ok(()) => self.settled = Some(Settled { known: asker.known(), at: moment::now(), took: begun.elapsed() }),
            Err(error) => self.not_kept(&error),
        }
    }

    /// Keeps the moment at which something has failed, with a picture of the screen.
    pub(super) fn keep_failure(&mut self, session: &Session, known: Known, what: &str) -> Result<()> {
        let directory = self.input.out.join("evidence");
        std::fs::create_dir_all(&directory).map_err(|e| Error::io("the evidence cannot be written", &directory, e))?;
        // Of a machine that has ended there is nothing to keep but what it has said.
        if session.machine.ended().is_some() {
            return Ok(());
        }
        let machine = &session.machine;
        let pictured = machine.screenshot(&directory.join("screenshot.png"));
        // A copy of the moment that the machine was put back to is of no more use.
        let room = self.pass.from.map_or(Ok(()), |kept| machine.forget(&kept.moment.name));
        match pictured.and(room).and_then(|()| machine.snapshot(moment::FAILED)) {
            Ok(()) => self.failure = Some(Failure { known, what: what.to_owned(), at: moment::now() }),
            // It may have ended just now, which is told elsewhere.
            Err(_) if session.machine.ended().is_some() => {}
            Err(error) => self.not_kept(&error),
        }
        Ok(())
    }

    pub(super) fn not_kept(&self, error: &Error) {
        let cause = error.cause.as_deref().map(|c| format!(": {c}")).unwrap_or_default();
        self.input.progress.say(format!("the moment is not kept: {}{cause}", error.what));
    }

    /// Brings the machine's files, which it has left in `directory`, to where they are looked for.
    pub(super) fn leave_moments(&self, directory: &Path, names: &[&str]) -> Result<()> {
        let (input, pass) = (self.input, self.pass);
        let identity = match pass.keep {
            Some(identity) => identity.clone(),
            None => Identity::of(input.tools, pass.accelerator, pass.around, input.disk_sha256)?,
        };
        let whole = Moment {
            identity,
            name: moment::RUNNING.to_owned(),
            what: String::new(),
            kept: 0,
            accelerator: pass.accelerator.clone(),
            disk: input.disk.canonicalize().unwrap_or_else(|_| input.disk.to_owned()),
            disk_stamp: pass.disk.clone(),
            tools: input.tools.root().to_owned(),
            known: Known::default(),
            files: Default::default(),
        };
        if let Some(Failure { known, what, at }) = &self.failure {
            let (name, what, known) = (moment::FAILED.to_owned(), what.clone(), known.clone());
            let failed = Moment { name, what, kept: *at, known, ..whole.clone() };
            let evidence = input.out.join("evidence");
            moment::evidence(failed, directory, names, &evidence)?;
            let (recipe, file) = (serde_json::to_string(input.recipe), evidence.join("recipe.json"));
            let recipe = recipe.map_err(|e| Error::bug("the recipe is no JSON").because(e))?;
            diorite_host::file::write_scratch(&file, recipe)
                .map_err(|e| Error::io("the evidence cannot be written", &file, e))?;
        }
        if let Some(Settled { known, at, took }) = &self.settled {
            let (kept, bytes) =
                pass.moments.keep(Moment { kept: *at, known: known.clone(), ..whole }, directory, names)?;
            let (place, size) = (kept.directory.display(), progress::bytes(bytes));
            let took = took.as_secs_f64();
            let said =
                format!("this boot is kept in {place}, {size}, saved in {took:.1} s: `--only CHECK` goes on from it");
            input.progress.say(said);
        }
        Ok(())
    }
}
