//! `diff`: two images, profiles, locks or recipes → what differs, as meaning.

use crate::args::DiffArgs;
use crate::context::Context;
use crate::{out, print_compare, sides};
use diorite_compare::{ComparedSide, compare, render};
use diorite_model::{Error, Exit, LockedPackage, Result};

/// Prints what differs. That something does is no failure.
pub fn diff(args: &DiffArgs, context: &Context) -> Result<Exit> {
    let (a, b) =
        (sides::side(&args.before, args.lock.scratch_lock)?, sides::side(&args.after, args.lock.scratch_lock)?);
    let has = |has: fn(&ComparedSide) -> bool| has(&a) && has(&b);
    if !has(|side| side.recipe.is_some()) && !has(|side| side.lock.is_some()) && !has(|side| side.image.is_some()) {
        let kinds = format!("{} is one of kind `{}`, {} one of kind `{}`", a.name, a.kind, b.name, b.kind);
        return Err(Error::input("the two have nothing that can be compared")
            .because(kinds)
            .hint("give two images, two profiles, two locks or two recipes; an image and a profile have all of it"));
    }
    let mut comparison = compare(&a, &b)?;
    if args.changelogs {
        let store = context.store()?;
        let stored = |package: &LockedPackage| Some(store.blob(&package.sha256)).filter(|file| file.is_file());
        comparison.add_changelogs(&a, &b, &stored)?;
    }
    out::print(match (context.json, args.html, args.markdown) {
        (true, ..) => print_compare::comparison(&comparison),
        (_, true, _) => render::html(&comparison),
        (_, _, true) => render::markdown(&comparison),
        _ => render::text(&comparison),
    })?;
    Ok(Exit::Done)
}
