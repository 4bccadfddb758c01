//! A profile's name → its recipe and directories: everything a verb starts from.

use crate::args::ProfileArgs;
use crate::project_directory::{self, PROFILES};
use crate::results::Results;
use crate::textfile;
use diorite_archive::http::{MirrorClient, Options};
use diorite_archive::resolve;
use diorite_archive::sources::SourceConfig;
use diorite_archive::wheels;
use diorite_host::{progress::Progress, tools::ToolsTree};
use diorite_model::profile::reader::nearest;
use diorite_model::profile::{self, Loaded, Settings};
use diorite_model::{Error, Lock, Recipe, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A profile and where things belonging to it are.
#[derive(Debug)]
pub struct Project {
    /// The profile's name: its file's stem.
    pub name: String,
    /// What the machine is.
    pub recipe: Recipe,
    /// Where packages may come from.
    pub settings: Settings,
    /// The lock beside the profile, or the one asked for.
    pub lock_file: PathBuf,
    /// `out/NAME`.
    pub results: Results,
    /// Directory of the profile: local packages and keyrings are relative to it.
    pub directory: PathBuf,
}

impl Project {
    /// Reads the profile.
    pub fn load(args: &ProfileArgs) -> Result<Self> {
        let file = profile_file(&args.name);
        let directory = file.parent().map(Path::to_owned).unwrap_or_default();
        let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let text = read_profile(&file)?;
        let (recipe, settings) = profile::parse(&text, &file.display().to_string(), &mut loader(&file))?;
        let lock_file = args.paths.lock.clone().unwrap_or_else(|| file.with_extension("lock"));
        let results = Results::of(&args.paths, &name);
        Ok(Self { name, recipe, settings, lock_file, results, directory })
    }

    /// Where the tables of a profile begin, by `table` and `table.key`.
    pub fn places(name: &str) -> Result<BTreeMap<String, String>> {
        let file = profile_file(name);
        profile::places(&read_profile(&file)?, &file.display().to_string(), &mut loader(&file))
    }

    /// A file named in the profile: relative to its directory, or to this user's home after `~/`.
    pub fn beside(&self, file: &Path) -> PathBuf {
        match (file.strip_prefix("~"), std::env::home_dir()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.directory.join(file),
        }
    }

    /// The archive as this profile and this machine know it.
    pub fn archive(&self) -> Result<MirrorClient> {
        let config = SourceConfig::of(&self.settings, &self.recipe, &self.directory);
        MirrorClient::of_machine(&config, Options::default())
    }

    /// Resolves the recipe against the archive as it is now.
    pub fn resolve(&self, previous: Option<&Lock>, progress: &Progress) -> Result<Lock> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        let archive = self.archive()?;
        let inputs = resolve::Inputs {
            tools: ToolsTree::packages(),
            directory: &self.directory,
            transport: &archive,
            now,
            previous,
        };
        let mut lock = resolve::lock(&self.recipe, &inputs, progress)?;
        wheels::lock(&self.recipe, &mut lock, &archive, progress)?;
        Ok(lock)
    }
}

/// The file of a profile: a path, or a name in profiles/.
fn profile_file(name: &str) -> PathBuf {
    match name.contains('/') || name.ends_with(".toml") {
        true => PathBuf::from(name),
        false => profiles_directory().join(format!("{name}.toml")),
    }
}

/// Finds what the profile in this file extends and names, beside it.
fn loader(file: &Path) -> impl FnMut(&str) -> Result<Loaded> {
    let file = file.to_owned();
    let directory = file.parent().map(Path::to_owned).unwrap_or_default();
    move |name: &str| {
        if name.ends_with(".txt") {
            let file = directory.join(name);
            let text = textfile::read_as(&file, "file of requirements", "pip's format")?;
            return Ok(Loaded { text, file: file.display().to_string() });
        }
        let base = project_directory::beside_or(&directory, PROFILES, &format!("{name}.toml"));
        let text = read_base(&base, name, &file)?;
        Ok(Loaded { text, file: base.display().to_string() })
    }
}

/// Where the project's profiles are.
fn profiles_directory() -> PathBuf {
    project_directory::path().join(PROFILES)
}

/// The text of a profile. One that is not there is answered with those that are.
fn read_profile(file: &Path) -> Result<String> {
    textfile::read(file, "profile").map_err(|error| match file.exists() {
        true => error,
        false => error.hint(instead_of(file)),
    })
}

/// The text of the profile `name` that the profile `by` extends. Where it is missing, the line that names it is the place.
fn read_base(file: &Path, name: &str, by: &Path) -> Result<String> {
    if fs::symlink_metadata(file).is_ok() {
        return read_profile(file);
    }
    let directory = shown(file.parent().unwrap_or(Path::new("")));
    let names = profiles(&directory);
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|n| by.file_stem() != Some(n.as_ref())).collect();
    let hint = match (nearest(name, &others), others.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`? available: {}", others.join(", ")),
        (None, false) => format!("available: {}", others.join(", ")),
        (None, true) => "there is no other profile to extend".into(),
    };
    let example = "`diorite init DIRECTORY` makes a project with a `base` to copy from";
    let hint = if name == "base" { format!("{hint}; {example}") } else { hint };
    Err(Error::input(format!("there is no profile `{name}` to extend"))
        .because(format!("{} does not exist", file.display()))
        .hint(hint))
}

/// A hint for a profile that is not there: what may have been meant.
fn instead_of(file: &Path) -> String {
    let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    // `server.toml` or `profiles/server`: half a name, half a path.
    let by_name = profiles_directory().join(format!("{stem}.toml"));
    if file != by_name && by_name.exists() {
        return format!("`{}` is taken as a path; the profile {} is named `{stem}`", file.display(), by_name.display());
    }
    let directory = shown(file.parent().unwrap_or(Path::new("")));
    let mut names = profiles(&directory);
    if names.is_empty() && directory == Path::new(".") {
        names = profiles(&profiles_directory());
    }
    if names.is_empty() {
        let place = match directory == Path::new(PROFILES) && !directory.exists() {
            true => "there is no profiles/ in this directory or above it".into(),
            false => format!("there is no profile in {}", directory.display()),
        };
        return format!(
            "{place}: run in your project's directory, give a path, or make a project with `diorite init DIRECTORY`"
        );
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = nearest(&stem, &known).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    format!("{near}available: {}", names.join(", "))
}

/// A directory as it is written for people: the current one has a name as well.
fn shown(directory: &Path) -> PathBuf {
    if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory.to_owned() }
}

/// The names of the profiles in a directory, sorted.
fn profiles(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".toml").map(str::to_owned))
        // Hypervisors, not machines.
        .filter(|name| name != "targets")
        .collect();
    names.sort();
    names
}
