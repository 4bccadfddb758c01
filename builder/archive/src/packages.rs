//! Release files → package indexes: fetched by digest, checked, decompressed.

use crate::release::{Keyring, ReleaseEntry, ReleaseRequirements, SignedRelease};
use crate::transport::{Repository, Transport};
use diorite_model::{Digest, Error, Result};
use rayon::prelude::*;
use std::io::Read;

/// An index of a release that does not say how large it is unpacked may not be larger than this.
const MOST_UNPACKED: u64 = 2 << 30;

/// One suite of one repository, as it is asked for.
pub struct Suite<'a> {
    /// Name in the lock: `trixie-security`, or what the profile calls an extra repository.
    pub name: String,
    /// Suite in the archive. One that ends in `/` is a flat repository without components.
    pub suite: String,
    /// Components asked for.
    pub components: &'a [String],
    /// Repository it is in.
    pub repository: Repository<'a>,
    /// Whose signatures count.
    pub keyring: &'a Keyring,
    /// Pin priority the profile gives; `None`: what apt gives (500, less where the release says NotAutomatic).
    pub priority: Option<i32>,
}

/// A verified suite with its package indexes.
pub struct SuiteIndex {
    /// Name in the lock.
    pub name: String,
    /// Suite in the archive.
    pub suite: String,
    /// Components used, sorted.
    pub components: Vec<String>,
    /// The verified release file.
    pub release: SignedRelease,
    /// Pin priority of all its packages, apt_preferences(5).
    pub priority: i32,
    /// The texts of its Packages files.
    pub texts: Vec<String>,
    /// Put before each package's path: empty, or the flat repository's directory.
    pub prefix: String,
}

impl Suite<'_> {
    fn directory(&self) -> String {
        match self.suite.strip_suffix('/') {
            Some(flat) => {
                format!("{}/", flat.trim_start_matches("./").trim_end_matches('.')).trim_start_matches('/').to_owned()
            }
            None => format!("dists/{}/", self.suite),
        }
    }

    /// Fetches and verifies the release file, then every index of this architecture.
    /// `now` is in seconds since 1970.
    pub fn read(&self, transport: &dyn Transport, architecture: &str, now: u64) -> Result<SuiteIndex> {
        let directory = self.directory();
        let place = format!("{directory}InRelease of {}", self.repository);
        let bytes = transport.get(self.repository, &format!("{directory}InRelease"))?;
        // A flat repository has no suite to ask for; its own word for itself is as good as any.
        let flat = self.suite.ends_with('/');
        let expected = ReleaseRequirements {
            suite: (!flat).then_some(self.suite.as_str()),
            keyring: self.keyring,
            now,
            place: &place,
        };
        let release = SignedRelease::verify(&bytes, &expected)?;
        let paths = if flat { vec!["Packages".to_owned()] } else { self.index_paths(&release, architecture, &place)? };
        let texts = paths.par_iter().map(|path| index(transport, self.repository, &directory, path, &release, &place));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let priority = self.priority.unwrap_or_else(|| {
            match (release.says_yes("NotAutomatic"), release.says_yes("ButAutomaticUpgrades")) {
                (false, _) => 500,
                (true, false) => 1,
                (true, true) => 100,
            }
        });
        let mut components = self.components.to_vec();
        components.sort();
        components.dedup();
        let prefix = if flat { directory } else { String::new() };
        Ok(SuiteIndex {
            name: self.name.clone(),
            suite: self.suite.clone(),
            components,
            release,
            priority,
            texts,
            prefix,
        })
    }

    fn index_paths(&self, release: &SignedRelease, architecture: &str, place: &str) -> Result<Vec<String>> {
        let (mut paths, known) = (Vec::new(), release.components());
        for component in self.components {
            let path = format!("{component}/binary-{architecture}/Packages");
            if !is_listed(release, &path) {
                let (what, has) = if known.contains(&component.as_str()) {
                    (
                        format!("`{}` has no packages for `{architecture}`", self.suite),
                        release.field("Architectures").unwrap_or("").to_owned(),
                    )
                } else {
                    (format!("`{}` has no component `{component}`", self.suite), known.join(" "))
                };
                return Err(Error::input(what).at(place).because(format!("its release file lists: {has}")));
            }
            paths.push(path);
            // Repositories that keep packages for all architectures apart, and say so by not saying they do not.
            let apart = format!("{component}/binary-all/Packages");
            let separate = release.field("No-Support-for-Architecture-all").is_none()
                && release.field("Architectures").is_some_and(|a| a.split_ascii_whitespace().any(|a| a == "all"));
            if separate && is_listed(release, &apart) {
                paths.push(apart);
            }
        }
        Ok(paths)
    }
}

