//! The backup: one is made, and what comes back from it is what went in.

use crate::{
    answer::{Judged, none_of, short},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::recipe::{Backup, BackupRepository, BackupSftp};
use std::collections::BTreeSet;

/// A backup to a directory is made and restored. One that goes to another machine has no server in the lab: only its timer
/// can be seen.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let Some(backup) = &scope.recipe.backup else { return Vec::new() };
    let timer = Check::script("backup-timer", "the backup has its timer", TIMER, timer);
    let saved = backup.saved().len();
    let server = match &backup.repository {
        BackupRepository::Sftp(sftp) => Some(pinned(sftp)),
        _ => None,
    };
    let restored = (!backup.leaves_the_machine()).then(|| {
        let what = "a backup is made, and what is restored from it is the same";
        Check::script("backup-restored", what, script(backup), move |said| judge(said, saved))
    });
    [timer].into_iter().chain(restored).chain(server).collect()
}

/// What ssh(1) itself says that it would do, and whether it finds the declared keys.
fn pinned(sftp: &BackupSftp) -> Check {
    let script = "f=/usr/lib/diorite/backup-ssh; CREDENTIALS_DIRECTORY=/run/credentials/verify ssh -G -F $f backup; \
        ssh-keygen -F backup -f /usr/lib/diorite/backup-host-keys | grep -v '^#' | sed 's/^backup /key:/'; \
        systemctl show -p Environment diorite-backup.service";
    let what = format!("backups go to {} alone, and only if it has a declared key", sftp.host);
    let sftp = sftp.clone();
    Check::script("backup-server", what, script, move |said| called(said, &sftp))
}

fn called(output: &Output, sftp: &BackupSftp) -> Judged {
    let has = |line: &str| output.text.lines().any(|l| l == line);
    let two = |key: &str| key.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let declared: BTreeSet<String> = sftp.host_keys.iter().map(|key| two(key)).collect();
    let known: BTreeSet<String> = output.text.lines().filter_map(|l| l.strip_prefix("key:")).map(two).collect();
    let mut wrong = Vec::new();
    let mut must = |good: bool, what: &str| wrong.extend((!good).then(|| what.to_owned()));
    must(has(&format!("hostname {}", sftp.host)), "it calls another server");
    must(has(&format!("port {}", sftp.port)), "it calls another port");
    must(has(&format!("user {}", sftp.user)), "it is another account");
    must(has("stricthostkeychecking true") && has("hostkeyalias backup"), "a server may have any key");
    must(has("userknownhostsfile /usr/lib/diorite/backup-host-keys"), "other keys are known");
    must(has("preferredauthentications publickey"), "it tells a password");
    must(known == declared, &format!("the known keys are {}", known.iter().cloned().collect::<Vec<_>>().join(", ")));
    must(output.text.contains("BACKUP_SSH=/usr/lib/diorite/backup-ssh"), "the service does not look at them");
    none_of(&wrong, format!("{}@{}, {} keys", sftp.user, sftp.host, declared.len()))
}

const TIMER: &str = "systemctl is-active diorite-backup.timer; \
    systemctl show -p NextElapseUSecRealtime -p NextElapseUSecMonotonic diorite-backup.timer";

/// What systemctl(1) says of a time that will not come.
const NEVER: [&str; 3] = ["", "0", "infinity"];

