//! `[backup]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;

pub(crate) const BACKUP: &[Field] = &[
    text("when", &values::TIMER, "when it runs").or_text("03:00"),
    texts("directories", &values::DIRECTORY, "directories that are saved, with all that is below them"),
    named("dumps", &values::NAME, DUMP, "programs in containers whose output is saved, by name"),
    text("directory", &values::DIRECTORY, "where it goes: a directory of the machine, on state or on another disk"),
    table("s3", S3, "where it goes: a server that speaks S3"),
    table("sftp", SFTP, "where it goes: a directory of a server that speaks SFTP"),
    text("password", &values::CREDENTIAL, "the systemd credential with the password that encrypts it").needed(),
    integer("keep_daily", 0, 3650, "of so many days the last one is kept").or_number(7),
    integer("keep_weekly", 0, 520, "of so many weeks").or_number(4),
    integer("keep_monthly", 0, 120, "of so many months").or_number(6),
];
const DUMP: &[Field] = &[
    text("container", &values::NAME, "the container").needed(),
    words("command", &values::ARGUMENT, "the program, and its arguments, that writes the data to its standard output")
        .needed(),
];
const S3: &[Field] = &[
    text("url", &values::URL, "the server and the bucket: `https://s3.example.org/backups`").needed(),
    text(
        "credential",
        &values::CREDENTIAL,
        "the systemd credential with lines `AWS_ACCESS_KEY_ID=…` and `AWS_SECRET_ACCESS_KEY=…`",
    )
    .needed(),
];
const SFTP: &[Field] = &[
    text("host", &values::SERVER, "the server").needed(),
    port("port", "its port").or_number(22),
    text("user", &values::REMOTE_USER, "the account there").needed(),
    text("path", &values::DIRECTORY, "the directory there; it is made where it is missing").needed(),
    texts("host_keys", &values::HOST_KEY, "the server's public keys, one at least: `ssh-keyscan` prints them").needed(),
    text(
        "credential",
        &values::CREDENTIAL,
        "the systemd credential with the account's private key, as `ssh-keygen` writes it and without a passphrase",
    )
    .needed(),
];

pub(crate) fn backup(top: &Section) -> Result<Option<Backup>> {
    let Some(t) = top.table("backup")? else { return Ok(None) };
    let directories = t.plain("directories")?;
    let dumps = t.each("dumps", |_, d| {
        let command = d.texts("command")?;
        let program = command.first().ok_or_else(|| d.missing("command"))?;
        (values::PROGRAM.check)(&program.value).map_err(|cause| {
            let error = d.files.error(program.span, format!("`{}.command` cannot start this program", d.path));
            error.because(cause).hint(format!("allowed: {}", values::PROGRAM.allowed))
        })?;
        let command = command.into_iter().map(|word| word.value).collect();
        Ok(BackupDump { container: d.needed("container")?.value, command })
    })?;
    if directories.is_empty() && dumps.is_empty() {
        let error = t.files.error(t.span, "this backup saves nothing");
        return Err(error.hint("name `directories`, or `dumps` of containers"));
    }
    Ok(Some(Backup {
        when: values::timer(&t.needed("when")?.value).expect("the form was checked"),
        directories,
        dumps,
        repository: repository(&t)?,
        password: t.needed("password")?.value,
        keep: [
            t.needed_number("keep_daily")?.value,
            t.needed_number("keep_weekly")?.value,
            t.needed_number("keep_monthly")?.value,
        ],
    }))
}

/// Exactly one of the keys that say where it goes.
fn repository(t: &Section) -> Result<BackupRepository> {
    let there: Vec<&str> = ["directory", "s3", "sftp"].into_iter().filter(|key| t.key(key).is_some()).collect();
    if let [one, other, ..] = there[..] {
        let span = t.key(other).unwrap_or(t.span);
        let error = t.files.error(span, format!("this backup goes to two places: `{one}` and `{other}`"));
        return Err(error.hint("keep one of them"));
    }
    if let Some(directory) = t.text("directory")? {
        return Ok(BackupRepository::Directory(directory.value));
    }
    if let Some(s3) = t.table("s3")? {
        return Ok(BackupRepository::S3 { url: s3.needed("url")?.value, credential: s3.needed("credential")?.value });
    }
    let Some(sftp) = t.table("sftp")? else {
        let hint = "write `directory = …`, `s3 = { url = …, credential = … }` or `sftp = { host = …, … }`";
        return Err(t.missing("directory").hint(hint));
    };
    let host_keys = sftp.plain("host_keys")?;
    if host_keys.is_empty() {
        return Err(sftp.missing("host_keys"));
    }
    Ok(BackupRepository::Sftp(BackupSftp {
        host: sftp.needed("host")?.value,
        port: sftp.needed_number("port")?.value,
        user: sftp.needed("user")?.value,
        path: sftp.needed("path")?.value,
        host_keys,
        credential: sftp.needed("credential")?.value,
    }))
}

/// The table that says this.
pub(crate) fn written(backup: &Backup) -> Written {
    let dump = |d: &BackupDump| Written::default().with("container", &*d.container).list("command", &d.command);
    let [daily, weekly, monthly] = backup.keep;
    let t = Written::default()
        .with("when", values::timer_text(&backup.when))
        .list("directories", &backup.directories)
        .named("dumps", &backup.dumps, dump)
        .with("password", &*backup.password)
        .with("keep_daily", daily)
        .with("keep_weekly", weekly)
        .with("keep_monthly", monthly);
    match &backup.repository {
        BackupRepository::Directory(path) => t.with("directory", &**path),
        BackupRepository::S3 { url, credential } => {
            t.with("s3", Written::default().with("url", &**url).with("credential", &**credential))
        }
        BackupRepository::Sftp(sftp) => {
            let server = Written::default()
                .with("host", &*sftp.host)
                .with("port", i64::from(sftp.port))
                .with("user", &*sftp.user)
                .with("path", &*sftp.path)
                .list("host_keys", &sftp.host_keys)
                .with("credential", &*sftp.credential);
            t.with("sftp", server)
        }
    }
}
