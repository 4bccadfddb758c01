//! Wheels of a container → [`WheelTree`]: unpacked in process, each file compared with the wheel's own list, and put where
//! pip puts it on Debian: `/usr/local/lib/python3.X/dist-packages` and `/usr/local/bin`. Nothing of a wheel is run.
//!
//! The rules are those of the specification "Binary distribution format" (PEP 427). The same wheels give the same tree: no
//! byte code is compiled, and every file has the image's time.

mod lay;
mod libraries;
mod metadata;
mod needs;
mod record;
#[cfg(test)]
mod tests;
pub mod zip;

pub use lay::lay;
pub use needs::missing;

use crate::mapped::MappedFile;
use crate::origins::Origins;
use crate::tree::{Content, Node, NodeKind, Tree};
use diorite_host::interrupt;
use diorite_model::python::{Python, Version, WheelName, normalized};
use diorite_model::{Digest, Error, LockedPackage, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The prefix of what is installed beside Debian's own packages (the scheme `posix_local` of Debian's Python).
const PREFIX: &str = "usr/local";

/// A wheel of the lock, in a file.
#[derive(Debug, Clone)]
pub struct WheelFile {
    /// As the lock names it.
    pub package: LockedPackage,
    /// Where it is.
    pub file: PathBuf,
}

/// What wheels bring into a container, and nothing else.
#[derive(Debug)]
pub struct WheelTree {
    /// The files, from the container's root.
    pub tree: Tree,
    /// Those that are as a wheel ships them.
    pub origins: Origins,
}

/// Where distributions are, from the container's root.
pub fn directory(python: &Python) -> String {
    format!("{PREFIX}/lib/python{}/dist-packages", python.short())
}

/// Unpacks wheels into one tree. No file is younger or older than `epoch`.
///
/// # Errors
/// `Input` for a wheel that is not what its name or its list says, that leaves its place, or that brings a file which
/// another one brings otherwise.
pub fn install(wheels: &[WheelFile], python: &Python, epoch: u64) -> Result<WheelTree> {
    let mut tree = Tree::new();
    let mut origins = Origins::default();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for wheel in wheels {
        interrupt::check()?;
        let unpacked = unpack(wheel, python)?;
        let label = wheel.package.file_name().to_owned();
        for (path, file) in unpacked {
            let (node, shipped) = (Node::new(file.mode, NodeKind::File(file.content)), file.shipped);
            if let Some(owner) = owners.get(&path) {
                let same = tree.read(&path) == content_of(&node);
                if same {
                    continue;
                }
                return Err(Error::input(format!("two wheels bring /{path}, and not the same"))
                    .because(format!("{owner} and {label}"))
                    .hint("leave one of them out; what pip does, the last one written counts, depends on its order"));
            }
            if let Some(above) =
                path.match_indices('/').map(|(at, _)| &path[..at]).find(|above| owners.contains_key(*above))
            {
                return Err(Error::input(format!("/{above} is a file of one wheel and a directory of another"))
                    .because(format!("{} and {label}", owners[above]))
                    .hint("leave one of them out"));
            }
            if matches!(tree.get(&path).map(|n| &n.kind), Some(NodeKind::Directory)) {
                return Err(Error::input(format!("/{path} is a directory of one wheel and a file of another"))
                    .because(format!("{label} brings the file"))
                    .hint("leave one of them out"));
            }
            if let Some(digest) = shipped {
                origins.insert(path.clone(), &label, digest);
            }
            owners.insert(path.clone(), label.clone());
            tree.insert(path, node);
        }
    }
    let time = i64::try_from(epoch).unwrap_or(i64::MAX);
    tree.nodes.values_mut().for_each(|node| node.mtime = time);
    Ok(WheelTree { tree, origins })
}

fn content_of(node: &Node) -> Option<&[u8]> {
    match &node.kind {
        NodeKind::File(content) => Some(content.bytes()),
        _ => None,
    }
}

/// A file as it is installed.
struct Installed {
    content: Content,
    mode: u32,
    /// The digest of what the wheel ships, where that is what is installed.
    shipped: Option<Digest>,
}

