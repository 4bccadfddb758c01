//! `scenario`: files of scenarios, and the disks of the profiles they name, go in; a report for each comes out.

use crate::args::{PathArgs, ProfileArgs, ScenarioArgs};
use crate::context::Context;
use crate::print_scenario as print;
use crate::project::Project;
use crate::{disks, downloads, out, project_directory, textfile};
use diorite_checks::{ScenarioDisk, ScenarioInput};
use diorite_model::profile;
use diorite_model::report::ScenarioReport;
use diorite_model::scenario::{MachineSource, Scenario};
use diorite_model::{Error, Exit, Lock, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where scenarios are in a project, and in Diorite's own repository.
const DIRECTORIES: [&str; 2] = ["scenarios", "vm-tests/scenarios"];

/// Reads every file, then runs one after the other. All are read before the first machine boots.
pub fn run(args: &ScenarioArgs, context: &Context) -> Result<Exit> {
    let files = if args.files.is_empty() { all()? } else { args.files.iter().map(|name| file(name)).collect() };
    let scenarios = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    if args.list {
        out::print(print::list(&scenarios, context.json))?;
        return Ok(Exit::Done);
    }
    if let Some(twin) = scenarios.iter().enumerate().find_map(|(n, s)| scenarios[..n].iter().find(|o| o.name == s.name))
    {
        let error = Error::input(format!("two scenarios are called `{}`", twin.name));
        return Err(error.because("their results would be in one directory").hint("run them one after the other"));
    }
    let results = args.out.clone().unwrap_or_else(|| project_directory::path().join("out/scenarios"));
    let mut known = BTreeMap::new();
    let disks = scenarios.iter().map(|s| disks(s, args, &mut known)).collect::<Result<Vec<_>>>()?;
    let (mut reports, mut over): (Vec<ScenarioReport>, Option<Error>) = (Vec::new(), None);
    for (scenario, disks) in scenarios.iter().zip(&disks) {
        let (project, lock) = &known[&key(&scenario.machines[0].source)].1;
        let tools = downloads::tools(project, lock, context)?;
        let out = results.join(&scenario.name);
        let input =
            ScenarioInput { scenario, disks, runs: args.repeat, tools: &tools, out: &out, progress: &context.progress };
        match diorite_checks::scenario(&input) {
            Ok(report) => {
                if !context.json {
                    out::print(print::report(&report, &out))?;
                }
                reports.push(report);
            }
            // A fault of the host ends this scenario only; anything else, an interrupt included, ends all of them.
            Err(error) if matches!(error.exit, Exit::Host | Exit::Bug) => {
                if scenarios.len() > 1 {
                    context.progress.say(error.to_string());
                }
                over.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    if context.json {
        out::print(print::reports(&reports))?;
    } else if scenarios.len() > 1 {
        out::print(print::table(&scenarios, &reports))?;
    }
    match over {
        Some(error) => Err(error),
        None if reports.iter().all(ScenarioReport::passed) => Ok(Exit::Done),
        None => Ok(Exit::VerificationFailed),
    }
}

/// A profile or a foreign disk, by what names it.
fn key(source: &MachineSource) -> String {
    match source {
        MachineSource::Profile(name) => name.clone(),
        MachineSource::Disk { disk, recipe } => format!("{disk} {recipe}"),
    }
}

/// What was found of disks so far: the disk, the project it comes from, and a lock to take the tools from.
type DiskCache = BTreeMap<String, (ScenarioDisk, (Project, Lock))>;

/// The disk of each machine.
fn disks(scenario: &Scenario, args: &ScenarioArgs, known: &mut DiskCache) -> Result<Vec<ScenarioDisk>> {
    let mut all = Vec::new();
    for machine in &scenario.machines {
        let key = key(&machine.source);
        if !known.contains_key(&key) {
            let named = |e: Error| match e.detail {
                None => Error { detail: Some(format!("for machine `{}` of `{}`", machine.name, scenario.name)), ..e },
                Some(_) => e,
            };
            known.insert(key.clone(), found(&machine.source, args).map_err(named)?);
        }
        all.push(known[&key].0.clone());
    }
    Ok(all)
}

fn found(source: &MachineSource, args: &ScenarioArgs) -> Result<(ScenarioDisk, (Project, Lock))> {
    let paths = PathArgs::default();
    let (project, (disk, lock)) = match source {
        MachineSource::Profile(name) => {
            let project = Project::load(&ProfileArgs { name: in_project(name), paths })?;
            let built = disks::built(&project, args.scratch_lock)?;
            (project, built)
        }
        MachineSource::Disk { disk, recipe } => {
            let disk = project_directory::path().join(disk).display().to_string();
            let project = disks::foreign_project(&disk, &paths, Path::new(&in_project(recipe)))?;
            let found = disks::foreign(&project, &disk, &paths)?;
            (project, found)
        }
    };
    let recipe = project.recipe.clone();
    Ok((ScenarioDisk { disk: disk.file, sha256: disk.sha256, recipe }, (project, lock)))
}

/// A file that a scenario names is relative to the project's directory; a profile's name stays what it is.
fn in_project(named: &str) -> String {
    match named.contains('/') || named.ends_with(".toml") || named.ends_with(".json") {
        true => project_directory::path().join(named).display().to_string(),
        false => named.to_owned(),
    }
}

/// The first of the directories that there is; where there is none, the one that a project should make.
fn directory() -> PathBuf {
    let mut all = DIRECTORIES.iter().map(|name| project_directory::path().join(name));
    all.find(|directory| directory.is_dir()).unwrap_or_else(|| project_directory::path().join(DIRECTORIES[0]))
}

/// A name is a file of the directory without its ending.
fn file(name: &str) -> PathBuf {
    match name.contains('/') || name.ends_with(".toml") {
        true => PathBuf::from(name),
        false => directory().join(format!("{name}.toml")),
    }
}

/// Every scenario of the directory, sorted.
fn all() -> Result<Vec<PathBuf>> {
    let directory = directory();
    let entries = fs::read_dir(&directory)
        .map_err(|e| Error::io("there are no scenarios", &directory, e).hint("write one there, or name its file"))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Scenario> {
    let text = textfile::read(file, "scenario").map_err(|error| match file.exists() {
        true => error,
        false => error.hint("`diorite scenario --list` shows those of the project"),
    })?;
    profile::scenario::parse(&text, &file.display().to_string())
}
