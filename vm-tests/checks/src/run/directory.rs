//! Where a run has its files: a directory that is gone with it, and the one that keeps what a machine has written.

use diorite_host::file::FileLock;
use diorite_model::{Digest, Error, Result};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The directory of a run, for as long as it lasts. What a killed run left is swept by the next one.
pub(super) struct RunDirectory {
    directory: PathBuf,
    kept: PathBuf,
    /// Held by the one run there is.
    _lock: FileLock,
}

/// In the directory that is kept: the digest of the disk that it belongs to.
const OF: &str = "disk.sha256";

impl RunDirectory {
    /// Makes it below `out`.
    ///
    /// # Errors
    /// [`diorite_model::Exit::Input`] when the machine runs already.
    pub fn new(out: &Path) -> Result<Self> {
        let directory = out.join(".run");
        let failed = |e| Error::io("a directory cannot be made", &directory, e);
        fs::create_dir_all(&directory).map_err(failed)?;
        let lock = File::open(&directory).map_err(failed)?;
        let Some(lock) = FileLock::try_exclusive(lock).map_err(failed)? else {
            let error = Error::input("this machine runs already").at(directory.display().to_string());
            return Err(error.hint("end it first, or build with another --out"));
        };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let swept = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            swept.map_err(|e| Error::io("what an earlier run left cannot be removed", &path, e))?;
        }
        Ok(Self { kept: out.join("run"), directory, _lock: lock })
    }

    /// The machine's own directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
    /// Copies what was kept of a machine with this disk; nothing when nothing was.
    ///
    /// # Errors
    /// [`diorite_model::Exit::Input`] when it belongs to another disk: what was written to one makes no sense on top of
    /// another.
    pub fn take(&self, disk: &Digest) -> Result<()> {
        let file = self.kept.join(OF);
        match fs::read_to_string(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !self.kept.exists() => return Ok(()),
            Err(e) => return Err(Error::io("what was kept cannot be read", &file, e).hint("remove the directory")),
            Ok(text) if text.trim() == disk.to_string() => {}
            Ok(_) => {
                let error = Error::input("what was kept belongs to another disk").at(self.kept.display().to_string());
                let error = error.because("the image has been built anew since");
                return Err(error.hint("remove the directory, and the machine starts afresh"));
            }
        }
        copy(&self.kept, &self.directory)
    }

    /// Keeps what the machine has left in its directory, in place of what was kept before.
    pub fn keep(&self, disk: &Digest) -> Result<()> {
        let failed = |e| Error::io("what the machine wrote cannot be kept", &self.kept, e);
        let (fresh, before) = (self.directory.join("kept"), self.directory.join("before"));
        let left: Vec<_> =
            fs::read_dir(&self.directory).map_err(failed)?.collect::<std::io::Result<_>>().map_err(failed)?;
        fs::create_dir(&fresh).map_err(failed)?;
        for entry in left {
            diorite_host::file::rename(entry.path(), fresh.join(entry.file_name())).map_err(failed)?;
        }
        diorite_host::file::write_scratch(fresh.join(OF), format!("{disk}\n")).map_err(failed)?;
        if self.kept.exists() {
            diorite_host::file::rename(&self.kept, before).map_err(failed)?;
        }
        diorite_host::file::rename(fresh, &self.kept).map_err(failed)
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        // The next run tries again.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = |e| Error::io("what was kept cannot be copied", from, e);
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        match entry.file_type().map_err(failed)?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target).map_err(failed)?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_for_the_same_disk_alone() {
        let out = tempfile::tempdir().expect("temporary directory");
        let (this, other) = (Digest::of(b"this"), Digest::of(b"other"));
        let place = RunDirectory::new(out.path()).expect("a place");
        place.take(&this).expect("nothing was kept");
        fs::create_dir(place.directory().join("tpm")).expect("a TPM");
        fs::write(place.directory().join("tpm").join("state"), "tpm").expect("its state");
        fs::write(place.directory().join("overlay.qcow2"), "one").expect("a disk");
        place.keep(&this).expect("kept");
        drop(place);
        assert!(!out.path().join(".run").exists(), "nothing is left but what was kept");

        let place = RunDirectory::new(out.path()).expect("a place");
        let refused = place.take(&other).expect_err("another disk");
        assert_eq!(refused.what, "what was kept belongs to another disk");
        place.take(&this).expect("kept");
        let read = |path: PathBuf| fs::read_to_string(path).expect("a file");
        assert_eq!(read(place.directory().join("overlay.qcow2")), "one");
        assert_eq!(read(place.directory().join("tpm").join("state")), "tpm");
        fs::write(place.directory().join("overlay.qcow2"), "two").expect("a disk");
        place.keep(&this).expect("kept");
        drop(place);
        assert_eq!(read(out.path().join("run/overlay.qcow2")), "two");
    }

    #[test]
    fn two_at_once_are_refused_and_a_killed_ones_files_swept() {
        let out = tempfile::tempdir().expect("temporary directory");
        fs::create_dir_all(out.path().join(".run/tpm")).expect("what a killed run left");
        fs::write(out.path().join(".run/overlay.qcow2"), "old").expect("what a killed run left");
        let place = RunDirectory::new(out.path()).expect("a place");
        assert_eq!(fs::read_dir(place.directory()).expect("a directory").count(), 0);
        let Err(error) = RunDirectory::new(out.path()) else { panic!("it runs already") };
        assert_eq!(error.what, "this machine runs already");
    }
}
