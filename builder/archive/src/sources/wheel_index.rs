//! Where an index of wheels is. None is built in: the profile names it, else the environment, else what the build host's pip
//! is told. It enters no digest: the lock names bytes, and any index that has them will do.

use crate::url;
use diorite_model::{Error, Result, base64};
use std::path::{Path, PathBuf};

/// The variable that names an index.
const VARIABLE: &str = "DIORITE_WHEEL_INDEX";

/// An index of wheels, by the simple repository API (PEP 503, PEP 691).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelIndex {
    /// Its root without a slash at the end, and without a login.
    pub root: String,
    /// `Authorization` of its own host, where its URL has a login.
    pub authorization: Option<String>,
}

impl WheelIndex {
    /// The index for a profile on this machine, `wanted` being what the profile says.
    ///
    /// Errors: [`diorite_model::Exit::Host`] when nobody names one; `Input` for one that is no URL.
    pub fn discover(wanted: Option<&str>, environment: &dyn Fn(&str) -> Option<String>, host: &Path) -> Result<Self> {
        let variable = |name: &str| environment(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        if let Some(url) = wanted {
            return Self::of(url, "[archive] wheel_index in the profile");
        }
        for name in [VARIABLE, "PIP_INDEX_URL"] {
            if let Some(url) = variable(name) {
                return Self::of(&url, name);
            }
        }
        let files = configuration_files(&variable, host);
        for file in &files {
            if let Some(url) = std::fs::read_to_string(file).ok().and_then(|text| index_url(&text)) {
                return Self::of(&url, &file.display().to_string());
            }
        }
        Err(Error::host("no index of wheels is known")
            .because(format!(
                "neither the profile nor {VARIABLE} names one, and this host's pip has no `index-url` in its configuration"
            ))
            .hint(format!(
                "set {VARIABLE}=https://HOST/simple (what pip calls `index-url`; `pip download --help` says which one pip has built \
                 in), or write `wheel_index = \"https://HOST/simple\"` under [archive] in the profile"
            )))
    }

    fn of(text: &str, place: &str) -> Result<Self> {
        let wrong = || {
            Error::input(format!("`{}` is not the URL of an index of wheels", url::shown(text)))
                .at(place)
                .hint("https://HOST/simple, http://HOST/simple or file:///DIRECTORY: what pip calls `index-url`")
        };
        let fine = match url::scheme(text) {
            None => false,
            Some("file") => url::file_path(text).is_some(),
            Some(_) => text.split_once("://").is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with('/')),
        };
        if !fine || text.contains(['?', '#']) || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong());
        }
        let root = text.trim_end_matches('/');
        let Some((scheme, rest)) = root.split_once("://") else {
            return Ok(Self { root: root.to_owned(), authorization: None });
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let Some((login, server)) = authority.rsplit_once('@') else {
            return Ok(Self { root: root.to_owned(), authorization: None });
        };
        if server.is_empty() {
            return Err(wrong());
        }
        if url::scheme(text) != Some("https") && !url::is_here(&format!("{scheme}://{}", &rest[login.len() + 1..])) {
            return Err(wrong().because("a login is sent by https alone").hint("write https"));
        }
        let authorization = format!("Basic {}", base64::encode(&url::decode(login)));
        Ok(Self { root: format!("{scheme}://{}", &rest[login.len() + 1..]), authorization: Some(authorization) })
    }

    /// The page of a distribution, whose name is in the normal form.
    pub fn page(&self, name: &str) -> String {
        format!("{}/{name}/", self.root)
    }
}

/// The files that pip reads, "Configuration" of its documentation: what goes before comes first.
fn configuration_files(variable: &dyn Fn(&str) -> Option<String>, host: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    let own = variable("PIP_CONFIG_FILE");
    if own.as_deref() == Some("/dev/null") {
        return files;
    }
    files.extend(own.map(PathBuf::from));
    let home = variable("HOME").map(PathBuf::from);
    files.extend(variable("VIRTUAL_ENV").map(|directory| PathBuf::from(directory).join("pip.conf")));
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config")));
    files.extend(config.map(|directory| directory.join("pip/pip.conf")));
    files.extend(home.map(|directory| directory.join(".pip/pip.conf")));
    files.extend(["etc/xdg/pip/pip.conf", "etc/pip.conf"].map(|file| host.join(file)));
    files
}

