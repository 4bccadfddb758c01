//! Vault: a lock with all its .debs in one file, for a build with no network, years later.
//!
//! ```text
//! vault.json          schema, the lock's name and digest, every package as the lock names it, sorted
//! NAME.lock           the lock, byte for byte
//! debs/SHA256.deb     in the order of vault.json,
//! images/SHA256       and among them files of containers' images,
//! wheels/SHA256.whl   and wheels
//! source/PATH         where asked for: the program's own source,
//! crates/NAME.crate   and every crate that it is compiled with
//! ```
//! A tar archive (POSIX.1-1988 ustar) without compression: .debs are compressed already, and any tar reads it. The same
//! lock gives the same bytes: no times, owners or host names are in it.

mod source;
#[cfg(test)]
mod tests;
mod unpack;

pub use source::Checkout;

use crate::fetch::{Part, Pool, held, same_package};
use diorite_host::file::NewFile;
use diorite_host::progress::{Bar, BarUnit, Progress, bytes};
use diorite_host::{interrupt, store::Store};
use diorite_model::{Digest, Error, Exit, Hasher, Lock, LockedPackage, Result};
use serde::{Deserialize, Serialize};
use source::ProgramSource;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use unpack::SourceDirectory;

const INDEX: &str = "vault.json";
/// Neither index nor lock is ever larger; a vault that claims so is not read.
const LARGEST_TEXT: u64 = 64 << 20;

/// `vault.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// Version of this format: 1, or 2 with the program's source.
    schema: u32,
    /// File name of the lock.
    lock: String,
    /// SHA-256 of the lock's bytes.
    lock_sha256: Digest,
    /// Every package once, sorted.
    packages: Vec<LockedPackage>,
    /// The program's own source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<ProgramSource>,
}

/// What an import brought.
#[derive(Debug)]
pub struct VaultImport {
    /// File name of the lock, `server.lock`.
    pub lock_name: String,
    /// The lock, byte for byte.
    pub lock_text: String,
    /// The same, read.
    pub lock: Lock,
    /// Packages the store did not have before.
    pub new: usize,
    /// Packages in the vault.
    pub packages: usize,
    /// Files and crates of the program's source, where the vault has it.
    pub source: Option<(usize, usize)>,
}

/// Writes the vault of a lock to `out` (a temporary name, fsync, rename), with the program's source where there is a checkout.
///
/// Errors: [`Exit::Host`] when a package of the pool is missing or damaged, or `out` cannot be written.
pub fn export(
    lock_path: &Path,
    lock: &Lock,
    pool: &Pool,
    checkout: Option<&Checkout>,
    out: &Path,
    progress: &Progress,
) -> Result<Digest> {
    let text = std::fs::read(lock_path).map_err(|e| Error::io("the lock cannot be read", lock_path, e))?;
    let name = lock_path.file_name().and_then(|n| n.to_str()).filter(|n| plain(n));
    let name = name.ok_or_else(|| {
        Error::input("the lock's file name cannot be used in a vault")
            .at(lock_path.display().to_string())
            .hint("letters, digits and `-_.`")
    })?;
    let mut packages: Vec<_> = lock.packages().into_iter().cloned().collect();
    packages.sort();
    let (schema, source) = (if checkout.is_some() { 2 } else { 1 }, checkout.map(|checkout| checkout.source.clone()));
    let index = Contents { schema, lock: name.to_owned(), lock_sha256: Digest::of(&text), packages, source };
    let sources = checkout.into_iter().flat_map(Checkout::members);
    let total = index.packages.iter().map(|p| p.size).chain(sources.map(|(_, _, size, _)| size)).sum();
    let stage = progress.stage("export the vault");
    let bar = stage.bar(total, BarUnit::Bytes);

    let fail = |e| Error::io("the vault cannot be written", out, e);
    let file = NewFile::create(out, 0o666).map_err(fail)?;
    let mut tar = tar::Builder::new(HashedFile { file: file.file(), hasher: Hasher::new() });
    let json = serde_json::to_vec_pretty(&index).map_err(|e| Error::bug(e.to_string()))?;
    append(&mut tar, INDEX, json.len() as u64, &json[..]).map_err(fail)?;
    append(&mut tar, name, text.len() as u64, &text[..]).map_err(fail)?;
    for package in &index.packages {
        interrupt::check()?;
        bar.set_message(&package.name);
        let mut deb = PoolFile::open(pool, package, &bar)?;
        append(&mut tar, &member(package), package.size, (&mut deb).take(package.size)).map_err(fail)?;
        deb.check()?;
    }
    for (member, path, size, sha256) in checkout.into_iter().flat_map(Checkout::members) {
        interrupt::check()?;
        let bytes = std::fs::read(&path).map_err(|e| Error::io("the source cannot be read", &path, e))?;
        if bytes.len() as u64 != size || Digest::of(&bytes) != sha256 {
            return Err(Error::host("the source changed while it was packed")
                .at(path.display().to_string())
                .hint("export again while nobody works in the checkout"));
        }
        append(&mut tar, &member, size, &bytes[..]).map_err(fail)?;
        bar.inc(size);
    }
    let digest = tar.into_inner().map_err(fail)?.hasher.finish();
    file.publish().map_err(fail)?;
    bar.finish();
    stage.done(format!("{} packages, {}", index.packages.len(), bytes(total)));
    Ok(digest)
}

