//! Writes below a directory and nowhere else, whatever an archive says.
//!
//! Every operation happens in a directory that was opened from the root's descriptor with `openat2` and
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` (openat2(2)), or component by component with `O_NOFOLLOW` where a container's
//! filter refuses that call; the last component is never followed. Symbolic links in the way are resolved by us, inside
//! the root, absolute ones too, as they would be by a process whose root this directory is (path_resolution(7)).

use diorite_model::{Error, Result};
use rustix::fs::{self as rfs, AtFlags, FileType, Gid, Mode, OFlags, RawMode, ResolveFlags, Stat, Uid};
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An opened root directory.
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    /// Directories already resolved: name as written → real path.
    resolved: HashMap<Vec<u8>, Vec<u8>>,
    /// The directory opened last; members come directory by directory.
    last: Option<(Vec<u8>, OwnedFd)>,
}

/// Owner and permission bits to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// At most 0o7777.
    pub mode: u32,
}

impl Root {
    /// Opens an existing directory.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = rfs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Error::io("cannot open the root of a tree", path, e.into()))?;
        Ok(Self { fd, path: path.to_owned(), resolved: HashMap::new(), last: None })
    }

    /// Forgets what was learnt about links and directories; to be called after anybody else wrote here.
    pub fn forget(&mut self) {
        self.resolved.clear();
        self.last = None;
    }

    /// An error about a path below this root.
    pub fn error(&self, doing: &str, path: &[u8], e: Errno) -> Error {
        Error::io(doing, self.path.join(lossy(path)), e.into())
    }

    /// The path with links in its parent directories resolved inside the root. Parents must exist, the last component
    /// need not and is not followed. Empty for the root itself.
    pub fn real(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        let Some(slash) = path.iter().rposition(|&b| b == b'/') else { return Ok(path.to_vec()) };
        let mut real = self.real_directory(&path[..slash])?;
        if !real.is_empty() {
            real.push(b'/');
        }
        real.extend_from_slice(&path[slash + 1..]);
        Ok(real)
    }

    /// The path of an existing directory with all its links resolved inside the root.
    pub fn real_directory(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        if let Some(real) = self.resolved.get(path) {
            return Ok(real.clone());
        }
        let wrong = |root: &Self, why: &str| {
            Error::input(format!("`/{}` does not lead to a directory", lossy(path)))
                .at(root.path.display().to_string())
                .because(why)
        };
        let mut real: Vec<u8> = Vec::new();
        let mut left: Vec<Vec<u8>> = path.split(|&b| b == b'/').rev().map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    real.truncate(real.iter().rposition(|&b| b == b'/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let stat = self.stat_in(&real, &part).map_err(|e| self.error("cannot look at", path, e))?;
            match stat.map(|s| FileType::from_raw_mode(s.st_mode)) {
                Some(FileType::Directory) => {
                    if !real.is_empty() {
                        real.push(b'/');
                    }
                    real.extend_from_slice(&part);
                }
                Some(FileType::Symlink) => {
                    links += 1;
                    if links > 40 {
                        return Err(wrong(self, "there are more than 40 symbolic links in the way"));
                    }
                    let target = self
                        .directory(&real)
                        .and_then(|at| rfs::readlinkat(at, part.as_slice(), Vec::new()))
                        .map_err(|e| self.error("cannot read a link", path, e))?
                        .into_bytes();
                    if target.starts_with(b"/") {
                        real.clear();
                    }
                    left.extend(target.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
                }
                Some(_) => return Err(wrong(self, &format!("`{}` is not a directory", lossy(&part)))),
                None => return Err(wrong(self, &format!("`{}` is missing", lossy(&part)))),
            }
        }
        self.resolved.insert(path.to_vec(), real.clone());
        Ok(real)
    }

    /// Opens the directory at a real path (one without links), if need be component by component.
    fn directory(&mut self, real: &[u8]) -> Result<BorrowedFd<'_>, Errno> {
        if self.last.as_ref().is_none_or(|(path, _)| path != real) {
            self.last = Some((real.to_vec(), open_beneath(self.fd.as_fd(), real)?));
        }
        Ok(self.last.as_ref().expect("set above").1.as_fd())
    }

    fn stat_in(&mut self, directory: &[u8], name: &[u8]) -> Result<Option<Stat>, Errno> {
        match rfs::statat(self.directory(directory)?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What is at a real path, not followed.
    pub fn kind(&mut self, real: &[u8]) -> Result<Option<FileType>> {
        let (directory, name) = split(real);
        if name.is_empty() {
            return Ok(Some(FileType::Directory));
        }
        match self.stat_in(directory, name) {
            Ok(stat) => Ok(stat.map(|s| FileType::from_raw_mode(s.st_mode))),
            Err(e) => Err(self.error("cannot look at", real, e)),
        }
    }

    /// Makes a directory where nothing is.
    pub fn make_directory(&mut self, real: &[u8], access: Option<Ownership>, mode: u32) -> Result<()> {
        self.at(real, "cannot make a directory", |at, name| {
            // Ours to write in meanwhile, whatever its final mode is.
            rfs::mkdirat(at, name, Mode::from_raw_mode(mode as RawMode | 0o700))?;
            if let Some(Ownership { uid, gid, .. }) = access {
                rfs::chownat(at, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            chmod(at, name, mode)
        })
    }

    /// Moves a file written elsewhere on the same file system to a real path, in place of anything but a directory.
    pub fn place(&mut self, from: BorrowedFd<'_>, staged: &str, real: &[u8], access: Option<Ownership>) -> Result<()> {
        self.at(real, "cannot put a file in its place", |at, name| {
            if let Some(Ownership { uid, gid, mode }) = access {
                rfs::chownat(from, staged, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::empty())?;
                chmod(from, staged.as_bytes(), mode)?; // chown takes setuid away
            }
            rfs::renameat(from, staged, at, name)
        })
    }

    /// Makes a symbolic link in place of anything but a directory; its time in seconds since 1970.
    pub fn symlink(&mut self, real: &[u8], target: &[u8], mtime: i64, access: Option<Ownership>) -> Result<()> {
        self.at(real, "cannot make a symbolic link", |at, name| {
            if let Err(e) = rfs::symlinkat(target, at, name) {
                if e != Errno::EXIST {
                    return Err(e);
                }
                rfs::unlinkat(at, name, AtFlags::empty())?;
                rfs::symlinkat(target, at, name)?;
            }
            if let Some(Ownership { uid, gid, .. }) = access {
                rfs::chownat(at, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            rfs::utimensat(at, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
        })?;
        self.resolved.clear();
        Ok(())
    }

    /// Makes another name of an existing regular file; both paths real.
    pub fn hard_link(&mut self, first: &[u8], real: &[u8]) -> Result<()> {
        let (directory, first_name) = split(first);
        let from = open_beneath(self.fd.as_fd(), directory).map_err(|e| self.error("cannot open", first, e))?;
        self.at(real, "cannot make a hard link", |at, name| {
            if FileType::from_raw_mode(rfs::statat(&from, first_name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
                != FileType::RegularFile
            {
                return Err(Errno::INVAL);
            }
            if let Err(e) = rfs::linkat(&from, first_name, at, name, AtFlags::empty()) {
                if e != Errno::EXIST {
                    return Err(e);
                }
                rfs::unlinkat(at, name, AtFlags::empty())?;
                rfs::linkat(&from, first_name, at, name, AtFlags::empty())?;
            }
            Ok(())
        })
    }

    /// Makes a device node or named pipe.
    pub fn special(&mut self, real: &[u8], kind: FileType, device: (u32, u32), access: Ownership) -> Result<()> {
        self.at(real, "cannot make a device node", |at, name| {
            let device = rfs::makedev(device.0, device.1);
            rfs::mknodat(at, name, kind, Mode::from_raw_mode(0o600), device)?;
            let Ownership { uid, gid, mode } = access;
            rfs::chownat(at, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
            chmod(at, name, mode)
        })
    }

    /// Sets the permission bits of a directory.
    pub fn set_mode(&mut self, real: &[u8], mode: u32) -> Result<()> {
        self.at(real, "cannot set the mode of", |at, name| chmod(at, name, mode))
    }

    /// Writes a small file in place of anything but a directory; parents must exist.
    pub fn write(&mut self, path: &[u8], bytes: &[u8], mode: u32) -> Result<()> {
        let real = self.real(path)?;
        self.unlink(&real)?;
        self.at(&real, "cannot write", |at, name| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rfs::openat(at, name, flags, Mode::from_raw_mode(0o600))?;
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(&file, rest)?..];
            }
            rfs::fchmod(&file, Mode::from_raw_mode(mode as RawMode))
        })
    }

    /// The bytes of a regular file, `None` if there is no such file; links in its parents are followed inside the root.
    pub fn read(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        let Ok(real) = self.real(path) else { return Ok(None) };
        if self.kind(&real)? != Some(FileType::RegularFile) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.at(&real, "cannot read", |at, name| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = std::fs::File::from(rfs::openat(at, name, flags, Mode::empty())?);
            std::io::Read::read_to_end(&mut file, &mut bytes)
                .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
            Ok(())
        })?;
        Ok(Some(bytes))
    }

    /// Makes sure that a directory is there, with all its parents, root's and 0755 where they are new.
    pub fn directories(&mut self, path: &[u8]) -> Result<Vec<u8>> {
        if path.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(slash) = path.iter().rposition(|&b| b == b'/') {
            self.directories(&path[..slash])?;
        }
        let real = self.real(path)?;
        if self.kind(&real)?.is_none() {
            self.make_directory(&real, Some(Ownership { uid: 0, gid: 0, mode: 0o755 }), 0o755)?;
        }
        self.real_directory(path)
    }

    /// The names in a directory, sorted; none if it is not there.
    pub fn list(&mut self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        let Ok(real) = self.real_directory(path) else { return Ok(Vec::new()) };
        let read = |at: BorrowedFd| -> Result<Vec<Vec<u8>>, Errno> {
            let mut names = Vec::new();
            for entry in rfs::Dir::new(rfs::openat(
                at,
                ".",
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?)? {
                let name = entry?.file_name().to_bytes().to_vec();
                if name != b"." && name != b".." {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        self.directory(&real).and_then(read).map_err(|e| self.error("cannot list", path, e))
    }

    /// Removes a directory that has nothing but files, and these.
    pub fn remove_flat(&mut self, path: &[u8]) -> Result<()> {
        for name in self.list(path)? {
            let mut file = path.to_vec();
            file.push(b'/');
            file.extend_from_slice(&name);
            let real = self.real(&file)?;
            self.unlink(&real)?;
        }
        let real = self.real(path)?;
        self.forget();
        self.at(&real, "cannot remove", |at, name| rfs::unlinkat(at, name, AtFlags::REMOVEDIR))
    }

    /// Removes a file, never a directory; it is no error if there is none.
    pub fn unlink(&mut self, real: &[u8]) -> Result<()> {
        self.at(real, "cannot remove", |at, name| match rfs::unlinkat(at, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        })
    }

    fn at(&mut self, real: &[u8], doing: &str, f: impl FnOnce(BorrowedFd, &[u8]) -> Result<(), Errno>) -> Result<()> {
        let (directory, name) = split(real);
        if name.is_empty() || name == b"." || name == b".." || name.contains(&0) {
            return Err(self.error(doing, real, Errno::INVAL));
        }
        let done = self.directory(directory).and_then(|at| f(at, name));
        done.map_err(|e| self.error(doing, real, e))
    }
}

/// The modification time for utimensat(2), access time the same.
pub(crate) fn times(mtime: i64) -> rfs::Timestamps {
    let time = rfs::Timespec { tv_sec: mtime, tv_nsec: 0 };
    rfs::Timestamps { last_access: time, last_modification: time }
}

/// Permission bits of what is not a link: fchmodat follows links, so it is asked for first by O_NOFOLLOW.
fn chmod(at: BorrowedFd, name: &[u8], mode: u32) -> Result<(), Errno> {
    // The name was made or checked by us a moment ago in a directory that nobody else writes to.
    rfs::chmodat(at, name, Mode::from_raw_mode(mode as RawMode), AtFlags::empty())
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

fn open_beneath(root: BorrowedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if path.is_empty() {
        return root.try_clone_to_owned().map_err(|_| Errno::MFILE);
    }
    match rfs::openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS | Errno::PERM) => walk(root, path),
        other => other,
    }
}

/// What `openat2` does, by steps.
fn walk(root: BorrowedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut at = root.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
    for part in path.split(|&b| b == b'/') {
        if part.is_empty() || part == b"." || part == b".." {
            return Err(Errno::INVAL);
        }
        at = rfs::openat(
            &at,
            part,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
    }
    Ok(at)
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn world() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("outside")).unwrap();
        std::fs::create_dir_all(dir.path().join("root/usr/bin")).unwrap();
        let root = Root::open(&dir.path().join("root")).unwrap();
        (dir, root)
    }

    #[test]
    fn links_are_resolved_inside_the_root() {
        let (dir, mut root) = world();
        let at = dir.path().join("root");
        symlink("usr/bin", at.join("bin")).unwrap();
        symlink("/usr/../../../usr", at.join("abs")).unwrap();
        symlink("loop", at.join("loop")).unwrap();
        symlink(dir.path().join("outside"), at.join("out")).unwrap();
        assert_eq!(root.real(b"bin/sh").unwrap(), b"usr/bin/sh");
        assert_eq!(root.real(b"abs/bin/sh").unwrap(), b"usr/bin/sh");
        assert!(root.real(b"loop/x").is_err());
        assert!(root.real(b"out/x").is_err(), "the host's directory does not exist inside the root");
        assert!(root.real(b"missing/x").is_err());
    }

    #[test]
    fn a_path_through_a_link_is_never_opened() {
        let (dir, mut root) = world();
        symlink("../outside", dir.path().join("root/out")).unwrap();
        // Even if a caller claims that this is a real path.
        assert!(root.symlink(b"out/x", b"y", 0, None).is_err());
        assert!(root.make_directory(b"out/x", None, 0o755).is_err());
        assert!(root.make_directory(b"../outside/x", None, 0o755).is_err());
        assert!(root.make_directory(b"..", None, 0o755).is_err());
        for path in [&b"out"[..], b"../outside", b"usr/../../outside"] {
            assert!(walk(root.fd.as_fd(), path).is_err());
            assert!(open_beneath(root.fd.as_fd(), path).is_err());
        }
        assert!(walk(root.fd.as_fd(), b"usr/bin").is_ok());
        assert_eq!(std::fs::read_dir(dir.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn a_hard_link_to_a_link_is_refused() {
        let (dir, mut root) = world();
        symlink("/etc/passwd", dir.path().join("root/passwd")).unwrap();
        assert!(root.hard_link(b"passwd", b"usr/passwd").is_err());
    }
}
