//! Who put each file of an image there: a package, a package's script, an overlay, a table of the profile, or sealing itself.
//!
//! Decided once, while a tree is sealed, from the origins of packages (origins.rs) and from what the stages laid where; carried
//! by the image as JSON: version, then each source with its paths. Contents do not stand in it, so it changes only when
//! files come, go or are moved to another source.

use crate::escape::{escape, unescape};
use crate::guest::PlacedRoot;
use crate::origins::{ImageOrigins, Origins};
use crate::paths::{DATABASE, DATABASE_BEFORE};
use crate::tree::{Node, NodeKind, Tree, TreePath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Version of the JSON.
const SCHEMA: u32 = 1;
/// Where sealing keeps the files of /var.
const FACTORY: &[u8] = b"usr/share/factory/";

/// Who put a file there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A package, as it shipped it.
    Package(String),
    /// A package; a script has changed the file since.
    Changed(String),
    /// A wheel, by the name of its file.
    Wheel(String),
    /// The layers of a container's image.
    Layer,
    /// Scripts of packages, while they were configured.
    Script,
    /// An overlay's `configure` program.
    Configure(String),
    /// An overlay.
    Overlay(String),
    /// What the profile's tables generate, by the table.
    Generated(String),
    /// Sealing: the state's directories, what the image carries about itself, directories that nobody else names.
    Sealing,
    /// Something inside a container.
    Container(String, Box<Source>),
}

impl Source {
    /// The step of a build that has put the file there, as `plan` calls it.
    pub fn step(&self) -> String {
        match self {
            Self::Package(_) | Self::Changed(_) | Self::Script => "tree".into(),
            Self::Configure(_) => "configure".into(),
            Self::Container(name, inside) => match &**inside {
                Self::Wheel(_) => format!("wheels {name}"),
                Self::Overlay(_) => "filesystem".into(),
                _ => format!("container {name}"),
            },
            _ => "filesystem".into(),
        }
    }

    /// The package, of the machine or of a container.
    pub fn package(&self) -> Option<&str> {
        match self {
            Self::Package(name) | Self::Changed(name) => Some(name),
            Self::Container(_, inside) => inside.package(),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(name) => write!(f, "package {name}"),
            Self::Changed(name) => write!(f, "package {name}, changed by a script"),
            Self::Wheel(name) => write!(f, "wheel {name}"),
            Self::Layer => write!(f, "image"),
            Self::Script => write!(f, "made while packages were configured"),
            Self::Configure(name) => write!(f, "overlay {name}, by its configure program"),
            Self::Overlay(name) => write!(f, "overlay {name}"),
            Self::Generated(table) => write!(f, "generated from [{table}]"),
            Self::Sealing => write!(f, "sealing"),
            Self::Container(name, inside) => write!(f, "container {name}: {inside}"),
        }
    }
}

/// The source of every path of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance(BTreeMap<TreePath, Source>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvenanceFile {
    schema: u32,
    sources: Vec<(Source, Vec<String>)>,
}

impl Provenance {
    /// The source of a path; the root is the empty path.
    pub fn get(&self, path: &[u8]) -> Option<&Source> {
        self.0.get(path)
    }
    /// All of them, in bytewise order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Source)> {
        self.0.iter()
    }
    /// As an image carries it.
    pub fn to_json(&self) -> Vec<u8> {
        let mut sources: BTreeMap<&Source, Vec<String>> = BTreeMap::new();
        for (path, source) in &self.0 {
            sources.entry(source).or_default().push(escape(path));
        }
        let sources = sources.into_iter().map(|(source, paths)| (source.clone(), paths)).collect();
        let mut json =
            serde_json::to_vec(&ProvenanceFile { schema: SCHEMA, sources }).expect("our own types serialize");
        json.push(b'\n');
        json
    }
    /// Reads what an image carries.
    ///
    /// # Errors
    /// What is wrong with it, as a cause.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let file: ProvenanceFile = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        if file.schema != SCHEMA {
            return Err(format!("it has schema {}, and this version reads {SCHEMA}", file.schema));
        }
        let mut all = BTreeMap::new();
        for (source, paths) in file.sources {
            for path in paths {
                let path = unescape(&path).ok_or_else(|| format!("`{path}` has a wrong escape sequence"))?;
                all.insert(path, source.clone());
            }
        }
        Ok(Self(all))
    }
}

