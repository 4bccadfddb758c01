//! The words of container images: OCI image specification 1.1 (image-layout, image-index, manifest, config). Docker's
//! own words from before it have the same shapes. Read as others wrote them, so unknown fields are passed over.

use crate::Digest;
use serde::{Deserialize, Deserializer, Serialize};

/// Points to bytes by digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Which machines it is for, in an index.
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Its SHA-256; no other algorithm is read.
    pub fn sha256(&self) -> Result<Digest, String> {
        sha256(&self.digest)
    }
}

/// The digest in `sha256:HEX`; no other algorithm is read. Error: a cause in words.
pub fn sha256(text: &str) -> Result<Digest, String> {
    let digest = text.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    digest.ok_or_else(|| format!("`{}` is not a SHA-256 digest", text.escape_default()))
}

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// Go's name of it, which is Debian's but for `386` and `arm`: `amd64`, `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Which processors of that name: `v8`; newer ones for more.
    pub variant: Option<String>,
}

/// What a digest may point to: one image, or one for each kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Document {
    /// image-index.
    Index {
        /// Manifests, and further indexes.
        manifests: Vec<Descriptor>,
    },
    /// image-manifest.
    Manifest(Manifest),
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// Its [`Image`].
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// image-config.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// As [`Platform::architecture`].
    pub architecture: String,
    /// As [`Platform::os`].
    pub os: String,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
    /// How it wants to be started.
    #[serde(default, deserialize_with = "or_nothing")]
    pub config: Config,
    /// Its layers.
    pub rootfs: RootFs,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RootFs {
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<String>,
}

/// How an image wants to be started; a profile's word goes before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// User, and group behind a colon.
    #[serde(deserialize_with = "or_nothing")]
    pub user: String,
    /// `NAME=value`.
    #[serde(deserialize_with = "or_nothing")]
    pub env: Vec<String>,
    /// Goes before the command.
    #[serde(deserialize_with = "or_nothing")]
    pub entrypoint: Vec<String>,
    /// The command, or what follows the entrypoint.
    #[serde(deserialize_with = "or_nothing")]
    pub cmd: Vec<String>,
    /// The directory it begins in.
    #[serde(deserialize_with = "or_nothing")]
    pub working_dir: String,
    /// The signal that asks it to end, `SIGQUIT` or a number; SIGTERM where it is empty.
    #[serde(deserialize_with = "or_nothing")]
    pub stop_signal: String,
}

/// Go writes `null` for an empty list.
fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// The entry of an index for this kind of machine: the one that says so, and wants the least of a processor; else the
/// only one that says nothing. Error: a cause in words.
pub fn choose<'a>(manifests: &'a [Descriptor], architecture: &str) -> Result<&'a Descriptor, String> {
    let ours = |d: &&Descriptor| d.platform.as_ref().is_some_and(|p| p.os == "linux" && p.architecture == architecture);
    if let Some(found) = manifests.iter().filter(ours).min_by_key(|d| d.platform.as_ref().map(|p| p.variant.clone())) {
        return Ok(found);
    }
    let silent: Vec<&Descriptor> = manifests.iter().filter(|d| d.platform.is_none()).collect();
    // An image that was saved with several names is there once for each of them.
    if let Some(first) = silent.first().filter(|first| silent.iter().all(|d| d.digest == first.digest)) {
        return Ok(first);
    }
    if silent.len() > 1 {
        return Err("it holds several images and does not say for which machines".into());
    }
    let there: Vec<String> = manifests
        .iter()
        .filter_map(|d| d.platform.as_ref())
        .filter(|p| p.os != "unknown")
        .map(|p| format!("{}/{}", p.os, p.architecture).escape_default().to_string())
        .collect();
    Err(format!("it has no image for linux/{architecture}, only: {}", there.join(", ")))
}

/// Where an image is: `registry/name@sha256:…`, or with a tag, which is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Registry and name: `registry.example:5000/team/app`.
    pub repository: String,
    /// Digest of the manifest, or of the index of manifests.
    pub digest: Digest,
}