/// `index-url` of the sections that count for what pip downloads.
fn index_url(text: &str) -> Option<String> {
    let mut section = String::new();
    let mut found: Option<(u8, String)> = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.trim().to_ascii_lowercase();
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        if key.trim().to_ascii_lowercase().replace('_', "-") != "index-url" || value.trim().is_empty() {
            continue;
        }
        // What is said of one command goes before what is said of all.
        let order = match section.as_str() {
            "download" => 2,
            "install" => 1,
            "global" => 0,
            _ => continue,
        };
        if found.as_ref().is_none_or(|(before, _)| order > *before) {
            found = Some((order, value.trim().to_owned()));
        }
    }
    found.map(|(_, url)| url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn found(wanted: Option<&str>, variables: &[(&str, &str)], host: &Path) -> Result<WheelIndex> {
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        WheelIndex::discover(wanted, &get, host)
    }

    #[test]
    fn the_nearest_word_counts() {
        let host = tempfile::tempdir().unwrap();
        let home = host.path().join("home");
        fs::create_dir_all(host.path().join("etc")).unwrap();
        fs::create_dir_all(home.join(".config/pip")).unwrap();
        fs::write(host.path().join("etc/pip.conf"), "[global]\nindex-url = https://all.example/simple/\n").unwrap();
        let root = |wanted, variables: &[(&str, &str)]| found(wanted, variables, host.path()).unwrap().root;
        let home_text = home.display().to_string();
        assert_eq!(root(None, &[]), "https://all.example/simple");
        fs::write(
            home.join(".config/pip/pip.conf"),
            "# mine\n[list]\nindex-url = https://list.example/\n[global]\ntimeout: 5\nINDEX_URL: https://mine.example/simple\n\
             [install]\nindex-url=https://install.example/simple\n",
        )
        .unwrap();
        assert_eq!(root(None, &[("HOME", &home_text)]), "https://install.example/simple");
        let pip = ("PIP_INDEX_URL", "https://pip.example/simple");
        assert_eq!(root(None, &[("HOME", &home_text), pip]), "https://pip.example/simple");
        let own = ("DIORITE_WHEEL_INDEX", " file:///srv/simple/ ");
        assert_eq!(root(None, &[pip, own]), "file:///srv/simple");
        assert_eq!(root(Some("https://profile.example/simple"), &[pip, own]), "https://profile.example/simple");
        let nothing = [("PIP_CONFIG_FILE", "/dev/null"), ("HOME", home_text.as_str())];
        assert!(found(None, &nothing, host.path()).is_err());
    }

    #[test]
    fn a_login_is_taken_out_of_the_url() {
        let index =
            found(None, &[("PIP_INDEX_URL", "https://me:p%40ss@index.example/simple/")], Path::new("/none")).unwrap();
        assert_eq!(index.root, "https://index.example/simple");
        assert_eq!(index.authorization.as_deref(), Some(&*format!("Basic {}", base64::encode(b"me:p@ss"))));
        assert_eq!(index.page("a-b"), "https://index.example/simple/a-b/");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let all = [
            found(None, &[], Path::new("/none")),
            found(Some("index.example"), &[], Path::new("/none")),
            found(None, &[("DIORITE_WHEEL_INDEX", "https://me:secret@")], Path::new("/none")),
            found(None, &[("PIP_INDEX_URL", "http://me:secret@index.example/simple")], Path::new("/none")),
            found(None, &[("PIP_INDEX_URL", "https://index.example/simple?x")], Path::new("/none")),
        ];
        let said: Vec<String> = all.into_iter().map(|r| r.unwrap_err().to_string()).collect();
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
