//! A target: a hypervisor we may deploy to, as `targets.toml` describes it. Never with a secret: where the secret is.

mod forms;
mod read;
mod secret;

pub use diorite_model::instance::SecretSource;
pub use read::{example, parse, parse_each};
pub use secret::{Credential, Secret};

use diorite_model::policy::WrittenPolicy;
use diorite_model::profile::reader::nearest;
use diorite_model::{Error, Exit, Result};
use std::fs;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// A hypervisor, or a cluster of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the file.
    pub name: String,
    /// `https://HOST:PORT`, without a path.
    pub url: String,
    /// Nodes that may be used; empty: all.
    pub nodes: Vec<String>,
    /// Storage that takes uploaded images.
    pub import_storage: String,
    /// Storage that takes config drives.
    pub iso_storage: String,
    /// Storage for the disks of machines.
    pub disk_storage: String,
    /// Bridge that machines are connected to.
    pub bridge: String,
    /// Resource pool of the machines.
    pub pool: Option<String>,
    /// Tag that marks our machines.
    pub tag: String,
    /// Numbers that new machines may get.
    pub vmids: RangeInclusive<u32>,
    /// Whether the hypervisor's firewall is to be in force.
    pub firewall: bool,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// How to log in.
    pub login: LoginMethod,
    /// Where nodes may fetch images from this program; none: images are uploaded.
    pub serve: Option<Serve>,
    /// Where the private key is that signs machines' own values.
    pub signing_key: Option<SecretSource>,
    /// What to do first when it cannot be reached.
    pub vpn: Option<String>,
    /// What has to be said of an image before it is deployed here.
    pub policy: Option<WrittenPolicy>,
    /// Where it is described.
    pub location: String,
}

/// Which certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The host's own certificate authorities.
    System,
    /// This SHA-256 of the certificate, whatever it says.
    Fingerprint([u8; 32]),
    /// The certificate authorities in this file (PEM).
    Authority(PathBuf),
}

/// Where this program can be reached by nodes that fetch an image from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serve {
    /// As nodes know it, an IPv6 address in brackets; none: the address that this host has on its way to the target.
    pub host: Option<String>,
    /// 0: any that is free.
    pub port: u16,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginMethod {
    /// By an API token, `USER@REALM!ID=UUID`, from there.
    Token(SecretSource),
    /// As this user (`root@pam`), with the password from there.
    Password(String, SecretSource),
}

/// Largest `targets.toml` that is read, in bytes.
const LARGEST: u64 = diorite_model::profile::LARGEST as u64;

/// Where targets are described, nearest first: the project's `profiles/targets.toml`, then the user's own
/// `diorite/targets.toml` in `$XDG_CONFIG_HOME` or `~/.config`.
pub fn files(environment: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let own = environment("XDG_CONFIG_HOME").filter(|directory| directory.starts_with('/')).map(PathBuf::from);
    let own = own.or_else(|| environment("HOME").map(|home| Path::new(&home).join(".config")));
    let mut files = vec![PathBuf::from("profiles/targets.toml")];
    files.extend(own.map(|directory| directory.join("diorite/targets.toml")));
    files
}

/// The target of this name; what is wrong with others does not matter. A target of the nearer file hides one of the same
/// name.
///
/// # Errors
/// [`Exit::Input`]: no such target (with those that there are), or a file is wrong, with the user's line.
pub fn find(name: &str, files: &[PathBuf], environment: &dyn Fn(&str) -> Option<String>) -> Result<Target> {
    let mut all: Vec<(String, Result<Target>)> = Vec::new();
    let mut read = Vec::new();
    for file in files {
        let Some(text) = text(file)? else { continue };
        let directory = file.parent().unwrap_or(Path::new("."));
        all.extend(parse_each(&text, &file.display().to_string(), directory, environment("HOME").as_deref())?);
        read.push(file.display().to_string());
    }
    if let Some(place) = all.iter().position(|(target, _)| target == name) {
        return all.swap_remove(place).1;
    }
    let mut names: Vec<_> = all.iter().map(|(target, _)| target.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let places: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    let error = Error::input(format!("there is no target `{name}`"));
    Err(match (names.is_empty(), nearest(name, &names)) {
        (true, _) if read.is_empty() => error
            .because(format!("there is no {}", places.join(" and no ")))
            .hint(format!("describe it in one of them:\n{}", example())),
        (true, _) => error.at(read.join(", ")).hint(format!("describe it there:\n{}", example())),
        (_, Some(near)) => {
            error.at(read.join(", ")).hint(format!("did you mean `{near}`? available: {}", names.join(", ")))
        }
        (_, None) => error.at(read.join(", ")).hint(format!("available: {}", names.join(", "))),
    })
}

fn text(file: &Path) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    match fs::File::open(file).and_then(|f| f.take(LARGEST + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error { exit: Exit::Host, ..Error::io("the targets cannot be read", file, e) }),
    }
    String::from_utf8(bytes).map(Some).map_err(|_| {
        Error::input("this file is not text in UTF-8")
            .at(file.display().to_string())
            .hint("save it as UTF-8; every TOML file is")
    })
}

impl Target {
    /// `HOST:PORT`, for people.
    pub fn authority(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, rest)| rest)
    }
}

impl LoginMethod {
    /// Where its secret is.
    pub fn source(&self) -> &SecretSource {
        match self {
            LoginMethod::Token(source) | LoginMethod::Password(_, source) => source,
        }
    }

    /// `token` or `password`.
    pub fn noun(&self) -> &'static str {
        match self {
            LoginMethod::Token(_) => "token",
            LoginMethod::Password(..) => "password",
        }
    }
}

/// `AB:CD:…`, as `pvenode cert info` prints it.
pub fn fingerprint(digest: &[u8; 32]) -> String {
    let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
