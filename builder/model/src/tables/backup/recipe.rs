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
