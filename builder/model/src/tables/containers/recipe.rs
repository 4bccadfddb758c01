//! Containers.

use crate::Recipe;
use crate::python::Pinned;
use crate::tables::firewall::rule::Protocol;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where volumes are on state: a directory per container, and in it one per volume.
pub const VOLUMES: &str = "/var/lib/diorite/containers";

/// A container started by a Quadlet unit from the image's own read-only store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// What its root file system is.
    pub source: ContainerSource,
    /// Wheels that are installed for its Python, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wheels: Vec<Pinned>,
    /// Program and arguments that go before the command; an image's own when empty.
    pub entrypoint: Vec<String>,
    /// Program and arguments; an image's own when empty.
    pub command: Vec<String>,
    /// User it runs as, a name or number in its own tree; `None`: the image's own.
    pub user: Option<String>,
    /// Directory it begins in; `None`: the image's own.
    pub workdir: Option<String>,
    /// Host name.
    pub hostname: String,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Published ports.
    pub publish: Vec<Publish>,
    /// Networks of [`crate::Recipe::container_networks`]; none: podman's own, with a way out.
    pub networks: Vec<String>,
    /// Overlays laid over its root, in this order.
    pub overlays: Vec<String>,
    /// Paths of its image whose files, with what is below them, everybody may know, whatever they look like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public: Vec<String>,
    /// Directories on state, by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Directories in memory that it may write to.
    pub writable: Vec<String>,
    /// Secrets from systemd credentials, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Devices of the machine that it may use: paths below /dev.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Capabilities it keeps, capabilities(7), without `CAP_`; every other is dropped.
    pub capabilities: Vec<String>,
    /// First of the 65536 numbers its users have on the machine; `None`: the machine's own numbers.
    pub ids: Option<u32>,
    /// A small init is its first process. Linux gives a first process no default action for a signal, so most programs
    /// would ignore SIGTERM in that place, and take ten seconds to be stopped (pid_namespaces(7)).
    pub init: bool,
    /// How it is seen to work.
    pub health: Option<Health>,
    /// What it may use at most.
    pub limits: Limits,
    /// Containers that are started before it.
    pub after: Vec<String>,
    /// Containers it cannot be without: started before it, and stopped with it.
    pub requires: Vec<String>,
}

/// What a container's root file system is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ContainerSource {
    /// Debian packages.
    Packages(Vec<String>),
    /// An image in a file: its path, relative to the profile.
    Archive(String),
    /// An image in a registry: `registry/name@sha256:…`.
    Oci(String),
}

impl Container {
    /// Made by others, as an image with settings of its own.
    pub fn is_image(&self) -> bool {
        !matches!(self.source, ContainerSource::Packages(_))
    }
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Port of the machine.
    pub host: u16,
    /// Port inside.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Reached from the machine itself only.
    pub local: bool,
}

/// A directory on state: /var/lib/diorite/containers/CONTAINER/VOLUME.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Where the container sees it.
    pub path: String,
    /// Owner in the container's own tree, as in [`Container::user`]; `None`: the user it runs as.
    pub owner: Option<String>,
    /// Permissions, four octal digits.
    pub mode: String,
    /// It cannot be written by the container.
    pub read_only: bool,
    /// The mount whose disk it is on; `None`: state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

impl Recipe {
    /// Where a container's volumes are on the machine: a directory for each below it, by name.
    pub fn volumes_directory(&self, container: &str, volume: &Volume) -> String {
        let mount = volume.mount.as_ref().and_then(|name| self.mounts.get(name));
        let root = mount.map_or_else(|| VOLUMES.to_owned(), |mount| format!("{}/containers", mount.directory()));
        format!("{root}/{container}")
    }
}

/// A secret that arrives as a systemd credential; its value is never part of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The credential's name, systemd.exec(5) `LoadCredential=`.
    pub credential: String,
    /// How the container gets it.
    pub to: SecretTo,
}

/// How a container gets a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretTo {
    /// A file at this path, readable by the container's user alone.
    File(String),
    /// An environment variable of this name.
    Environment(String),
}

/// A command that succeeds while the container works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Program and arguments, run in the container.
    pub command: Vec<String>,
    /// Seconds between runs.
    pub interval: u32,
    /// Seconds after which a run has failed.
    pub timeout: u32,
    /// Failures in a row after which the container is restarted.
    pub retries: u32,
    /// Seconds after the start in which failures do not count.
    pub start_period: u32,
}

/// What a container may use at most; `None`: as much as there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processors, in thousandths of one.
    pub cpus: Option<u32>,
    /// Processes and threads.
    pub pids: u32,
    /// Bytes of memory that each of its writable directories takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writable: Option<u64>,
    /// Bytes of /dev/shm; `None`: 64 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm: Option<u64>,
    /// Files that a process may have open; `None`: as many as podman says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
}