/// Compressed forms, the best first, and whether the release lists any.
const FORMS: [&str; 3] = [".xz", ".gz", ""];

fn is_listed(release: &SignedRelease, path: &str) -> bool {
    FORMS.iter().any(|form| release.file(&format!("{path}{form}")).is_some())
}

fn index(
    transport: &dyn Transport,
    repository: Repository<'_>,
    directory: &str,
    path: &str,
    release: &SignedRelease,
    place: &str,
) -> Result<String> {
    let found = FORMS.iter().find_map(|form| Some((*form, release.file(&format!("{path}{form}"))?)));
    let (form, entry) =
        found.ok_or_else(|| Error::remote(format!("the release file does not list `{path}`")).at(place))?;
    let plain = release.file(path);
    let address = match (release.says_yes("Acquire-By-Hash"), path.rsplit_once('/')) {
        (true, Some((parent, _))) => format!("{directory}{parent}/by-hash/SHA256/{}", entry.sha256),
        _ => format!("{directory}{path}{form}"),
    };
    let bytes = transport.get(repository, &address)?;
    check(&bytes, entry).map_err(|cause| {
        Error::remote(format!("`{path}{form}` does not match the release file"))
            .at(format!("{address} of {repository}"))
            .because(cause)
            .hint("the mirror may be in the middle of an update, or a proxy keeps an old file: try again in some minutes, or another mirror")
    })?;
    let text = unpack(bytes, form, plain.map_or(MOST_UNPACKED, |v| v.size));
    text.map_err(|cause| {
        Error::remote(format!("`{path}{form}` cannot be unpacked"))
            .at(format!("{address} of {repository}"))
            .because(cause)
    })
}

/// Size and digest against the release file.
fn check(bytes: &[u8], entry: ReleaseEntry) -> Result<(), String> {
    if bytes.len() as u64 != entry.size {
        return Err(format!("it has {} bytes instead of {}", bytes.len(), entry.size));
    }
    match Digest::of(bytes) {
        digest if digest == entry.sha256 => Ok(()),
        digest => Err(format!("its SHA-256 is {digest} instead of {}", entry.sha256)),
    }
}

/// Decompresses to at most `most` bytes of UTF-8.
fn unpack(bytes: Vec<u8>, form: &str, most: u64) -> Result<String, String> {
    let mut out = Vec::with_capacity(most.min(256 << 20) as usize);
    let read = match form {
        ".xz" => liblzma::read::XzDecoder::new_multi_decoder(&bytes[..]).take(most + 1).read_to_end(&mut out),
        ".gz" => flate2::read::MultiGzDecoder::new(&bytes[..]).take(most + 1).read_to_end(&mut out),
        _ => {
            out = bytes;
            Ok(out.len())
        }
    };
    let size = read.map_err(|e| e.to_string())?;
    if size as u64 > most {
        return Err(format!("it unpacks to more than the {most} bytes it should have"));
    }
    String::from_utf8(out).map_err(|e| format!("it is not UTF-8: {e}"))
}

#[cfg(test)]
mod tests;