/// Fills the store's pool from a vault, without a network. Every package is hashed, those the store has already too. The program's
/// source is unpacked into `unpack`, a directory that is not there yet; without one it is only hashed.
///
/// Errors: [`Exit::Input`] for a file that is no vault, is cut short, or holds other bytes than it says; `Host` for a
/// store that cannot be written. Packages that were right stay in the pool, which trusts nothing but their digest.
pub fn import(file: &Path, unpack: Option<&Path>, store: &Store, progress: &Progress) -> Result<VaultImport> {
    let tar = File::open(file).map_err(|e| Error::io("the vault cannot be read", file, e))?;
    let mut tar = tar::Archive::new(BufReader::with_capacity(1 << 18, tar));
    let wrong = |cause: String| {
        Error::input("the vault cannot be used")
            .at(file.display().to_string())
            .because(cause)
            .hint("copy the file again, or make it again with `diorite vault export`; every package is verified before it is used")
    };
    let damaged = |e: std::io::Error| wrong(format!("it is damaged or cut short: {e}"));
    let mut entries = tar.entries().map_err(damaged)?;
    let mut next = |expected: &str| match entries.next() {
        Some(Ok(entry)) if entry.path_bytes().as_ref() == expected.as_bytes() => Ok(entry),
        Some(Ok(entry)) => {
            let found = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            Err(wrong(format!("`{found}` was found where `{expected}` was expected")))
        }
        Some(Err(e)) => Err(damaged(e)),
        None => Err(wrong(format!("it ends before `{expected}`"))),
    };
    let text = |entry: &mut dyn Read, name: &str| {
        let mut text = String::new();
        let n = entry.take(LARGEST_TEXT).read_to_string(&mut text).map_err(damaged)?;
        if n as u64 == LARGEST_TEXT { Err(wrong(format!("`{name}` is too large"))) } else { Ok(text) }
    };
    let json = text(&mut next(INDEX)?, INDEX)?;
    let index: Contents = serde_json::from_str(&json).map_err(|e| wrong(format!("`{INDEX}`: {e}")))?;
    if !(1..=2).contains(&index.schema) || !plain(&index.lock) {
        return Err(wrong(format!("`{INDEX}` has schema {}, this Diorite reads schemas 1 and 2", index.schema)));
    }
    if (index.schema == 2) != index.source.is_some() {
        return Err(wrong(format!(
            "`{INDEX}` has schema {}, and schema 2 alone has the program's source",
            index.schema
        )));
    }
    if let Some(source) = &index.source {
        source.check().map_err(wrong)?;
    }
    let directory = match (unpack, &index.source) {
        (Some(_), None) => return Err(wrong("the source of the program is not in it".to_owned())),
        (Some(directory), Some(_)) => Some(SourceDirectory::new(directory)?),
        (None, _) => None,
    };
    let lock_text = text(&mut next(&index.lock)?, &index.lock)?;
    if Digest::of(lock_text.as_bytes()) != index.lock_sha256 {
        return Err(wrong(format!("`{}` is not the lock that `{INDEX}` names", index.lock)));
    }
    let lock: Lock = toml::from_str(&lock_text).map_err(|e| wrong(format!("`{}`: {}", index.lock, e.message())))?;
    let mut packages: Vec<_> = lock.packages().into_iter().cloned().collect();
    packages.sort();
    if packages != index.packages {
        return Err(wrong(format!("`{INDEX}` does not name the packages of `{}`", index.lock)));
    }

    let sources = index.source.iter().map(ProgramSource::bytes);
    let total = packages.iter().map(|p| p.size).chain(sources).sum();
    let stage = progress.stage("import the vault");
    let bar = stage.bar(total, BarUnit::Bytes);
    let mut new = 0;
    for package in &packages {
        bar.set_message(&package.name);
        let mut entry = next(&member(package))?;
        if entry.size() != package.size {
            return Err(wrong(format!(
                "package `{}` has {} bytes, its lock says {}",
                package.name,
                entry.size(),
                package.size
            )));
        }
        let part = if held(store, package) { None } else { Part::open(store, package)? };
        new += usize::from(part.is_some());
        take(&mut entry, part, package, store, &bar, file).map_err(|trouble| match trouble {
            MemberError::Read(e) => damaged(e),
            MemberError::Other(digest) => {
                wrong(format!("package `{}`: its SHA-256 is {digest}, its lock says {}", package.name, package.sha256))
            }
            MemberError::Final(e) => e,
        })?;
    }
    if let Some(source) = &index.source {
        let mut read = |member: String, size: u64, sha256: Digest| -> Result<Vec<u8>> {
            interrupt::check()?;
            let mut bytes = Vec::new();
            let entry = next(&member)?;
            entry.take(size + 1).read_to_end(&mut bytes).map_err(damaged)?;
            bar.inc(size);
            match bytes.len() as u64 == size && Digest::of(&bytes) == sha256 {
                true => Ok(bytes),
                false => Err(wrong(format!("`{member}` has another digest than `{INDEX}` says"))),
            }
        };
        for (at, file) in source.files.iter().enumerate() {
            let bytes = read(file.member(), file.size, file.sha256)?;
            if source.lock() == Some(at) {
                source.check_crates(&String::from_utf8_lossy(&bytes)).map_err(wrong)?;
            }
            if let Some(directory) = &directory {
                directory.file(file, &bytes)?;
            }
        }
        for one in &source.crates {
            let bytes = read(one.member(), one.size, one.sha256)?;
            if let Some(directory) = &directory {
                directory.unpack(one, &bytes)?;
            }
        }
    }
    match entries.next() {
        None => {}
        Some(_) => return Err(wrong("there is more in it than its lock names".to_owned())),
    }
    directory.map(SourceDirectory::finish).transpose()?;
    bar.finish();
    stage.done(format!("{} packages, {new} of them new, {}", packages.len(), bytes(total)));
    let source = index.source.map(|source| (source.files.len(), source.crates.len()));
    Ok(VaultImport { lock_name: index.lock, lock_text, lock, new, packages: packages.len(), source })
}

