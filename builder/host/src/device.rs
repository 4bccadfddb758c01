//! A disk of this host as a whole (a block device), opened to be overwritten.

use crate::file::data_ranges;
use diorite_model::{Error, Result};
use rustix::fs::{Advice, FallocateFlags, OFlags};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A disk that nobody uses. As long as this is open nobody can mount it.
#[derive(Debug)]
pub struct BlockDevice {
    file: File,
    path: PathBuf,
    size: u64,
}

impl BlockDevice {
    /// Opens a whole disk, alone.
    ///
    /// # Errors
    /// It is no block device, a partition, in use (with who uses it), has sectors of another size than 512 bytes, or cannot
    /// be written.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e: io::Error| Error::io("the disk cannot be opened", path, e);
        let about = fs::metadata(path).map_err(fail)?;
        let refuse =
            |why: &str| Error::input("this is not a disk to write to").at(path.display().to_string()).because(why);
        if !about.file_type().is_block_device() {
            let hint =
                "name a disk of this machine, as `lsblk` lists them; for a file, copy the image (`cp --sparse=always`)";
            return Err(refuse("it is not a block device").hint(hint));
        }
        let number = about.rdev();
        let sys = PathBuf::from(format!("/sys/dev/block/{}:{}", libc::major(number), libc::minor(number)));
        if sys.join("partition").exists() {
            let whole = fs::canonicalize(&sys).ok().and_then(|p| Some(p.parent()?.file_name()?.to_owned()));
            let whole = whole.map_or_else(|| "the disk it is on".to_owned(), |name| format!("/dev/{}", name.display()));
            return Err(refuse("it is a partition, and an image is a whole disk").hint(format!("name {whole}")));
        }
        let exclusive = i32::try_from(OFlags::EXCL.bits()).unwrap_or_default();
        let opened = File::options().read(true).write(true).custom_flags(exclusive).open(path);
        let file = opened.map_err(|e| match e.raw_os_error() {
            Some(libc::EBUSY) => in_use(path, &sys),
            _ => fail(e),
        })?;
        let sector = rustix::fs::ioctl_blksszget(&file).map_err(|e| fail(e.into()))?;
        if sector != 512 {
            let why = format!("its sectors have {sector} bytes, and the partition table of an image is made for 512");
            return Err(refuse(&why).hint("some drives can be formatted anew with 512 (`nvme format`, `hdparm`)"));
        }
        let size = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0)).map_err(|e| fail(e.into()))?;
        Ok(Self { file, path: path.to_owned(), size })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, to read from.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes `start..end` equal to the same bytes of a file, its holes zero. `wrote` is told the bytes of every piece, holes
    /// included; an error of it ends the writing.
    pub fn copy(
        &self,
        from: &File,
        start: u64,
        end: u64,
        wrote: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 4 << 20];
        let mut at = start;
        for (data, data_end) in data_ranges(from, end)?.into_iter().filter(|(_, data_end)| *data_end > start) {
            self.zero(at, data.max(start), wrote)?;
            at = data.max(start);
            while at < data_end {
                let count = buffer.len().min(usize::try_from(data_end - at).unwrap_or(usize::MAX));
                from.read_exact_at(&mut buffer[..count], at)?;
                self.file.write_all_at(&buffer[..count], at)?;
                wrote(count as u64)?;
                at += count as u64;
            }
        }
        self.zero(at, end, wrote)
    }

    /// Writes bytes at an offset; the device clears what is all zero by itself where it can. `wrote` as for [`BlockDevice::copy`].
    pub fn put(&self, bytes: &[u8], at: u64, wrote: &mut dyn FnMut(u64) -> io::Result<()>) -> io::Result<()> {
        if bytes.iter().all(|byte| *byte == 0) {
            return self.zero(at, at + bytes.len() as u64, wrote);
        }
        self.file.write_all_at(bytes, at)?;
        wrote(bytes.len() as u64)
    }

    /// Makes `start..end` zero; the device does it by itself where it can.
    pub fn zero(&self, start: u64, end: u64, wrote: &mut dyn FnMut(u64) -> io::Result<()>) -> io::Result<()> {
        const ZEROS: &[u8] = &[0; 1 << 20];
        const STEP: u64 = 1 << 30;
        let mut at = start;
        while at < end {
            let count = STEP.min(end - at);
            let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
            if rustix::fs::fallocate(&self.file, flags, at, count).is_err() {
                let count = (ZEROS.len() as u64).min(count);
                self.file.write_all_at(&ZEROS[..usize::try_from(count).unwrap_or(ZEROS.len())], at)?;
                wrote(count)?;
                at += count;
                continue;
            }
            wrote(count)?;
            at += count;
        }
        Ok(())
    }

    /// Waits until everything has reached the disk, and forgets what is in memory of it: what is read next comes from the
    /// disk.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_all()?;
        Ok(rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }
}

/// Who uses a disk: mounts, swap, and devices made of it (mapped, RAID, LVM); of its partitions too.
fn in_use(path: &Path, sys: &Path) -> Error {
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    };
    let whole = fs::canonicalize(sys).unwrap_or_else(|_| sys.to_owned());
    let parts: Vec<PathBuf> =
        names(&whole).iter().map(|n| whole.join(n)).filter(|p| p.join("partition").exists()).collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let mut users = Vec::new();
    for device in std::iter::once(&whole).chain(&parts) {
        let name = device.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let number = fs::read_to_string(device.join("dev")).unwrap_or_default();
        // proc_pid_mountinfo(5): the third field is the device, the fifth where it is mounted.
        let at = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields.get(2) == Some(&number.trim()))
                .then(|| fields.get(4).map(|at| format!("{name} is mounted at {at}")))?
        };
        users.extend(mounts.lines().filter_map(at));
        users.extend(names(&device.join("holders")).iter().map(|holder| format!("{name} is part of {holder}")));
        let swap = format!("/dev/{name} ");
        users.extend(swaps.lines().any(|line| line.starts_with(&swap)).then(|| format!("{name} is swap")));
    }
    let error = Error::input("this disk is in use").at(path.display().to_string());
    let error = error.hint("unmount it, or name another disk; no option overrides this");
    if users.is_empty() { error } else { error.because(users.join(", ")) }
}
