//! The tree of a container → [`ContainerTree`]: the same packages, with nothing a read-only container has no use for.

use super::{clean, detach, empty, lay, privileges};
use crate::overlay::{self, Overlay};
use crate::secrets::{self, Public};
use crate::tree::{Kind, Node, Tree, TreePath};
use diorite_model::Result;
use diorite_model::oci::Config;

/// The root of a container: no kernel, no boot, no database.
#[derive(Debug, Clone)]
pub struct ContainerTree {
    /// The root.
    pub tree: Tree,
    /// What looks like a secret in it and is none.
    pub public: Public,
    /// How an image that others made wants to be started.
    pub config: Config,
}

/// Directories of which nothing is kept but licences.
const DOCUMENTATION: [&[u8]; 6] = [
    b"usr/share/doc/",
    b"usr/share/man/",
    b"usr/share/info/",
    b"usr/share/locale/",
    b"usr/share/lintian/",
    b"usr/share/bug/",
];

/// Makes a container's root of a tree (configured, or only unpacked: what an unpacked one lacks is supplied).
///
/// # Errors
/// Overlays in conflict, an owner the tree does not know, an account without a lock.
pub fn container(tree: Tree, overlays: &[Overlay], epoch: u64) -> Result<ContainerTree> {
    let mut tree = tree;
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    detach(&mut tree);
    clean::common(&mut tree);
    let gone: Vec<TreePath> = tree
        .nodes
        .keys()
        .filter(|p| {
            let inside = |d: &&[u8]| p.starts_with(d) || **p == d[..d.len() - 1];
            DOCUMENTATION.iter().any(inside) && !p.ends_with(b"/copyright")
        })
        .cloned()
        .collect();
    // Deepest first, so that directories are empty when it is their turn.
    for path in gone.into_iter().rev() {
        let directory = tree.get(&path).is_some_and(|n| matches!(n.kind, Kind::Directory));
        if !directory || tree.children(&path).next().is_none() {
            tree.nodes.remove(&path);
        }
    }
    for path in ["boot", "var/lib/dpkg", "var/lib/apt", "etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-"] {
        tree.remove(path.as_bytes());
    }
    finished(tree, Config::default(), overlays, epoch)
}

/// Makes a container's root of an image that others made: everything in it stays but what belongs to the runtime.
///
/// # Errors
/// As [`container`].
pub fn image(tree: Tree, config: Config, overlays: &[Overlay], epoch: u64) -> Result<ContainerTree> {
    let mut tree = tree;
    detach(&mut tree);
    finished(tree, config, overlays, i64::try_from(epoch).unwrap_or(i64::MAX))
}

/// What the runtime mounts over is there and empty; overlays on top.
fn finished(mut tree: Tree, config: Config, overlays: &[Overlay], epoch: i64) -> Result<ContainerTree> {
    for path in ["proc", "sys", "dev", "run"] {
        empty(&mut tree, path, 0o755);
    }
    for path in ["tmp", "var/tmp"] {
        empty(&mut tree, path, 0o1777);
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        let merged = format!("usr/{name}");
        if tree.get(name).is_none() && tree.get(&merged).is_some() {
            tree.insert(name.as_bytes().to_vec(), Node::symlink(merged));
        }
    }
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        // podman binds its own over these; on a read-only root they must be there to be bound over.
        ("etc/hosts", ""),
        ("etc/hostname", ""),
        ("etc/resolv.conf", ""),
    ] {
        let file = tree.get(path).is_some_and(|n| matches!(n.kind, Kind::File(_)));
        if !file || text.is_empty() {
            tree.insert(path.as_bytes().to_vec(), Node::file(0o644, text));
        }
    }
    tree.insert(*b"etc/machine-id", Node::file(0o444, ""));
    overlay::conflicts(overlays)?;
    lay(&mut tree, overlays, epoch)?;
    for node in tree.nodes.values_mut() {
        node.mtime = node.mtime.min(epoch);
    }
    privileges::strip_container(&mut tree)?;
    let mut public = Public::default();
    overlays.iter().for_each(|o| public.extend(&o.public));
    // Its contents are in the image's tree, and are searched there.
    secrets::identity(&tree)?;
    Ok(ContainerTree { tree, public, config })
}