enum MemberError {
    Read(std::io::Error),
    Other(Digest),
    Final(Error),
}

impl From<Error> for MemberError {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// One package from the vault: hashed, and kept if the store does not have it.
fn take(
    entry: &mut dyn Read,
    mut part: Option<Part<'_>>,
    package: &LockedPackage,
    store: &Store,
    bar: &Bar,
    vault: &Path,
) -> Result<(), MemberError> {
    if let Some(part) = &mut part {
        part.clear()?;
    }
    let name = vault.display().to_string();
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 18]);
    loop {
        interrupt::check()?;
        let n = entry.read(&mut buffer).map_err(MemberError::Read)?;
        if n == 0 {
            break;
        }
        match &mut part {
            Some(part) => part.write(&buffer[..n], &name)?,
            None => hasher.update(&buffer[..n]),
        }
        bar.inc(n as u64);
    }
    let digest = part.as_ref().map_or_else(|| hasher.finish(), Part::digest);
    if digest != package.sha256 {
        if let Some(part) = part {
            part.discard();
        }
        return Err(MemberError::Other(digest));
    }
    if let Some(part) = part {
        if package.is_deb() {
            same_package(package, part.path(), &name)?;
        }
        part.keep(store)?;
    }
    Ok(())
}

fn member(package: &LockedPackage) -> String {
    let sha256 = package.sha256;
    match (package.is_image(), package.is_wheel()) {
        (true, _) => format!("images/{sha256}"),
        (_, true) => format!("wheels/{sha256}.whl"),
        _ => format!("debs/{sha256}.deb"),
    }
}

/// A file name that is one in every archive and on every file system.
fn plain(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.len() <= 90 && !name.starts_with('.') && name.chars().all(good) && name != INDEX
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, size: u64, bytes: impl Read) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, bytes)
}

/// A .deb of the pool, hashed while it is copied.
struct PoolFile<'a> {
    file: File,
    path: std::path::PathBuf,
    hasher: Hasher,
    package: &'a LockedPackage,
    bar: &'a Bar,
}

impl<'a> PoolFile<'a> {
    fn open(pool: &Pool, package: &'a LockedPackage, bar: &'a Bar) -> Result<Self> {
        let path = pool.path(package);
        let fail = |e| Error::io(format!("package `{}` cannot be read from the store", package.name), &path, e);
        let file = File::open(&path).map_err(|e| fail(e).hint("fetch again: `diorite fetch NAME`"))?;
        if file.metadata().map_err(fail)?.len() != package.size {
            return Err(not_as_stored(package, &path));
        }
        Ok(Self { file, path, hasher: Hasher::new(), package, bar })
    }

    fn check(self) -> Result<()> {
        if self.hasher.finish() == self.package.sha256 { Ok(()) } else { Err(not_as_stored(self.package, &self.path)) }
    }
}

fn not_as_stored(package: &LockedPackage, path: &Path) -> Error {
    Error::new(Exit::Host, format!("package `{}` is damaged in the store", package.name))
        .at(path.display().to_string())
        .because("size or SHA-256 is not the lock's, though it was when it was stored")
        .hint("remove the file and fetch again; look at the disk's health")
}

impl Read for PoolFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.bar.inc(n as u64);
        Ok(n)
    }
}

/// The vault's own digest, for people to compare.
struct HashedFile<'a> {
    file: &'a File,
    hasher: Hasher,
}

impl Write for HashedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
