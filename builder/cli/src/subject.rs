//! An argument that names an image, a profile, a lock or a recipe → which of them it is.

use crate::args::{PathArgs, ProfileArgs};
use crate::project::Project;
use crate::results::Results;
use diorite_model::{Error, Result};
use std::path::{Path, PathBuf};

/// What an argument names.
pub enum NamedSubject {
    /// A raw disk image.
    Image(PathBuf),
    /// A profile.
    Profile(Box<Project>),
    /// A lock.
    Lock(PathBuf),
    /// A recipe.json.
    Recipe(PathBuf),
}

impl NamedSubject {
    /// By the ending of a path; what has none, and is no file, is a profile's name. A directory of results is its image.
    ///
    /// # Errors
    /// There is no such file, and no such profile.
    pub fn of(name: &str, paths: &PathArgs) -> Result<Self> {
        let path = Path::new(name);
        let profile = || Project::load(&ProfileArgs { name: name.to_owned(), paths: paths.clone() });
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => return profile().map(Box::new).map(Self::Profile),
            Some("lock") => return Ok(Self::Lock(path.to_owned())),
            Some("json") => return Ok(Self::Recipe(path.to_owned())),
            _ => {}
        }
        let results = Results::beside(&path.join("disk.raw"));
        if path.is_dir() && results.raw().is_file() && name.contains('/') {
            return Ok(Self::Image(results.raw()));
        }
        if path.exists() && (name.contains('/') || name.contains('.') || path.is_file()) {
            return Ok(Self::Image(path.to_owned()));
        }
        if name.contains('/') || name.ends_with(".raw") {
            let missing = Error::input("the image cannot be read").at(name).because("there is no such file");
            return Err(missing.hint("give the path of an image, of a recipe.json or of a lock, or a profile's name"));
        }
        profile().map(Box::new).map(Self::Profile)
    }

    /// The image that is meant: that file, or what the profile was built to.
    ///
    /// # Errors
    /// The profile has not been built; a lock and a recipe are no images.
    pub fn image(&self) -> Result<PathBuf> {
        match self {
            Self::Image(path) => Ok(path.clone()),
            Self::Profile(project) => built(project),
            Self::Lock(path) | Self::Recipe(path) => Err(Error::input("this is not a disk image")
                .at(path.display().to_string())
                .hint("give the path of an image, out/NAME/disk.raw, or the name of a profile that was built")),
        }
    }
}

/// The image of a profile.
fn built(project: &Project) -> Result<PathBuf> {
    let raw = project.results.raw();
    if raw.exists() {
        return Ok(raw);
    }
    Err(Error::input(format!("`{}` has not been built", project.name))
        .at(raw.display().to_string())
        .hint(format!("run `diorite build {}`", project.name)))
}
