//! What is mounted besides the root and the state partition.

use crate::tables::state::recipe::FileSystem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One file system, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where the profile wants it: an absolute path.
    pub path: String,
    /// What is mounted.
    pub source: MountSource,
    /// When.
    pub when: MountTime,
    /// The machine does not come up without it; only with [`MountTime::Boot`].
    pub required: bool,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// Seconds without use after which it is unmounted; only with [`MountTime::Access`].
    pub idle: Option<u32>,
    /// Further options of mount(8), one each.
    pub options: Vec<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum MountSource {
    /// A disk of the machine.
    Disk(DiskMount),
    /// A directory of an NFS version 4 server.
    Nfs(NfsMount),
    /// A share of an SMB server.
    Cifs(CifsMount),
    /// A directory of the machine itself: an absolute path.
    Bind(String),
}

/// A file system on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskMount {
    /// Which disk.
    pub name: DiskName,
    /// What is on it.
    pub filesystem: FileSystem,
    /// Make the file system where the disk is empty; only with [`DiskName::Serial`].
    pub create: bool,
}

/// How a disk is told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskName {
    /// Label of the file system.
    Label(String),
    /// UUID of the file system.
    Uuid(String),
    /// Serial number of the disk, which has the file system on the whole of it.
    Serial(String),
}

/// A directory of an NFS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NfsMount {
    /// Name or address.
    pub server: String,
    /// The directory as the server exports it.
    pub export: String,
    /// Version of the protocol.
    pub version: String,
}

/// A share of an SMB server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CifsMount {
    /// Name or address.
    pub server: String,
    /// Name of the share, with directories in it if wanted.
    pub share: String,
    /// The systemd credential that holds user and password, in the format of mount.cifs(8) `credentials=`.
    pub credential: String,
}

/// When something is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountTime {
    /// While the machine starts.
    Boot,
    /// When a program first looks into the directory.
    Access,
}

impl Mount {
    /// The directory that it is mounted on: /srv, /home and /opt are links into /var, and systemd.mount(5) wants a path
    /// without links.
    pub fn directory(&self) -> String {
        real(&self.path)
    }

    /// Server and TCP port, where it comes from the network.
    pub fn server(&self) -> Option<(&str, u16)> {
        match &self.source {
            // RFC 7530 3.1.
            MountSource::Nfs(nfs) => Some((&nfs.server, 2049)),
            // SMB directly over TCP.
            MountSource::Cifs(cifs) => Some((&cifs.server, 445)),
            MountSource::Disk(_) | MountSource::Bind(_) => None,
        }
    }

    /// The server's addresses, where the profile gives one, or a name of `hosts` (those of the recipe); none when a name
    /// server is asked.
    pub fn server_addresses(&self, hosts: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpAddr> {
        let Some((server, _)) = self.server() else { return Vec::new() };
        server.parse().map_or_else(|_| hosts.get(server).cloned().unwrap_or_default(), |address| vec![address])
    }

    /// The disk it is on.
    pub fn disk(&self) -> Option<&DiskMount> {
        match &self.source {
            MountSource::Disk(disk) => Some(disk),
            _ => None,
        }
    }

    /// Type as mount(8) and /proc/mounts have it; that of a bind mount is its source's.
    pub fn filesystem(&self) -> &'static str {
        match &self.source {
            MountSource::Disk(disk) => disk.filesystem.name(),
            MountSource::Nfs(_) => "nfs4",
            MountSource::Cifs(_) => "cifs",
            MountSource::Bind(_) => "none",
        }
    }
}

/// A path of the profile as it is in the machine, links of the root followed.
pub fn real(path: &str) -> String {
    let moved = ["/srv", "/home", "/opt"]
        .iter()
        .any(|l| path.strip_prefix(l).is_some_and(|r| r.is_empty() || r.starts_with('/')));
    if moved { format!("/var{path}") } else { path.to_owned() }
}
