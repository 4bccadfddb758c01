//! What every verb is given: how to answer, where to show progress, and the store.

use crate::args::Cli;
use diorite_host::progress::{self, Progress};
use diorite_host::store::{self, Store};
use diorite_model::Result;
use std::cell::OnceCell;
use std::path::PathBuf;

/// What every verb is given.
pub struct Context {
    /// Answer in JSON.
    pub json: bool,
    /// Show no stages and bars.
    pub quiet: bool,
    /// Where stages and bars are shown.
    pub progress: Progress,
    /// Directory of the store, if one was named.
    directory: Option<PathBuf>,
    /// The store, once it is open.
    store: OnceCell<Store>,
}

impl Context {
    /// As the command line says.
    pub fn new(cli: &Cli) -> Self {
        let progress = if cli.quiet { Progress::quiet() } else { Progress::new() };
        Self { json: cli.json, quiet: cli.quiet, progress, directory: cli.store.clone(), store: OnceCell::new() }
    }

    /// The store, opened by the first that asks.
    pub fn store(&self) -> Result<Store> {
        if self.store.get().is_none() {
            store::limit()?;
            let _ = self.store.set(Store::open(self.directory.as_deref())?);
        }
        Ok(self.store.get().expect("it was opened").clone())
    }

    /// Evicts results from the store down to its limit, when this run has added some.
    pub fn tidy(&self) -> Result<()> {
        let Some(store) = self.store.get().filter(|store| store.grew()) else { return Ok(()) };
        if let Some(evicted) = store.shrink(store::limit()?)?.filter(|evicted| evicted.results > 0) {
            let (results, bytes) = (evicted.results, progress::bytes(evicted.bytes));
            let noun = if results == 1 { "result" } else { "results" };
            self.progress.say(format!("evicted {results} cached {noun}, {bytes}"));
        }
        Ok(())
    }
}
