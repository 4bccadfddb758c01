//! Where a build runs: a copy of the project, and an empty store with the packages of the first one, in memory.

use crate::{LARGE, SMALL};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What ended without a digest.
#[derive(Debug)]
pub enum NoDigest {
    /// This machine cannot have the variation: why.
    Skipped(String),
    /// The build failed: its last words.
    Failed(String),
}

/// The SHA-256 of a disk.
pub type Outcome = Result<String, NoDigest>;

/// The builds that all others are compared with.
pub struct World {
    /// The program.
    pub program: PathBuf,
    /// The store with the packages.
    pub store: PathBuf,
    /// A tools tree: the root of a Debian 13.
    pub tools: PathBuf,
    /// Where places are made.
    room: tempfile::TempDir,
    /// By profile: its lock, and the SHA-256 of its disk.
    first: BTreeMap<&'static str, (PathBuf, String)>,
}

impl World {
    /// Builds each profile as this machine is.
    pub fn new() -> Self {
        let program = fs::canonicalize("diorite").expect("./diorite: run `make diorite` in the repository");
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let store = std::env::var_os("DIORITE_STORE").map_or_else(|| home.join(".cache/diorite"), PathBuf::from);
        let memory = ["/dev/shm", "/tmp"].into_iter().find(|place| Path::new(place).is_dir()).expect("a place");
        let room = tempfile::Builder::new().prefix("variations-").tempdir_in(memory).expect("a directory");
        let mut world = Self { program, store, tools: PathBuf::new(), room, first: BTreeMap::new() };
        for profile in [SMALL].iter().chain(LARGE) {
            let out = world.room.path().join("first").join(profile);
            let mut build = Command::new(&world.program);
            build.args(["-q", "build", profile, "--relock", "--format", "raw", "--out"]).arg(&out);
            let digest = finished(&mut build, &out.join("disk.raw")).unwrap_or_else(|e| panic!("{profile}: {e:?}"));
            let scratch = out.join("scratch.lock");
            let own = PathBuf::from(format!("profiles/{profile}.lock"));
            let lock = fs::canonicalize(if scratch.exists() { scratch } else { own }).expect("a lock");
            eprintln!("{profile}: {digest}");
            world.first.insert(profile, (lock, digest));
        }
        // The program itself makes the root of another distribution.
        let mut material = Command::new(&world.program);
        material.args(["-q", "test-material", "server", "--relock", "--format", "raw", "--out"]);
        material.arg(world.room.path().join("first/server"));
        let said = material.output().expect("the program starts");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let tools = said.lines().find_map(|line| line.strip_prefix("DIORITE_TEST_TOOLS='"));
        world.tools = PathBuf::from(tools.unwrap_or_else(|| panic!("a tools tree: {said}")).trim_end_matches('\''));
        world
    }

    /// The digest of a profile's disk as this machine first made it.
    pub fn expected(&self, profile: &str) -> &str {
        &self.first[profile].1
    }
}

/// A project and a store for one build.
pub struct Place<'a> {
    /// What it is compared with.
    pub world: &'a World,
    /// The profile.
    pub profile: &'static str,
    /// Around everything.
    pub directory: PathBuf,
    /// profiles/ and overlays/.
    pub project: PathBuf,
    /// Empty, but for the packages.
    pub store: PathBuf,
}

impl<'a> Place<'a> {
    /// Below the room, at this path.
    pub fn new(world: &'a World, profile: &'static str, path: &str) -> Self {
        Self::below(world, profile, &world.room.path().join(path))
    }

    /// In this directory, which is made.
    pub fn below(world: &'a World, profile: &'static str, directory: &Path) -> Self {
        let (project, store) = (directory.join("project"), directory.join("store"));
        let _ = fs::remove_dir_all(directory);
        for name in ["profiles", "overlays"] {
            copy(Path::new(name), &project.join(name));
        }
        fs::copy(&world.first[profile].0, project.join(format!("profiles/{profile}.lock"))).expect("the lock");
        fs::copy(&world.program, project.join("diorite")).expect("the program");
        fs::create_dir_all(&store).expect("a store");
        symlink(world.store.join("pool"), store.join("pool")).expect("the packages");
        Self { world, profile, directory: directory.to_owned(), project, store }
    }

