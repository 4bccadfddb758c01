//! `drive`: an instance's config drive as an ISO, for a machine that is started without `deploy`.

use crate::args::DriveArgs;
use crate::config_drive::{self, Signer};
use crate::context::Context;
use crate::project::Project;
use crate::{file, out};
use diorite_model::instance::{Instance, SecretSource};
use diorite_model::{Digest, Error, Exit, Result};
use serde_json::json;

/// Writes the ISO.
pub fn drive(args: &DriveArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.profile)?;
    let instance = instance(&project, &args.instance)?;
    let takes = project.recipe.config_drive.as_ref().expect("a profile with instances has signers");
    let signer = Signer::fetch(&SecretSource::File(args.key.clone()), "`diorite drive`", "`--key`", takes)?;
    let credentials = config_drive::credentials(&project, &args.instance, instance)?;
    let bytes = config_drive::iso(&args.machine, &credentials, &signer)?;
    let iso = args.iso.clone().unwrap_or_else(|| project.results.config_drive(&args.instance));
    if let Some(directory) = iso.parent() {
        std::fs::create_dir_all(directory)
            .map_err(|e| Error::io("the directory of the ISO cannot be made", directory, e))?;
    }
    file::write_as(&iso, &bytes, 0o600)?;
    let names: Vec<_> = credentials.keys().collect();
    let digest = Digest::of(&bytes);
    if context.json {
        let answer = json!({
            "schema": 1, "disc": iso, "sha256": digest.to_string(), "machine": args.machine, "credentials": names,
        });
        out::line(format!("{answer:#}"))?;
    } else {
        let names = names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
        out::line(format!("iso        {}  sha256 {digest}", iso.display()))?;
        out::line(format!("for        machine {} as `{}`", args.machine, args.instance))?;
        out::line(format!("holds      {names}"))?;
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
