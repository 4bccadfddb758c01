//! Files that appear whole or not at all, locks, the digest of a file, and the holes of one. Whatever Diorite leaves behind is
//! written through here.
//!
//! A file that is being written has another name in the same directory: `.NAME.PID-N.part`. It gets its own by rename(2),
//! once its bytes have reached the disk; then the directory is synchronised as well (fsync(2)). A process killed at
//! any moment leaves what was there before.

mod holes;
mod lock;
mod sum;

pub use holes::{copy_range, data_ranges};
pub use lock::FileLock;
pub use sum::{sha256, sha256_of, sha256_with};

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The ending of a file that is being written.
pub const UNFINISHED: &str = ".part";

/// A file that is being written. Dropped before [`NewFile::publish`], it leaves nothing.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    published: bool,
}

impl NewFile {
    /// Begins a file that will be at `path`, with these permissions less the umask. It can be read as well as written.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{}{UNFINISHED}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = path.with_file_name(temporary);
        // A dead process may have had our number.
        let _ = fs::remove_file(&temporary);
        let file = File::options().read(true).write(true).create_new(true).mode(mode).open(&temporary)?;
        Ok(Self { file, temporary, path: path.to_owned(), published: false })
    }

    /// The file, open for reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, in the place of whatever has it.
    pub fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        rename(&self.temporary, &self.path)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published {
            // An error is on its way already; this one would hide it.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a whole file or leaves what was there, with these permissions less the umask.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut new = NewFile::create(path, mode)?;
    new.file.write_all(bytes)?;
    new.publish()
}

/// Writes a file in a directory that nobody trusts yet: a scratch directory, which is synchronised and renamed as a whole
/// ([`crate::store::Store::put`]), or evidence of a run that has not ended. A crash may leave it cut short.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn write_scratch(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(path, bytes)
}

/// Renames within a directory that nobody trusts yet, see [`write_scratch`].
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn rename_scratch(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    fs::rename(from, to)
}

/// Renames a file or a directory whose contents have reached the disk, and synchronises the directory it comes to.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let to = to.as_ref();
    rename_scratch(from, to)?;
    let directory = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_appears_whole_with_its_mode_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write_whole(&path, b"one", 0o644).unwrap();
        write_whole(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "the earlier file's mode is gone");
        assert_eq!(names(directory.path()), ["key"]);
    }

    #[test]
    fn what_is_not_published_leaves_the_earlier_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        write_whole(&path, b"one", 0o644).unwrap();
        let new = NewFile::create(&path, 0o644).unwrap();
        new.file().write_all(b"half").unwrap();
        assert_eq!(names(directory.path()).len(), 2);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        drop(new);
        assert_eq!(names(directory.path()), ["lock"]);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn two_writers_of_one_file_do_not_meet() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let (first, second) = (NewFile::create(&path, 0o644).unwrap(), NewFile::create(&path, 0o644).unwrap());
        first.file().write_all(b"first").unwrap();
        second.file().write_all(b"second").unwrap();
        second.publish().unwrap();
        first.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first", "whole, whoever came last");
    }

    #[test]
    fn a_directory_in_the_way_is_an_error_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        fs::create_dir(&path).unwrap();
        assert!(write_whole(&path, b"x", 0o644).is_err());
        assert!(write_whole(Path::new("/"), b"x", 0o644).is_err());
        assert_eq!(names(directory.path()), ["x"]);
    }
}