/// What the stages before know when a tree is sealed.
pub(crate) struct KnownFiles<'a> {
    /// Paths of the configured tree.
    pub configured: &'a BTreeSet<TreePath>,
    /// Generated files and the table of each.
    pub tables: &'a BTreeMap<TreePath, &'static str>,
    /// Roots of containers, by their paths.
    pub roots: &'a BTreeMap<TreePath, PlacedRoot>,
    /// What overlays have laid: the overlay, and whether its `configure` program made it.
    pub laid: &'a BTreeMap<TreePath, (String, bool)>,
    /// What packages brought.
    pub origins: &'a ImageOrigins,
}

/// The provenance of a sealed tree. Every path has a source.
pub(crate) fn of(tree: &Tree, known: &KnownFiles) -> Provenance {
    let mut sources: BTreeMap<TreePath, Source> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (path, node) in &tree.nodes {
        match known.source(tree, path, node) {
            Some(source) => drop(sources.insert(path.clone(), source)),
            None => unknown.push(path),
        }
    }
    // A directory that nobody names is there for what is in it; the deepest first.
    for path in unknown.into_iter().rev() {
        let below = [path.as_slice(), b"/"].concat();
        let first = sources.range(below.clone()..).next().filter(|(p, _)| p.starts_with(&below));
        let source = first.map_or(Source::Sealing, |(_, source)| source.clone());
        sources.insert(path.clone(), source);
    }
    Provenance(sources)
}

impl KnownFiles<'_> {
    fn source(&self, tree: &Tree, path: &[u8], node: &Node) -> Option<Source> {
        // The root of a container is the nearest one before the path, in the order of the paths.
        let before = self.roots.range(..=path.to_vec()).next_back();
        if let Some((root, container)) = before.filter(|(root, _)| inside(root, path)) {
            let path = path.get(root.len() + 1..).unwrap_or_default();
            let source = self.in_container(tree, container, path, node);
            return Some(Source::Container(container.name.clone(), Box::new(source)));
        }
        let former = former(path);
        let former = former.as_deref();
        let places = || std::iter::once(path).chain(former);
        if let Some((overlay, configured)) = places().find_map(|path| self.laid.get(path)) {
            let overlay = overlay.clone();
            return Some(if *configured { Source::Configure(overlay) } else { Source::Overlay(overlay) });
        }
        if let Some(table) = places().find_map(|path| self.tables.get(path)) {
            return Some(Source::Generated((*table).to_owned()));
        }
        if let Some(source) = places().find_map(|path| brought(tree, &self.origins.machine, path, node)) {
            return Some(source);
        }
        places().any(|path| self.configured.contains(path)).then_some(Source::Script)
    }

    fn in_container(&self, tree: &Tree, container: &PlacedRoot, path: &[u8], node: &Node) -> Source {
        if let Some(overlay) = container.overlaid.get(path) {
            return Source::Overlay(overlay.clone());
        }
        if container.image {
            return Source::Layer;
        }
        let origins = self.origins.containers.get(&container.name);
        origins.and_then(|origins| brought(tree, origins, path, node)).unwrap_or(Source::Script)
    }
}

