//! Backups of state.

use crate::tables::mounts::recipe::real;
use crate::tables::services::recipe::Timer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of state is saved by restic, when, where to, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// When it runs.
    pub when: Timer,
    /// Directories that are saved, with all that is below them.
    pub directories: Vec<String>,
    /// What containers say of their data, by name: saved as it comes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dumps: BTreeMap<String, BackupDump>,
    /// Where it goes.
    pub repository: BackupRepository,
    /// The systemd credential with the password of the repository, by which everything in it is encrypted.
    pub password: String,
    /// Days, weeks and months of each of which the last one is kept.
    pub keep: [u32; 3],
}

/// A program in a container whose output is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupDump {
    /// The container.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// Where backups go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BackupRepository {
    /// A directory of the machine: on state, or on another disk.
    Directory(String),
    /// A bucket, and a path in it, of a server that speaks S3.
    S3 {
        /// `https://HOST/BUCKET`.
        url: String,
        /// The systemd credential with lines `AWS_ACCESS_KEY_ID=…` and `AWS_SECRET_ACCESS_KEY=…`.
        credential: String,
    },
    /// A directory of a server that speaks SFTP.
    Sftp(BackupSftp),
}

/// A directory of a server that speaks SFTP, over SSH (RFC 4253).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupSftp {
    /// The server, by name or address.
    pub host: String,
    /// Its port, TCP.
    pub port: u16,
    /// The account there.
    pub user: String,
    /// The directory there, an absolute path.
    pub path: String,
    /// Its public keys, as OpenSSH writes them: one of them it must have.
    pub host_keys: Vec<String>,
    /// The systemd credential with the private key of the account, as OpenSSH writes it.
    pub credential: String,
}

impl BackupSftp {
    /// As the units know the credential.
    pub const CREDENTIAL: &str = "sftp";
}

impl Backup {
    /// The service that makes one.
    pub const UNIT: &str = "diorite-backup.service";
    /// Its directory on state.
    pub const STATE: &str = "/var/lib/diorite/backup";
    /// Where dumps are until they are saved, and until the next ones.
    pub const DUMPS: &str = "/var/lib/diorite/backup/dumps";
    /// Where a backup is restored to.
    pub const RESTORED: &str = "/var/lib/diorite/backup/restored";

    /// As restic(1) names it.
    pub fn location(&self) -> String {
        match &self.repository {
            BackupRepository::Directory(path) => path.clone(),
            BackupRepository::S3 { url, .. } => format!("s3:{url}"),
            BackupRepository::Sftp(BackupSftp { host, port, user, path, .. }) => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                // The path is absolute: a second slash.
                format!("sftp://{user}@{host}:{port}/{path}")
            }
        }
    }

    /// Whether it goes to another machine.
    pub fn leaves_the_machine(&self) -> bool {
        !matches!(self.repository, BackupRepository::Directory(_))
    }

    /// The credential with which the server is asked.
    pub fn server_credential(&self) -> Option<&String> {
        match &self.repository {
            BackupRepository::Directory(_) => None,
            BackupRepository::S3 { credential, .. } | BackupRepository::Sftp(BackupSftp { credential, .. }) => {
                Some(credential)
            }
        }
    }

    /// The directories that are saved, where they really are: restic saves a link as a link, and /srv and /home are such.
    pub fn places(&self) -> impl Iterator<Item = String> {
        self.directories.iter().map(|directory| real(directory))
    }

    /// Everything that is saved.
    pub fn saved(&self) -> Vec<String> {
        let dumps = (!self.dumps.is_empty()).then(|| Self::DUMPS.to_owned());
        self.places().chain(dumps).collect()
    }
}
