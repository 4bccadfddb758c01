//! The whole way from a profile to a disk image, stage by stage, each a function from one type to the next.

use crate::images;
use crate::plan::{self, Keys};
use crate::project::{Inputs, Project};
use crate::trees::{self, Wanted};
use diorite_archive::fetch::Pool;
use diorite_host::file::write_whole;
use diorite_host::interrupt;
use diorite_host::multicall::Applet;
use diorite_host::progress::{BarUnit, Progress};
use diorite_host::sandbox::{self, Job};
use diorite_host::store::Store;
use diorite_image::format::Format;
use diorite_image::{ImageParts, filesystem, format, verity};
use diorite_model::plan::{Build, Step, StepResult};
use diorite_model::{Digest, Error, Exit, Result};
use diorite_rootfs::configure::{self, Changes, ConfigureJob};
use diorite_rootfs::seal::{self, SealedTree};
use diorite_rootfs::tree::Tree;
use diorite_rootfs::{guest, manifest, pack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Jobs that run in a child that owns every id.
pub const INSIDE: &[(&str, Job)] =
    &[("trees", |json| sandbox::typed(json, trees::job)), ("configure", |json| sandbox::typed(json, configure_job))];

/// Programs of a Debian tree that this one stands in for while packages are configured.
pub const STANDINS: &[(&str, Applet)] = &[
    ("deb-systemd-helper", |arguments| stand_in("deb-systemd-helper", arguments)),
    ("update-ca-certificates", |arguments| stand_in("update-ca-certificates", arguments)),
];

fn stand_in(name: &str, arguments: &[OsString]) -> ExitCode {
    let arguments: Vec<String> = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let code = diorite_rootfs::helpers::dispatch(name, &arguments).unwrap_or(Exit::Bug as i32);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Runs the `configure` programs of overlays; what is left in the work directory has ids that only this child may remove.
fn configure_job(job: ConfigureJob, progress: &Progress) -> Result<()> {
    let made = configure::configured(&job, progress);
    made.and(fs::remove_dir_all(&job.work).map_err(|e| Error::io("the work directory cannot be removed", &job.work, e)))
}

/// A build that is about to run: its inputs, keys and the steps that will be hits.
#[derive(Debug)]
pub struct Planned<'a> {
    project: &'a Project,
    inputs: Inputs,
    keys: Keys,
    store: &'a Store,
    /// The steps in order.
    pub steps: Vec<Step>,
}

/// Recipe, lock and overlays → plan. Nothing has run yet.
pub fn plan<'a>(project: &'a Project, inputs: Inputs, store: &'a Store) -> Result<Planned<'a>> {
    let keys = Keys::of(&inputs);
    let there = finished(project, &keys).is_some();
    let steps = plan::steps(&inputs, &keys, store, there)?;
    Ok(Planned { project, inputs, keys, store, steps })
}

impl Planned<'_> {
    /// The configured root of the machine in the store; empty when it has been collected since.
    pub fn tree_directory(&self) -> PathBuf {
        self.store.get("tree", &self.keys.tree).unwrap_or_default()
    }
}

/// Plan and pool → disk image in `out/NAME`.
pub fn run(
    planned: &Planned,
    pool: &dyn Fn() -> Result<Pool>,
    formats: &[Format],
    progress: &Progress,
) -> Result<Build> {
    let there = || formats.iter().all(|format| planned.project.out.join(format.file()).exists());
    if let Some(done) = finished(planned.project, &planned.keys).filter(|_| there()) {
        return Ok(done);
    }
    // Before seconds of work, not after them.
    writable(&planned.project.out)?;
    let mut clock = Clock { planned, results: Vec::new() };
    let (tree, containers) = clock.trees(pool, progress)?;
    let changes = clock.configure(progress)?;
    let sealed = sealed(planned, tree, containers, changes, progress)?;
    let root = clock.filesystem(&sealed, progress)?;
    clock.disk(&sealed, &root, formats, progress)
}

/// Whether results can be written where they are wanted; leaves nothing, since nothing is made yet.
fn writable(out: &Path) -> Result<()> {
    let there = |directory: &&Path| directory.as_os_str().is_empty() || fs::symlink_metadata(directory).is_ok();
    let nearest = out.ancestors().find(there).unwrap_or(out);
    let probe = nearest.join(format!(".diorite-{}", std::process::id()));
    fs::File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|e| {
        let error = Error::io("the directory for results cannot be written", nearest, e);
        Error { exit: Exit::Host, ..error }
            .hint("make it a directory that this user can write, or name another one with --out")
    })
}

