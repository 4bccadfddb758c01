//! The table `[backup]`: a service that has containers write their dumps and restic(1) save them, its timer, and a service that
//! restores one beside what is there.

use super::Guest;
use super::ini::{Ini, literal, word};
use super::sandbox;
use diorite_model::recipe::{Backup, BackupRepository, BackupSftp, Timer};
use diorite_model::{Error, Recipe, Result};

const BACKUP: &str = "usr/lib/diorite/backup";
const DUMP: &str = "usr/lib/diorite/dump";
/// What ssh_config(5) says of the server of SFTP, and the keys that it may have.
const SSH: &str = "usr/lib/diorite/backup-ssh";
const HOST_KEYS: &str = "usr/lib/diorite/backup-host-keys";
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
    if let BackupRepository::Sftp(sftp) = &backup.repository {
        guest.file(SSH, 0o644, ssh(sftp)?.into_bytes())?;
        guest.file(HOST_KEYS, 0o644, host_keys(sftp)?.into_bytes())?;
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
    let network = backup.leaves_the_machine();
    own.iter().copied().chain(NETWORK.into_iter().filter(|_| network)).collect()
}

/// The name under which ssh(1) looks for the server's keys.
const ALIAS: &str = "backup";

/// How the server of SFTP is called: by that key alone, as that account, and only if it has one of the keys of [`host_keys`].
fn ssh(sftp: &BackupSftp) -> Result<String> {
    let lines = [
        ("HostName", sftp.host.as_str()),
        ("Port", &sftp.port.to_string()),
        ("User", &sftp.user),
        ("IdentityFile", &format!("${{CREDENTIALS_DIRECTORY}}/{}", BackupSftp::CREDENTIAL)),
        ("IdentitiesOnly", "yes"),
        ("PreferredAuthentications", "publickey"),
        ("BatchMode", "yes"),
        ("HostKeyAlias", ALIAS),
        ("StrictHostKeyChecking", "yes"),
        ("UserKnownHostsFile", &format!("/{HOST_KEYS}")),
        ("GlobalKnownHostsFile", "none"),
        ("UpdateHostKeys", "no"),
        ("ConnectTimeout", "60"),
        // A server that goes away during a backup.
        ("ServerAliveInterval", "60"),
        ("LogLevel", "ERROR"),
    ];
    let mut text = String::new();
    for (key, value) in lines {
        if value.is_empty() || value.chars().any(|c| c.is_control() || c.is_whitespace() || "\"'%".contains(c)) {
            return Err(Error::bug(format!("`{key}` cannot be written as {value:?}")));
        }
        text += &format!("{key} {value}\n");
    }
    Ok(text)
}

/// sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
fn host_keys(sftp: &BackupSftp) -> Result<String> {
    let mut text = String::new();
    for key in &sftp.host_keys {
        if key.chars().any(char::is_control) {
            return Err(Error::bug(format!("a host key cannot be written as {key:?}")));
        }
        text += &format!("{ALIAS} {key}\n");
    }
    Ok(text)
}