/// One wheel: its files by their paths from the container's root.
fn unpack(wheel: &WheelFile, python: &Python) -> Result<BTreeMap<String, Installed>> {
    let (package, label) = (&wheel.package, wheel.package.file_name());
    let bytes = MappedFile::open(&wheel.file)?;
    let wrong = |cause: String| {
        Error::input(format!("the wheel of `{}` {} cannot be used", package.name, package.version))
            .at(label.to_owned())
            .because(cause)
            .hint("its author made it so, since its SHA-256 is right: take another version, or tell its author")
    };
    let name = WheelName::parse(&label.replace("%2B", "+").replace("%2b", "+")).map_err(wrong)?;
    let files = installed(bytes.as_ref(), &name, python).map_err(wrong)?;
    let file = |(path, (bytes, mode, as_shipped)): (String, (Vec<u8>, u32, bool))| {
        let content = Content::from_bytes(bytes);
        let shipped = as_shipped.then(|| content.digest());
        (path, Installed { content, mode, shipped })
    };
    Ok(files.into_iter().map(file).collect())
}

/// Content, permissions, and whether the content is as the wheel ships it; by path.
type Files = BTreeMap<String, (Vec<u8>, u32, bool)>;

/// What a wheel installs. Error: a cause in words.
fn installed(bytes: &[u8], name: &WheelName, python: &Python) -> Result<Files, String> {
    let entries = zip::files(bytes)?;
    let about = about(&entries, name)?;
    let read = |path: &str| {
        let entry = entries.iter().find(|e| e.path == path).ok_or_else(|| format!("it has no `{path}`"))?;
        zip::content(bytes, entry)
    };
    let text = |path: &str| String::from_utf8(read(path)?).map_err(|_| format!("`{path}` is not UTF-8 text"));
    let list = format!("{about}/RECORD");
    let recorded = record::read(&text(&list)?)?;
    let there: BTreeSet<&str> = entries.iter().map(|e| e.path.as_str()).collect();
    if let Some(path) = recorded.keys().find(|path| !there.contains(path.as_str())) {
        return Err(format!("RECORD names `{}`, which is not in it", path.escape_debug()));
    }
    identity(&text(&format!("{about}/WHEEL"))?, &text(&format!("{about}/METADATA"))?, name)?;
    let site = directory(python);
    let data = format!("{}.data/", about.trim_end_matches(".dist-info"));
    let made = ["INSTALLER", "REQUESTED", "RECORD", "RECORD.jws", "RECORD.p7s", "direct_url.json"];
    let mut files = Files::new();
    let mut put = |path: String, content: Vec<u8>, mode: u32, shipped: bool| match files.get(&path) {
        Some((other, ..)) if *other != content => Err(format!("it brings /{path} twice, and not the same")),
        Some(_) => Ok(()),
        None => {
            files.insert(path, (content, mode, shipped));
            Ok(())
        }
    };
    for entry in &entries {
        let own = entry.path.strip_prefix(&*about).and_then(|rest| rest.strip_prefix('/'));
        let content = zip::content(bytes, entry)?;
        match recorded.get(&entry.path) {
            // A list cannot hold its own hash, nor a signature that of the list it signs.
            _ if own.is_some_and(|own| matches!(own, "RECORD" | "RECORD.jws" | "RECORD.p7s")) => {}
            Some(recorded) => record::verify(&entry.path, &content, recorded)?,
            None => return Err(format!("`{}` is not in its RECORD", entry.path.escape_debug())),
        }
        if own.is_some_and(|own| made.contains(&own)) {
            continue;
        }
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let Some(rest) = entry.path.strip_prefix(&*data) else {
            if entry.path.split('/').next().is_some_and(|first| first.ends_with(".data")) {
                return Err(format!(
                    "`{}` is in a directory for another distribution's data",
                    entry.path.escape_debug()
                ));
            }
            put(format!("{site}/{}", entry.path), content, mode, true)?;
            continue;
        };
        let (key, rest) =
            rest.split_once('/').ok_or_else(|| format!("`{}` has no place", entry.path.escape_debug()))?;
        match key {
            "purelib" | "platlib" => put(format!("{site}/{rest}"), content, mode, true)?,
            "scripts" => {
                let before = content.len();
                let changed = metadata::with_interpreter(content);
                let shipped = changed.len() == before && !changed.starts_with(metadata::SHEBANG.as_bytes());
                put(format!("{PREFIX}/bin/{rest}"), changed, 0o755, shipped)?;
            }
            "headers" => {
                put(format!("{PREFIX}/include/python{}/{}/{rest}", python.short(), name.name), content, mode, true)?;
            }
            "data" => put(format!("{PREFIX}/{rest}"), content, mode, true)?,
            other => return Err(format!("`{other}` is no place for a wheel's data")),
        }
    }
    let points = format!("{about}/entry_points.txt");
    if there.contains(points.as_str()) {
        for script in metadata::scripts(&text(&points)?)? {
            put(format!("{PREFIX}/bin/{}", script.name), script.text.into_bytes(), 0o755, false)?;
        }
    }
    put(format!("{site}/{about}/INSTALLER"), b"diorite\n".to_vec(), 0o644, false)?;
    put(format!("{site}/{about}/REQUESTED"), Vec::new(), 0o644, false)?;
    let list = list_of(&files, &site, &about);
    files.insert(format!("{site}/{about}/RECORD"), (list.into_bytes(), 0o644, false));
    Ok(files)
}