impl Reference {
    /// Reads one. Error: a cause in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (place, digest) = text.split_once('@').map_or((text, None), |(p, d)| (p, Some(d)));
        let repository = Self::repository(place)?;
        // Only what is well formed stands in a command that may be copied.
        let digest = digest.ok_or_else(|| {
            let inspect = "skopeo inspect --format '{{.Digest}}' docker://";
            format!("without a digest it may be another image tomorrow; `{inspect}{place}` says which it is today")
        })?;
        Ok(Self { repository, digest: sha256(digest)? })
    }

    /// Registry and name of `registry/name` or `registry/name:tag`.
    fn repository(place: &str) -> Result<String, String> {
        let (registry, name) = place.split_once('/').ok_or("the registry is missing")?;
        let (host, port) = match registry.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (registry, None),
        };
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let word = |part: &str, marks: &str| {
            part.starts_with(lower) && part.ends_with(lower) && part.chars().all(|c| lower(c) || marks.contains(c))
        };
        let named = word(host, ".-") && (host.contains('.') || host == "localhost" || port.is_some());
        if !(named || host == "[::1]") || host.contains("..") || port.is_some_and(|p| p.parse::<u16>().is_err()) {
            return Err(format!("`{registry}` is not a registry: a host name with a dot, or with a port"));
        }
        let (name, tag) = name.split_once(':').map_or((name, None), |(n, t)| (n, Some(t)));
        if !name.split('/').all(|part| word(part, "._-")) {
            return Err(format!("`{name}` is not the name of an image"));
        }
        let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if tag.is_some_and(|t| t.is_empty() || !t.chars().all(fine)) {
            return Err("what follows the second `:` is not a tag".into());
        }
        Ok(format!("{registry}/{name}"))
    }

    /// Is `host`, with or without a port, this very machine?
    pub fn is_loopback(host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => name,
            _ => host,
        };
        matches!(name, "localhost" | "127.0.0.1" | "[::1]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        let image: Image = serde_json::from_str(
            r#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":["sh"],"User":"","Labels":null},
                "rootfs":{"type":"layers","diff_ids":[]}}"#,
        )
        .unwrap();
        assert_eq!(image.config, Config { cmd: vec!["sh".into()], ..Config::default() });
        let none: Image =
            serde_json::from_str(r#"{"architecture":"a","os":"linux","config":null,"rootfs":{"diff_ids":[]}}"#)
                .unwrap();
        assert_eq!(none.config, Config::default());
    }

    #[test]
    fn references_say_registry_name_and_digest() {
        let digest = format!("@sha256:{}", Digest::of(b"x"));
        for (good, repository) in [
            ("registry.example/app", "registry.example/app"),
            ("registry.example:5000/team/sub/app:1.2-b", "registry.example:5000/team/sub/app"),
            ("localhost:5000/a_b", "localhost:5000/a_b"),
            ("127.0.0.1:5/a", "127.0.0.1:5/a"),
        ] {
            assert_eq!(Reference::parse(&format!("{good}{digest}")).unwrap().repository, repository);
        }
        for bad in [
            "app",
            "library/app",
            "r.example",
            "r.example/",
            "r.example/A",
            "r.example/../x",
            "r.example/a//b",
            "r..e/a",
            "r.example/a:",
            "r.example/a:b:c",
            "r.example:x/a",
            "r.example/a?b",
            "me@r.example/a",
            "r.example/a b",
            "-r.e/a",
            "https://r.example/a",
            "r.example:99999/a",
            "r.example/.a",
        ] {
            assert!(Reference::parse(&format!("{bad}{digest}")).is_err(), "{bad}");
        }
        let said = Reference::parse("r.example/a:latest").unwrap_err();
        assert!(said.contains("skopeo inspect --format '{{.Digest}}' docker://r.example/a:latest"), "{said}");
        assert!(Reference::parse("r.example/a@sha256:00").is_err());
        assert!(Reference::is_loopback("127.0.0.1:5000") && !Reference::is_loopback("127.0.0.1.example"));
    }

    #[test]
    fn an_index_is_asked_for_our_machine() {
        let entry = |platform: Option<(&str, &str)>| Descriptor {
            digest: format!("sha256:{}", Digest::of(format!("{platform:?}").as_bytes())),
            size: 1,
            platform: platform.map(|(os, a)| {
                let (a, variant) = a.split_once('/').map_or((a, None), |(a, v)| (a, Some(v.to_owned())));
                Platform { architecture: a.into(), os: os.into(), variant }
            }),
        };
        let all =
            [entry(Some(("unknown", "unknown"))), entry(Some(("linux", "arm64"))), entry(Some(("linux", "amd64")))];
        assert_eq!(choose(&all, "amd64"), Ok(&all[2]));
        assert_eq!(choose(&all[..2], "amd64").unwrap_err(), "it has no image for linux/amd64, only: linux/arm64");
        let newer = [entry(Some(("linux", "amd64/v3"))), entry(Some(("linux", "amd64"))), all[1].clone()];
        assert_eq!(choose(&newer, "amd64"), Ok(&newer[1]), "the one that runs on every processor");
        let silent = [entry(None), entry(None)];
        assert_eq!(choose(&silent[..1], "amd64"), Ok(&silent[0]));
        assert_eq!(choose(&silent, "amd64"), Ok(&silent[0]), "one image under two names");
        let two = [entry(None), Descriptor { digest: all[0].digest.clone(), ..entry(None) }];
        assert!(choose(&two, "amd64").is_err());
        assert!(sha256("md5:00").is_err());
    }
}
