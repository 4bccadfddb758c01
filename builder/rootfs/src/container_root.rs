//! Tree of a container (configured packages, or the merged layers of an image) → [`ContainerTree`]: without what a
//! read-only container has no use for, with its overlays.

use crate::accounts;
use crate::overlay::{self, Overlay};
use crate::privileges;
use crate::secrets::{self, PublicSecrets};
use crate::tree::edit::{detach_links, empty_directory, empty_logs_and_caches};
use crate::tree::{Node, NodeKind, Tree, TreePath};
use diorite_model::oci::Config;
use diorite_model::{Error, Result};
use std::collections::BTreeMap;

/// The root of a container: no kernel, no boot, no database.
#[derive(Debug, Clone)]
pub struct ContainerTree {
    tree: Tree,
    public: PublicSecrets,
    config: Config,
    overlaid: BTreeMap<TreePath, String>,
}

impl ContainerTree {
    /// A tree as it is, for tests of what comes after.
    #[cfg(test)]
    pub(crate) fn of(tree: Tree) -> Self {
        Self { tree, public: PublicSecrets::default(), config: Config::default(), overlaid: BTreeMap::new() }
    }
    /// The root.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
    /// What looks like a secret in it and is none.
    pub fn public(&self) -> &PublicSecrets {
        &self.public
    }
    /// What overlays laid over it: the paths, and the overlay of each.
    pub(crate) fn overlaid(&self) -> &BTreeMap<TreePath, String> {
        &self.overlaid
    }
    /// How an image that others made wants to be started.
    pub fn config(&self) -> &Config {
        &self.config
    }
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
pub fn of_packages(tree: Tree, overlays: &[Overlay], epoch: u64) -> Result<ContainerTree> {
    let mut tree = tree;
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    detach_links(&mut tree);
    empty_logs_and_caches(&mut tree);
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
        let directory = tree.get(&path).is_some_and(|n| matches!(n.kind, NodeKind::Directory));
        if !directory || tree.children(&path).next().is_none() {
            tree.nodes.remove(&path);
        }
    }
    for path in ["boot", "var/lib/dpkg", "var/lib/apt"].into_iter().chain(accounts::LEFTOVERS) {
        tree.remove(path.as_bytes());
    }
    finished(tree, Config::default(), overlays, PublicSecrets::default(), epoch)
}

/// Makes a container's root of an image that others made: everything in it stays but what belongs to the runtime. `public`
/// is what looks like a secret in it and is none.
///
/// # Errors
/// As [`of_packages`].
pub fn of_image(
    tree: Tree,
    config: Config,
    overlays: &[Overlay],
    public: PublicSecrets,
    epoch: u64,
) -> Result<ContainerTree> {
    let mut tree = tree;
    detach_links(&mut tree);
    finished(tree, config, overlays, public, i64::try_from(epoch).unwrap_or(i64::MAX))
}

/// What looks like a secret at the paths that `containers.NAME.public` names, and below them.
///
/// # Errors
/// A path at which nothing is, or nothing that looks like a secret.
pub fn image_public(tree: &Tree, paths: &[String], name: &str) -> Result<PublicSecrets> {
    let mut public = PublicSecrets::default();
    for path in paths {
        let wanted = path.trim_start_matches('/').as_bytes();
        let below = [wanted, b"/"].concat();
        let mut found = 0;
        let mut secrets = 0;
        for (_, node) in tree.nodes.iter().filter(|(p, _)| *p == wanted || p.starts_with(&below)) {
            found += 1;
            let first = |first: &TreePath| tree.get(first).map(|n| &n.kind);
            let content = match &node.kind {
                NodeKind::File(content) => Some(content),
                NodeKind::HardLink(to) if let Some(NodeKind::File(content)) = first(to) => Some(content),
                _ => None,
            };
            secrets += content.map_or(0, |content| public.declare(content.bytes()));
        }
        if secrets == 0 {
            let what = format!("nothing at {path} in the image of container `{name}` looks like a secret");
            return Err(Error::input(what)
                .at(format!("containers.{name}.public"))
                .because(if found == 0 { "there is no such path" } else { "its files are passed without being named" })
                .hint("take it out, or correct the path: it is one inside the container"));
        }
    }
    Ok(public)
}

