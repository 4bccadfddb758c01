//! A profile's name → its recipe, lock, overlays and directories: everything a verb starts from.

use crate::args::Target;
use diorite_archive::http::{MirrorClient, Options};
use diorite_archive::resolve;
use diorite_archive::{lockfile, sources::SourceConfig};
use diorite_host::{progress::Progress, tools::ToolsTree};
use diorite_model::profile::{self, Loaded, Settings};
use diorite_model::{Digest, Error, Exit, Lock, Recipe, Result};
use diorite_rootfs::overlay::{self, Overlay};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
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
    pub out: PathBuf,
    /// Directory of the profile: local packages and keyrings are relative to it.
    pub directory: PathBuf,
}

/// What a build depends on, read and checked.
#[derive(Debug)]
pub struct Inputs {
    /// The recipe.
    pub recipe: Recipe,
    /// The lock that belongs to it.
    pub lock: Lock,
    /// Overlays of the root and of containers, by name.
    pub overlays: BTreeMap<String, Overlay>,
    /// Where they are.
    pub directory: PathBuf,
    /// Digest of this very program: part of every key.
    pub program: Digest,
}

impl Project {
    /// Reads the profile.
    pub fn load(target: &Target) -> Result<Self> {
        let file = if target.name.contains('/') || target.name.ends_with(".toml") {
            PathBuf::from(&target.name)
        } else {
            Path::new("profiles").join(format!("{}.toml", target.name))
        };
        let directory = file.parent().map(Path::to_owned).unwrap_or_default();
        let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let text = read_profile(&file)?;
        let mut load = |name: &str| {
            let file = directory.join(format!("{name}.toml"));
            Ok(Loaded { text: read_profile(&file)?, file: file.display().to_string() })
        };
        let (recipe, settings) = profile::parse(&text, &file.display().to_string(), &mut load)?;
        let lock_file = target.lock.clone().unwrap_or_else(|| file.with_extension("lock"));
        let out = target.out.clone().unwrap_or_else(|| Path::new("out").join(&name));
        Ok(Self { name, recipe, settings, lock_file, out, directory })
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
        resolve::lock(&self.recipe, &inputs, progress)
    }

    /// The lock, when there is one that belongs to this recipe.
    pub fn lock(&self, file: &Path) -> Result<Lock> {
        let again = format!("run `diorite lock {} --update` and look at the difference", self.name);
        if !file.exists() {
            return Err(Error::new(Exit::LockOutdated, format!("profile `{}` has no lock", self.name))
                .at(file.display().to_string())
                .hint(format!("run `diorite lock {}`", self.name)));
        }
        let lock = lockfile::read(file)?;
        if lock.recipe != self.recipe.digest() {
            return Err(Error::new(
                Exit::LockOutdated,
                format!("the lock of `{}` was made for another recipe", self.name),
            )
            .at(file.display().to_string())
            .because("the profile has changed since it was locked")
            .hint(again));
        }
        Ok(lock)
    }

    /// Where `--relock` keeps the lock that stands in for the profile's own.
    pub fn scratch_file(&self) -> PathBuf {
        self.out.join("scratch.lock")
    }

    /// The lock that an earlier `--relock` made, while it belongs to this recipe and the profile's own lock has not
    /// changed since: one who has locked again in earnest means that one.
    pub fn scratch_lock(&self) -> Option<(Lock, PathBuf)> {
        let file = self.scratch_file();
        let made = fs::metadata(&file).and_then(|m| m.modified()).ok()?;
        let own = fs::metadata(&self.lock_file).and_then(|m| m.modified());
        if own.is_ok_and(|own| own > made) {
            return None;
        }
        Some((self.lock(&file).ok()?, file))
    }

    /// The lock to look at without touching the network: with `relock` the one made in passing goes first.
    pub fn lock_at_hand(&self, relock: bool) -> Result<Lock> {
        match relock.then(|| self.scratch_lock()).flatten() {
            Some((lock, _)) => Ok(lock),
            None => self.lock(&self.lock_file),
        }
    }

    /// Reads everything a build depends on.
    pub fn inputs(&self, lock: Lock) -> Result<Inputs> {
        let names = self.recipe.overlays.iter().chain(self.recipe.containers.values().flat_map(|c| &c.overlays));
        let beside = self.directory.parent().unwrap_or(Path::new("..")).join("overlays");
        let mut overlays = BTreeMap::new();
        for name in names {
            if !overlays.contains_key(name) {
                overlays.insert(name.clone(), overlay::load(&beside.join(name))?);
            }
        }
        for (name, container) in &self.recipe.containers {
            if let Some(overlay) = container.overlays.iter().find(|o| overlays[*o].configure.is_some()) {
                return Err(Error::input(format!("overlay `{overlay}` cannot be laid over container `{name}`"))
                    .at(beside.join(overlay).join("configure").display().to_string())
                    .because("its `configure` program runs in the machine's own tree")
                    .hint("put the program into an overlay of its own"));
            }
        }
        let directory = fs::canonicalize(&beside).unwrap_or(beside);
        Ok(Inputs { recipe: self.recipe.clone(), lock, overlays, directory, program: program_digest()? })
    }
}

fn read_profile(file: &Path) -> Result<String> {
    // One byte more than a profile may have: enough to see that it is too large, whatever it is.
    let limit = profile::LARGEST as u64 + 1;
    let mut bytes = Vec::new();
    fs::File::open(file).and_then(|f| f.take(limit).read_to_end(&mut bytes)).map_err(|e| {
        let missing = e.kind() == std::io::ErrorKind::NotFound;
        let error = Error::io("the profile cannot be read", file, e);
        if missing { error.hint(available(file.parent().unwrap_or(Path::new(".")))) } else { error }
    })?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        Error::input("this profile is not text in UTF-8")
            .at(format!("{}:{line}", file.display()))
            .hint("save it as UTF-8; every TOML file is")
    })
}

/// The profiles that are there.
fn available(directory: &Path) -> String {
    let mut names: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".toml").map(str::to_owned))
        // Hypervisors, not machines.
        .filter(|name| name != "targets")
        .collect();
    names.sort();
    if names.is_empty() {
        format!(
            "there is no profile in {}: run in the directory that holds profiles/, or give a path",
            directory.display()
        )
    } else {
        format!("there is {}", names.join(", "))
    }
}

fn program_digest() -> Result<Digest> {
    let program =
        fs::read("/proc/self/exe").map_err(|e| Error::io("this program cannot be read", "/proc/self/exe", e))?;
    Ok(Digest::of(&program))
}
