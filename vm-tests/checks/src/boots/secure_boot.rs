//! What a machine with Secure Boot must not do: start a kernel image that differs from the signed one, or go on with a command
//! line that nobody has signed.

use super::tampered;
use crate::{
    answer::{Judged, is_verdict},
    gpt,
    session::LabSession,
};
use diorite_machine::{AlarmKind, Watch};
use diorite_model::{Error, Result};
use std::{os::unix::fs::FileExt, path::Path};

/// A word of every command line of ours, and what stands there in the altered copy.
const WORD: &[u8] = b" panic=10";
const OTHER: &[u8] = b" panic=11";
/// What is added to a command line.
pub const ADDED: &str = "diorite.added=1";
/// What it leads to, and is meant to.
pub const EXPECTED: &[AlarmKind] =
    &[AlarmKind::NothingToBoot, AlarmKind::Restarting, AlarmKind::Panic, AlarmKind::EmergencyMode];

/// Copies the disk and changes one letter of the command line in its kernel image.
///
/// # Errors
/// [`diorite_model::Exit::Input`]: there is no such word.
pub fn altered_copy(disk: &Path, to: &Path) -> Result<()> {
    let (offset, length) = gpt::esp(disk)?;
    let copy = tampered::whole(disk, to)?;
    let failed = |e: std::io::Error| Error::io("the disk cannot be copied", to, e);
    let mut esp = vec![0; usize::try_from(length).unwrap_or_default()];
    copy.read_exact_at(&mut esp, offset).map_err(failed)?;
    let at = esp.windows(WORD.len()).position(|window| window == WORD).ok_or_else(|| {
        Error::input("no kernel image of the disk has the command line of ours").at(disk.display().to_string())
    })?;
    copy.write_all_at(OTHER, offset + at as u64).map_err(failed)
}

/// Watches until the firmware has refused the kernel image, or a kernel has started after all.
pub fn not_started(session: &LabSession, watch: &mut Watch<'_>) -> Result<Judged> {
    loop {
        let lines = session.machine.console.lines();
        let said = |words: &[&str]| lines.iter().find(|(_, line)| words.iter().any(|word| line.contains(word)));
        if let Some((_, line)) = said(&["EFI stub:", "Linux version"]) {
            return Ok(Err(format!("the kernel was started: {line}")));
        }
        if let Some((at, line)) = said(&["Access denied", "Access Denied", "Security Violation", "Security violation"])
        {
            return Ok(Ok(format!("{:.1} s after power-on: {}", at.as_secs_f64(), line.trim())));
        }
        if let Err(error) = watch.check() {
            return if is_verdict(&error) { Ok(Err(error.what)) } else { Err(error) };
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Watches until the initrd has restarted the machine, or the system has come up after all.
pub fn stopped(session: &LabSession, watch: &mut Watch<'_>) -> Result<Judged> {
    loop {
        let lines = session.machine.console.lines();
        let said = lines.iter().find(|(_, line)| line.contains("/proc/cmdline") && line.contains("differ"));
        if session.machine.shell_ready() {
            return Ok(Err("the machine came up with a word more on its command line".to_owned()));
        }
        let over = match watch.check() {
            Ok(()) => session.machine.ended().is_some(),
            Err(error) if is_verdict(&error) => true,
            Err(error) => return Err(error),
        };
        if over {
            return Ok(match said {
                Some((at, line)) => Ok(format!("{:.1} s after power-on: {}", at.as_secs_f64(), line.trim())),
                None => {
                    Err(format!("it ended, and not because of its command line: {}", session.machine.console.tail(1)))
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_words_differ_in_one_letter() {
        let differ = WORD.iter().zip(OTHER).filter(|(a, b)| a != b).count();
        assert_eq!((WORD.len(), differ), (OTHER.len(), 1));
    }
}
