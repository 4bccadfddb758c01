//! A registry, by the OCI distribution specification 1.1: manifests and blobs by digest, and the token that most want
//! before they give either. Everything is asked for by SHA-256, so a registry can refuse and not lie.

use super::auth::{Logins, StoredLogin};
use crate::http::{AuthResponse, Failure, FailureKind, HttpClient, RemoteFile};
use crate::url;
use diorite_host::interrupt;
use diorite_model::oci::Reference;
use diorite_model::{Digest, Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What a manifest may be.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// A token is never larger.
const LARGEST_TOKEN: u64 = 1 << 20;

/// The user's logins, and what registries gave for them.
pub struct Tokens {
    /// `Authorization` headers, by `registry/name`.
    known: Mutex<BTreeMap<String, String>>,
    logins: Logins,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { known: Mutex::default(), logins: Logins::of_user() }
    }
}

impl Tokens {
    /// With the logins of this file and no others.
    #[cfg(test)]
    pub(super) fn of(file: &Path) -> Self {
        let file = file.as_os_str().to_owned();
        let logins = Logins::with(move |name| (name == "REGISTRY_AUTH_FILE").then(|| file.clone()));
        Self { known: Mutex::default(), logins }
    }
}

/// The two kinds of file that a registry gives by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryFile {
    /// A manifest, or an index of them.
    Manifest,
    /// A configuration or a layer.
    Blob,
}

impl RegistryFile {
    /// As it stands in URLs and in the paths of the lock.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Manifest => "manifests",
            Self::Blob => "blobs",
        }
    }
}

/// One repository of a registry, as the paths of the lock begin: `registry/name`.
pub struct Registry<'a> {
    http: &'a HttpClient,
    tokens: &'a Tokens,
    host: &'a str,
    name: &'a str,
}

impl<'a> Registry<'a> {
    /// The repository of `registry/name`.
    pub fn new(http: &'a HttpClient, tokens: &'a Tokens, repository: &'a str) -> Result<Self> {
        let (host, name) =
            repository.split_once('/').ok_or_else(|| Error::bug(format!("`{repository}` names no registry")))?;
        Ok(Self { http, tokens, host, name })
    }

