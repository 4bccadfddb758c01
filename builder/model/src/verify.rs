//! What a profile wants asked of its machine besides what follows from the recipe: `[[verify.check]]`. No byte of the
//! image depends on any of it, so that it is no part of the recipe.

use crate::recipe::Protocol;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// A check of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnCheck {
    /// What its id is made of; different for each.
    pub name: String,
    /// Seconds for which it is asked again until it is as it must be; on a slow host more, in proportion.
    pub retry: u32,
    /// Where it is asked.
    pub level: Level,
    /// What is asked.
    pub ask: Ask,
}

/// Where a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// On the wire, through the packet filter.
    Outside,
    /// In the machine.
    Inside,
}

/// What is asked, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// A port's answer.
    Port(Port),
    /// A page.
    Http(Http),
    /// A name's addresses.
    Dns(Dns),
    /// A unit of systemd.
    Unit(Unit),
    /// A file or directory.
    File(File),
    /// A command.
    Command(Command),
    /// A sample in Prometheus' text format.
    Metric(Metric),
    /// A container.
    Container(Container),
    /// A process.
    Process(Process),
    /// A value of the kernel.
    Sysctl(Sysctl),
    /// An account.
    User(User),
    /// A Debian package.
    Package(Package),
}

impl Ask {
    /// The one family in which a question is asked from outside, when it names one. Without, it is asked in each that the
    /// machine has.
    pub fn family(&self) -> Option<IpFamily> {
        match self {
            Ask::Port(p) => p.family,
            Ask::Http(h) => h.family,
            _ => None,
        }
    }
}

impl IpFamily {
    /// Is this an address of it?
    pub fn holds(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::Ipv4)
    }
}

/// Internet protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpFamily {
    /// Version 4.
    Ipv4,
    /// Version 6.
    Ipv6,
}

/// What a port must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortState {
    /// Somebody listens.
    Open,
    /// Nobody does, and the machine says so.
    Closed,
    /// The packet filter says so.
    Rejected,
    /// Nothing comes back.
    Silent,
}

/// A port's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its number.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// What it must be.
    pub state: PortState,
    /// One family only; else each that the machine has.
    pub family: Option<IpFamily>,
}

/// A page over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Port.
    pub port: u16,
    /// Over TLS, whatever certificate is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// Path and query.
    pub path: String,
    /// Status code.
    pub status: u16,
    /// Texts the page must hold.
    pub contains: Vec<String>,
    /// Texts it must not hold.
    pub lacks: Vec<String>,
    /// One family only; else each that the machine has.
    pub family: Option<IpFamily>,
}

/// A name and its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The name.
    pub name: String,
    /// It has an address at all.
    pub resolvable: bool,
    /// Addresses that must be among its.
    pub addresses: Vec<IpAddr>,
}

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Its name with its type.
    pub name: String,
    /// It is active, or it is not.
    pub running: bool,
    /// It starts at boot, or it does not.
    pub enabled: Option<bool>,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// It is there, or it is not.
    pub exists: bool,
    /// What it is.
    pub kind: Option<FileKind>,
    /// Permissions, four octal digits.
    pub mode: Option<String>,
    /// Owner's name.
    pub owner: Option<String>,
    /// Group's name.
    pub group: Option<String>,
    /// SHA-256 of its contents.
    pub sha256: Option<String>,
    /// Texts it must hold.
    pub contains: Vec<String>,
    /// Texts it must not hold.
    pub lacks: Vec<String>,
    /// Where a symbolic link points.
    pub target: Option<String>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A socket.
    Socket,
}

/// A command; its words reach execve(2) as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program and arguments.
    pub exec: Vec<String>,
    /// Exit status.
    pub status: u8,
    /// Texts its standard output must hold.
    pub stdout: Vec<String>,
    /// Texts its standard error must hold.
    pub stderr: Vec<String>,
    /// Seconds after which it has failed.
    pub timeout: u32,
}

/// A sample in Prometheus' text format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Labels it must have; it may have others.
    pub labels: BTreeMap<String, String>,
    /// Least value.
    pub at_least: Option<i64>,
    /// Greatest value.
    pub at_most: Option<i64>,
    /// Port.
    pub port: u16,
    /// Path.
    pub path: String,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Its name in the profile.
    pub name: String,
    /// It runs, or it does not.
    pub running: bool,
    /// Its health check says so, or says it is not.
    pub healthy: Option<bool>,
}

/// A process, by the kernel's name for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The first 15 characters of its program's name.
    pub name: String,
    /// There is one, or there is none.
    pub running: bool,
    /// Whom one of them runs as.
    pub user: Option<String>,
}

/// A value of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    /// Its name.
    pub name: String,
    /// Its value, numbers with one space between.
    pub value: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// It is there, or it is not.
    pub exists: bool,
    /// Its number.
    pub uid: Option<u32>,
    /// Its home.
    pub home: Option<String>,
    /// Its shell.
    pub shell: Option<String>,
    /// Groups it must be in; it may be in others.
    pub groups: Vec<String>,
}

/// A Debian package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// It is installed, or it is not.
    pub installed: bool,
    /// Its version.
    pub version: Option<String>,
}

impl Ask {
    /// The word of its table.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Port(_) => "port",
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
            Self::Unit(_) => "unit",
            Self::File(_) => "file",
            Self::Command(_) => "command",
            Self::Metric(_) => "metric",
            Self::Container(_) => "container",
            Self::Process(_) => "process",
            Self::Sysctl(_) => "sysctl",
            Self::User(_) => "user",
            Self::Package(_) => "package",
        }
    }
    /// What it is about, for a name nobody has given.
    pub fn subject(&self) -> String {
        match self {
            Self::Port(p) => format!("{}-{}-{}", p.protocol.name(), p.port, p.state.name()).to_lowercase(),
            Self::Http(h) => format!("{}{}", h.port, h.path),
            Self::Command(c) => c.exec.join(" "),
            Self::Dns(Dns { name, .. })
            | Self::Unit(Unit { name, .. })
            | Self::File(File { path: name, .. })
            | Self::Metric(Metric { name, .. })
            | Self::Container(Container { name, .. })
            | Self::Process(Process { name, .. })
            | Self::Sysctl(Sysctl { name, .. })
            | Self::User(User { name, .. })
            | Self::Package(Package { name, .. }) => name.clone(),
        }
    }
    /// Where it is asked when nothing is said.
    pub fn usual(&self) -> Level {
        match self {
            Self::Port(_) | Self::Http(_) | Self::Metric(_) => Level::Outside,
            _ => Level::Inside,
        }
    }
    /// Whether it can be asked there at all.
    pub fn can_be_asked(&self, level: Level) -> bool {
        level == Level::Inside || matches!(self, Self::Port(_) | Self::Http(_) | Self::Metric(_) | Self::Dns(_))
    }
}

impl PortState {
    /// The word of the profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Rejected => "rejected",
            Self::Silent => "silent",
        }
    }
}