/// What both know: the repository, its password, and directories of their own.
fn service(backup: &Backup, description: &str) -> Ini {
    let ini = Ini::new().section("Unit").set("Description", description);
    let ini = match &backup.repository {
        BackupRepository::Directory(path) => ini.set("RequiresMountsFor", &**path),
        BackupRepository::S3 { .. } | BackupRepository::Sftp(_) => {
            ini.set("Wants", "network-online.target").set("After", "network-online.target")
        }
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
        BackupRepository::Sftp(sftp) => ini
            .set("Environment", format!("BACKUP_SSH=/{SSH}"))
            .set("LoadCredential", format!("{}:{}", BackupSftp::CREDENTIAL, sftp.credential)),
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
        BackupRepository::S3 { .. } | BackupRepository::Sftp(_) => Vec::new(),
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
    use super::*;
    use std::fs;
    use std::process::Command;

    fn server() -> BackupSftp {
        BackupSftp {
            host: "backup.example".into(),
            port: 2222,
            user: "inventory".into(),
            path: "/backups".into(),
            host_keys: vec!["ssh-ed25519 AAAA root@backup".into(), "ssh-rsa BBBB".into()],
            credential: "backup.key".into(),
        }
    }

    #[test]
    fn a_server_is_called_by_its_own_key_alone() {
        let text = format!("{}\n{}", ssh(&server()).unwrap(), host_keys(&server()).unwrap());
        insta::assert_snapshot!("sftp", text);
        for hostile in ["a\nProxyCommand id", "a b", "", "%h", "a\"b"] {
            assert!(ssh(&BackupSftp { host: hostile.into(), ..server() }).is_err(), "{hostile:?}");
            assert!(ssh(&BackupSftp { user: hostile.into(), ..server() }).is_err(), "{hostile:?}");
        }
        assert!(host_keys(&BackupSftp { host_keys: vec!["a\nb".into()], ..server() }).is_err());
    }

    /// The host's sh, with programs that fail as ssh(1) and restic(1) do.
    #[test]
    fn what_keeps_a_backup_from_being_made_is_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            assert!(Command::new("chmod").arg("0755").arg(path).status().unwrap().success());
        };
        program("backup", include_str!("backup.sh"));
        let run = |what: &str| {
            let output = Command::new("/bin/sh")
                .arg(directory.path().join("backup"))
                .args([what, "latest", "/nowhere", "6", "/srv"])
                .env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))
                .env("CREDENTIALS_DIRECTORY", directory.path())
                .env("CACHE_DIRECTORY", directory.path())
                .env("STATE_DIRECTORY", directory.path())
                .env("RESTIC_REPOSITORY", "sftp://a@b:22//c")
                .env("BACKUP_SSH", "/backup-ssh")
                .output()
                .unwrap();
            (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let made = || directory.path().join("success").exists();
        let good = r#"echo "restic $*"; case "$*" in *"cat config"*) exit 0 ;; esac"#;
        program("restic", good);
        program("ssh", "printf 'a banner\\nHost key verification failed.\\r\\n' >&2; exit 255");
        let line = "<3>sftp://a@b:22//c cannot be reached: Host key verification failed.\n".to_owned();
        assert_eq!((run("save"), run("restore"), made()), ((false, line.clone()), (false, line), false));

        program("ssh", r#"[ "$*" = "-F /backup-ssh backup -s sftp" ]"#);
        program(
            "restic",
            "echo Fatal: a reason >&2; echo Is there a repository at the following location? >&2; exit 12",
        );
        let line = "<3>sftp://a@b:22//c cannot be opened: a reason\n".to_owned();
        assert_eq!((run("save"), made()), ((false, line), false));

        // There is no repository yet.
        program("restic", r#"echo "restic $*"; case "$*" in *"cat config"*) exit 10 ;; esac"#);
        let line = "<3>sftp://a@b:22//c cannot be opened: it holds no backups\n".to_owned();
        assert_eq!(run("restore"), (false, line));
        let (saved, said) = run("save");
        assert!(saved && made() && said.contains("restic -o sftp.args=-F /backup-ssh init\n"), "{said}");

        // The lock of a run that was cut off is in nobody's way.
        program("restic", good);
        for what in ["save", "restore"] {
            let (done, said) = run(what);
            assert!(done && said.starts_with("restic -o sftp.args=-F /backup-ssh unlock\n"), "{said}");
            assert!(!said.contains(" init\n"), "{said}");
        }
        fs::remove_file(directory.path().join("success")).unwrap();
        program("restic", r#"case "$*" in *" backup "*) echo full >&2; exit 1 ;; esac"#);
        let (saved, said) = run("save");
        assert!(!saved && !made() && said.ends_with("full\n<3>sftp://a@b:22//c has no new backup: full\n"), "{said}");
    }

    /// The host's sh and a restic that says what it was given.
    #[test]
    fn a_credential_is_read_and_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("backup"), include_bytes!("backup.sh")).unwrap();
        fs::write(
            path("restic"),
            "#!/bin/sh\n[ \"$1\" != restore ] || echo \"$AWS_ACCESS_KEY_ID|$AWS_SECRET_ACCESS_KEY|${PWNED-}\"\n",
        )
        .unwrap();
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
