//! The first difference between two directories, what "not reproducible" points at, and the digest of a directory.

use crate::file::sha256;
use diorite_model::{Digest, Error, Hasher, Result};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where two directories differ, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Relative to the directories.
    pub path: PathBuf,
    /// How the two differ, as a sentence for an error message.
    pub how: String,
}

/// Compares names, kinds, modes and contents, in the order of the names. Times and owners do not count.
pub fn first_difference(kept: &Path, new: &Path) -> Result<Option<Difference>> {
    directory(kept, new, Path::new(""))
}

/// Digest of the names, kinds and contents of everything in a directory. Modes, owners and times do not count: they are those of
/// whoever built, and what a step says of its own files stands in a file.
pub fn digest(whole: &Path) -> Result<Digest> {
    let mut hasher = Hasher::new();
    add(whole, Path::new(""), &mut hasher)?;
    Ok(hasher.finish())
}

fn add(whole: &Path, inside: &Path, hasher: &mut Hasher) -> Result<()> {
    for name in names(&whole.join(inside))? {
        let path = inside.join(name);
        let file = whole.join(&path);
        let fail = |e| Error::io("a result cannot be read", &file, e);
        let kind = fs::symlink_metadata(&file).map_err(fail)?.file_type();
        hasher.field(path.as_os_str().as_bytes());
        if kind.is_dir() {
            hasher.field(b"directory");
            add(whole, &path, hasher)?;
        } else if kind.is_symlink() {
            hasher.field(b"link");
            hasher.field(fs::read_link(&file).map_err(fail)?.as_os_str().as_bytes());
        } else {
            hasher.field(b"file");
            hasher.field(&sha256(&file, "a result")?.0.0);
        }
    }
    Ok(())
}

fn directory(kept: &Path, new: &Path, inside: &Path) -> Result<Option<Difference>> {
    let (a, b) = (names(&kept.join(inside))?, names(&new.join(inside))?);
    let mut all: Vec<_> = a.iter().chain(&b).collect();
    all.sort();
    all.dedup();
    for name in all {
        let path = inside.join(name);
        let how = match (a.contains(name), b.contains(name)) {
            (true, false) => Some("it is missing in the new result".to_owned()),
            (false, true) => Some("only the new result has it".to_owned()),
            _ => match entry(kept, new, &path)? {
                Entry::Same => None,
                Entry::Differs(how) => Some(how),
                Entry::Directory => match directory(kept, new, &path)? {
                    None => None,
                    found => return Ok(found),
                },
            },
        };
        if let Some(how) = how {
            return Ok(Some(Difference { path, how }));
        }
    }
    Ok(None)
}

enum Entry {
    Same,
    Differs(String),
    Directory,
}

fn entry(kept: &Path, new: &Path, path: &Path) -> Result<Entry> {
    let (a, b) = (kept.join(path), new.join(path));
    let read = |p: &Path| fs::symlink_metadata(p).map_err(|e| Error::io("a result cannot be read", p, e));
    let (x, y) = (read(&a)?, read(&b)?);
    if x.file_type() != y.file_type() {
        return Ok(Entry::Differs("it is of another kind".into()));
    }
    let (mode_a, mode_b) = (x.permissions().mode() & 0o7777, y.permissions().mode() & 0o7777);
    if !x.is_symlink() && mode_a != mode_b {
        return Ok(Entry::Differs(format!("its mode was {mode_a:04o} and is now {mode_b:04o}")));
    }
    if x.is_dir() {
        return Ok(Entry::Directory);
    }
    if x.is_symlink() {
        let link = |p: &Path| fs::read_link(p).map_err(|e| Error::io("a result cannot be read", p, e));
        return Ok(if link(&a)? == link(&b)? { Entry::Same } else { Entry::Differs("it points elsewhere".into()) });
    }
    if x.len() != y.len() {
        return Ok(Entry::Differs(format!("it had {} bytes and now has {}", x.len(), y.len())));
    }
    Ok(match first_byte(&a, &b)? {
        None => Entry::Same,
        Some(at) => Entry::Differs(format!("byte {at} differs")),
    })
}

fn first_byte(a: &Path, b: &Path) -> Result<Option<u64>> {
    let open = |p: &Path| File::open(p).map_err(|e| Error::io("a result cannot be read", p, e));
    let (mut x, mut y) = (open(a)?, open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    let mut at = 0u64;
    loop {
        let n = fill(&mut x, &mut left).map_err(|e| Error::io("a result cannot be read", a, e))?;
        let m = fill(&mut y, &mut right).map_err(|e| Error::io("a result cannot be read", b, e))?;
        if left[..n] != right[..m] {
            let same = left[..n].iter().zip(&right[..m]).take_while(|(x, y)| x == y).count();
            return Ok(Some(at + same as u64));
        }
        if n == 0 {
            return Ok(None);
        }
        at += n as u64;
        crate::interrupt::check()?;
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match file.read(&mut buffer[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

fn names(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let fail = |e| Error::io("a result cannot be read", path, e);
    let mut names = fs::read_dir(path)
        .and_then(|d| d.map(|e| e.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>())
        .map_err(fail)?;
    names.sort();
    Ok(names)
}