/// The list of what was installed, with paths from the directory of distributions.
fn list_of(files: &Files, site: &str, about: &str) -> String {
    let beside = |path: &str| match path.strip_prefix(site).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => rest.to_owned(),
        None => format!("../../../{}", path.trim_start_matches(PREFIX).trim_start_matches('/')),
    };
    let row = |(path, (content, ..)): (&String, &(Vec<u8>, u32, bool))| {
        let path = beside(path);
        (path.clone(), record::row(&path, &Digest::of(content), content.len()))
    };
    let own = format!("{about}/RECORD");
    let mut rows: BTreeMap<String, String> = files.iter().map(row).collect();
    rows.insert(own.clone(), record::bare(&own));
    rows.into_values().collect()
}

/// The one directory `NAME-VERSION.dist-info`. Error: a cause in words.
fn about(entries: &[zip::ZipFile], name: &WheelName) -> Result<String, String> {
    let firsts = entries.iter().filter_map(|e| Some(e.path.split_once('/')?.0));
    let mut all: Vec<&str> = firsts.filter(|first| first.ends_with(".dist-info")).collect();
    all.sort_unstable();
    all.dedup();
    let [one] = all[..] else { return Err(format!("it has {} directories `.dist-info`, not one", all.len())) };
    let of = |text: &str| {
        let (distribution, version) = text.strip_suffix(".dist-info")?.rsplit_once('-')?;
        Some((normalized(distribution).ok()?, Version::parse(version).ok()?))
    };
    match of(one) {
        Some((distribution, version)) if distribution == name.name && version == name.version => Ok(one.to_owned()),
        _ => Err(format!("`{}` is of another distribution or version", one.escape_debug())),
    }
}

/// Refuses a wheel of a format that is not known, or whose metadata are of another distribution. Error: a cause in words.
fn identity(wheel: &str, metadata: &str, name: &WheelName) -> Result<(), String> {
    let format = metadata::header(wheel, "Wheel-Version").unwrap_or_default();
    if format.split('.').next() != Some("1") {
        return Err(format!("it is a wheel of format `{}`, and 1.0 is known", format.escape_debug()));
    }
    let said = |header: &str| metadata::header(metadata, header).unwrap_or_default();
    let distribution = normalized(&said("Name"));
    let version = Version::parse(&said("Version"));
    match (distribution, version) {
        (Ok(distribution), Ok(version)) if distribution == name.name && version == name.version => Ok(()),
        _ => Err(format!(
            "its metadata say that it is `{}` {}",
            said("Name").escape_debug(),
            said("Version").escape_debug()
        )),
    }
}
