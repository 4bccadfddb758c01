//! The table `[backup]`: a service that has containers write their dumps and restic(1) save them, its timer, and a service that
//! restores one beside what is there.

use super::Guest;
use super::ini::{Ini, literal, word};
use super::sandbox;
use diorite_model::recipe::{Backup, BackupRepository, Timer};
use diorite_model::{Recipe, Result};

const BACKUP: &str = "usr/lib/diorite/backup";
const DUMP: &str = "usr/lib/diorite/dump";
/// Since when there could have been a backup: the metrics of the image say so.
const EXPECTED: &str = "usr/lib/tmpfiles.d/diorite-backup.conf";

/// It reads what belongs to others, and writes to its repository.
const SAVER: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", "CAP_DAC_READ_SEARCH"),
    ("ProtectHome", "read-only"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("TasksMax", "256"),
    ("MemoryMax", "50%"),
];
/// It gives files back to their owners.
const RESTORER: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER"),
    ("SystemCallFilter", "@system-service"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("RestrictSUIDSGID", ""),
    ("TasksMax", "256"),
    ("MemoryMax", "50%"),
];
const NETWORK: [(&str, &str); 3] =
    [("PrivateNetwork", ""), ("IPAddressDeny", ""), ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX")];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let Some(backup) = &recipe.backup else { return Ok(()) };
    guest.file(BACKUP, 0o755, include_bytes!("backup.sh").to_vec())?;
    if !backup.dumps.is_empty() {
        guest.file(DUMP, 0o755, include_bytes!("dump.sh").to_vec())?;
    }
    let name = Backup::UNIT.trim_end_matches(".service");
    let state = Backup::STATE;
    let expected = format!("d {state} 0700 root root -\nf {state}/expected 0600 root root -\n");
    guest.file(EXPECTED, 0o644, expected.into_bytes())?;
    guest.unit(Backup::UNIT, &saver(backup))?;
    let timer = Ini::new().section("Unit").set("Description", "Backup, by the clock").section("Timer");
    let timer = match &backup.when {
        Timer::Every(seconds) => {
            timer.set("OnBootSec", format!("{seconds}s")).set("OnUnitActiveSec", format!("{seconds}s"))
        }
        Timer::Calendar(event) => timer.set("OnCalendar", &**event).set("Persistent", "yes"),
    };
    guest.unit(&format!("{name}.timer"), &timer.section("Install").set("WantedBy", "timers.target"))?;
    guest.enable(&format!("{name}.timer"))?;
    let restorer = service(backup, "Restore of the backup %i")
        .set("ExecStart", format!("/{BACKUP} restore %i {}", Backup::RESTORED))
        .set("TimeoutStartSec", "infinity");
    guest.unit("diorite-restore@.service", &sandbox::closed(restorer, &open(backup, RESTORER)))
}

/// What is opened for one of the two, and the network where the repository is on another machine.
fn open(backup: &Backup, own: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let network = matches!(backup.repository, BackupRepository::S3 { .. });
    own.iter().copied().chain(NETWORK.into_iter().filter(|_| network)).collect()
}

/// What both know: the repository, its password, and directories of their own.
fn service(backup: &Backup, description: &str) -> Ini {
    let ini = Ini::new().section("Unit").set("Description", description);
    let ini = match &backup.repository {
        BackupRepository::Directory(path) => ini.set("RequiresMountsFor", &**path),
        BackupRepository::S3 { .. } => ini.set("Wants", "network-online.target").set("After", "network-online.target"),
    };
    let ini = ini
        .section("Service")
        .set("Type", "oneshot")
        .set("LoadCredential", format!("password:{}", backup.password))
        .set("Environment", word(&format!("RESTIC_REPOSITORY={}", backup.location())))
        .set("CacheDirectory", "diorite/backup")
        .set("StateDirectory", "diorite/backup")
        .set("StateDirectoryMode", "0700");
    match &backup.repository {
        BackupRepository::Directory(path) => ini.set("ReadWritePaths", format!("-{}", literal(path))),
        BackupRepository::S3 { credential, .. } => ini.set("LoadCredential", format!("s3:{credential}")),
    }
}

fn saver(backup: &Backup) -> Ini {
    let words: Vec<String> = std::iter::once("save".to_owned())
        .chain(backup.keep.iter().map(u32::to_string))
        .chain(backup.saved())
        .map(|argument| word(&argument))
        .collect();
    let dumps = backup.dumps.iter().map(|(name, dump)| {
        let words: Vec<String> = dump.command.iter().map(|argument| word(argument)).collect();
        // With the privileges that podman needs and the service itself has not.
        format!("+/{DUMP} {}/{name} {} {}", Backup::DUMPS, dump.container, words.join(" "))
    });
    let made = match &backup.repository {
        BackupRepository::Directory(path) => vec![format!("+/usr/bin/mkdir -p -m 0700 {}", word(path))],
        BackupRepository::S3 { .. } => Vec::new(),
    };
    let ini = service(backup, "Backup")
        .each("ExecStartPre", made)
        .each("ExecStartPre", dumps)
        .set("ExecStart", format!("/{BACKUP} {}", words.join(" ")))
        .set("TimeoutStartSec", "6h")
        .set("Nice", "10");
    sandbox::closed(ini, &open(backup, SAVER))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    /// The host's sh and a restic that says what it was given.
    #[test]
    fn a_credential_is_read_and_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("backup"), include_bytes!("backup.sh")).unwrap();
        fs::write(path("restic"), "#!/bin/sh\necho \"$AWS_ACCESS_KEY_ID|$AWS_SECRET_ACCESS_KEY|${PWNED-}\"\n").unwrap();
        assert!(Command::new("chmod").arg("0755").arg(path("restic")).status().unwrap().success());
        fs::write(
            path("s3"),
            "AWS_ACCESS_KEY_ID=an id\nPWNED=1\ntouch made\nAWS_SECRET_ACCESS_KEY=$(touch made)=`x`\\",
        )
        .unwrap();
        let output = Command::new("/bin/sh")
            .arg(path("backup"))
            .args(["restore", "latest", "/nowhere"])
            .env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))
            .env("CREDENTIALS_DIRECTORY", directory.path())
            .env("CACHE_DIRECTORY", directory.path())
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "an id|$(touch made)=`x`\\|\n");
        assert!(!path("made").exists());
    }
}
