//! A build once more: in an empty store, in another directory, with other surroundings, by a process of its own. Only verified
//! packages are taken from the store that is there; results of steps are made again.
//!
//! ```text
//! Project, lock ──► BuildAgain (JSON) ──► child: `diorite again FILE`, other surroundings ──► disk.raw
//! ```

use crate::build::{self, BuildInputs};
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::results::Results;
use crate::signing::DiskSigning;
use crate::{downloads, file, out};
use diorite_archive::lockfile;
use diorite_compare::explain::{self, RebuildFinding};
use diorite_host::surroundings::{self, Distance};
use diorite_host::{interrupt, store::Scratch};
use diorite_image::format;
use diorite_image::read::ImageReader;
use diorite_model::plan::Build;
use diorite_model::profile::Settings;
use diorite_model::{Error, Exit, Recipe, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Directory of the empty store below the scratch directory: longer than that of any store, so that a path that is written into a
/// file or cut somewhere shows.
const ELSEWHERE: &str = "another-directory/with-a-longer-path/than-the-store-has/store";
/// What begins the line that says where the store was.
pub const STORE: &str = "directory of the store ";
/// Directory for the disk that is made again, among the results.
const RESULTS: &str = "rebuild";

/// What the child is told.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildAgain {
    name: String,
    recipe: Recipe,
    /// As an image carries it.
    lock: String,
    /// Of the profile: overlays are beside it.
    directory: PathBuf,
    results: PathBuf,
    distance: Distance,
}

/// What the child answers.
#[derive(Serialize, Deserialize)]
struct BuiltAgain {
    build: Build,
    /// What was different for it, in words.
    changed: Vec<String>,
}

/// An image that was made again.
pub struct Rebuilt {
    /// Its `build.json`.
    pub build: Build,
    /// Where it is.
    pub results: Results,
    /// What was different for this build, in words.
    pub changed: Vec<String>,
    /// How long it took.
    pub time: Duration,
    /// Where the empty store is, which goes with this value.
    scratch: Scratch,
}

impl Rebuilt {
    /// The store of the second build.
    pub fn store_root(&self) -> PathBuf {
        self.scratch.path().join(ELSEWHERE)
    }

    /// Where an image differs from the one that was made again, and why. Beside a signature, which is no function of the inputs,
    /// this is where one will be taken off.
    ///
    /// # Errors
    /// An image is damaged.
    pub fn explain(&self, image: &Path) -> Result<Vec<RebuildFinding>> {
        let (a, b) = (ImageReader::open(image)?, ImageReader::open(&self.results.raw())?);
        let store = self.scratch.path().display().to_string();
        let words = [
            (store.as_str(), "the directory"),
            (surroundings::HOST_NAME, "the name of the host"),
            (surroundings::TIME_ZONE, "the time zone"),
            (surroundings::LANGUAGE, "the language"),
        ];
        explain::explain(&a, &b, &words)
    }
}

/// Builds the project from the lock once more.
///
/// # Errors
/// As a build's; an overlay that is not what the image was built from is told before.
pub fn again(project: &Project, lock: &CheckedLock, distance: Distance, context: &Context) -> Result<Rebuilt> {
    let store = context.store()?;
    downloads::pool(project, lock, &lock.of_image(), context)?;
    let scratch = store.scratch("rebuild")?;
    let root = scratch.path().join(ELSEWHERE);
    let fail = |e| Error::io("the store of the rebuild cannot be made", &root, e);
    fs::create_dir_all(&root).map_err(fail)?;
    symlink(store.root().join("pool"), root.join("pool")).map_err(fail)?;
    let results = Results::in_directory(project.results.directory().join(RESULTS));
    results.create()?;
    // What an earlier rebuild left there does not stand for this one.
    results.forget()?;
    let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::io("cannot be found", path, e));
    let job = BuildAgain {
        name: project.name.clone(),
        recipe: project.recipe.clone(),
        lock: lockfile::text(&lock.carried()),
        directory: absolute(&project.directory)?,
        results: absolute(results.directory())?,
        distance,
    };
    let description = scratch.path().join("build.json");
    file::write(&description, &file::pretty(&job))?;
    let begun = Instant::now();
    let mut answer: BuiltAgain = run(&root, &description, context)?;
    answer.changed.insert(0, format!("{STORE}{}", root.display()));
    answer.changed.push("the clock is another moment's, and not changed".into());
    let BuiltAgain { build, changed } = answer;
    Ok(Rebuilt { build, results, changed, time: begun.elapsed(), scratch })
}

/// Runs this program as the child, and reads what it answers.
fn run(store: &Path, description: &Path, context: &Context) -> Result<BuiltAgain> {
    let program = "/proc/self/exe";
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new(program);
    command.arg("--store").arg(store).args(context.quiet.then_some("--quiet"));
    command.arg("again").arg(description).stdin(Stdio::null()).stdout(Stdio::piped()).current_dir("/");
    let variables = surroundings::variables(threads);
    command.envs(variables.iter().map(|(name, value, _)| (name, value)));
    let child = command.spawn().map_err(|e| Error::io("the rebuild cannot be started", program, e))?;
    let output = child.wait_with_output().map_err(|e| Error::io("the rebuild was lost", program, e))?;
    interrupt::check()?;
    if !output.status.success() {
        // It has said itself why.
        let exit = [Exit::Input, Exit::LockOutdated, Exit::Host, Exit::Remote, Exit::NotReproducible, Exit::Bug];
        let exit = exit.into_iter().find(|exit| output.status.code() == Some(*exit as i32)).unwrap_or(Exit::Host);
        return Err(Error::new(exit, "the rebuild failed").because("the error above ended it").hint("mend that first"));
    }
    let mut answer: BuiltAgain =
        serde_json::from_slice(&output.stdout).map_err(|e| Error::bug("the answer of a rebuild").because(e))?;
    let said = variables.into_iter().map(|(_, _, said)| said).filter(|said| !said.is_empty());
    answer.changed.extend(said);
    Ok(answer)
}

/// The child: builds, and answers in JSON.
pub fn inside(description: &Path, context: &Context) -> Result<Exit> {
    let text = fs::read(description).map_err(|e| Error::io("a rebuild is not described", description, e))?;
    let job: BuildAgain =
        serde_json::from_slice(&text).map_err(|e| Error::bug("the description of a rebuild").because(e))?;
    let changed = surroundings::change(job.distance);
    let project = Project {
        name: job.name,
        recipe: job.recipe,
        settings: Settings::default(),
        lock_file: description.to_owned(),
        results: Results::in_directory(job.results),
        directory: job.directory,
    };
    let lock = CheckedLock::carried(&project, &job.lock, description)?;
    let store = context.store()?;
    // What a signed image is without its signatures is what can be made again.
    let inputs = BuildInputs::read(&project, lock.clone())?.signed(DiskSigning::Nobody);
    let plan = build::plan(&project, inputs, &store);
    let pool = || downloads::pool(&project, &lock, &lock.of_image(), context);
    let build = plan.run(&pool, &[format::RAW], &context.progress)?;
    out::line(serde_json::to_string(&BuiltAgain { build, changed }).expect("our own types serialize"))?;
    Ok(Exit::Done)
}
