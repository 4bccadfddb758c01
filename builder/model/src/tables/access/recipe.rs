//! Who may log in, and what they may do then.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// People, by public key only: there is no password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Root's own login.
    pub root_login: RootLogin,
    /// Public keys of the authorities whose user certificates are accepted.
    pub user_ca: Vec<String>,
    /// What a login needs besides a key.
    pub second_factor: SecondFactor,
    /// A connection on which nothing happens for so many minutes is closed; never when absent.
    pub idle_minutes: Option<u16>,
    /// Shells and transfers at a time over one connection.
    pub sessions: u16,
    /// Lines shown before anybody logs in.
    pub banner: Vec<String>,
    /// By login name.
    pub administrators: BTreeMap<String, Person>,
    /// People without `sudo` of their own, by login name.
    pub users: BTreeMap<String, Person>,
    /// Groups by name.
    pub groups: BTreeMap<String, Group>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            root_login: RootLogin::No,
            user_ca: Vec::new(),
            second_factor: SecondFactor::None,
            idle_minutes: None,
            sessions: 10,
            banner: Vec::new(),
            administrators: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }
}

impl Access {
    /// Administrators and users.
    pub fn people(&self) -> impl Iterator<Item = (&String, &Person)> {
        self.administrators.iter().chain(&self.users)
    }
    /// Whether `sudo` allows anybody anything.
    pub fn anybody_has_sudo(&self) -> bool {
        let groups = self.groups.values().map(|g| &g.sudo);
        self.people().map(|(_, p)| &p.sudo).chain(groups).any(|sudo| *sudo != Sudo::None)
    }
}

/// Root's own login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootLogin {
    /// Refused.
    No,
    /// With the keys of the credential `ssh.authorized_keys.root`, systemd.system-credentials(7).
    Credential,
}

/// What a login needs besides a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    /// Nothing.
    None,
    /// The key is in a FIDO token, which asks for its PIN and a touch.
    U2f,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// OpenSSH public keys, one line each.
    pub ssh_keys: Vec<String>,
    /// Names in a certificate that make it this person's; empty when there is no authority.
    pub principals: Vec<String>,
    /// Number of the account and of its group: the same in every version of an image, as its files outlive it.
    pub uid: u32,
    /// What `sudo` allows.
    pub sudo: Sudo,
}

/// A group of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Login names.
    pub members: Vec<String>,
    /// Number of the group.
    pub gid: u32,
    /// What `sudo` allows its members.
    pub sudo: Sudo,
}

/// What `sudo` allows, as any user of the machine and without a password, which nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sudo {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// These commands, as root.
    Commands(Vec<Command>),
}

/// One command with exactly these arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Absolute path of the program.
    pub run: String,
    /// Its arguments, each as it is.
    pub arguments: Vec<String>,
}
