//! The program's own source for a vault: a checkout of Diorite and the crates that its Cargo.lock names, so that the program that
//! built an image can be compiled again when neither its repository nor an index of crates answers.
//!
//! ```text
//! checkout, cargo's cache of crates ──► Checkout: every file by path and digest, every crate as Cargo.lock has it
//! ```

use diorite_host::file::sha256;
use diorite_model::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Of a workspace.
const LOCK: &str = "Cargo.lock";
/// No source file is ever larger; a crate neither (an index of crates takes 10 MB).
const LARGEST_FILE: u64 = 256 << 20;

/// The program's source as `vault.json` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSource {
    /// Every file of the checkout, sorted by its path.
    pub files: Vec<ProgramFile>,
    /// Every crate of its Cargo.lock that comes from an index, sorted.
    pub crates: Vec<ProgramCrate>,
}

/// A file of the checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramFile {
    /// Relative to the checkout, `builder/cli/src/main.rs`.
    pub path: String,
    /// Whether it is a program.
    pub executable: bool,
    /// Bytes.
    pub size: u64,
    /// Of its content.
    pub sha256: Digest,
}

/// A crate, as an index of crates serves it: a tar archive in gzip.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramCrate {
    /// `serde`.
    pub name: String,
    /// `1.0.229`.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// Of the archive; Cargo.lock calls it `checksum`.
    pub sha256: Digest,
}