/// Configured trees → the sealed tree of the machine, with its containers inside.
fn sealed(
    planned: &Planned,
    tree: Tree,
    containers: BTreeMap<String, images::Made>,
    changes: Changes,
    progress: &Progress,
) -> Result<SealedTree> {
    let stage = progress.stage("seal");
    let recipe = &planned.inputs.recipe;
    let overlays = |names: &[String]| names.iter().map(|n| planned.inputs.overlays[n].clone()).collect::<Vec<_>>();
    let mut inside = BTreeMap::new();
    for (name, (tree, config)) in containers {
        let (laid, epoch) = (overlays(&recipe.containers[&name].overlays), recipe.image.epoch);
        let made = match config {
            Some(config) => seal::image(tree, config, &laid, epoch).map_err(|e| e.at(format!("containers.{name}"))),
            None => seal::container(tree, &laid, epoch),
        };
        inside.insert(name, made?);
    }
    let (mut tree, mut laid) = (tree, overlays(&recipe.overlays));
    changes.apply(&mut tree, &mut laid);
    let generated = guest::generate(recipe, &tree, &laid, &inside)?;
    let sealed = SealedTree { changes: changes.list, ..seal::seal(tree, generated, &laid, recipe)? };
    stage.done(format!("{} files", sealed.tree.nodes.len()));
    Ok(sealed)
}

/// Root file system and hash tree in the store.
struct Root {
    directory: PathBuf,
    root_hash: Digest,
}

impl Root {
    fn image(&self) -> PathBuf {
        self.directory.join("root.erofs")
    }
    fn hashes(&self) -> PathBuf {
        self.directory.join("root.verity")
    }
}

/// Runs the steps and keeps what each cost.
struct Clock<'a> {
    planned: &'a Planned<'a>,
    results: Vec<StepResult>,
}