    /// Its root; without TLS only on this very machine.
    pub fn root(&self) -> String {
        let scheme = if Reference::is_loopback(self.host) { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }

    /// Where a file is.
    pub fn url(&self, kind: RegistryFile, digest: &Digest) -> String {
        format!("{}/v2/{}/{}/sha256:{digest}", self.root(), self.name, kind.directory())
    }

    /// Opens a URL of this repository at an offset, with a token if one is wanted.
    pub fn open(&self, kind: RegistryFile, url: &str, from: u64) -> Result<RemoteFile, Failure> {
        let repository = format!("{}/{}", self.host, self.name);
        let known = || self.tokens.known.lock().unwrap_or_else(PoisonError::into_inner);
        let accept = if kind == RegistryFile::Manifest { MANIFESTS } else { "*/*" };
        let mut authorization = known().get(&repository).cloned();
        for again in [true, false] {
            match self.http.ask(url, from, accept, authorization.as_deref())? {
                AuthResponse::File(reply) => return Ok(reply),
                // A token may have run out as well.
                AuthResponse::Unauthorized(challenges) if again => {
                    let fresh = self.authorize(url, &challenges)?;
                    known().insert(repository.clone(), fresh.clone());
                    authorization = Some(fresh);
                }
                AuthResponse::Unauthorized(_) => break,
            }
        }
        Err(unauthorized(url, "the server answers 401 Unauthorized"))
    }

    /// The `Authorization` that answers a challenge: RFC 9110 11.6.1, and the token protocol of the distribution project.
    fn authorize(&self, url: &str, challenges: &[String]) -> Result<String, Failure> {
        let refused = |cause: String| Failure::new(FailureKind::Refused, url, cause);
        let login = self.tokens.logins.find(self.host, self.name).map_err(|e| unauthorized(url, &e))?.login;
        let basic = login.map(|(login, _)| format!("Basic {login}"));
        let find = |scheme: &str| challenges.iter().find_map(|c| challenge(c, scheme));
        let Some(fields) = find("bearer") else {
            return match (find("basic"), basic) {
                (Some(_), Some(basic)) => Ok(basic),
                (Some(_), None) => Err(unauthorized(url, "the server answers 401 Unauthorized: it requires a login")),
                (None, _) => Err(unauthorized(
                    url,
                    "the server answers 401 Unauthorized and does not say which kind of login it accepts",
                )),
            };
        };
        let realm = fields.get("realm").ok_or_else(|| refused("it does not say where tokens are given".into()))?;
        if !url::may_lead(&self.root(), realm) {
            return Err(refused(format!("its tokens are given without TLS, at {}", url::shown(realm))));
        }
        let scope = fields.get("scope").cloned().unwrap_or_else(|| format!("repository:{}:pull", self.name));
        let mut at = format!("{realm}{}scope={}", if realm.contains('?') { '&' } else { '?' }, encoded(&scope));
        if let Some(service) = fields.get("service") {
            at += &format!("&service={}", encoded(service));
        }
        let reply = match self.http.ask(&at, 0, "application/json", basic.as_deref()) {
            Ok(AuthResponse::File(reply)) => reply,
            Ok(AuthResponse::Unauthorized(_)) if basic.is_some() => {
                return Err(unauthorized(realm, "the login is not accepted (401 Unauthorized)"));
            }
            Ok(AuthResponse::Unauthorized(_)) => {
                return Err(unauthorized(realm, "no token is given without a login (401 Unauthorized)"));
            }
            // It is the place of tokens that has gone, not the image.
            Err(failure) if failure.kind == FailureKind::Gone => {
                return Err(Failure { kind: FailureKind::Refused, ..failure });
            }
            Err(failure) => return Err(failure),
        };
        let mut text = Vec::new();
        reply.take(LARGEST_TOKEN).read_to_end(&mut text).map_err(|e| Failure::broken(realm, &e))?;
        let none = || Failure::new(FailureKind::Wrong, realm, "the answer is not a token");
        let token: Token = serde_json::from_slice(&text).map_err(|_| none())?;
        let token = token.token.or(token.access_token).unwrap_or_default();
        let plain = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        if plain { Ok(format!("Bearer {token}")) } else { Err(none()) }
    }

    /// A manifest or a configuration, whole, with its digest.
    pub fn text(&self, kind: RegistryFile, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let url = self.url(kind, digest);
        let mut failures = 0;
        let bytes = loop {
            match self.text_once(kind, &url, limit) {
                Err(failure) if failure.passing() && failures + 1 < self.http.options().attempts => {
                    let paused = self.http.pause(failures, &failure, &interrupt::check);
                    paused.map_err(|f| self.refused(f))?;
                    failures += 1;
                }
                other => break other.map_err(|f| self.refused(f))?,
            }
        };
        if Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        let cause = format!("its SHA-256 is {}, asked for was {digest}", Digest::of(&bytes));
        Err(self.refused(Failure::new(FailureKind::Wrong, &url, cause)))
    }

    fn text_once(&self, kind: RegistryFile, url: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        let reply = self.open(kind, url, 0)?;
        if reply.html {
            return Err(web_page(url));
        }
        reply.whole(url, limit)
    }

    /// The error of something that this registry did not give.
    pub fn refused(&self, failure: Failure) -> Error {
        let hint = match (failure.kind, failure.status) {
            (_, Some(401 | 403)) => self.login_hint(),
            (FailureKind::Busy, Some(429)) => {
                format!("it limits how much one may ask: try again later, or log in (`podman login {}`)", self.host)
            }
            (FailureKind::Gone, _) => {
                "see whether registry, name and digest are right; if the registry has removed the image, a \
                                vault may have it (`diorite vault import FILE`)"
                    .into()
            }
            (FailureKind::Busy, _) => "try again later".into(),
            (FailureKind::Wrong, _) => {
                "the registry, or a proxy on the way, gives other files, or this is not the host that speaks a \
                                 registry's protocol; nothing was kept"
                    .into()
            }
            (FailureKind::Refused, _) => {
                "see whether this is the host that speaks a registry's protocol; it can be another one than \
                                   its name among people"
                    .into()
            }
            (FailureKind::Broken, _) => {
                "try again, what has arrived is kept; or see whether this machine has a network and needs a \
                                  proxy (http_proxy, https_proxy)"
                    .into()
            }
            _ => failure.hint().replace(", or name another mirror (DIORITE_MIRROR)", ""),
        };
        failure.into_error("an image cannot be pulled").hint(hint)
    }

    /// What one who is refused can do, with the files that were asked.
    fn login_hint(&self) -> String {
        let host = self.host;
        let too = "many registries answer so for an image that is not there, too";
        let shown = |path: &Path| path.display().to_string();
        match self.tokens.logins.find(host, self.name) {
            // Its words are the cause already.
            Err(_) => format!("log in again: `podman login {host}`"),
            Ok(StoredLogin { login: Some((_, file)), .. }) => format!(
                "the login for {host} in {} does not suffice: log in as somebody who may read the image (`podman login \
                 {host}`); {too}",
                shown(&file)
            ),
            Ok(StoredLogin { helped: Some(file), .. }) => format!(
                "{} leaves the login for {host} to a helper program, which is not run: name a file with the login in \
                 REGISTRY_AUTH_FILE (`podman login --authfile FILE {host}` writes one)",
                shown(&file)
            ),
            Ok(StoredLogin { asked, .. }) => {
                let places: Vec<String> = asked.iter().map(|p| shown(p)).collect();
                format!("there is no login for {host} in {}: log in (`podman login {host}`); {too}", places.join(", "))
            }
        }
    }
}

/// The failure of one who may not.
fn unauthorized(url: &str, cause: &str) -> Failure {
    Failure { status: Some(401), ..Failure::new(FailureKind::Refused, url, cause) }
}

/// What comes is made for people.
pub fn web_page(url: &str) -> Failure {
    Failure::new(FailureKind::Wrong, url, "a web page came instead (the login page of a network?)")
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The fields of a `WWW-Authenticate` of this scheme, by lower-case name.
fn challenge(header: &str, scheme: &str) -> Option<BTreeMap<String, String>> {
    let (said, mut rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if !said.eq_ignore_ascii_case(scheme) {
        return None;
    }
    let mut fields = BTreeMap::new();
    while let Some((key, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        fields.insert(key.trim_matches([',', ' ']).to_ascii_lowercase(), value.to_owned());
        rest = after;
    }
    Some(fields)
}

/// RFC 3986 2.3: all but unreserved characters as `%XX`; `:`, `/` and `,` may stand in a query.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/,".contains(&b);
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let fields =
            challenge("Bearer realm=\"https://a.example/token\",service=\"x y\",scope=\"a:b:pull,push\"", "bearer");
        let fields = fields.unwrap();
        assert_eq!(fields["realm"], "https://a.example/token");
        assert_eq!((fields["service"].as_str(), fields["scope"].as_str()), ("x y", "a:b:pull,push"));
        assert_eq!(challenge("Basic realm=x", "basic").unwrap()["realm"], "x");
        assert!(challenge("Basic", "basic").unwrap().is_empty());
        assert!(challenge("Digest realm=x", "basic").is_none());
        assert_eq!(encoded("a b&c:d/e"), "a%20b%26c:d/e");
    }
}
