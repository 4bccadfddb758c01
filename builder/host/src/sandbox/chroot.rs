//! The sandbox where neither unshare(2) nor mount(2) is allowed: everything is really put into the tree, and taken
//! out again.
//!
//! The tree's own /dev, /run and /tmp step aside (a rename keeps all there is to know about them), as do files that
//! something is shown over; what steps aside lies beside the tree, so that programs inside do not see it. There is no /proc.
//! The tree's own systemd-tmpfiles needs one and is silent when it fails, so it runs outside: see [`super::outside`].

use super::dev::{chmod, devices, directory};
use super::mountpoints::MountPoints;
use super::paths::resolve;
use diorite_model::{Error, Result};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What was put into the tree; put back on drop, also after a failure.
pub(super) struct AsideGuard {
    /// Beside the tree.
    aside: PathBuf,
    /// (where it is now, where it belongs)
    moved: Vec<(PathBuf, PathBuf)>,
    ours: Vec<PathBuf>,
    /// Restores the times of the directories touched, and removes directories that were missing. Dropped last.
    made: MountPoints,
}

impl AsideGuard {
    /// Prepares the tree. `binds` are (host path, path in the tree).
    pub fn prepare(root: &Path, binds: &[(PathBuf, PathBuf)]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = root.parent().ok_or_else(|| Error::bug("the host's root directory is not a tree"))?;
        let aside = parent.join(format!(".aside-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&aside).map_err(|e| Error::io("a directory beside the tree cannot be created", &aside, e))?;
        let mut place = Self { aside, moved: Vec::new(), ours: Vec::new(), made: MountPoints::default() };
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |e: io::Error| Error::io("the tree cannot be prepared", &path, e)
        };
        for (name, mode) in [("dev", 0o755), ("run", 0o755), ("tmp", 0o1777)] {
            let path = resolve(root, Path::new(name), true).map_err(fail(root))?;
            place.make_room(root, &path)?;
            fs::create_dir(&path).and_then(|()| chmod(&path, mode)).map_err(fail(&path))?;
            match name {
                "dev" => devices(&path).map_err(fail(&path))?,
                "run" => directory(&path.join("lock"), 0o1777).map_err(fail(&path))?,
                _ => {}
            }
        }
        let mut copies: HashMap<PathBuf, PathBuf> = HashMap::new();
        for (host, inside) in binds {
            let host =
                fs::canonicalize(host).map_err(|e| Error::io("a file to show in the tree is missing", host, e))?;
            let target = resolve(root, inside, true).map_err(fail(inside))?;
            place.make_room(root, &target)?;
            // Our own program is shown at several places: one copy, several names.
            match copies.get(&host) {
                Some(copy) => fs::hard_link(copy, &target).map_err(fail(&target))?,
                None => copy(&host, &target).map_err(fail(&target))?,
            }
            copies.entry(host).or_insert(target);
        }
        Ok(place)
    }

    /// Where the thing that belongs at `path` is now, if it stepped aside.
    pub fn original(&self, path: &Path) -> Option<&Path> {
        self.moved.iter().find(|(_, belongs)| belongs == path).map(|(now, _)| now.as_path())
    }

    /// Moves aside what is at `path`; what comes there now is ours.
    fn make_room(&mut self, root: &Path, path: &Path) -> Result<()> {
        let parent = path.parent().filter(|p| p.starts_with(root));
        if self.ours.iter().any(|ours| path.starts_with(ours)) {
            // In a directory of ours, which goes as a whole.
            parent.map_or(Ok(()), fs::create_dir_all).map_err(|e| Error::io("the tree cannot be prepared", path, e))?;
            return Ok(());
        }
        if let Some(parent) = parent {
            self.made.directory(root, parent)?;
            self.made.note(parent)?;
        }
        if fs::symlink_metadata(path).is_ok() {
            let now = self.aside.join(self.moved.len().to_string());
            crate::file::rename_scratch(path, &now).map_err(|e| Error::io("the tree cannot be prepared", path, e))?;
            self.moved.push((now, path.to_owned()));
        }
        self.ours.push(path.to_owned());
        Ok(())
    }
}

impl Drop for AsideGuard {
    fn drop(&mut self) {
        for path in self.ours.drain(..).rev() {
            let _ = match fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
        }
        for (now, belongs) in self.moved.drain(..).rev() {
            let _ = crate::file::rename_scratch(now, belongs);
        }
        let _ = fs::remove_dir(&self.aside);
    }
}

/// A copy with modes: a file, or a directory with what is in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let m = fs::symlink_metadata(from)?;
    if m.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if !m.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    fs::set_permissions(to, m.permissions())
}
