//! One wheel that is asked for, as pip's hash-checking mode writes it: a name, one version, and the SHA-256 of every file
//! that will do.

use super::{Marker, Requirement, Version, WheelName};
use crate::oci::Reference;
use crate::{Digest, Error};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `name[extra]==1.0 ; marker --hash=sha256:…`, or `name @ https://…/name-1.0-py3-none-any.whl --hash=sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pinned {
    /// The distribution's name in the normal form.
    pub name: String,
    /// Optional parts of it, whose requirements count as well.
    pub extras: Vec<String>,
    /// The one version.
    pub version: Version,
    /// Where its file is looked for.
    pub source: WheelSource,
    /// For which interpreters it is asked for; none: for every one.
    pub marker: Option<Marker>,
    /// SHA-256 of files that will do; one at least.
    pub hashes: Vec<Digest>,
}

/// Where a wheel's file is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WheelSource {
    /// In the index of wheels, by name.
    Index,
    /// At this URL.
    Url(String),
}

/// How many hashes a requirement may have: some distributions have more than a hundred files of one version.
const MOST_HASHES: usize = 400;

impl Pinned {
    /// Reads one line, without continuations and comments. Error: a cause in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let start = text.split_whitespace().find(|w| w.starts_with('-'));
        let at = start.map_or(text.len(), |word| word.as_ptr() as usize - text.as_ptr() as usize);
        let (asked, options) = text.split_at(at);
        let hashes = hashes(options)?;
        let asked = asked.trim();
        if let Some(url) = ["https://", "http://"].iter().any(|s| asked.starts_with(s)).then_some(asked) {
            let (url, marker) = match url.split_once(" ;") {
                Some((url, marker)) => (url.trim(), Some(Marker::parse(marker)?)),
                None => (url, None),
            };
            let file = file_of(url)?;
            return Self::of_url(file.name, Vec::new(), url, marker, hashes);
        }
        // Words that name a file or a repository are no requirement to any reader of PEP 508.
        if asked.starts_with("git+") || asked.starts_with('.') || asked.contains("/") && !asked.contains('@') {
            return Err(
                "it is source code or a file of this host: only wheels are taken, by name and version or by URL".into(),
            );
        }
        let Requirement { name, extras, versions, url, marker } = Requirement::parse(asked)?;
        if let Some(url) = url {
            let file = file_of(&url)?;
            if file.name != name {
                return Err(format!("the file at its URL is of `{}`", file.name));
            }
            return Self::of_url(name, extras, &url, marker, hashes);
        }
        let version = versions.exactly().cloned();
        let version = version.ok_or("it is not pinned to one version: write `==` and the version")?;
        Self { name, extras, version, source: WheelSource::Index, marker, hashes }.checked()
    }

    fn of_url(
        name: String,
        extras: Vec<String>,
        url: &str,
        marker: Option<Marker>,
        hashes: Vec<Digest>,
    ) -> Result<Self, String> {
        let version = file_of(url)?.version;
        Self { name, extras, version, source: WheelSource::Url(url.to_owned()), marker, hashes }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        if self.hashes.is_empty() {
            return Err("it has no hash: write `--hash=sha256:…` of the wheel behind it; \
                        `pip-compile --generate-hashes`, `uv export` and `pip hash FILE` write it"
                .into());
        }
        if self.marker.as_ref().is_some_and(|m| m.asks_for("extra")) {
            return Err("`extra` is no variable here: it belongs to what a distribution requires".into());
        }
        Ok(self)
    }

    /// Name and version, for people: `flask 3.0.3`.
    pub fn words(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// The wheel at the end of a URL.
fn file_of(url: &str) -> Result<WheelName, String> {
    let host = |scheme: &str| url.strip_prefix(scheme).map(|rest| rest.split('/').next().unwrap_or_default());
    let here = host("http://").is_some_and(Reference::is_loopback);
    if !here && host("https://").is_none_or(str::is_empty) {
        return Err("its URL is not `https://…`".into());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/:%+![]".contains(c);
    if url.len() > 1000 || !url.chars().all(plain) || url.split('/').any(|part| part == "..") {
        return Err("its URL holds more than a path: a user name, a query, a fragment or another character".into());
    }
    let file = url.rsplit('/').next().unwrap_or_default().replace("%2B", "+").replace("%2b", "+");
    WheelName::parse(&file)
}

