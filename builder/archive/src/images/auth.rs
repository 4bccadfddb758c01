//! The user's logins: containers-auth.json(5), written by `podman login` and its relatives. Helpers that keep passwords
//! elsewhere are programs, and are not run.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Variables of the process, or a test's.
type Environment = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Where the user's logins are.
pub(super) struct Logins {
    environment: Box<Environment>,
    /// The user's number on this host.
    uid: u32,
}

/// What there is for one repository.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StoredLogin {
    /// `user:password` in Base64, as it goes into a header, and the file it stands in.
    pub login: Option<(String, PathBuf)>,
    /// A file that leaves this registry to a helper.
    pub helped: Option<PathBuf>,
    /// The files that were asked, in that order, whether they are there or not.
    pub asked: Vec<PathBuf>,
}

/// One file. Unknown keys are passed over: docker keeps other things in its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Login {
    /// `user:password` in Base64.
    auth: Option<String>,
    /// What some registries give instead of a password.
    identitytoken: Option<String>,
}

impl Logins {
    /// Those of this process's user.
    pub(super) fn of_user() -> Self {
        let uid = rustix::process::getuid().as_raw();
        Self { environment: Box::new(|name| std::env::var_os(name)), uid }
    }

    #[cfg(test)]
    pub(super) fn with(environment: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self { environment: Box::new(environment), uid: 1000 }
    }

    /// The files, in the order in which podman and skopeo ask them. One that is named is the only one.
    fn places(&self) -> Vec<PathBuf> {
        let variable = |name: &str| (self.environment)(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(named) = variable("REGISTRY_AUTH_FILE") {
            return vec![named];
        }
        let home = |rest: &str| variable("HOME").map(|h| h.join(rest));
        let runtime = variable("XDG_RUNTIME_DIR").map(|d| d.join("containers/auth.json"));
        let mut places = vec![runtime.unwrap_or_else(|| format!("/run/containers/{}/auth.json", self.uid).into())];
        let config = variable("XDG_CONFIG_HOME").or_else(|| home(".config"));
        places.extend(config.map(|d| d.join("containers/auth.json")));
        let docker = variable("DOCKER_CONFIG").or_else(|| home(".docker"));
        places.extend(docker.map(|d| d.join("config.json")));
        places.extend(home(".dockercfg"));
        places
    }

    /// The login for a repository: of the first file that has one, the entry that says most of `host/name`. Error: a
    /// cause in words, which names no secret.
    pub(super) fn find(&self, host: &str, name: &str) -> Result<StoredLogin, String> {
        let mut found = StoredLogin { asked: self.places(), ..StoredLogin::default() };
        for place in &found.asked {
            let text = match std::fs::read(place) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(format!("the logins in {} cannot be read: {e}", place.display())),
            };
            let legacy = place.file_name().is_some_and(|n| n == ".dockercfg");
            let file = match legacy {
                true => serde_json::from_slice(&text).map(|auths| AuthFile {
                    auths,
                    cred_helpers: BTreeMap::new(),
                    creds_store: None,
                }),
                false => serde_json::from_slice(&text),
            };
            // The parser's own words could show a password.
            let file: AuthFile =
                file.map_err(|_| format!("{} is not a file of logins (containers-auth.json(5))", place.display()))?;
            let unusable = |why: &str| Err(format!("the login for {host} in {} {why}", place.display()));
            match entry(&file, host, name, legacy) {
                Some(Login { identitytoken: Some(token), .. }) if !token.is_empty() => {
                    return unusable("is an identity token, and only names with passwords are understood");
                }
                Some(Login { auth: Some(auth), .. }) if !auth.is_empty() => {
                    if !auth.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)) {
                        return unusable("is not in Base64");
                    }
                    found.login = Some((auth.clone(), place.clone()));
                    return Ok(found);
                }
                _ => {}
            }
            let helps = file.cred_helpers.contains_key(host) || file.creds_store.is_some_and(|s| !s.is_empty());
            if helps && found.helped.is_none() {
                found.helped = Some(place.clone());
            }
        }
        Ok(found)
    }
}

