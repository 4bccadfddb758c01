//! `target check`: what a hypervisor offers, and what our login may do there, before anything is changed.

use crate::args::TargetVerb;
use crate::context::Context;
use crate::project_directory;
use crate::{out, print};
use diorite_model::{Exit, Result};
use diorite_proxmox::check::check;
use diorite_proxmox::{Client, ClientLimits, target};
use std::path::PathBuf;

/// Runs what was asked for.
pub fn run(verb: &TargetVerb, context: &Context) -> Result<Exit> {
    match verb {
        TargetVerb::Check { name } => {
            let client = client(name)?;
            let stage = context.progress.stage(format!("ask {}", client.target().authority()));
            let report = check(&client, &Default::default())?;
            stage.done(format!("Proxmox VE {}", report.version));
            out::print(print::checked(&report, context.json))?;
            Ok(if report.problems().next().is_none() { Exit::Done } else { Exit::Remote })
        }
    }
}

/// A client for the target of this name.
pub fn client(name: &str) -> Result<Client> {
    let environment = |name: &str| std::env::var(name).ok();
    let target = target::find(name, &files(&environment), &environment)?;
    let credential = target.credential(&environment)?;
    Client::new(target, credential, &environment, ClientLimits::default())
}

/// Where targets are described; the project's own file is in the project's directory.
fn files(environment: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let project = project_directory::path();
    target::files(environment).into_iter().map(|file| project.join(file)).collect()
}
