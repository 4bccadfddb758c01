//! The verbs: each reads what it needs, calls the build or one crate, and prints the answer.

mod attest;
mod audit;
mod build;
mod deploy;
mod diff;
mod doc;
mod drive;
mod import;
mod init;
mod inspect;
mod install;
mod keys;
mod lock;
mod material;
mod rebuild;
mod reference;
mod run;
mod scenario;
mod target;
mod vault;
mod verify;
mod whence;
mod write;

use crate::args::{Cli, ProfileArgs, Verb};
use crate::context::Context;
use crate::project::Project;
use crate::{out, print, project_directory};
use diorite_host::doctor;
use diorite_model::{Exit, Result};

/// Runs the verb that was asked for.
pub fn run(cli: &Cli) -> Result<Exit> {
    let context = Context::new(cli);
    announce(&cli.verb, &context);
    let outcome = verb(cli, &context);
    // Also after a failure: a disk that is full is one.
    let tidied = context.tidy();
    outcome.and_then(|exit| tidied.map(|()| exit))
}

/// Says which project is meant, when it is not that of the current directory.
fn announce(verb: &Verb, context: &Context) {
    let alone = matches!(
        verb,
        Verb::Init(_)
            | Verb::Import(_)
            | Verb::Install
            | Verb::Keys(_)
            | Verb::Again { .. }
            | Verb::Schema { .. }
            | Verb::Doctor
            | Verb::Completions { .. }
            | Verb::Man { .. }
    );
    if let Some(directory) = project_directory::above().filter(|_| !alone) {
        context.progress.say(format!("project directory: {}", directory.display()));
    }
}

fn verb(cli: &Cli, context: &Context) -> Result<Exit> {
    match &cli.verb {
        Verb::Init(args) => init::init(args, context),
        Verb::Import(verb) => import::run(verb, context),
        Verb::Show(profile) => show(profile, context),
        Verb::Lock { profile, update } => lock::lock(profile, *update, context),
        Verb::Plan(args) => build::plan(args, context),
        Verb::Fetch(profile) => build::fetch(profile, context),
        Verb::Vault(vault) => vault::run(vault, context),
        Verb::Build(args) => build::build(args, context),
        Verb::Keys(verb) => keys::run(verb, context),
        Verb::Rebuild(args) => rebuild::rebuild(args, context),
        Verb::Again { description } => crate::rebuild::inside(description, context),
        Verb::Inspect(args) => inspect::inspect(args, context),
        Verb::Diff(args) => diff::diff(args, context),
        Verb::Whence(args) => whence::whence(args, context),
        Verb::Attest(verb) => attest::run(verb, context),
        Verb::Audit(args) => audit::audit(args, context),
        Verb::Verify(args) => verify::verify(args, context),
        Verb::Scenario(args) => scenario::run(args, context),
        Verb::Image(args) => build::image(args, context),
        Verb::Doc(args) => doc::doc(args, context),
        Verb::Target(verb) => target::run(verb, context),
        Verb::Drive(args) => drive::drive(args, context),
        Verb::Deploy(args) => deploy::deploy(args, context),
        Verb::Rollback(args) => deploy::rollback(args, context),
        Verb::Status(args) => deploy::status(args, context),
        Verb::Run(args) => run::run(args, context),
        Verb::Write(args) => write::run(args, context),
        Verb::Install => install::run(context),
        Verb::Schema { markdown, scenario } => reference::schema(*markdown, *scenario),
        Verb::Doctor => doctor(context),
        Verb::Completions { shell } => reference::completions(*shell),
        Verb::Man { directory, .. } => reference::man(directory.as_deref()),
        Verb::TestMaterial(args) => material::prepare(args, context),
        Verb::TestSeal { profile, listing } => material::seal(profile, listing.as_deref(), context),
    }
}

fn show(profile: &ProfileArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(profile)?;
    out::print(print::recipe(&project.recipe, &project.settings, context.json))?;
    Ok(Exit::Done)
}

fn doctor(context: &Context) -> Result<Exit> {
    let report = doctor::report();
    match context.json {
        true => out::line(serde_json::to_string_pretty(&report).expect("our own types serialize"))?,
        false => out::print(report.to_string())?,
    }
    Ok(if report.chosen.is_some() { Exit::Done } else { Exit::Host })
}