    /// The command of a build that can reach no mirror.
    pub fn build(&self) -> Command {
        self.after(&[])
    }

    /// The same, run by another program: `setarch --uname-2.6`.
    pub fn after(&self, wrapper: &[&str]) -> Command {
        let own = self.project.join("diorite");
        let mut command = match wrapper {
            [] => Command::new(own),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(own);
                command
            }
        };
        command.args(["-q", "build", self.profile, "--format", "raw"]).current_dir(&self.project);
        command.env("DIORITE_STORE", &self.store);
        for name in ["DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR", "DIORITE_SNAPSHOT"] {
            command.env(name, "http://127.0.0.1:9/nowhere");
        }
        command
    }

    /// Where the disk is.
    pub fn disk(&self) -> PathBuf {
        self.project.join("out").join(self.profile).join("disk.raw")
    }

    /// Runs it to its end; the digest of the disk.
    pub fn digest(&self, command: &mut Command) -> Outcome {
        finished(command, &self.disk())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Runs a build to its end; the digest of the disk, by a program that is not ours.
pub fn finished(command: &mut Command, disk: &Path) -> Outcome {
    let output = command.output().map_err(|e| NoDigest::Failed(format!("{command:?}: {e}")))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let line = words.lines().find(|line| line.starts_with("error")).unwrap_or("it said nothing").to_owned();
        return Err(NoDigest::Failed(format!("{line} ({})\n{words}", output.status)));
    }
    sum(disk)
}

/// The answer of `openssl dgst`, which uses what the processor has for it: DIGEST *FILE.
pub fn sum(file: &Path) -> Outcome {
    let output = Command::new("openssl").args(["dgst", "-sha256", "-r"]).arg(file).output().expect("openssl");
    let text = String::from_utf8_lossy(&output.stdout);
    let digest = text.split(' ').next().unwrap_or_default().to_owned();
    if digest.len() == 64 { Ok(digest) } else { Err(NoDigest::Failed(format!("there is no {}", file.display()))) }
}

/// A build with one other line in an overlay: what diffoscope says of the two lists of files.
pub struct Control {
    /// The two disks have other digests.
    pub differ: bool,
    /// diffoscope names the file of the overlay in one of them, and nothing else.
    pub named: Result<bool, String>,
}

/// Builds `server` with another page of its web container.
pub fn control(world: &World) -> Control {
    let place = Place::new(world, "server", "control");
    let page = place.project.join("overlays/web/tree/srv/www/index.html");
    #[expect(clippy::disallowed_methods, reason = "a copy that goes at the end")]
    fs::write(&page, "another page\n").expect("the page");
    let digest = place.digest(&mut place.build());
    let lists = [world.room.path().join("first/server"), place.project.join("out/server")];
    let mut tool = Command::new("diffoscope");
    tool.args(["--text", "-"]).args(lists.iter().map(|directory| directory.join("tree.manifest")));
    let named = match tool.output() {
        Err(e) => Err(format!("diffoscope: {e}")),
        Ok(said) => {
            let text = String::from_utf8_lossy(&said.stdout).into_owned();
            let changed = text.lines().filter(|line| line.contains("│ -") || line.contains("│ +"));
            let files: Vec<&str> = changed.filter(|line| !line.contains("+++") && !line.contains("---")).collect();
            eprintln!("{text}");
            Ok(said.status.code() == Some(1) && files.iter().any(|line| line.contains("srv/www/index.html")))
        }
    };
    Control { differ: digest.is_ok_and(|digest| digest != world.expected("server")), named }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("run it from the repository").flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), &target).expect("a file to copy")),
        }
    }
}
