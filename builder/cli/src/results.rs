//! `out/NAME`, the results directory: the name of every file in it, how a build puts its results there together, and how
//! `verify` and `deploy` read what it left.

use crate::args::PathArgs;
use crate::{file, project_directory};
use diorite_image::format::{self, Format};
use diorite_model::plan::Build;
use diorite_model::{Digest, Error, Exit, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "tree.manifest";
const PRIVILEGES: &str = "privileges.txt";
const PUBLIC_SECRETS: &str = "public-secrets.txt";
const RECIPE: &str = "recipe.json";
const SPDX: &str = "sbom.spdx.json";
const CYCLONEDX: &str = "sbom.cdx.json";
const BUILD: &str = "build.json";
/// What a build writes besides the disk, in the order in which it is put in place: the description of the others comes last.
const BESIDE_THE_DISK: [&str; 7] = [MANIFEST, PRIVILEGES, PUBLIC_SECRETS, RECIPE, SPDX, CYCLONEDX, BUILD];
/// Which key the disk has, and what its file looked like.
const DISK_STATE: &str = ".disk";
/// Where results are while they are being written.
const STAGING: &str = ".building";
/// What `verify` leaves.
const REPORT: &str = "report.json";
/// Signed statements about the disk.
const ATTESTATIONS: &str = "attestations";
/// The lock that `--relock` makes.
const SCRATCH_LOCK: &str = "scratch.lock";
/// Links to the packages, for tests.
const POOL: &str = "pool";

/// A results directory. It need not exist.
#[derive(Debug, Clone)]
pub struct Results {
    directory: PathBuf,
}

impl Results {
    /// Those of a name, unless another directory is asked for.
    pub fn of(paths: &PathArgs, name: &str) -> Self {
        Self { directory: paths.out.clone().unwrap_or_else(|| project_directory::path().join("out").join(name)) }
    }
    /// Those in this directory.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }
    /// Those among which this file is.
    pub fn beside(file: &Path) -> Self {
        Self { directory: file.parent().map(Path::to_owned).unwrap_or_default() }
    }
    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
    /// The disk image.
    pub fn raw(&self) -> PathBuf {
        self.disk(&format::RAW)
    }
    /// The disk image in this format.
    pub fn disk(&self, format: &Format) -> PathBuf {
        self.directory.join(format.file)
    }
    /// `build.json`.
    pub fn build(&self) -> PathBuf {
        self.directory.join(BUILD)
    }
    /// The report of the last verification.
    pub fn report(&self) -> PathBuf {
        self.directory.join(REPORT)
    }
    /// The directory of signed statements about the disk.
    pub fn attestations(&self) -> PathBuf {
        self.directory.join(ATTESTATIONS)
    }
    /// What a build leaves besides disk, recipe and build.json, and describes what is in the disk.
    pub fn described(&self) -> [(&'static str, PathBuf); 3] {
        [MANIFEST, SPDX, CYCLONEDX].map(|name| (name, self.directory.join(name)))
    }
    /// The server's documentation, with this ending.
    pub fn documentation(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("server.{ending}"))
    }
    /// The lock that `--relock` makes.
    pub fn scratch_lock(&self) -> PathBuf {
        self.directory.join(SCRATCH_LOCK)
    }
    /// The directory of links to packages.
    pub fn pool(&self) -> PathBuf {
        self.directory.join(POOL)
    }
    /// The record of a deployment; of one VM, where the profile has several.
    pub fn deployment(&self, machine: Option<&str>) -> PathBuf {
        let of = machine.map_or(String::new(), |name| format!("-{name}"));
        self.directory.join(format!("deployment{of}.json"))
    }
    /// The config drive of an instance.
    pub fn config_drive(&self, instance: &str) -> PathBuf {
        self.directory.join(format!("{instance}.iso"))
    }

    /// Makes the directory.
    pub fn create(&self) -> Result<()> {
        let directory = &self.directory;
        fs::create_dir_all(directory).map_err(|e| Error::io("the directory for results cannot be made", directory, e))
    }

    /// Tries whether results can be written here, and leaves nothing: the directory is not made.
    pub fn probe(&self) -> Result<()> {
        let there = |directory: &&Path| directory.as_os_str().is_empty() || fs::symlink_metadata(directory).is_ok();
        let nearest = self.directory.ancestors().find(there).unwrap_or(&self.directory);
        let probe = nearest.join(format!(".diorite-{}", std::process::id()));
        fs::File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|e| {
            let error = Error::io("the directory for results cannot be written", nearest, e);
            Error { exit: Exit::Host, ..error }
                .hint("make it a directory that this user can write, or name another one with --out")
        })
    }

    /// Reads `build.json`. `profile` was to be built by `diorite NEXT`.
    pub fn read_build(&self, profile: &str, next: &str) -> Result<Build> {
        let file = self.build();
        let text = fs::read(&file)
            .map_err(|e| Error::io(format!("`{profile}` has not been built"), &file, e).hint(format!("run {next}")))?;
        serde_json::from_slice(&text).map_err(|e| {
            Error::input("build.json is damaged").at(file.display().to_string()).because(e).hint("build again")
        })
    }

    /// The build of this key, if its disk is there and has not been touched since.
    pub fn finished(&self, key: &Digest) -> Option<Build> {
        let state: DiskState = serde_json::from_slice(&fs::read(self.directory.join(DISK_STATE)).ok()?).ok()?;
        if state.key != *key || file_stamp(&self.raw()).ok()? != state.stamp {
            return None;
        }
        let mut build: Build = serde_json::from_slice(&fs::read(self.build()).ok()?).ok()?;
        for result in &mut build.steps {
            result.step.hit = true;
            result.seconds = 0.0;
        }
        Some(build)
    }

    /// Whether the disk is still the file that a build put there: `build.json` then has its digest. A change of its bytes changes the time of
    /// its inode, which nobody can set.
    pub fn untouched(&self) -> bool {
        let state = fs::read(self.directory.join(DISK_STATE)).ok();
        let state = state.and_then(|bytes| serde_json::from_slice::<DiskState>(&bytes).ok());
        state.is_some_and(|state| file_stamp(&self.raw()).is_ok_and(|now| now == state.stamp))
    }

    /// The disk counts as unfinished from here on.
    pub fn forget(&self) -> Result<()> {
        let state = self.directory.join(DISK_STATE);
        remove_if_there(&state).map_err(|e| Error::io("the state of the disk cannot be removed", &state, e))
    }

    /// The texts beside the disk that follow from profile and lock alone; those that are there.
    pub fn texts(&self) -> Vec<PathBuf> {
        let texts = [MANIFEST, PRIVILEGES, PUBLIC_SECRETS, RECIPE, SPDX, CYCLONEDX];
        texts.iter().map(|name| self.directory.join(name)).filter(|file| file.exists()).collect()
    }

    /// An empty staging directory, whatever a killed build left in it.
    pub fn stage(&self) -> Result<ResultsStaging> {
        let staging = ResultsStaging { results: self.clone() };
        let directory = staging.directory();
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)
            .map_err(|e| Error::io("the directory for results cannot be made", &self.directory, e))?;
        Ok(staging)
    }
}

