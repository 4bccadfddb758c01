//! A read-only image store of containers/storage's overlay driver, written without podman.
//!
//! Layout (the library's documentation, docs/containers-storage.md, and what podman 5 reads): `overlay/ID/{diff,link}`, `overlay/l/LINK`,
//! `overlay-layers/layers.json`, `overlay-images/images.json`, `overlay-images/ID/{manifest,=BASE64…}` and two lock
//! files. Configuration and manifest follow the OCI image specification 1.1. All ids derive from contents.

use crate::container_root::ContainerTree;
use crate::paths::CONTAINER_STORE;
use crate::tree::{Node, NodeKind, TreePath};
use diorite_model::oci::Config;
use diorite_model::recipe::{Container, Protocol};
use diorite_model::{Digest, Error, Result, base64, date};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// One container image to be stored.
pub(super) struct StoredImage<'a> {
    /// Of its container.
    pub name: &'a str,
    /// `localhost/NAME:VERSION`.
    pub reference: String,
    /// Its root.
    pub tree: &'a ContainerTree,
    /// What it publishes.
    pub container: &'a Container,
    /// Its command and user.
    pub started: ContainerProcess,
    /// Creation time, seconds since 1970.
    pub epoch: u64,
}

/// How a container's process is started: as the profile says, else as its image says.
pub(super) struct ContainerProcess {
    /// User, and group behind a colon.
    pub user: String,
    entrypoint: Vec<String>,
    command: Vec<String>,
    environment: Vec<String>,
    workdir: String,
    stop_signal: String,
}

impl ContainerProcess {
    pub(super) fn of(container: &Container, image: &Config) -> Self {
        let or = |said: &[String], own: &[String]| if said.is_empty() { own.to_vec() } else { said.to_vec() };
        // An image's command belongs behind its own entrypoint, and behind no other.
        let command = if container.entrypoint.is_empty() { &image.cmd[..] } else { &[] };
        let path = |v: &&String| v.starts_with("PATH=");
        let standard = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let missing = image.env.iter().find(path).is_none().then_some(standard);
        let text = |said: &Option<String>, own: &str, default: &str| match said {
            Some(said) => said.clone(),
            None if own.is_empty() => default.to_owned(),
            None => own.to_owned(),
        };
        Self {
            user: text(&container.user, &image.user, "0:0"),
            entrypoint: or(&container.entrypoint, &image.entrypoint),
            command: or(&container.command, command),
            environment: missing.into_iter().chain(image.env.iter().cloned()).collect(),
            workdir: text(&container.workdir, &image.working_dir, "/"),
            stop_signal: image.stop_signal.clone(),
        }
    }
}

/// A store; paths are those below [`CONTAINER_STORE`].
pub(super) struct ImageStore {
    /// Its files.
    pub nodes: BTreeMap<TreePath, Node>,
    /// Where the root of a container is; of several with the same one, the first.
    pub layers: Vec<(String, String)>,
}

/// Makes the store of these images.
pub(super) fn write(images: &[StoredImage], architecture: &str) -> Result<ImageStore> {
    let mut nodes: BTreeMap<TreePath, Node> = BTreeMap::new();
    for dir in ["overlay", "overlay/l", "overlay-images", "overlay-layers"] {
        nodes.insert(dir.into(), Node::directory(0o700));
    }
    let (mut layer_list, mut image_list, mut layers) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut places = Vec::new();
    for image in images {
        let created = date::rfc3339(image.epoch);
        // An id is the digest of a layer's tar, and no tar is made here: the listing names the same bytes.
        let layer = Digest::of(image.tree.tree().listing().as_bytes());
        let diff_id = format!("sha256:{layer}");
        let size: usize =
            image.tree.tree().nodes.values().map(|n| if let NodeKind::File(c) = &n.kind { c.len() } else { 0 }).sum();
        if layers.insert(layer) {
            let below = format!("overlay/{layer}");
            let link = base32(&Digest::of(layer.to_string().as_bytes()).0)[..26].to_owned();
            places.push((format!("{below}/diff"), image.name.to_owned()));
            nodes.insert(below.clone().into(), Node::directory(0o700));
            nodes.insert(format!("{below}/link").into(), Node::file(0o644, link.as_bytes()));
            nodes.insert(format!("overlay/l/{link}").into(), Node::symlink(format!("../{layer}/diff")));
            lay(&mut nodes, &format!("{CONTAINER_STORE}/{below}/diff"), &format!("{below}/diff"), image.tree);
            let ids = |of: fn(&Node) -> u32| image.tree.tree().nodes.values().map(of).collect::<BTreeSet<u32>>();
            layer_list.push(json!({
                "id": layer, "created": created, "diff-digest": diff_id, "diff-size": size,
                "uidset": ids(|n| n.uid), "gidset": ids(|n| n.gid),
            }));
        }
        let exposed: BTreeMap<String, serde_json::Value> = image.container.publish.iter().map(exposed).collect();
        let mut config = json!({
            "created": created, "architecture": architecture, "os": "linux",
            "config": {
                "User": image.started.user, "ExposedPorts": exposed, "Cmd": image.started.command,
                "Entrypoint": image.started.entrypoint,
                "Env": image.started.environment,
                "WorkingDir": image.started.workdir,
            },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created": created, "created_by": "diorite" }],
        });
        if !image.started.stop_signal.is_empty() {
            config["config"]["StopSignal"] = json!(image.started.stop_signal);
        }
        let config = to_bytes(&config)?;
        let id = Digest::of(&config);
        let manifest = to_bytes(&json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": format!("sha256:{id}"),
                "size": config.len(),
            },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": diff_id, "size": size }],
        }))?;
        let digest = Digest::of(&manifest);
        let big = [
            ("manifest".to_owned(), &manifest),
            (format!("manifest-sha256:{digest}"), &manifest),
            (format!("sha256:{id}"), &config),
        ];
        nodes.insert(format!("overlay-images/{id}").into(), Node::directory(0o700));
        for (name, bytes) in &big {
            // Names that are no plain words stand in Base64 behind an equals sign.
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric());
            let file = if plain { name.clone() } else { format!("={}", base64::encode(name.as_bytes())) };
            nodes.insert(format!("overlay-images/{id}/{file}").into(), Node::file(0o600, bytes.as_slice()));
        }
        let names: Vec<&str> = big.iter().map(|(n, _)| n.as_str()).collect();
        let sizes: BTreeMap<&str, usize> = big.iter().map(|(n, b)| (n.as_str(), b.len())).collect();
        let digests: BTreeMap<&str, String> =
            big.iter().map(|(n, b)| (n.as_str(), format!("sha256:{}", Digest::of(b)))).collect();
        image_list.push(json!({
            "id": id, "digest": format!("sha256:{digest}"), "names": [image.reference], "layer": layer,
            "metadata": "{}", "big-data-names": names, "big-data-sizes": sizes, "big-data-digests": digests,
            "created": created,
        }));
    }
    for (path, list) in [("overlay-images/images.json", image_list), ("overlay-layers/layers.json", layer_list)] {
        nodes.insert(path.into(), Node::file(0o600, to_bytes(&serde_json::Value::Array(list))?));
        nodes.insert(path.replace(".json", ".lock").into(), Node::file(0o644, ""));
    }
    Ok(ImageStore { nodes, layers: places })
}

