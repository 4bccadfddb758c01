//! Files in memory by mmap(2): the one file of this room with unsafe code.
#![expect(unsafe_code, reason = "mmap(2) has no safe form: a file can change under its mapping")]

use diorite_model::{Error, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::io;
use std::path::Path;

/// A file mapped read-only and private for as long as this lives (mmap(2)). The file must not be truncated meanwhile;
/// files in the store and in our own work directories never are.
pub(crate) struct MappedFile {
    start: *mut std::ffi::c_void,
    len: usize,
}

// SAFETY: the mapping is read-only and belongs to this value alone; it is unmapped once, on drop.
unsafe impl Send for MappedFile {}
// SAFETY: as above: shared reading of memory that nobody writes.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("cannot map a file", path, e);
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Self::of(&file, len as usize).map_err(failed)
    }
    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
    /// Maps the first `len` bytes of an open file.
    pub(crate) fn of(file: impl std::os::fd::AsFd, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self { start: std::ptr::null_mut(), len });
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, file, 0) }?;
        Ok(Self { start, len })
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `start` is a live read-only mapping of `len` bytes until drop.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: mapped by us with this length, unmapped once.
            let _ = unsafe { munmap(self.start, self.len) };
        }
    }
}
