//! An OCI registry that images can be pushed to and pulled from (distribution specification 1.1 of the Open Container
//! Initiative): blobs whole, in pieces or mounted from another repository, manifests by tag and digest, lists of tags.

use super::http::{Reply, Request, Site};
use diorite_model::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Limits, so that a guest fills no memory: one request's body, everything together, and uploads that were begun.
const LARGEST: usize = 256 << 20;
const MOST_BYTES: usize = 1 << 30;
const MOST_UPLOADS: usize = 64;

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    /// Media type.
    pub kind: String,
    /// Its own bytes.
    pub bytes: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct PushedRepository {
    blobs: BTreeSet<String>,
    manifests: BTreeMap<String, PushedManifest>,
    /// Tag → digest.
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct RegistryState {
    blobs: BTreeMap<String, Arc<[u8]>>,
    repositories: BTreeMap<String, PushedRepository>,
    /// Number → repository and what has come.
    uploads: BTreeMap<u64, (String, Vec<u8>)>,
    number: u64,
}

/// A registry. Copies of the handle are the same one; it may be changed while it is served.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<RegistryState>>);

/// `sha256:` and 64 digits.
fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

impl Registry {
    fn inner(&self) -> MutexGuard<'_, RegistryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The site that answers for it; serve it on a port.
    pub fn site(&self) -> Site {
        let (site, registry) = (Site::default(), self.clone());
        site.handle("/v2/", LARGEST, move |request| registry.inner().answer(request));
        site
    }

    /// A manifest by tag or digest.
    pub fn manifest(&self, name: &str, reference: &str) -> Option<PushedManifest> {
        self.inner().repositories.get(name)?.manifest(reference).map(|(_, manifest)| manifest.clone())
    }

    /// A blob by digest, whichever repository has it.
    pub fn blob(&self, digest: &str) -> Option<Arc<[u8]>> {
        self.inner().blobs.get(digest).cloned()
    }

    /// The tags of a repository.
    pub fn tags(&self, name: &str) -> Vec<String> {
        self.inner().repositories.get(name).map(|r| r.tags.keys().cloned().collect()).unwrap_or_default()
    }
}

impl PushedRepository {
    fn manifest(&self, reference: &str) -> Option<(&String, &PushedManifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get_key_value(digest)
    }
}

/// What is asked for, behind `/v2/`.
enum RegistryEndpoint<'a> {
    Root,
    Blob(&'a str, &'a str),
    /// Where uploads begin.
    Uploads(&'a str),
    Upload(&'a str, u64),
    Manifest(&'a str, &'a str),
    Tags(&'a str),
}

fn place(path: &str) -> Option<RegistryEndpoint<'_>> {
    let rest = path.strip_prefix("/v2/")?;
    if rest.is_empty() {
        return Some(RegistryEndpoint::Root);
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return named(name, RegistryEndpoint::Tags(name));
    }
    if let Some((name, number)) = rest.rsplit_once("/blobs/uploads/") {
        let place = if number.is_empty() {
            RegistryEndpoint::Uploads(name)
        } else {
            RegistryEndpoint::Upload(name, number.parse().ok()?)
        };
        return named(name, place);
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return named(name, RegistryEndpoint::Uploads(name));
    }
    if let Some((name, digest)) = rest.rsplit_once("/blobs/") {
        return named(name, RegistryEndpoint::Blob(name, digest));
    }
    let (name, reference) = rest.rsplit_once("/manifests/")?;
    named(name, RegistryEndpoint::Manifest(name, reference))
}

/// Whether a repository may be called so (§ "Pulling manifests").
fn named<'a>(name: &str, place: RegistryEndpoint<'a>) -> Option<RegistryEndpoint<'a>> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        let (bytes, inner) = (part.as_bytes(), |b: &u8| letter(*b) || b"._-".contains(b));
        bytes.first().is_some_and(|b| letter(*b)) && bytes.last().is_some_and(|b| letter(*b)) && bytes.iter().all(inner)
    };
    (name.len() <= 255 && name.split('/').all(part)).then_some(place)
}

