//! `doc`: profile, lock, build and report → the server's documentation. What is not there yet is told as not known; what is
//! there and damaged is an error.

use crate::args::{DocArgs, DocLanguage};
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::{file, out, print};
use diorite_checks::plan as checks;
use diorite_doc::{Input, Language, document};
use diorite_model::plan::Build;
use diorite_model::report::Report;
use diorite_model::{Error, Exit, Result};
use serde::de::DeserializeOwned;
use std::io::ErrorKind;
use std::path::Path;

/// Writes the page and the Markdown, and prints where they are.
pub fn doc(args: &DocArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.profile)?;
    let (recipe, own, results) = (&project.recipe, &project.settings.checks, &project.results);
    let build: Option<Build> = read(&results.build(), &format!("build {}", project.name))?;
    let report: Option<Report> = read(&results.report(), &format!("verify {}", project.name))?;
    let lock = lock(&project, build.as_ref())?;
    let input = Input {
        profile: &project.name,
        recipe,
        settings: &project.settings,
        lock: lock.as_deref(),
        build: build.as_ref(),
        report: report.as_ref(),
        plan_digest: checks::digest(&checks::of(recipe, own), own),
    };
    let language = match args.lang {
        DocLanguage::En => Language::English,
        DocLanguage::De => Language::German,
    };
    let documentation = document(&input, language);
    results.create()?;
    let (html, markdown) = (results.documentation("html"), results.documentation("md"));
    file::write(&html, documentation.html.as_bytes())?;
    file::write(&markdown, documentation.markdown.as_bytes())?;
    out::print(print::documentation(&html, &markdown, documentation.measured, context.json))?;
    Ok(Exit::Done)
}

/// The lock of this recipe: that of the build where one was built, else the profile's own, else the scratch lock.
fn lock(project: &Project, build: Option<&Build>) -> Result<Option<CheckedLock>> {
    let own = match CheckedLock::own(project) {
        Ok(lock) => Some(lock),
        // There is none, or it is of another recipe: no versions are known by it.
        Err(error) if error.exit == Exit::LockOutdated => None,
        Err(error) => return Err(error),
    };
    let scratch = CheckedLock::scratch(project).map(|(lock, _)| lock);
    let built = |lock: &Option<CheckedLock>| {
        lock.as_ref().zip(build).is_some_and(|(lock, build)| lock.digest() == build.lock_digest)
    };
    Ok(if built(&scratch) && !built(&own) { scratch } else { own.or(scratch) })
}

/// A result of another verb, if it is there; `by` is what makes it.
fn read<T: DeserializeOwned>(file: &Path, by: &str) -> Result<Option<T>> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("a result cannot be read", file, error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let what = Error::input("a result is damaged").at(file.display().to_string()).because(error);
        what.hint(format!("remove it, or run `diorite {by}` again"))
    })
}