impl Clock<'_> {
    fn note(&mut self, step: usize, started: Instant, bytes: u64) {
        let step = self.planned.steps[step].clone();
        self.results.push(StepResult { step, seconds: started.elapsed().as_secs_f64(), bytes });
    }

    /// Lock → configured trees of the machine and of its containers.
    fn trees(
        &mut self,
        pool: &dyn Fn() -> Result<Pool>,
        progress: &Progress,
    ) -> Result<(Tree, BTreeMap<String, images::Made>)> {
        let Planned { store, keys, inputs, .. } = self.planned;
        let merged = images::merged(&keys.containers, inputs, store, pool, progress)?;
        let root = Wanted { key: keys.tree, packages: &inputs.lock.image, locales: inputs.recipe.locale.compiled() };
        let containers = keys.containers.iter().map(|(name, key)| {
            let packages = &inputs.lock.container[name];
            Wanted { key: *key, packages, locales: Vec::new() }
        });
        let wanted: Vec<_> = std::iter::once(root).chain(containers).collect();
        let made = trees::made(&wanted, inputs.recipe.image.epoch, store, pool, progress)?;
        let mut opened = Vec::new();
        for (step, made) in made.iter().enumerate() {
            let started = Instant::now();
            opened.push((pack::open(&made.directory)?, images::config(&made.directory)?));
            let step = self.planned.steps[step].clone();
            let seconds = made.seconds + merged.get(&step.key).unwrap_or(&0.0) + started.elapsed().as_secs_f64();
            self.results.push(StepResult { step, seconds, bytes: size_of(&made.directory) });
        }
        let (tree, _) = opened.remove(0);
        Ok((tree, keys.containers.keys().cloned().zip(opened).collect()))
    }

    /// Configured tree and overlays → what their programs change; nothing when none has one.
    fn configure(&mut self, progress: &Progress) -> Result<Changes> {
        let started = Instant::now();
        let Planned { store, keys, inputs, .. } = self.planned;
        let Some(key) = &keys.configure else { return Ok(Changes::default()) };
        let directory = match store.get("configure", key) {
            Some(directory) => directory,
            None => {
                let (work, result) = (store.scratch("work")?, store.scratch("configure")?);
                let overlays = inputs.recipe.overlays.iter();
                let job = ConfigureJob {
                    tree: self.planned.tree_directory(),
                    overlays: overlays.map(|n| (inputs.directory.join(n), inputs.overlays[n].digest())).collect(),
                    epoch: inputs.recipe.image.epoch,
                    work: work.path().to_owned(),
                    result: result.path().to_owned(),
                };
                sandbox::run_inside::<()>("configure", &job, progress)?;
                store.put("configure", key, result)?
            }
        };
        let changes = Changes::open(&directory)?;
        self.note(self.results.len(), started, size_of(&directory));
        Ok(changes)
    }

    /// SealedTree → root file system and its hash tree. The previous image of the same name lends its pieces.
    fn filesystem(&mut self, sealed: &SealedTree, progress: &Progress) -> Result<Root> {
        let started = Instant::now();
        let Planned { store, keys, inputs, .. } = self.planned;
        let step = self.results.len();
        let directory = match store.get("filesystem", &keys.filesystem) {
            Some(directory) => directory,
            None => {
                let stage = progress.stage("root file system");
                let scratch = store.scratch("filesystem")?;
                // Identity follows from content alone, never from who built it.
                let identity = Digest::of(manifest::of(&sealed.tree).as_bytes());
                let uuid = uuid_of(&identity, b"root");
                let options = filesystem::FilesystemOptions::new(inputs.recipe.image.epoch, uuid);
                let previous = Previous::of(store, &inputs.recipe.image.name);
                let image = scratch.path().join("root.erofs");
                let bar = stage.bar(0, BarUnit::Bytes);
                let moved = |bytes| {
                    bar.inc(bytes);
                    interrupt::check()
                };
                let lender = previous.image();
                let written = filesystem::write_with(&sealed.tree, &options, &image, lender.as_deref(), &moved)?;
                bar.finish();
                let hashes = verity::format(
                    &image,
                    &scratch.path().join("root.verity"),
                    &identity.0,
                    uuid_of(&identity, b"verity"),
                )?;
                let about =
                    serde_json::to_vec(&RootAbout { root_hash: hashes.root_hash }).expect("a digest serializes");
                let file = scratch.path().join("root.json");
                diorite_host::file::write_scratch(&file, about)
                    .map_err(|e| Error::io("the root hash cannot be kept", &file, e))?;
                let directory = store.put("filesystem", &keys.filesystem, scratch)?;
                previous.replace(&keys.filesystem)?;
                stage.done(format!("{} of {} pieces kept", written.reused, written.pieces));
                directory
            }
        };
        let file = directory.join("root.json");
        let about = fs::read(&file).map_err(|e| Error::io("the root hash cannot be read", &file, e))?;
        let about: RootAbout =
            serde_json::from_slice(&about).map_err(|e| Error::bug("the store's root.json").because(e))?;
        self.note(step, started, size_of(&directory));
        Ok(Root { directory, root_hash: about.root_hash })
    }

    /// Root and sealed tree → disk.raw, and the disk in other formats, in `out/NAME`.
    fn disk(mut self, sealed: &SealedTree, root: &Root, formats: &[Format], progress: &Progress) -> Result<Build> {
        let started = Instant::now();
        let Planned { project, keys, inputs, .. } = self.planned;
        let (recipe, step) = (&inputs.recipe, self.results.len());
        let stage = progress.stage("boot files and disk");
        let out = &project.out;
        let staged = Staged::new(out)?;
        let parts =
            ImageParts { sealed, root: &root.image(), verity: &root.hashes(), root_hash: root.root_hash, recipe };
        let raw = staged.path("disk.raw");
        // From here on the results belong together, and all of them are written.
        let image = diorite_image::write(&parts, &raw)?;
        for format in formats {
            format.write(&raw, &image.sha256, &staged.path(&format.file()))?;
        }
        write(&staged.path("tree.manifest"), manifest::write(sealed).as_bytes())?;
        write(&staged.path("privileges.txt"), seal::privileges(&sealed.tree).as_bytes())?;
        write(&staged.path("recipe.json"), &pretty(recipe))?;
        self.note(step, started, image.bytes);
        stage.done(format!("root hash {}", root.root_hash.short(16)));
        let build = Build {
            schema: 1,
            name: recipe.image.name.clone(),
            version: recipe.image.version.clone(),
            disk_sha256: image.sha256,
            root_hash: root.root_hash,
            recipe_digest: recipe.digest(),
            lock_digest: inputs.lock.digest(),
            tools: Vec::new(),
            steps: self.results,
        };
        write(&staged.path("build.json"), &pretty(&build))?;
        staged.publish()?;
        write(&out.join(".disk"), &pretty(&Finished { key: keys.disk, stamp: stamp(&out.join("disk.raw"))? }))?;
        interrupt::check()?;
        Ok(build)
    }
}

