//! The verbs: each reads what it needs, calls the pipeline or one room, and prints the answer.

mod build;
mod deploy;
mod drive;
mod material;
mod run;
mod scenario;
mod target;
mod vault;
mod verify;

use crate::args::{Cli, PlanArgs, Target, Verb};
use crate::project::Project;
use crate::{pipeline, print};
use diorite_archive::{lockfile, resolve};
use diorite_host::{doctor, progress, progress::Progress, store, store::Store};
use diorite_model::{Exit, Result, profile};
use std::cell::OnceCell;

/// What every verb is given.
pub struct Context {
    /// Answer in JSON.
    pub json: bool,
    /// Where stages and bars are shown.
    pub progress: Progress,
    /// Directory of the store, if one was named.
    pub store: Option<std::path::PathBuf>,
    /// The store, once it is open.
    opened: OnceCell<Store>,
}

impl Context {
    /// The store, opened by the first that asks.
    pub fn store(&self) -> Result<Store> {
        if self.opened.get().is_none() {
            store::limit()?;
            let _ = self.opened.set(Store::open(self.store.as_deref())?);
        }
        Ok(self.opened.get().expect("it was opened").clone())
    }

    /// Gives back what the store holds above its limit, when this run has added to it.
    fn tidy(&self) -> Result<()> {
        let Some(store) = self.opened.get().filter(|store| store.grew()) else { return Ok(()) };
        if let Some(gone) = store.shrink(store::limit()?)?.filter(|gone| gone.results > 0) {
            let results = if gone.results == 1 { "result" } else { "results" };
            self.progress.say(format!("evicted {} cached {results}, {}", gone.results, progress::bytes(gone.bytes)));
        }
        Ok(())
    }
}

/// Runs the verb that was asked for.
pub fn run(cli: &Cli) -> Result<Exit> {
    let progress = if cli.quiet { Progress::quiet() } else { Progress::new() };
    let context = Context { json: cli.json, progress, store: cli.store.clone(), opened: OnceCell::new() };
    let outcome = verb(cli, &context);
    // Also after a failure: a disk that is full is one.
    let tidied = context.tidy();
    outcome.and_then(|exit| tidied.map(|()| exit))
}

fn verb(cli: &Cli, context: &Context) -> Result<Exit> {
    match &cli.verb {
        Verb::Show(target) => show(target, context),
        Verb::Lock { target, update } => lock(target, *update, context),
        Verb::Plan(args) => plan(args, context),
        Verb::Fetch(target) => build::fetch(target, context),
        Verb::Vault(vault) => vault::run(vault, context),
        Verb::Build(args) => build::build(args, context).map(|_| Exit::Done),
        Verb::Verify(args) => verify::verify(args, context),
        Verb::Scenario(args) => scenario::run(args, context),
        Verb::Image(args) => build::image(args, context),
        Verb::Target(verb) => target::run(verb, context),
        Verb::Drive(args) => drive::drive(args, context),
        Verb::Deploy(args) => deploy::deploy(args, context),
        Verb::Rollback(args) => deploy::rollback(args, context),
        Verb::Status(args) => deploy::status(args, context),
        Verb::Run(args) => run::run(args, context),
        Verb::Schema { markdown, scenario } => Ok(schema(*markdown, *scenario)),
        Verb::Doctor => doctor(context),
        Verb::TestMaterial(args) => material::prepare(args, context),
    }
}

fn show(target: &Target, context: &Context) -> Result<Exit> {
    let project = Project::load(target)?;
    print!("{}", print::recipe(&project.recipe, &project.settings, context.json));
    Ok(Exit::Done)
}

fn schema(markdown: bool, scenario: bool) -> Exit {
    match (markdown, scenario) {
        (_, true) => print!("{}", profile::scenario::reference()),
        (true, _) => print!("{}", profile::reference()),
        (false, _) => println!("{:#}", profile::json_schema()),
    }
    Exit::Done
}

fn lock(target: &Target, update: bool, context: &Context) -> Result<Exit> {
    let project = Project::load(target)?;
    let old = project.lock_file.exists().then(|| lockfile::read(&project.lock_file)).transpose()?;
    let new = project.resolve(old.as_ref(), &context.progress)?;
    let changes = old.as_ref().map(|old| resolve::explain_update(old, &new));
    let written = old.is_none() || update;
    if written {
        lockfile::write(&new, &project.lock_file)?;
    }
    print!("{}", print::locked(&project.lock_file, &new, changes.as_deref(), written, context.json));
    Ok(Exit::Done)
}

fn plan(args: &PlanArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.target)?;
    let inputs = project.inputs(project.lock_at_hand(args.relock)?)?;
    let store = context.store()?;
    let planned = pipeline::plan(&project, inputs, &store)?;
    print!("{}", print::plan(&planned.steps, context.json));
    Ok(Exit::Done)
}

fn doctor(context: &Context) -> Result<Exit> {
    let report = doctor::report();
    if context.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("our own types serialize"));
    } else {
        print!("{report}");
    }
    Ok(if report.chosen.is_some() { Exit::Done } else { Exit::Host })
}
