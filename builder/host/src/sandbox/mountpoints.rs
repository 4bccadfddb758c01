//! Mount points made for a while: they go again, and the directories they lay in keep their times.

use diorite_model::{Error, Result};
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};

/// What was made; undone on drop.
#[derive(Debug, Default)]
pub(crate) struct MountPoints {
    /// In the order of making.
    paths: Vec<PathBuf>,
    /// Directories that were there before, with their times.
    times: Vec<(PathBuf, FileTimes)>,
}

impl MountPoints {
    /// Makes a directory and those above it, below `root`, unless it is there.
    pub fn directory(&mut self, root: &Path, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.parent(root, path)?;
        fs::create_dir(path).map_err(|e| Error::io("a mount point cannot be created", path, e))?;
        self.paths.push(path.to_owned());
        Ok(())
    }

    /// Makes an empty file unless something is there.
    pub fn file(&mut self, root: &Path, path: &Path) -> Result<()> {
        if fs::symlink_metadata(path).is_ok() {
            return Ok(());
        }
        self.parent(root, path)?;
        File::create_new(path).map_err(|e| Error::io("a mount point cannot be created", path, e))?;
        self.paths.push(path.to_owned());
        Ok(())
    }

    /// The directory above: made if missing, its times noted if not.
    fn parent(&mut self, root: &Path, path: &Path) -> Result<()> {
        match path.parent() {
            Some(parent) if parent.starts_with(root) => {
                self.directory(root, parent)?;
                self.note(parent)
            }
            _ => Ok(()),
        }
    }

    /// Notes the times of a directory in which something is about to be made, renamed or removed.
    pub fn note(&mut self, directory: &Path) -> Result<()> {
        if self.times.iter().any(|(p, _)| p == directory) || self.paths.iter().any(|p| p == directory) {
            return Ok(());
        }
        let fail = |e| Error::io("a directory of the tree cannot be read", directory, e);
        let m = fs::symlink_metadata(directory).map_err(fail)?;
        let times =
            FileTimes::new().set_accessed(m.accessed().map_err(fail)?).set_modified(m.modified().map_err(fail)?);
        self.times.push((directory.to_owned(), times));
        Ok(())
    }
}

impl Drop for MountPoints {
    fn drop(&mut self) {
        // What a program put there meanwhile stays, and then so does the directory: it belongs to the tree now.
        for path in self.paths.drain(..).rev() {
            let _ = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        }
        for (path, times) in self.times.drain(..) {
            let _ = File::open(&path).and_then(|f| f.set_times(times));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn nothing_stays_behind() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path();
        fs::create_dir(root.join("usr")).unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for path in ["usr", ""] {
            File::open(root.join(path)).unwrap().set_modified(old).unwrap();
        }
        let mut made = MountPoints::default();
        made.directory(root, &root.join("dev")).unwrap();
        made.file(root, &root.join("usr/sbin/policy-rc.d")).unwrap();
        made.directory(root, &root.join("usr")).unwrap();
        assert!(root.join("usr/sbin/policy-rc.d").is_file());
        drop(made);
        assert_eq!(fs::read_dir(root).unwrap().count(), 1);
        assert_eq!(fs::read_dir(root.join("usr")).unwrap().count(), 0);
        for path in ["usr", ""] {
            assert_eq!(fs::metadata(root.join(path)).unwrap().modified().unwrap(), old);
        }
    }
}