/// `--hash=sha256:…`, as often as there are; nothing else.
fn hashes(options: &str) -> Result<Vec<Digest>, String> {
    let (mut all, mut others) = (Vec::new(), false);
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let hash = match word.strip_prefix("--hash") {
            Some("") => words.next().unwrap_or_default(),
            Some(rest) if rest.starts_with('=') => &rest[1..],
            _ => {
                let option = word.split('=').next().unwrap_or_default();
                return Err(format!("`{}` is an option that a wheel has no use for", option.escape_debug()));
            }
        };
        let (algorithm, digest) = hash.split_once(':').unwrap_or((hash, ""));
        match algorithm {
            "sha256" => {
                let wrong = |_| format!("`{}` is not a SHA-256: 64 hexadecimal digits", digest.escape_debug());
                all.push(digest.parse::<Digest>().map_err(wrong)?);
            }
            "sha384" | "sha512" => others = true,
            other => return Err(format!("`{}` is no algorithm for a hash here: `sha256`", other.escape_debug())),
        }
    }
    if all.is_empty() && others {
        return Err("none of its hashes is a SHA-256, and the lock names files by that".into());
    }
    all.sort();
    all.dedup();
    if all.len() > MOST_HASHES { Err(format!("it has more than {MOST_HASHES} hashes")) } else { Ok(all) }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extras = if self.extras.is_empty() { String::new() } else { format!("[{}]", self.extras.join(",")) };
        match &self.source {
            WheelSource::Index => write!(f, "{}{extras}=={}", self.name, self.version)?,
            WheelSource::Url(url) => write!(f, "{}{extras} @ {url}", self.name)?,
        }
        if let Some(marker) = &self.marker {
            write!(f, " ; {marker}")?;
        }
        self.hashes.iter().try_for_each(|hash| write!(f, " --hash=sha256:{hash}"))
    }
}

impl From<Pinned> for String {
    fn from(pinned: Pinned) -> Self {
        pinned.to_string()
    }
}

impl TryFrom<String> for Pinned {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text).map_err(|cause| Error::input("a requirement cannot be read").because(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(of: &str) -> String {
        format!("--hash=sha256:{}", Digest::of(of.as_bytes()))
    }

    #[test]
    fn what_pip_reads_is_read() {
        let (a, b) = (hash("a"), hash("b"));
        let both = if Digest::of(b"a") < Digest::of(b"b") { format!("{a} {b}") } else { format!("{b} {a}") };
        for (text, meant) in [
            (format!("Flask == 3.0.3 {a}"), format!("flask==3.0.3 {a}")),
            (format!("uvicorn[Standard]==0.30.0 {b} {a} {b}"), format!("uvicorn[standard]==0.30.0 {both}")),
            (
                format!("tzdata==2024.1 ; sys_platform == 'win32' --hash sha256:{}", Digest::of(b"a")),
                format!("tzdata==2024.1 ; sys_platform == \"win32\" {a}"),
            ),
            (format!("x==1 --hash=sha512:00 {a}"), format!("x==1 {a}")),
            (
                format!("https://files.example/x_y-1.0-py3-none-any.whl {a}"),
                format!("x-y @ https://files.example/x_y-1.0-py3-none-any.whl {a}"),
            ),
            (
                format!(
                    "torch @ https://files.example/torch-2.1%2Bcpu-cp313-cp313-linux_x86_64.whl ; os_name=='posix' {a}"
                ),
                format!(
                    "torch @ https://files.example/torch-2.1%2Bcpu-cp313-cp313-linux_x86_64.whl ; os_name == \"posix\" {a}"
                ),
            ),
        ] {
            let read = Pinned::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(read.to_string(), meant);
            assert_eq!(Pinned::parse(&meant), Ok(read.clone()));
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Pinned>(&json).unwrap(), read);
        }
    }

    #[test]
    fn what_is_not_pinned_is_refused_in_words() {
        let a = hash("a");
        let all = [
            "flask==3.0.3".to_owned(),
            format!("flask {a}"),
            format!("flask>=3 {a}"),
            format!("flask==3.* {a}"),
            format!("flask==3,!=4 {a}"),
            "flask==3 --hash=md5:00".into(),
            "flask==3 --hash=sha256:00".into(),
            "flask==3 --hash=sha512:00".into(),
            format!("flask==3 --global-option=x {a}"),
            format!("flask==3 ; extra == 'x' {a}"),
            format!("flask==3 ; python_version {a}"),
            format!("./flask-3-py3-none-any.whl {a}"),
            format!("wheels/flask-3-py3-none-any.whl {a}"),
            format!("git+https://host.example/flask {a}"),
            format!("http://files.example/flask-3-py3-none-any.whl {a}"),
            format!("https://me:pw@files.example/flask-3-py3-none-any.whl {a}"),
            format!("https://files.example/flask-3.tar.gz {a}"),
            format!("django @ https://files.example/flask-3-py3-none-any.whl {a}"),
            format!("flask @ https://files.example/../flask-3-py3-none-any.whl {a}"),
            a.clone(),
        ];
        let said: Vec<String> = all
            .iter()
            .map(|text| format!("{}: {}", text.replace(&a, "HASH"), Pinned::parse(text).unwrap_err()))
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