fn timer(output: &Output) -> Judged {
    let next = output.text.lines().filter_map(|line| line.split_once('=')).any(|(_, when)| !NEVER.contains(&when));
    none_of(
        &[
            (!output.text.starts_with("active\n")).then(|| format!("it is {}", short(&output.text))),
            (!next).then(|| "it has no next time".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>(),
        "active".to_owned(),
    )
}

/// What [`judge`] reads. Dumps are compared byte by byte; of directories, in which the machine goes on writing, the names at
/// their top.
fn script(backup: &Backup) -> String {
    let restored = Backup::RESTORED;
    let dumps = backup.dumps.keys().map(|name| format!("{}/{name}", Backup::DUMPS)).collect::<Vec<_>>();
    let mut text = format!(
        "rm -rf {restored}; systemctl start {} && echo made:yes; \
         systemctl start diorite-restore@latest.service && echo restored:yes; ",
        Backup::UNIT
    );
    for dump in dumps {
        let path = quote::word(&dump);
        text += &format!("[ -s {path} ] && cmp {path} {restored}{path} && echo same:yes; ");
    }
    for directory in backup.places() {
        let path = quote::word(&directory);
        text += &format!(
            "[ -d {restored}{path} ] && [ \"$(ls -A {path})\" = \"$(ls -A {restored}{path})\" ] && echo same:yes; "
        );
    }
    text + &format!(
        "rm -rf {restored}; journalctl -b -u 'diorite-backup*' -u 'diorite-restore*' -p 3 -o cat --no-pager | tail -n 3"
    )
}

fn judge(output: &Output, saved: usize) -> Judged {
    let has = |line: &str| output.text.lines().filter(|l| *l == line).count();
    let wrong = [
        (has("made:yes") == 0).then_some("none can be made"),
        (has("restored:yes") == 0).then_some("it cannot be restored"),
        (has("same:yes") < saved).then_some("what is restored is not what was saved"),
    ];
    let wrong: Vec<&str> = wrong.into_iter().flatten().collect();
    match wrong.first() {
        None => Ok("made, restored, and the same".to_owned()),
        Some(what) => Err(format!("{what}: {}", short(&output.text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::recipe_of;

    fn said(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    #[test]
    fn a_backup_that_does_not_come_back_is_seen() {
        assert!(judge(&said("made:yes\nrestored:yes\nsame:yes\n"), 1).is_ok());
        for (text, why) in [
            ("restored:yes\nsame:yes\n", "none can be made"),
            ("made:yes\nsame:yes\n", "it cannot be restored"),
            ("made:yes\nrestored:yes\ncmp: a b differ\n", "what is restored is not what was saved"),
            ("", "none can be made"),
        ] {
            assert!(judge(&said(text), 1).unwrap_err().starts_with(why), "{text}");
        }
        assert!(judge(&said("made:yes\nrestored:yes\nsame:yes\n"), 2).is_err());
        assert!(
            timer(&said("active\nNextElapseUSecRealtime=Mon 2026-11-30 02:30:00 UTC\nNextElapseUSecMonotonic=\n"))
                .is_ok()
        );
        for text in ["active\nNextElapseUSecRealtime=\nNextElapseUSecMonotonic=infinity\n", "inactive\nA=1\n"] {
            assert!(timer(&said(text)).is_err(), "{text}");
        }
    }

    /// As ssh(1) and ssh-keygen(1) of OpenSSH 10.0 print it.
    #[test]
    fn a_server_with_any_key_is_seen() {
        const GOOD: &str = "host backup\nuser inventory\nhostname backup.example\nport 2222\nhostkeyalias backup\n\
            stricthostkeychecking true\nuserknownhostsfile /usr/lib/diorite/backup-host-keys\n\
            preferredauthentications publickey\nkey:ssh-ed25519 AAAA\nkey:ssh-rsa BBBB\n\
            Environment=RESTIC_REPOSITORY=sftp://x BACKUP_SSH=/usr/lib/diorite/backup-ssh\n";
        let sftp = BackupSftp {
            host: "backup.example".into(),
            port: 2222,
            user: "inventory".into(),
            path: "/x".into(),
            host_keys: vec!["ssh-ed25519 AAAA root@backup".into(), "ssh-rsa BBBB".into()],
            credential: "k".into(),
        };
        assert_eq!(called(&said(GOOD), &sftp).as_deref(), Ok("inventory@backup.example, 2 keys"));
        for (from, to, why) in [
            ("hostname backup.example", "hostname evil.example", "another server"),
            ("port 2222", "port 22", "another port"),
            ("user inventory", "user root", "another account"),
            ("hecking true", "hecking ask", "any key"),
            ("userknownhostsfile /usr/lib", "userknownhostsfile /root", "other keys"),
            ("publickey", "publickey,password", "password"),
            ("AAAA", "CCCC", "known keys"),
            ("key:ssh-rsa BBBB\n", "", "known keys"),
            ("BACKUP_SSH=", "BACKUP_SHS=", "does not look"),
        ] {
            let why_not = called(&said(&GOOD.replace(from, to)), &sftp).unwrap_err();
            assert!(why_not.contains(why), "{why_not}");
        }
    }

    #[test]
    fn only_one_on_the_machine_is_restored() {
        let ids = |more: &str| {
            let text = format!("[backup]\ndirectories = [\"/srv/data\"]\npassword = \"key\"\n{more}");
            checks(&Scope::of(&recipe_of(&text))).into_iter().map(|c| c.id).collect::<Vec<_>>()
        };
        assert_eq!(ids("directory = \"/var/backups/restic\""), ["backup-timer", "backup-restored"]);
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
        let server =
            format!("host = \"a.example\", user = \"b\", path = \"/c\", host_keys = [\"{key}\"], credential = \"k\"");
        assert_eq!(ids(&format!("sftp = {{ {server} }}")), ["backup-timer", "backup-server"]);
        assert_eq!(ids("s3 = { url = \"https://s3.example/b\", credential = \"s3\" }"), ["backup-timer"]);
    }
}