/// `out/NAME/.building`: results that are being written. They appear together; on a full disk none of them does, and
/// those of the build before stay.
pub struct ResultsStaging {
    results: Results,
}

impl ResultsStaging {
    fn directory(&self) -> PathBuf {
        self.results.directory.join(STAGING)
    }
    /// The disk image in this format.
    pub fn disk(&self, format: &Format) -> PathBuf {
        self.directory().join(format.file)
    }
    /// Writes the list of all files of the root.
    pub fn manifest(&self, text: &str) -> Result<()> {
        file::write(&self.directory().join(MANIFEST), text.as_bytes())
    }
    /// Writes the list of setuid programs, capabilities and world-writable directories.
    pub fn privileges(&self, text: &str) -> Result<()> {
        file::write(&self.directory().join(PRIVILEGES), text.as_bytes())
    }
    /// Writes the list of what looks like a secret in the root and is public.
    pub fn public_secrets(&self, text: &str) -> Result<()> {
        file::write(&self.directory().join(PUBLIC_SECRETS), text.as_bytes())
    }
    /// Writes the bills of materials, SPDX and CycloneDX.
    pub fn sbom(&self, spdx: &[u8], cyclonedx: &[u8]) -> Result<()> {
        file::write(&self.directory().join(SPDX), spdx)?;
        file::write(&self.directory().join(CYCLONEDX), cyclonedx)
    }
    /// Writes the recipe.
    pub fn recipe<T: Serialize>(&self, recipe: &T) -> Result<()> {
        file::write(&self.directory().join(RECIPE), &file::pretty(recipe))
    }

    /// Puts everything in place by renames, which need no space. Until the last line has run, the disk counts as unfinished.
    pub fn publish(self, build: &Build, key: Digest) -> Result<()> {
        file::write(&self.directory().join(BUILD), &file::pretty(build))?;
        let out = &self.results.directory;
        let disks = format::ALL.iter().map(|format| format.file.to_owned());
        for name in disks.chain(BESIDE_THE_DISK.map(str::to_owned)) {
            let (from, to) = (self.directory().join(&name), out.join(&name));
            let moved = if from.exists() { diorite_host::file::rename(&from, &to) } else { remove_if_there(&to) };
            moved.map_err(|e| Error::io("a result cannot be put in place", &to, e))?;
        }
        let state = DiskState { key, stamp: file_stamp(&self.results.raw())? };
        file::write(&out.join(DISK_STATE), &file::pretty(&state))
    }
}

impl Drop for ResultsStaging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.directory());
    }
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Beside the disk: which key it has and what its file looked like, so that a later build can tell it is still that one.
#[derive(Serialize, Deserialize)]
struct DiskState {
    key: Digest,
    stamp: FileStamp,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct FileStamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

fn file_stamp(file: &Path) -> Result<FileStamp> {
    let m = fs::metadata(file).map_err(|e| Error::io("the disk image cannot be examined", file, e))?;
    Ok(FileStamp { inode: m.ino(), size: m.size(), changed: (m.ctime(), m.ctime_nsec()) })
}
