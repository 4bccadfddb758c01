//! Release files → package indexes: fetched by digest, checked, decompressed.

use crate::release::{Keyring, ReleaseRequirements, SignedRelease};
use crate::transport::{Repository, Transport};
use diorite_model::recipe::is_flat;
use diorite_model::{Error, Result};
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
}

impl Suite<'_> {
    /// The directory of the release file below the repository's root: empty, or with a slash at its end.
    fn directory(&self) -> String {
        match self.suite.strip_suffix('/') {
            None => format!("dists/{}/", self.suite),
            Some("" | ".") => String::new(),
            Some(flat) => format!("{}/", flat.trim_start_matches("./")),
        }
    }

    /// Fetches and verifies the release file, then every index of this architecture.
    /// `now` is in seconds since 1970.
    pub fn read(&self, transport: &dyn Transport, architecture: &str, now: u64) -> Result<SuiteIndex> {
        let (release, place) = self.release(transport, now)?;
        let paths = match is_flat(&self.suite) {
            true => vec!["Packages".to_owned()],
            false => self.index_paths(&release, architecture, &place)?,
        };
        let texts = paths.par_iter().map(|path| self.index(transport, path, &release, &place));
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
        Ok(SuiteIndex { name: self.name.clone(), suite: self.suite.clone(), components, release, priority, texts })
    }

    /// The verified release file and its place: InRelease, else Release with its signature in Release.gpg.
    fn release(&self, transport: &dyn Transport, now: u64) -> Result<(SignedRelease, String)> {
        let directory = self.directory();
        let find = |name: &str| transport.find(self.repository, &format!("{directory}{name}"));
        let place = |name: &str| format!("{directory}{name} of {}", self.repository);
        let expected = |place| ReleaseRequirements {
            suite: (!is_flat(&self.suite)).then_some(self.suite.as_str()),
            extra: self.repository.is_extra(),
            keyring: self.keyring,
            now,
            place,
        };
        let inline = place("InRelease");
        if let Some(bytes) = find("InRelease")? {
            return Ok((SignedRelease::verify(&bytes, &expected(&inline))?, inline));
        }
        let detached = place("Release");
        match (find("Release")?, find("Release.gpg")?) {
            (Some(text), Some(signature)) => {
                Ok((SignedRelease::verify_detached(&text, &signature, &expected(&detached))?, detached))
            }
            (Some(_), None) => Err(Error::remote(format!("`{}` is not signed", self.suite))
                .at(detached)
                .because("beside it there is neither `InRelease` nor `Release.gpg`, so nothing says who made it")
                .hint("ask its vendor to sign it; or download the packages yourself, and name the files in `archive.debs`")),
            (None, _) => Err(Error::remote(format!("`{}` has no release file", self.suite))
                .at(inline)
                .because("neither `InRelease` nor `Release` can be read there")
                .hint(self.where_it_may_be())),
        }
    }

    fn where_it_may_be(&self) -> &'static str {
        match (self.repository.is_extra(), is_flat(&self.suite)) {
            (false, _) => "name another mirror (DIORITE_MIRROR, or `mirrors` under [archive] in the profile)",
            (true, true) => {
                "compare `uri` and `suite` with the repository's own line for sources.list(5). A suite with a slash at its end is a \
                 directory below `uri`; where the line names components, write the suite without it"
            }
            (true, false) => {
                "compare `uri` and `suite` with the repository's own line for sources.list(5). `uri` holds the directory `dists`; \
                 where the line names no components, the repository is flat: write the suite with a slash at its end"
            }
        }
    }

    fn index_paths(&self, release: &SignedRelease, architecture: &str, place: &str) -> Result<Vec<String>> {
        let (mut paths, known) = (Vec::new(), release.components());
        // Some repositories keep the packages for all architectures apart, and say so by not saying they do not.
        let separate = release.field("No-Support-for-Architecture-all").is_none()
            && release.field("Architectures").is_some_and(|a| a.split_ascii_whitespace().any(|a| a == "all"));
        for component in self.components {
            let path = |architecture: &str| format!("{component}/binary-{architecture}/Packages");
            let own = is_listed(release, &path(architecture), place)?;
            let apart = separate && is_listed(release, &path("all"), place)?;
            if !own && !apart {
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
            paths.extend(own.then(|| path(architecture)));
            paths.extend(apart.then(|| path("all")));
        }
        Ok(paths)
    }

    /// The text of an index: the first of its forms that is there, at its by-hash address before its own.
    fn index(&self, transport: &dyn Transport, path: &str, release: &SignedRelease, place: &str) -> Result<String> {
        let directory = self.directory();
        if !is_listed(release, path, place)? {
            return Err(Error::remote(format!("the release file does not list `{path}`"))
                .at(place)
                .because(format!("there is none of {}", FORMS.map(|form| format!("`{path}{form}`")).join(", ")))
                .hint(self.where_it_may_be()));
        }
        let parent = path.rsplit_once('/').map_or(String::new(), |(parent, _)| format!("{parent}/"));
        let mut tried = Vec::new();
        for form in FORMS {
            let Some(entry) = release.file(&format!("{path}{form}")) else { continue };
            let by_hash = format!("{directory}{parent}by-hash/{}/{}", entry.checksum.field(), entry.checksum);
            let own = format!("{directory}{path}{form}");
            let addresses = release.says_yes("Acquire-By-Hash").then_some(by_hash).into_iter().chain([own]);
            for address in addresses {
                let Some(bytes) = transport.find(self.repository, &address)? else {
                    tried.push(address);
                    continue;
                };
                let at = format!("{address} of {}", self.repository);
                entry.checksum.check(&bytes, entry.size).map_err(|cause| {
                    Error::remote(format!("`{path}{form}` does not match the release file"))
                        .at(&at)
                        .because(cause)
                        .hint(match self.repository.is_extra() {
                            true => "the repository may be in the middle of an update, or a proxy keeps an old file: try again in some minutes",
                            false => "the mirror may be in the middle of an update, or a proxy keeps an old file: try again in some minutes, or another mirror",
                        })
                })?;
                let most = release.file(path).map_or(MOST_UNPACKED, |plain| plain.size);
                return unpack(bytes, form, most).map_err(|cause| {
                    Error::remote(format!("`{path}{form}` cannot be unpacked")).at(at).because(cause)
                });
            }
        }
        Err(Error::remote(format!("`{path}` is not there, though the release file lists it"))
            .at(self.repository.to_string())
            .detail(tried.join("\n"))
            .because("none of its addresses can be read")
            .hint("the repository may be in the middle of an update: try again in some minutes"))
    }
}