/// The entry that says most of `host/name`. docker writes some hosts as URLs.
fn entry<'a>(file: &'a AuthFile, host: &str, name: &str, legacy: bool) -> Option<&'a Login> {
    let host_of = |key: &str| {
        let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
        let host = bare.unwrap_or(key).split('/').next().unwrap_or_default();
        (legacy || bare.is_some()).then(|| host.to_owned())
    };
    let mut wanted = format!("{host}/{name}");
    loop {
        if let Some(login) = file.auths.get(&wanted) {
            return Some(login);
        }
        match wanted.rfind('/') {
            Some(slash) => wanted.truncate(slash),
            None => break,
        }
    }
    file.auths.iter().find(|(key, _)| host_of(key).as_deref() == Some(host)).map(|(_, login)| login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_entry_that_says_most_wins() {
        let text = r#"{"auths": {"r.example": {"auth": "aG9zdA=="}, "r.example/team": {"auth": "dGVhbQ=="},
            "https://old.example/v1/": {"auth": "b2xk"}, "helped.example": {}}, "credHelpers": {"x": "y"}}"#;
        let file: AuthFile = serde_json::from_str(text).unwrap();
        let login = |host, name| entry(&file, host, name, false).and_then(|l| l.auth.as_deref());
        assert_eq!(login("r.example", "team/app"), Some("dGVhbQ=="));
        assert_eq!(login("r.example", "teams/app"), Some("aG9zdA=="));
        assert_eq!(login("old.example", "app"), Some("b2xk"));
        assert_eq!(login("helped.example", "app"), None);
        assert_eq!(login("other.example", "r.example/team"), None);
    }

    /// The order of containers-auth.json(5), and what is read of each kind of file.
    #[test]
    fn files_are_asked_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let root = directory.path().to_owned();
        let logins = Logins::with(move |name| match name {
            "XDG_RUNTIME_DIR" => Some(root.join("run").into()),
            "HOME" => Some(root.clone().into()),
            _ => None,
        });
        let put = |name: &str, text: &str| {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), text).unwrap();
        };
        let files = ["run/containers/auth.json", ".config/containers/auth.json", ".docker/config.json", ".dockercfg"];
        let none = logins.find("r.example", "app").unwrap();
        assert_eq!(none.asked, files.map(at));
        assert_eq!((none.login, none.helped), (None, None));
        // From the last to the first: each goes before those that are there already.
        put(files[3], r#"{"https://r.example/v1/": {"auth": "Zm91cg=="}}"#);
        let found = |expected: &str, file: &str| {
            let login = logins.find("r.example", "app").unwrap().login;
            assert_eq!(login, Some((expected.to_owned(), at(file))));
        };
        found("Zm91cg==", files[3]);
        put(files[2], r#"{"auths": {"r.example": {"auth": "dGhyZWU="}}, "credsStore": "desktop"}"#);
        found("dGhyZWU=", files[2]);
        put(files[1], r#"{"auths": {"r.example": {"auth": "dHdv"}}}"#);
        found("dHdv", files[1]);
        put(files[0], r#"{"auths": {"other.example": {"auth": "b25l"}}, "credHelpers": {"r.example": "pass"}}"#);
        found("dHdv", files[1]);
        let named = at("named.json");
        let only = Logins::with(move |name| (name == "REGISTRY_AUTH_FILE").then(|| named.clone().into()));
        assert_eq!(only.find("r.example", "app").unwrap().asked, [at("named.json")]);
        let bare = Logins::with(|_| None).find("r.example", "app").unwrap();
        assert_eq!(bare.asked, [Path::new("/run/containers/1000/auth.json")]);
    }

    #[test]
    fn what_cannot_be_used_is_said_without_its_secret() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("auth.json");
        let named = file.clone();
        let logins = Logins::with(move |name| (name == "REGISTRY_AUTH_FILE").then(|| named.clone().into()));
        let mut said = Vec::new();
        for text in [
            "auths = {}",
            r#"{"auths": {"r.example": {"auth": "a\r\nb"}}}"#,
            r#"{"auths": {"r.example": {"auth": "c2VjcmV0", "identitytoken": "c2VjcmV0"}}}"#,
            r#"{"auths": "c2VjcmV0"}"#,
        ] {
            std::fs::write(&file, text).unwrap();
            let words = logins.find("r.example", "app").unwrap_err();
            assert!(!words.contains("c2VjcmV0"), "{words}");
            said.push(words.replace(&directory.path().display().to_string(), "DIRECTORY"));
        }
        insta::assert_snapshot!(said.join("\n"));
        std::fs::write(&file, r#"{"credHelpers": {"r.example": "pass"}}"#).unwrap();
        assert_eq!(logins.find("r.example", "app").unwrap().helped, Some(file));
    }
}
