//! `drive`: an instance's config drive as a file, for a machine that somebody starts himself.

use super::Context;
use crate::args::DriveArgs;
use crate::disc::{self, Signer};
use crate::pipeline;
use crate::project::Project;
use diorite_model::instance::{Instance, Source};
use diorite_model::{Digest, Error, Exit, Result};
use serde_json::json;

/// Makes the disc.
pub fn drive(args: &DriveArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.target)?;
    let instance = instance(&project, &args.instance)?;
    let takes = project.recipe.config_drive.as_ref().expect("a profile with instances has signers");
    let signer = Signer::fetch(&Source::File(args.key.clone()), "`diorite drive`", "`--key`", takes)?;
    let credentials = disc::credentials(&project, &args.instance, instance)?;
    let bytes = disc::disc(&args.machine, &credentials, &signer)?;
    let file = args.disc.clone().unwrap_or_else(|| project.out.join(format!("{}.iso", args.instance)));
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|e| Error::io("the directory of the disc cannot be made", directory, e))?;
    }
    pipeline::write_as(&file, &bytes, 0o600)?;
    let names: Vec<_> = credentials.keys().collect();
    let digest = Digest::of(&bytes);
    if context.json {
        let answer = json!({
            "schema": 1, "disc": file, "sha256": digest.to_string(), "machine": args.machine, "credentials": names,
        });
        println!("{answer:#}");
    } else {
        println!("disc       {}  sha256 {digest}", file.display());
        println!("for        machine {} as `{}`", args.machine, args.instance);
        println!("holds      {}", names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", "));
    }
    Ok(Exit::Done)
}

/// The instance of this name.
pub fn instance<'p>(project: &'p Project, name: &str) -> Result<&'p Instance> {
    let all = &project.settings.instances;
    all.get(name).ok_or_else(|| {
        let names: Vec<_> = all.keys().map(|n| format!("`{n}`")).collect();
        let error = Error::input(format!("profile `{}` has no instance `{name}`", project.name));
        match names.is_empty() {
            true => error.hint(format!("write `[instances.{name}]` in it")),
            false => error.hint(format!("it has {}", names.join(", "))),
        }
    })
}