/// A value of the query, `%xx` decoded.
fn query(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let (mut bytes, mut rest) = (Vec::new(), value.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

/// An error as the specification words it.
fn refused(status: u16, code: &str, message: &str) -> Reply {
    let body = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"{message}\"}}]}}");
    Reply::new(status, "application/json", body)
}

fn empty(status: u16) -> Reply {
    Reply { fields: Vec::new(), ..Reply::new(status, "", "") }
}

impl RegistryState {
    fn answer(&mut self, request: &Request) -> Reply {
        let path = request.target.split('?').next().unwrap_or_default();
        let Some(place) = place(path) else { return refused(404, "NAME_INVALID", "no such place") };
        let method = request.method.as_str();
        match (place, method) {
            (RegistryEndpoint::Root, "GET" | "HEAD") => Reply::new(200, "application/json", "{}"),
            (RegistryEndpoint::Blob(name, digest), "GET" | "HEAD") => self.blob(name, digest),
            (RegistryEndpoint::Uploads(name), "POST") => self.begin(name, request),
            (RegistryEndpoint::Upload(name, number), "PATCH") => self.piece(name, number, request),
            (RegistryEndpoint::Upload(name, number), "PUT") => self.finish(name, number, request),
            (RegistryEndpoint::Upload(name, number), "GET") => match self.uploads.get(&number) {
                Some((owner, bytes)) if owner == name => came(empty(204), name, number, bytes.len()),
                _ => unknown_upload(),
            },
            (RegistryEndpoint::Upload(name, number), "DELETE") => match self.uploads.get(&number) {
                Some((owner, _)) if owner == name => {
                    self.uploads.remove(&number);
                    empty(204)
                }
                _ => unknown_upload(),
            },
            (RegistryEndpoint::Manifest(name, reference), "GET" | "HEAD") => {
                let found = self.repositories.get(name).and_then(|r| r.manifest(reference));
                let Some((digest, manifest)) = found else {
                    return refused(404, "MANIFEST_UNKNOWN", "no such manifest");
                };
                let reply = Reply::new(200, &manifest.kind, manifest.bytes.to_vec());
                reply.field("Docker-Content-Digest", digest).field("ETag", &format!("\"{digest}\""))
            }
            (RegistryEndpoint::Manifest(name, reference), "PUT") => self.put(name, reference, request),
            (RegistryEndpoint::Tags(name), "GET") => self.list(name, request),
            _ => refused(405, "UNSUPPORTED", "not here"),
        }
    }

    fn blob(&self, name: &str, digest: &str) -> Reply {
        let known = self.repositories.get(name).is_some_and(|r| r.blobs.contains(digest));
        match self.blobs.get(digest).filter(|_| known) {
            Some(bytes) => {
                let reply = Reply::new(200, "application/octet-stream", "");
                let reply = Reply { body: super::http::Body::Bytes(bytes.clone()), ..reply };
                reply.field("Docker-Content-Digest", digest)
            }
            None => refused(404, "BLOB_UNKNOWN", "no such blob"),
        }
    }

    fn held(&self) -> usize {
        let uploads: usize = self.uploads.values().map(|(_, bytes)| bytes.len()).sum();
        self.blobs.values().map(|bytes| bytes.len()).sum::<usize>() + uploads
    }

    /// A blob in one request, one that another repository has, or an upload in pieces.
    fn begin(&mut self, name: &str, request: &Request) -> Reply {
        if let (Some(digest), Some(from)) = (query(&request.target, "mount"), query(&request.target, "from"))
            && self.repositories.get(&from).is_some_and(|r| r.blobs.contains(&digest))
        {
            self.repositories.entry(name.to_owned()).or_default().blobs.insert(digest.clone());
            return stored(name, "blobs", &digest);
        }
        if let Some(digest) = query(&request.target, "digest") {
            return self.store(name, &digest, request.body.clone());
        }
        if self.uploads.len() >= MOST_UPLOADS {
            return refused(429, "TOOMANYREQUESTS", "too many uploads at a time");
        }
        self.number += 1;
        self.uploads.insert(self.number, (name.to_owned(), Vec::new()));
        came(empty(202), name, self.number, 0)
    }

    fn piece(&mut self, name: &str, number: u64, request: &Request) -> Reply {
        let room = MOST_BYTES.saturating_sub(self.held());
        let Some((_, bytes)) = self.uploads.get_mut(&number).filter(|(owner, _)| owner == name) else {
            return unknown_upload();
        };
        if let Some(range) = request.field("content-range") {
            // Pieces come in order; `first-last`, both counted.
            let ends = range.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (first, last): (usize, usize) = ends.unwrap_or((usize::MAX, 0));
            let length = last.checked_sub(first).and_then(|n| n.checked_add(1));
            if first != bytes.len() || length != Some(request.body.len()) {
                return came(refused(416, "BLOB_UPLOAD_INVALID", "not the next piece"), name, number, bytes.len());
            }
        }
        if request.body.len() > room {
            return refused(413, "SIZE_INVALID", "the registry is full");
        }
        bytes.extend_from_slice(&request.body);
        came(empty(202), name, number, bytes.len())
    }

    fn finish(&mut self, name: &str, number: u64, request: &Request) -> Reply {
        if self.uploads.get(&number).is_none_or(|(owner, _)| owner != name) {
            return unknown_upload();
        }
        let Some(digest) = query(&request.target, "digest") else {
            return refused(400, "DIGEST_INVALID", "no digest");
        };
        let (_, mut bytes) = self.uploads.remove(&number).unwrap_or_default();
        bytes.extend_from_slice(&request.body);
        self.store(name, &digest, bytes)
    }

    fn store(&mut self, name: &str, named: &str, bytes: Vec<u8>) -> Reply {
        if digest(&bytes) != named {
            return refused(400, "DIGEST_INVALID", "the bytes have another digest");
        }
        if bytes.len() > MOST_BYTES.saturating_sub(self.held()) {
            return refused(413, "SIZE_INVALID", "the registry is full");
        }
        self.blobs.insert(named.to_owned(), bytes.into());
        self.repositories.entry(name.to_owned()).or_default().blobs.insert(named.to_owned());
        stored(name, "blobs", named)
    }

    fn put(&mut self, name: &str, reference: &str, request: &Request) -> Reply {
        let digest = digest(&request.body);
        if reference.contains(':') && reference != digest {
            return refused(400, "DIGEST_INVALID", "the manifest has another digest");
        }
        let tag = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !reference.contains(':') && (reference.len() > 128 || !reference.bytes().all(tag)) {
            return refused(400, "TAG_INVALID", "no tag");
        }
        let Some(parts) = parts(&request.body) else {
            return refused(400, "MANIFEST_INVALID", "not a manifest");
        };
        let repository = self.repositories.entry(name.to_owned()).or_default();
        let known = |part: &String| repository.blobs.contains(part) || repository.manifests.contains_key(part);
        if !parts.iter().all(known) {
            return refused(404, "MANIFEST_BLOB_UNKNOWN", "something of it was not pushed");
        }
        let kind = request.field("content-type").unwrap_or("application/vnd.oci.image.manifest.v1+json").to_owned();
        repository.manifests.insert(digest.clone(), PushedManifest { kind, bytes: request.body.as_slice().into() });
        if !reference.contains(':') {
            repository.tags.insert(reference.to_owned(), digest.clone());
        }
        stored(name, "manifests", &digest)
    }

    fn list(&self, name: &str, request: &Request) -> Reply {
        let Some(repository) = self.repositories.get(name) else {
            return refused(404, "NAME_UNKNOWN", "no such repository");
        };
        let last = query(&request.target, "last").unwrap_or_default();
        let most = query(&request.target, "n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let tags: Vec<&String> = repository.tags.keys().filter(|tag| **tag > last).take(most).collect();
        let body = serde_json::json!({ "name": name, "tags": tags }).to_string();
        let reply = Reply::new(200, "application/json", body);
        match tags.last().filter(|_| tags.len() == most) {
            Some(last) => reply.field("Link", &format!("</v2/{name}/tags/list?n={most}&last={last}>; rel=\"next\"")),
            None => reply,
        }
    }
}

/// What a manifest or an index names: configuration and layers, or manifests.
fn parts(bytes: &[u8]) -> Option<Vec<String>> {
    let manifest: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    manifest.as_object()?;
    let all = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
    let listed = all("layers").into_iter().chain(all("manifests")).chain(manifest.get("config").cloned());
    listed.map(|part| Some(part["digest"].as_str()?.to_owned())).collect()
}

fn stored(name: &str, kind: &str, digest: &str) -> Reply {
    empty(201).field("Location", &format!("/v2/{name}/{kind}/{digest}")).field("Docker-Content-Digest", digest)
}

fn unknown_upload() -> Reply {
    refused(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
}

/// Where an upload goes on, and how much of it has come.
fn came(reply: Reply, name: &str, number: u64, bytes: usize) -> Reply {
    let reply = reply.field("Location", &format!("/v2/{name}/blobs/uploads/{number}"));
    reply.field("Range", &format!("0-{}", bytes.saturating_sub(1)))
}
