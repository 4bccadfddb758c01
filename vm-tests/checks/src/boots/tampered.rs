//! A copy of the disk with one byte of the root flipped must not start.
//!
//! The byte is the partition's first: dm-verity reads its block as soon as anybody looks at the root, and no file
//! system does (EROFS begins at byte 1024). So nothing but dm-verity can notice.

use crate::{
    answer::{Judged, is_verdict},
    gpt,
    session::LabSession,
};
use diorite_machine::{AlarmKind, Watch};
use diorite_model::{Error, Result};
use rustix::fs::{SeekFrom, seek};
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// Copies the disk, holes as holes, and flips a bit of the root's first byte.
pub fn copy(disk: &Path, to: &Path) -> Result<()> {
    let (offset, _) = gpt::root(disk)?;
    let new = whole(disk, to)?;
    let failed = |e: std::io::Error| Error::io("the disk cannot be copied", to, e);
    let mut byte = [0];
    new.read_exact_at(&mut byte, offset).map_err(failed)?;
    new.write_all_at(&[byte[0] ^ 1], offset).map_err(failed)
}

/// Copies the disk, holes as holes.
pub fn whole(disk: &Path, to: &Path) -> Result<File> {
    let failed = |e: std::io::Error| Error::io("the disk cannot be copied", to, e);
    let (from, new) = (File::open(disk).map_err(failed)?, File::create_new(to).map_err(failed)?);
    let length = from.metadata().map_err(failed)?.len();
    new.set_len(length).map_err(failed)?;
    let (mut at, mut buffer) = (0, vec![0; 1 << 20]);
    while at < length {
        // ENXIO: nothing but a hole is left. Anything else: no support for holes.
        let start = match seek(&from, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(_) => at,
        };
        let end = seek(&from, SeekFrom::Hole(start)).unwrap_or(length);
        at = start;
        while at < end {
            let want = buffer.len().min((end - at) as usize);
            from.read_exact_at(&mut buffer[..want], at).map_err(failed)?;
            new.write_all_at(&buffer[..want], at).map_err(failed)?;
            at += want as u64;
        }
    }
    Ok(new)
}

/// What a damaged root leads to, and is meant to.
pub const EXPECTED: &[AlarmKind] =
    &[AlarmKind::VerityCorruption, AlarmKind::Restarting, AlarmKind::Panic, AlarmKind::EmergencyMode];

/// Watches the damaged machine until it refuses, ends, or comes up after all.
pub fn refused(session: &LabSession, watch: &mut Watch<'_>) -> Result<Judged> {
    let corruption = || session.machine.console.alarms().into_iter().find(|a| a.kind == AlarmKind::VerityCorruption);
    loop {
        if session.machine.shell_ready() {
            return Ok(Err("the machine came up and gave a shell".to_owned()));
        }
        let ended = session.machine.ended().is_some();
        if let Some(alarm) = corruption().filter(|_| ended) {
            return Ok(Ok(format!(
                "{:.1} s after power-on: {}, then the machine restarted",
                alarm.at.as_secs_f64(),
                alarm.line
            )));
        }
        if let Err(error) = watch.check() {
            // The console's last lines may come after QEMU's end.
            return match (corruption(), is_verdict(&error)) {
                (Some(alarm), true) => Ok(Ok(format!("{}, and the machine did not come up", alarm.line))),
                (None, true) => Ok(Err(format!("no dm-verity corruption on the console: {}", error.what))),
                (_, false) => Err(error),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_differs_in_one_byte() {
        let directory = std::env::temp_dir().join(format!("diorite-tamper-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let (disk, bad) = (directory.join("disk"), directory.join("bad"));
        let mut bytes = vec![0; 1 << 20];
        bytes[512..520].copy_from_slice(b"EFI PART");
        bytes[512 + 72] = 2;
        bytes[512 + 80] = 1;
        bytes[512 + 84] = 128;
        bytes[1024..1040].copy_from_slice(&[
            0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09,
        ]);
        (bytes[1024 + 32], bytes[1024 + 33], bytes[1024 + 41]) = (0, 4, 5);
        bytes[900_000] = 9;
        std::fs::write(&disk, &bytes).expect("write");
        copy(&disk, &bad).expect("copy");
        let copied = std::fs::read(&bad).expect("read");
        let different: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != copied[*at]).collect();
        assert_eq!((different, copied.len()), (vec![1024 * 512], bytes.len()));
        std::fs::remove_dir_all(directory).expect("remove");
    }
}