/// Forms of an index, the smallest first.
const FORMS: [&str; 4] = [".xz", ".zst", ".gz", ""];

/// Whether the release lists an index in one of its forms. Error: only by digests that can be forged.
fn is_listed(release: &SignedRelease, path: &str, place: &str) -> Result<bool> {
    let forms = FORMS.map(|form| format!("{path}{form}"));
    if forms.iter().any(|name| release.file(name).is_some()) {
        return Ok(true);
    }
    match forms.iter().find(|name| release.is_forgeable(name)) {
        None => Ok(false),
        Some(name) => Err(Error::remote(format!("the release file lists `{name}` by MD5 or SHA-1 alone"))
            .at(place)
            .because("such digests can be forged, so its signature does not cover the packages")
            .hint(
                "ask its vendor for SHA256 in the release file; or download the packages yourself, and name the files in \
                 `archive.debs`",
            )),
    }
}

/// Decompresses to at most `most` bytes. What is not UTF-8 (names of people, in old repositories) is replaced.
fn unpack(bytes: Vec<u8>, form: &str, most: u64) -> Result<String, String> {
    let mut out = Vec::with_capacity(most.min(256 << 20) as usize);
    let read = match form {
        ".xz" => liblzma::read::XzDecoder::new_multi_decoder(&bytes[..]).take(most + 1).read_to_end(&mut out),
        ".gz" => flate2::read::MultiGzDecoder::new(&bytes[..]).take(most + 1).read_to_end(&mut out),
        ".zst" => zstd::Decoder::new(&bytes[..]).and_then(|d| d.take(most + 1).read_to_end(&mut out)),
        _ => {
            out = bytes;
            Ok(out.len())
        }
    };
    let size = read.map_err(|e| e.to_string())?;
    if size as u64 > most {
        return Err(format!("it unpacks to more than the {most} bytes it should have"));
    }
    Ok(String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests;