/// Lays a container's tree below `local` (its path in the store; `whole` is the same from the image's root).
fn lay(nodes: &mut BTreeMap<TreePath, Node>, whole: &str, local: &str, container: &ContainerTree) {
    let join = |prefix: &str, path: &[u8]| {
        if path.is_empty() { prefix.into() } else { [prefix.as_bytes(), b"/", path].concat() }
    };
    for (path, node) in &container.tree().nodes {
        let mut node = node.clone();
        if let NodeKind::HardLink(first) = &node.kind {
            node.kind = NodeKind::HardLink(join(whole, first));
        }
        nodes.insert(join(local, path), node);
    }
}

fn exposed(publish: &diorite_model::recipe::Publish) -> (String, serde_json::Value) {
    let protocol = if publish.protocol == Protocol::Udp { "udp" } else { "tcp" };
    (format!("{}/{protocol}", publish.container), json!({}))
}

fn to_bytes(value: &serde_json::Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::bug("a container's description cannot be written").because(e))
}

/// RFC 4648 section 6, without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit = |i: usize| bytes.get(i / 8).map_or(0, |b| b >> (7 - i % 8) & 1);
    let digit = |d: usize| (0..5).fold(0u8, |n, i| n << 1 | bit(d * 5 + i));
    (0..(bytes.len() * 8).div_ceil(5)).map(|d| ALPHABET[digit(d) as usize] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_agree_with_rfc_4648() {
        for (plain, coded) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("", "")] {
            assert_eq!(base64::encode(plain.as_bytes()), coded);
        }
        for (plain, coded) in [("f", "MY"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")] {
            assert_eq!(base32(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_profile_goes_before_the_image() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let image = Config {
            user: "7:8".into(),
            env: list(&["A=b", "PATH=/opt"]),
            entrypoint: list(&["/entry"]),
            cmd: list(&["x", "y"]),
            working_dir: "/srv".into(),
            stop_signal: "SIGQUIT".into(),
        };
        let text = "[image]\nname = \"a\"\nversion = \"1\"\n[containers.app]\narchive = \"app.tar\"\n";
        let started = |more: &str, image: &Config| {
            let mut none = |_: &str| -> Result<diorite_model::profile::Loaded> { panic!("nothing is extended") };
            let recipe = diorite_model::profile::parse(&format!("{text}{more}"), "a.toml", &mut none).unwrap().0;
            let ContainerProcess { user, entrypoint, command, environment, workdir, stop_signal } =
                ContainerProcess::of(&recipe.containers["app"], image);
            assert_eq!(stop_signal, image.stop_signal);
            format!("{user} {} {} {} {workdir}", entrypoint.join("+"), command.join("+"), environment.join("+"))
        };
        assert_eq!(started("", &image), "7:8 /entry x+y A=b+PATH=/opt /srv");
        assert_eq!(started("command = [\"z\"]", &image), "7:8 /entry z A=b+PATH=/opt /srv");
        assert_eq!(started("entrypoint = [\"/z\"]", &image), "7:8 /z  A=b+PATH=/opt /srv");
        assert_eq!(started("user = \"9\"\nworkdir = \"/w\"", &image), "9 /entry x+y A=b+PATH=/opt /w");
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(started("", &Config::default()), format!("0:0   {path} /"));
    }
}