/// What the runtime mounts over is there and empty; overlays on top.
fn finished(
    mut tree: Tree,
    config: Config,
    overlays: &[Overlay],
    mut public: PublicSecrets,
    epoch: i64,
) -> Result<ContainerTree> {
    for path in ["proc", "sys", "dev", "run"] {
        empty_directory(&mut tree, path, 0o755);
    }
    for path in ["tmp", "var/tmp"] {
        empty_directory(&mut tree, path, 0o1777);
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
        let file = tree.get(path).is_some_and(|n| matches!(n.kind, NodeKind::File(_)));
        if !file || text.is_empty() {
            tree.insert(path.as_bytes().to_vec(), Node::file(0o644, text));
        }
    }
    tree.insert(*b"etc/machine-id", Node::file(0o444, ""));
    overlay::conflicts(overlays)?;
    let overlaid = overlay::lay(&mut tree, overlays, epoch)?;
    let overlaid = overlaid.into_iter().map(|(path, (overlay, _))| (path, overlay)).collect();
    for node in tree.nodes.values_mut() {
        node.mtime = node.mtime.min(epoch);
    }
    privileges::strip_all(&mut tree)?;
    overlays.iter().for_each(|o| public.extend(&o.public));
    // Its contents are in the image's tree, and are searched there.
    secrets::identity(&tree)?;
    Ok(ContainerTree { tree, public, config, overlaid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::OverlayEntry;

    #[test]
    fn what_an_image_may_show_is_named_by_path() {
        let dash = "-----";
        let key = format!(
            "{dash}BEGIN PRIVATE KEY{dash}\n{}\n{dash}END PRIVATE KEY{dash}\n",
            "MIIabc0123456789def".repeat(9)
        );
        let mut tree = Tree::new();
        tree.insert("etc/app/example.key", Node::file(0o644, key.clone()));
        tree.insert("etc/app/link.key", Node::new(0o644, NodeKind::HardLink(b"etc/app/example.key".to_vec())));
        tree.insert("etc/application", Node::file(0o644, "text"));
        let judge = |path: &str| image_public(&tree, &[path.to_owned()], "web");
        let mut public = PublicSecrets::default();
        public.declare(key.as_bytes());
        for path in ["/etc/app/example.key", "/etc/app/link.key", "/etc/app"] {
            assert_eq!(judge(path).unwrap(), public, "{path}");
        }
        let errors = ["/etc/ap", "/etc/application"].map(|path| judge(path).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n\n"));
    }

    #[test]
    fn a_container_needs_no_configured_tree() {
        let mut tree = Tree::new();
        tree.insert("usr/bin/app", Node::file(0o644, "app"));
        tree.insert("usr/share/doc/app/copyright", Node::file(0o644, "licence"));
        tree.insert("usr/share/doc/app/changelog.gz", Node::file(0o644, "news"));
        tree.insert("usr/share/man/man1/app.1.gz", Node::file(0o644, "page"));
        let entry = OverlayEntry { node: Node::file(0o644, "overlay"), owner: None, configured: false };
        let overlay = Overlay {
            name: "web".into(),
            why: "a test".into(),
            overrides: false,
            entries: [(b"srv/www/index.html".to_vec(), entry)].into(),
            public: PublicSecrets::default(),
            configure: None,
        };
        let made = of_packages(tree, &[overlay], 1_760_000_000).unwrap();
        let tree = made.tree();
        assert_eq!(tree.resolve(b"bin/app"), Some(b"usr/bin/app".to_vec()));
        assert!(tree.get("etc/passwd").is_some() && tree.get("srv/www/index.html").is_some());
        assert!(
            tree.get("usr/share/doc/app/copyright").is_some() && tree.get("usr/share/doc/app/changelog.gz").is_none()
        );
        assert!(tree.get("usr/share/man").is_none());
    }
}