/// Is this path a directory, or below it?
fn inside(directory: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What a package brought at a path, if it did.
fn brought(tree: &Tree, origins: &Origins, path: &[u8], node: &Node) -> Option<Source> {
    let package = origins.package(path)?.to_owned();
    let content = match &node.kind {
        NodeKind::File(content) => Some(content),
        NodeKind::HardLink(first) => match &tree.get(first)?.kind {
            NodeKind::File(content) => Some(content),
            _ => None,
        },
        _ => None,
    };
    if package.ends_with(".whl") {
        return Some(Source::Wheel(package));
    }
    let same = content.zip(origins.get(path)).is_none_or(|(content, origin)| content.digest() == origin.digest);
    Some(if same { Source::Package(package) } else { Source::Changed(package) })
}

/// Where a file was before sealing moved it: the package database, what /var holds at first, and the directories that are on
/// state. None for a path that was not moved.
pub fn former(path: &[u8]) -> Option<TreePath> {
    if inside(DATABASE.as_bytes(), path) {
        return Some([DATABASE_BEFORE.as_bytes(), &path[DATABASE.len()..]].concat());
    }
    let kept = path.strip_prefix(FACTORY)?;
    let state = kept.strip_prefix(b"var/").filter(|rest| {
        let first = rest.split(|&b| b == b'/').next().unwrap_or_default();
        [&b"home"[..], b"srv", b"opt"].contains(&first)
    });
    Some(state.unwrap_or(kept).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::Digest;

    fn file(text: &str) -> Node {
        Node::file(0o644, text)
    }

    #[test]
    fn every_path_has_the_source_that_put_it_there() {
        let mut tree = Tree::new();
        let store = "usr/lib/containers/storage/overlay/x/diff";
        for (path, node) in [
            ("usr/bin/tool", file("tool")),
            ("usr/bin/link", Node::symlink("tool")),
            ("usr/bin/hard", Node::new(0o644, NodeKind::HardLink(b"usr/bin/tool".to_vec()))),
            ("etc/tool.conf", file("changed")),
            ("etc/made", file("made")),
            ("etc/own.d/deep/page", file("overlay")),
            ("etc/set", file("set")),
            ("etc/new.d/nft", file("nft")),
            ("usr/lib/sysimage/dpkg/info/tool.list", file("list")),
            ("usr/share/factory/var/lib/tool/data", file("data")),
            ("usr/share/factory/var/srv/www/page", file("page")),
            ("usr/lib/tmpfiles.d/sealed.conf", file("d /x")),
            ("usr/lib/containers/storage/overlay/x/diff/usr/bin/web", file("web")),
            ("usr/lib/containers/storage/overlay/x/diff/srv/page", file("page")),
            ("usr/lib/containers/storage/overlay/x/diff/etc/passwd", file("root")),
            ("usr/lib/containers/storage/overlay/x/diff/usr/lib/a.py", file("wheel")),
            ("usr/lib/containers/storage/overlay/x/link", file("x")),
        ] {
            tree.insert(path, node);
        }
        let mut origins = ImageOrigins::default();
        let tool = Digest::of(b"tool");
        let machine = [("usr/bin/tool", tool), ("usr/bin/hard", tool), ("etc/tool.conf", tool)];
        let moved = [("var/lib/dpkg/info/tool.list", Digest::of(b"list")), ("var/lib/tool/data", Digest::of(b"data"))];
        machine.iter().chain(&moved).for_each(|(path, digest)| origins.machine.insert(*path, "tool", *digest));
        for path in ["usr", "usr/bin", "usr/bin/link", "etc"] {
            origins.machine.insert_other(path, "base");
        }
        let web = origins.containers.entry("web".into()).or_default();
        web.insert("usr/bin/web", "nginx", Digest::of(b"web"));
        web.insert("usr/lib/a.py", "a-1-py3-none-any.whl", Digest::of(b"wheel"));
        let overlaid = [(b"srv/page".to_vec(), "site".to_owned())].into();
        let root = PlacedRoot { name: "web".into(), image: false, overlaid };
        let laid = |name: &str, configured| (name.to_owned(), configured);
        let known = KnownFiles {
            configured: &[b"etc/made".to_vec()].into(),
            tables: &[(b"etc/new.d/nft".to_vec(), "firewall")].into(),
            roots: &[(store.into(), root)].into(),
            laid: &[
                (b"etc/own.d/deep/page".to_vec(), laid("own", false)),
                (b"etc/set".to_vec(), laid("set", true)),
                (b"srv/www/page".to_vec(), laid("www", false)),
            ]
            .into(),
            origins: &origins,
        };
        let provenance = of(&tree, &known);
        assert_eq!(provenance.iter().count(), tree.nodes.len(), "every path has a source");
        let said: Vec<String> = provenance
            .iter()
            .map(|(path, source)| format!("/{}: {source} ({})", String::from_utf8_lossy(path), source.step()))
            .collect();
        insta::assert_snapshot!(said.join("\n"));
        assert_eq!(Provenance::parse(&provenance.to_json()), Ok(provenance));
    }

    #[test]
    fn another_version_and_damage_are_told() {
        let said = |json: &str| Provenance::parse(json.as_bytes()).unwrap_err();
        assert_eq!(said(r#"{"schema":7,"sources":[]}"#), "it has schema 7, and this version reads 1");
        assert!(said(r#"{"schema":1,"sources":[["layer",["a%"]]]}"#).contains("wrong escape"));
        assert!(said("").contains("EOF"));
    }
}
