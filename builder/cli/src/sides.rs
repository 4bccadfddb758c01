//! Arguments of `diff` → what is compared: of a profile its recipe and its lock, and its image where that was built from these.

use crate::args::PathArgs;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::subject::NamedSubject;
use diorite_archive::lockfile;
use diorite_compare::ComparedSide;
use diorite_image::read::ImageReader;
use diorite_model::plan::Build;
use diorite_model::{Error, Lock, Recipe, Result};
use std::fs;
use std::path::Path;

/// The side that an argument names. With `scratch`, the scratch lock of a profile goes before its own.
///
/// # Errors
/// It is none of these; a profile has no lock, or one of another recipe; an image is damaged.
pub fn side(name: &str, scratch: bool) -> Result<ComparedSide> {
    let name = name.to_owned();
    match NamedSubject::of(&name, &PathArgs::default())? {
        NamedSubject::Image(path) => {
            let image = ImageReader::open_whole(&path)?;
            let recipe = image.carried.as_ref().map(|carried| carried.recipe.clone());
            let lock = lock_of(&image)?;
            Ok(ComparedSide { name, kind: "image", recipe, lock, image: Some(image) })
        }
        NamedSubject::Profile(project) => of_profile(name, &project, scratch),
        NamedSubject::Lock(path) => {
            let lock = Some(lockfile::read(&path)?);
            Ok(ComparedSide { name, kind: "lock", recipe: None, lock, image: None })
        }
        NamedSubject::Recipe(path) => {
            let recipe = Some(recipe_of(&path)?);
            Ok(ComparedSide { name, kind: "recipe", recipe, lock: None, image: None })
        }
    }
}

/// The lock that an image carries.
///
/// # Errors
/// It cannot be read.
pub fn lock_of(image: &ImageReader) -> Result<Option<Lock>> {
    let carried = image.carried.as_ref();
    carried.map(|carried| lockfile::parse(&carried.lock, image.disk.path())).transpose()
}

fn of_profile(name: String, project: &Project, scratch: bool) -> Result<ComparedSide> {
    let lock = CheckedLock::at_hand(project, scratch)?;
    let build: Option<Build> =
        fs::read(project.results.build()).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let current =
        build.is_some_and(|build| build.recipe_digest == project.recipe.digest() && build.lock_digest == lock.digest());
    let image = match current && project.results.raw().exists() {
        true => Some(ImageReader::open_whole(&project.results.raw())?),
        false => None,
    };
    let (recipe, lock) = (Some(project.recipe.clone()), Some((*lock).clone()));
    Ok(ComparedSide { name, kind: "profile", recipe, lock, image })
}

fn recipe_of(path: &Path) -> Result<Recipe> {
    let text = fs::read(path).map_err(|e| Error::io("the recipe cannot be read", path, e))?;
    serde_json::from_slice(&text).map_err(|e| {
        let error = Error::input("this is not a recipe of this version").at(path.display().to_string()).because(e);
        error.hint("give the recipe.json of a build by this program, an image, a lock, or a profile's name")
    })
}
