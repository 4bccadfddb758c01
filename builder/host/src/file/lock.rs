//! A locked file.

use std::fs::{File, TryLockError};
use std::io;

/// A file with a lock of ours on it (flock(2)), given up when this is dropped.
///
/// Closing the file alone would not do: a child process that another thread starts has the file too until it runs its
/// program, and the lock lasts as long as any of them is open.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Shares the lock with others who do; waits for one who has it alone.
    pub fn shared(file: File) -> io::Result<Self> {
        file.lock_shared()?;
        Ok(Self(file))
    }

    /// Takes the lock alone, unless somebody has it.
    pub fn try_exclusive(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// Does `work` having the lock alone, and shares it again afterwards; `None` when others share it. Between the two
    /// kinds of lock there is a moment without one.
    pub fn exclusively<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let done = self.0.try_lock().is_ok().then(work);
        // Also after a failure: it may have cost us the lock that we had.
        let _ = self.0.lock_shared();
        done
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_owner_though_a_child_has_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let ours = open();
        // What a child has between fork(2) and exec(2).
        let of_child = ours.try_clone().unwrap();
        let lock = FileLock::shared(ours).unwrap();
        assert!(FileLock::try_exclusive(open()).unwrap().is_none());
        drop(lock);
        assert!(FileLock::try_exclusive(open()).unwrap().is_some());
        drop(of_child);
    }
}
