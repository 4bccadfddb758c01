//! Packages → [`StagedPackage`]: their files, decompressed in parallel into staging directories of their own.
//!
//! Decompression is nearly all of the work and has no order; conflicts, diversions and directory metadata have one.
//! So every package is first written to numbered files of its own, in parallel, and a rename puts each in its place.

use crate::deb::{self, Deb, Member, MemberKind};
use crate::extract::times;
use crate::order;
use diorite_host::interrupt;
use diorite_host::progress::{BarUnit, Progress};
use diorite_model::{Digest, Error, Hasher, LockedPackage, Result};
use md5::{Digest as _, Md5};
use rayon::prelude::*;
use rustix::fs::{self as rfs, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How files are written to the staging directories.
#[derive(Debug, Clone, Copy)]
pub struct Staging {
    /// Times later than this are set to it, never earlier ones: byte code of Python and the like holds the times of its
    /// sources. In seconds since 1970.
    pub latest: i64,
    /// Keep extended attributes and setuid bits; false for an unprivileged tools tree.
    pub privileged: bool,
}

/// A package whose files are written to a staging directory. Trees that share a package share what is known about it.
pub struct StagedPackage {
    /// Control data.
    pub deb: Arc<Deb>,
    /// Entries of data.tar in their order.
    pub files: Arc<Vec<StagedFile>>,
    /// Directory of the contents.
    pub directory: PathBuf,
}

/// One entry of data.tar and where its content is.
pub struct StagedFile {
    /// The entry.
    pub member: Member,
    /// Name of the content in the staging directory; empty if it has none.
    pub name: String,
    /// MD5 in hexadecimal, where dpkg's database wants it.
    pub md5: Option<String>,
    /// SHA-256 of the content; none for a tools tree, which nobody asks where it comes from.
    pub digest: Option<Digest>,
}

/// A package of a set: the set's number, and its own in the set.
type PackageRef = (usize, usize);

/// Writes the contents of all packages below `staging`, which must be on the file system of the trees, in parallel: for
/// each set a copy of its own, from one decompression. The result is in the order of the input.
pub fn stage(
    sets: &[&[(LockedPackage, PathBuf)]],
    staging: &Path,
    how: Staging,
    progress: &Progress,
) -> Result<Vec<Vec<StagedPackage>>> {
    fs::create_dir_all(staging).map_err(|e| Error::io("cannot make a staging directory", staging, e))?;
    let mut known = HashMap::new();
    let mut packages: Vec<(&LockedPackage, &Path, Vec<PackageRef>)> = Vec::new();
    for (set, members) in sets.iter().enumerate() {
        for (at, (locked, path)) in members.iter().enumerate() {
            let what = (&locked.name, &locked.version, &locked.architecture, path);
            let i = *known.entry(what).or_insert(packages.len());
            if i == packages.len() {
                packages.push((locked, path, Vec::new()));
            }
            packages[i].2.push((set, at));
        }
    }
    let stage = progress.stage("unpack");
    let bar = stage.bar(packages.iter().map(|(p, ..)| p.size).sum(), BarUnit::Bytes);
    // The largest first, so that no thread is left alone with a kernel at the end.
    packages.sort_by_key(|(p, _, places)| (std::cmp::Reverse(p.size), places[0]));
    let directory = |(set, at): &PackageRef| staging.join(format!("{set}-{at}"));
    let done: Vec<Result<Vec<_>>> = packages
        .iter()
        .par_bridge()
        .map(|(locked, path, places)| {
            bar.set_message(&locked.name);
            let directories: Vec<PathBuf> = places.iter().map(directory).collect();
            let staged = interrupt::check().and_then(|()| stage_one(locked, path, directories, how));
            let staged = staged.map_err(|e| named_by_its_author(e, locked, path));
            bar.inc(locked.size);
            staged.map(|staged| places.iter().copied().zip(staged).collect())
        })
        .collect();
    let mut all = done.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect::<Vec<_>>();
    bar.finish();
    stage.done(format!("{} packages", packages.len()));
    all.sort_by_key(|(place, _)| *place);
    let mut result: Vec<Vec<StagedPackage>> = sets.iter().map(|set| Vec::with_capacity(set.len())).collect();
    for ((set, _), staged) in all {
        result[set].push(staged);
    }
    Ok(result)
}

/// The canonical order of staged packages.
pub(crate) fn order_of(staged: &[StagedPackage]) -> order::Order {
    order::order(&staged.iter().map(|s| &s.deb.control).collect::<Vec<_>>())
}

/// A local package lies in the store under a name that nobody knows: an error speaks of the file that its author wrote.
fn named_by_its_author(error: Error, locked: &LockedPackage, path: &Path) -> Error {
    let in_store = error.place.as_deref() == Some(&*path.display().to_string());
    if !locked.is_local() || !in_store {
        return error;
    }
    Error { place: None, ..error }
        .at(&*locked.path)
        .hint("build that package again, for instance with dpkg-deb, and lock again")
}

/// One package into a directory for each set that has it.
fn stage_one(
    locked: &LockedPackage,
    path: &Path,
    directories: Vec<PathBuf>,
    how: Staging,
) -> Result<Vec<StagedPackage>> {
    let deb = Deb::open(path)?;
    let found = (deb.name(), deb.version(), deb.architecture());
    if found != (locked.name.as_str(), locked.version.as_str(), locked.architecture.as_str()) {
        return Err(Error::input(format!("package `{}` does not match the lock", locked.name))
            .at(path.display().to_string())
            .because(format!("inside it says {} {} {}", found.0, found.1, found.2))
            .hint("remove it from the pool and lock again"));
    }
    let open = |directory: &PathBuf| {
        fs::create_dir_all(directory).map_err(|e| Error::io("cannot write an unpacked file", directory, e))?;
        open_directory(directory)
    };
    let fds = directories.iter().map(open).collect::<Result<Vec<_>>>()?;
    let conffiles = conffiles(&deb);
    let all_sums = !deb.members.contains_key("md5sums");
    let mut files = Vec::new();
    let mut buffer = vec![0; 1 << 18];
    deb.data(&mut |mut member, content| {
        if member.mtime > how.latest {
            member.mtime = how.latest;
        }
        if !how.privileged {
            member.mode &= 0o777;
        }
        let mut staged = StagedFile { member, name: String::new(), md5: None, digest: None };
        if let MemberKind::File(size) = staged.member.kind {
            staged.name = files.len().to_string();
            let sum = all_sums || conffiles.iter().any(|c| c.path == staged.member.path);
            let mut sums = Sums { md5: sum.then(Md5::new), sha256: how.privileged.then(Hasher::new) };
            write_one(&fds, &staged, size, content, &mut sums, &mut buffer, how)?;
            staged.md5 = sums.md5.map(|md5| hex(&md5.finalize()));
            staged.digest = sums.sha256.map(Hasher::finish);
        }
        files.push(staged);
        Ok(())
    })
    .map_err(|mut e| {
        // A system call failed while writing, not the package.
        if e.place.is_none() {
            e.place = Some(directories[0].display().to_string());
        }
        e
    })?;
    let (deb, files) = (Arc::new(deb), Arc::new(files));
    Ok(directories
        .into_iter()
        .map(|directory| StagedPackage { deb: deb.clone(), files: files.clone(), directory })
        .collect())
}

/// Opens a staging directory.
pub(crate) fn open_directory(directory: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rfs::open(directory, flags, Mode::empty())
        .map_err(|e| Error::io("cannot open a staging directory", directory, e.into()))
}

/// Digests that are taken of a file while it is written.
struct Sums {
    md5: Option<Md5>,
    sha256: Option<Hasher>,
}

/// Writes one file into all directories.
fn write_one(
    directories: &[OwnedFd],
    file: &StagedFile,
    size: u64,
    content: &mut dyn Read,
    sums: &mut Sums,
    buffer: &mut [u8],
    how: Staging,
) -> io::Result<()> {
    // Where: whoever called knows the directory.
    let failed =
        |e: Errno| deb::carry(Error { place: None, ..Error::io("cannot write an unpacked file", "", e.into()) });
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = |directory| rfs::openat(directory, file.name.as_str(), flags, Mode::from_raw_mode(0o600));
    let outs = directories.iter().map(create).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut left = size;
    while left > 0 {
        let mut filled = 0;
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        while filled < want {
            filled += content.read(&mut buffer[filled..want])?;
        }
        if let Some(md5) = &mut sums.md5 {
            md5.update(&buffer[..want]);
        }
        if let Some(sha256) = &mut sums.sha256 {
            sha256.update(&buffer[..want]);
        }
        for out in &outs {
            let mut rest = &buffer[..want];
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(out, rest).map_err(failed)?..];
            }
        }
        left -= want as u64;
    }
    for out in &outs {
        if how.privileged {
            for (name, value) in &file.member.xattrs {
                rfs::fsetxattr(out, name.as_slice(), value, XattrFlags::empty()).map_err(failed)?;
            }
        }
        rfs::fchmod(out, Mode::from_raw_mode(file.member.mode)).map_err(failed)?;
        rfs::futimens(out, &times(file.member.mtime)).map_err(failed)?;
    }
    Ok(())
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One line of a package's conffiles.
pub(crate) struct Conffile {
    /// Path inside the tree.
    pub path: Vec<u8>,
    /// Marked `remove-on-upgrade`: the package does not ship it any more (deb-conffiles(5)).
    pub obsolete: bool,
}

/// The configuration files a package declares.
pub(crate) fn conffiles(deb: &Deb) -> Vec<Conffile> {
    let text = deb.text("conffiles");
    let line = |line: &str| {
        let line = line.trim();
        let (obsolete, path) = match line.strip_prefix("remove-on-upgrade ") {
            Some(path) => (true, path.trim()),
            None => (false, line),
        };
        (!path.is_empty()).then(|| Conffile { path: path.trim_start_matches('/').as_bytes().to_vec(), obsolete })
    };
    text.lines().filter_map(line).collect()
}