impl ProgramCrate {
    /// `serde-1.0.229`: the directory in the archive, and the name of its file.
    pub fn directory(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// A checkout on the disk.
#[derive(Debug)]
pub struct Checkout {
    /// What is in it.
    pub source: ProgramSource,
    directory: PathBuf,
    /// Of the crates, in the same order.
    archives: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct CargoLock {
    #[serde(default)]
    package: Vec<CargoPackage>,
}

#[derive(Deserialize)]
struct CargoPackage {
    name: String,
    version: String,
    /// Those from an index have one.
    checksum: Option<Digest>,
}

impl Checkout {
    /// Reads a checkout. Left out is what no repository has: `.git`, names and endings of its `.gitignore`, and directories
    /// that say that they are caches (CACHEDIR.TAG). `cargo` is cargo's home, whose cache has the crates.
    ///
    /// # Errors
    /// [`Exit::Input`](diorite_model::Exit::Input) for a directory that is no checkout, or has a link in it; `Host` for a crate that
    /// is not in the cache, or is not what Cargo.lock says.
    pub fn read(directory: &Path, cargo: &Path) -> Result<Self> {
        let lock = directory.join(LOCK);
        let text = fs::read_to_string(&lock).map_err(|e| {
            Error::input("this is no source of Diorite")
                .at(lock.display().to_string())
                .because(e)
                .hint("name the checkout that the program was compiled from, with its Cargo.lock")
        })?;
        let crates = locked(&text).map_err(|cause| {
            Error::input("the lock of the crates cannot be read").at(lock.display().to_string()).because(cause)
        })?;
        let ignored = fs::read_to_string(directory.join(".gitignore")).unwrap_or_default();
        let mut paths = Vec::new();
        walk(directory, Path::new(""), &ignored, &mut paths)?;
        let mut files = Vec::new();
        for path in paths {
            let file = directory.join(&path);
            let metadata = fs::metadata(&file).map_err(|e| Error::io("the source cannot be read", &file, e))?;
            let (digest, size) = sha256(&file, "the source")?;
            let executable = metadata.permissions().mode() & 0o100 != 0;
            files.push(ProgramFile { path, executable, size, sha256: digest });
        }
        let (mut found, mut archives) = (Vec::new(), Vec::new());
        for (name, version, checksum) in crates {
            let archive = cached(&name, &version, cargo)?;
            let (digest, size) = sha256(&archive, "the crate")?;
            if digest != checksum {
                return Err(Error::host(format!("crate `{name}` is damaged in cargo's cache"))
                    .at(archive.display().to_string())
                    .because(format!("its SHA-256 is {digest}, Cargo.lock says {checksum}"))
                    .hint("remove the file and fetch again: `cargo fetch --locked` in the checkout"));
            }
            found.push(ProgramCrate { name, version, size, sha256: digest });
            archives.push(archive);
        }
        Ok(Self { source: ProgramSource { files, crates: found }, directory: directory.to_owned(), archives })
    }

    /// Every file and crate with its member's name in a vault, where it is, its size and its digest.
    pub(super) fn members(&self) -> impl Iterator<Item = (String, PathBuf, u64, Digest)> {
        let files = self.source.files.iter().map(|f| (f.member(), self.directory.join(&f.path), f.size, f.sha256));
        let crates = self.source.crates.iter().zip(&self.archives);
        files.chain(crates.map(|(c, archive)| (c.member(), archive.clone(), c.size, c.sha256)))
    }
}

impl ProgramFile {
    pub(super) fn member(&self) -> String {
        format!("source/{}", self.path)
    }
}

impl ProgramCrate {
    pub(super) fn member(&self) -> String {
        format!("crates/{}.crate", self.directory())
    }
}

impl ProgramSource {
    /// Why a vault's list of its source cannot be right. Looked at before anything of it is written.
    pub(super) fn check(&self) -> Result<(), String> {
        let plain = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if let Some(file) = self.files.iter().find(|f| f.path.is_empty() || !plain(Path::new(&f.path))) {
            return Err(format!("`{}` leads out of the source", file.path));
        }
        if self.files.windows(2).any(|pair| pair[0].path >= pair[1].path) {
            return Err("the files of the source are not in order".to_owned());
        }
        if self.lock().is_none() {
            return Err(format!("the source has no {LOCK}"));
        }
        let large = |size: u64| size > LARGEST_FILE;
        if self.files.iter().any(|f| large(f.size)) || self.crates.iter().any(|c| large(c.size)) {
            return Err("a file of the source is too large".to_owned());
        }
        Ok(())
    }

    /// Why its crates are not those of its Cargo.lock, whose text this is.
    pub(super) fn check_crates(&self, lock: &str) -> Result<(), String> {
        let named: Vec<_> = self.crates.iter().map(|c| (c.name.clone(), c.version.clone(), c.sha256)).collect();
        match locked(lock)? == named {
            true => Ok(()),
            false => Err(format!("the crates of the source are not those of its {LOCK}")),
        }
    }

    /// Of all of it.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).chain(self.crates.iter().map(|c| c.size)).sum()
    }

    /// The place of Cargo.lock among the files.
    pub(super) fn lock(&self) -> Option<usize> {
        self.files.iter().position(|file| file.path == LOCK)
    }
}

/// Crates of a Cargo.lock that come from an index, sorted. The error is the cause, in words.
fn locked(text: &str) -> Result<Vec<(String, String, Digest)>, String> {
    let lock: CargoLock = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
    let mut all = Vec::new();
    for CargoPackage { name, version, checksum } in lock.package {
        if !plain(&name) || !plain(&version) || name.starts_with('.') {
            return Err(format!("`{name} {version}` is no crate"));
        }
        all.extend(checksum.map(|checksum| (name, version, checksum)));
    }
    all.sort();
    Ok(all)
}

/// Adds every file below, in the order of the paths.
fn walk(checkout: &Path, inside: &Path, ignored: &str, paths: &mut Vec<String>) -> Result<()> {
    let here = checkout.join(inside);
    let fail = |e| Error::io("the source cannot be read", &here, e);
    let read = fs::read_dir(&here).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()).map_err(fail)?;
    for entry in read {
        let path = inside.join(entry.file_name());
        let Some(text) = path.to_str() else {
            return Err(Error::input("a file of the source has a name that is no text").at(path.display().to_string()));
        };
        if left_out(text, ignored) {
            continue;
        }
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            if !entry.path().join("CACHEDIR.TAG").exists() {
                walk(checkout, &path, ignored, paths)?;
            }
        } else if kind.is_file() {
            paths.push(text.to_owned());
        } else {
            return Err(Error::input("the source has a link or a device in it")
                .at(entry.path().display().to_string())
                .hint("remove it, or name it in .gitignore"));
        }
    }
    if inside.as_os_str().is_empty() {
        paths.sort();
    }
    Ok(())
}

/// Of `.gitignore` two kinds of line are known: `/NAME` at the top, and `*ENDING` anywhere.
fn left_out(path: &str, ignored: &str) -> bool {
    let is = |line: &str| match (line.strip_prefix('/'), line.strip_prefix('*')) {
        (Some(name), _) => path == name.trim_end_matches('/'),
        (_, Some(ending)) => !ending.is_empty() && path.ends_with(ending),
        _ => false,
    };
    path == ".git" || ignored.lines().map(str::trim).any(is)
}

/// Where cargo keeps this crate: `registry/cache/INDEX/NAME-VERSION.crate`.
fn cached(name: &str, version: &str, cargo: &Path) -> Result<PathBuf> {
    let cache = cargo.join("registry/cache");
    let mut indexes: Vec<PathBuf> = fs::read_dir(&cache).into_iter().flatten().flatten().map(|e| e.path()).collect();
    indexes.sort();
    let files = indexes.iter().map(|index| index.join(format!("{name}-{version}.crate")));
    files.into_iter().find(|file| file.exists()).ok_or_else(|| {
        Error::host(format!("crate `{name}` {version} is not in cargo's cache"))
            .at(cache.display().to_string())
            .hint("fetch it: `cargo fetch --locked` in the checkout")
    })
}