/// `OUT/.building`: results that are being written. They appear together, or (on a full disk) none of them does and
/// those of the build before stay.
struct Staged<'a> {
    out: &'a Path,
}

impl<'a> Staged<'a> {
    /// Empty, whatever a killed build left.
    fn new(out: &'a Path) -> Result<Self> {
        let staged = Self { out };
        let directory = staged.path("");
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).map_err(|e| Error::io("the directory for results cannot be made", out, e))?;
        Ok(staged)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.out.join(".building").join(name)
    }

    /// Puts them in place by renames, which need no space. A disk without its `.disk` counts as unfinished until then.
    fn publish(self) -> Result<()> {
        let disks = format::ALL.iter().map(Format::file);
        let about = ["tree.manifest", "privileges.txt", "recipe.json", "build.json"].map(str::to_owned);
        for name in disks.chain(about) {
            let (from, to) = (self.path(&name), self.out.join(&name));
            let moved = if from.exists() { diorite_host::file::rename(&from, &to) } else { remove_if_there(&to) };
            moved.map_err(|e| Error::io("a result cannot be put in place", &to, e))?;
        }
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path(""));
    }
}

fn remove_if_there(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A UUID that follows from an identity.
fn uuid_of(identity: &Digest, what: &[u8]) -> [u8; 16] {
    let mut hasher = diorite_model::Hasher::new();
    hasher.field(&identity.0);
    hasher.field(what);
    diorite_model::uuid::derived(&hasher.finish()).0
}

#[derive(Serialize, Deserialize)]
struct RootAbout {
    root_hash: Digest,
}

/// The newest root file system of this name in the store, whose unchanged pieces are copied.
struct Previous<'a> {
    store: &'a Store,
    link: PathBuf,
}

impl<'a> Previous<'a> {
    fn of(store: &'a Store, name: &str) -> Self {
        Self { store, link: store.root().join("steps/filesystem").join(format!("latest-{name}")) }
    }
    fn image(&self) -> Option<PathBuf> {
        let key: Digest = fs::read_to_string(&self.link).ok()?.trim().parse().ok()?;
        Some(self.store.get("filesystem", &key)?.join("root.erofs"))
    }
    fn replace(&self, key: &Digest) -> Result<()> {
        write(&self.link, key.to_string().as_bytes())
    }
}

/// Beside the disk: which key it has and what the file looked like, so that a later build can tell it is still that one.
#[derive(Serialize, Deserialize)]
struct Finished {
    key: Digest,
    stamp: Stamp,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

fn stamp(file: &Path) -> Result<Stamp> {
    let m = fs::metadata(file).map_err(|e| Error::io("the disk image cannot be examined", file, e))?;
    Ok(Stamp { inode: m.ino(), size: m.size(), changed: (m.ctime(), m.ctime_nsec()) })
}

/// The build in `out/NAME`, when it has this key and nobody has touched the disk since.
fn finished(project: &Project, keys: &Keys) -> Option<Build> {
    let finished: Finished = serde_json::from_slice(&fs::read(project.out.join(".disk")).ok()?).ok()?;
    let unchanged = finished.key == keys.disk && stamp(&project.out.join("disk.raw")).ok()? == finished.stamp;
    if !unchanged {
        return None;
    }
    let mut build: Build = serde_json::from_slice(&fs::read(project.out.join("build.json")).ok()?).ok()?;
    for result in &mut build.steps {
        result.step.hit = true;
        result.seconds = 0.0;
    }
    Some(build)
}

fn pretty<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("our own types serialize");
    bytes.push(b'\n');
    bytes
}

/// Writes a whole file or nothing.
pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    write_as(file, bytes, 0o666)
}

/// The same, with these permissions at most.
pub fn write_as(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write_whole(file, bytes, mode).map_err(|e| Error::io("a result cannot be written", file, e))
}

fn size_of(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}
