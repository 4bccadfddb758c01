//! `inspect`: an image → what is in it, what it carries about itself, and whether every byte is as it was made.

use crate::args::InspectArgs;
use crate::context::Context;
use crate::subject::NamedSubject;
use crate::{out, print_inspect};
use diorite_host::file::sha256;
use diorite_image::read::{Carried, ImageReader};
use diorite_model::{Error, Exit, Result};

/// Prints it; exit 4 when a byte is not as it was made.
pub fn inspect(args: &InspectArgs, context: &Context) -> Result<Exit> {
    let path = NamedSubject::of(&args.image, &args.paths)?.image()?;
    let image = ImageReader::open(&path)?;
    if args.print_recipe || args.print_lock {
        let carried = carried(&image)?;
        let text =
            if args.print_lock { carried.lock.clone() } else { print_inspect::recipe(&carried.recipe, context.json) };
        out::print(text)?;
        return Ok(Exit::Done);
    }
    let stage = context.progress.stage("compare with root hash and recipe");
    let damages = image.damages()?;
    stage.done(if damages.is_empty() { "every byte is as it was made" } else { "damaged" });
    let (digest, _) = sha256(&path, "the image")?;
    out::print(print_inspect::image(&image, digest, &damages, context.json))?;
    Ok(if damages.is_empty() { Exit::Done } else { Exit::VerificationFailed })
}

/// What an image carries about itself.
///
/// # Errors
/// It carries nothing.
pub fn carried(image: &ImageReader) -> Result<&Carried> {
    image.carried.as_ref().ok_or_else(|| {
        Error::input("the image carries neither recipe nor lock")
            .at(image.disk.path().display().to_string())
            .because("an earlier version of Diorite has built it")
            .hint("build it again; until then, recipe.json and build.json of its results directory say what it was made from")
    })
}
