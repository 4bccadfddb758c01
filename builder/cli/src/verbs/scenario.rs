//! `scenario`: files of scenarios, and the disks of the profiles they name, go in; a report for each comes out.

use super::{Context, build, verify};
use crate::args::{ScenarioArgs, Target};
use crate::print_scenario as print;
use crate::project::Project;
use diorite_checks::{ScenarioDisk, ScenarioInput};
use diorite_model::profile;
use diorite_model::report::ScenarioReport;
use diorite_model::scenario::{Scenario, Source};
use diorite_model::{Error, Exit, Lock, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where scenarios are.
const DIRECTORY: &str = "vm-tests/scenarios";

/// Reads every file, then runs one after the other. All are read before the first machine boots.
pub fn run(args: &ScenarioArgs, context: &Context) -> Result<Exit> {
    let files = if args.files.is_empty() { all()? } else { args.files.iter().map(|name| file(name)).collect() };
    let scenarios = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    if args.list {
        print!("{}", print::list(&scenarios, context.json));
        return Ok(Exit::Done);
    }
    if let Some(twin) = scenarios.iter().enumerate().find_map(|(n, s)| scenarios[..n].iter().find(|o| o.name == s.name))
    {
        let error = Error::input(format!("two scenarios are called `{}`", twin.name));
        return Err(error.because("their results would be in one directory").hint("run them one after the other"));
    }
    let mut known = BTreeMap::new();
    let disks = scenarios.iter().map(|s| disks(s, args, &mut known)).collect::<Result<Vec<_>>>()?;
    let (mut reports, mut over): (Vec<ScenarioReport>, Option<Error>) = (Vec::new(), None);
    for (scenario, disks) in scenarios.iter().zip(&disks) {
        let (project, lock) = &known[&key(&scenario.machines[0].source)].1;
        let tools = build::tools(project, lock, &context.store()?, context)?;
        let out = args.out.join(&scenario.name);
        let input =
            ScenarioInput { scenario, disks, runs: args.repeat, tools: &tools, out: &out, progress: &context.progress };
        match diorite_checks::scenario(&input) {
            Ok(report) => {
                if !context.json {
                    print!("{}", print::report(&report, &out));
                }
                reports.push(report);
            }
            // The others are no worse for it, unless nobody wants them any more.
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
        print!("{}", print::reports(&reports));
    } else if scenarios.len() > 1 {
        print!("{}", print::table(&scenarios, &reports));
    }
    match over {
        Some(error) => Err(error),
        None if reports.iter().all(ScenarioReport::passed) => Ok(Exit::Done),
        None => Ok(Exit::VerificationFailed),
    }
}

/// A profile or a foreign disk, by what names it.
fn key(source: &Source) -> String {
    match source {
        Source::Profile(name) => name.clone(),
        Source::Disk { disk, recipe } => format!("{disk} {recipe}"),
    }
}

/// What was found of disks so far: the disk, the project it comes from, and a lock to take the tools from.
type Known = BTreeMap<String, (ScenarioDisk, (Project, Lock))>;

/// The disk of each machine.
fn disks(scenario: &Scenario, args: &ScenarioArgs, known: &mut Known) -> Result<Vec<ScenarioDisk>> {
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

fn found(source: &Source, args: &ScenarioArgs) -> Result<(ScenarioDisk, (Project, Lock))> {
    let target = |name: &str| Target { name: name.to_owned(), lock: None, out: None };
    let (project, (disk, sha256, lock)) = match source {
        Source::Profile(name) => {
            let project = Project::load(&target(name))?;
            let built = verify::built(&project, args.relock)?;
            (project, built)
        }
        Source::Disk { disk, recipe } => {
            let project = verify::foreign(&target(disk), Path::new(recipe))?;
            let lock = verify::any_lock(&project, &target(disk))?;
            let sha256 = verify::raw_digest(Path::new(disk))?;
            (project, (PathBuf::from(disk), sha256, lock))
        }
    };
    let recipe = project.recipe.clone();
    Ok((ScenarioDisk { disk, sha256, recipe }, (project, lock)))
}

/// A name is a file of the directory without its ending.
fn file(name: &str) -> PathBuf {
    match name.contains('/') || name.ends_with(".toml") {
        true => PathBuf::from(name),
        false => Path::new(DIRECTORY).join(format!("{name}.toml")),
    }
}

/// Every scenario of the directory, sorted.
fn all() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(DIRECTORY).map_err(|e| {
        Error::io("there are no scenarios", DIRECTORY, e).hint("run in the project's directory, or name files")
    })?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Scenario> {
    let mut bytes = Vec::new();
    let limit = profile::LARGEST as u64 + 1;
    fs::File::open(file).and_then(|f| f.take(limit).read_to_end(&mut bytes)).map_err(|e| {
        let missing = e.kind() == std::io::ErrorKind::NotFound;
        let error = Error::io("the scenario cannot be read", file, e);
        if missing { error.hint("`diorite scenario --list` shows those of the project") } else { error }
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Error::input("this scenario is not text in UTF-8").at(file.display().to_string()).hint("save it as UTF-8")
    })?;
    profile::scenario::parse(&text, &file.display().to_string())
}
