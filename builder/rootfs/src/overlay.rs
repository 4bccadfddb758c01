//! `overlays/PURPOSE/` → [`Overlay`]: a directory of files laid over a tree.
//!
//! `tree/` holds the files; `overlay.toml` says why they exist and gives owners and modes where the rule does not fit.
//! The rule: everything is root's; a file is 0755 when its owner may execute it on disk, else 0644; a directory is 0755.
//! `configure`, a program, may stand beside them: it runs inside the tree when the overlays are laid.
//! So neither the umask of a checkout nor the user who made it can reach the image.

mod lay;
mod lost;

pub(crate) use lay::{lay, over_packages};

use crate::secrets::{self, PublicSecrets};
use crate::tree::{Content, Node, NodeKind, TreePath};
use diorite_model::{Digest, Error, Hasher, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files of one purpose. Owners are names until the tree that knows their numbers is there.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// Name of its directory.
    pub name: String,
    /// Why it exists, one line.
    pub why: String,
    /// May replace what other overlays or the recipe put at the same path.
    pub overrides: bool,
    /// Its files by path in the tree.
    pub entries: BTreeMap<TreePath, OverlayEntry>,
    /// A program that runs inside the tree when overlays are laid, see [`crate::configure`].
    pub configure: Option<Content>,
    /// What looks like a secret in it and is declared to be none.
    pub public: PublicSecrets,
}

/// One file of an overlay.
#[derive(Debug, Clone)]
pub struct OverlayEntry {
    /// The file, root's and with its mode; time zero.
    pub node: Node,
    /// User and group, names or numbers, when they are not root.
    pub owner: Option<(String, String)>,
    /// Its `configure` program made it.
    pub configured: bool,
}

/// `overlay.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlayToml {
    why: String,
    #[serde(default)]
    r#override: bool,
    #[serde(default)]
    files: BTreeMap<String, FileToml>,
}

/// What differs from the rule for one path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    owner: Option<String>,
    mode: Option<String>,
    /// Why what looks like a secret in it is none.
    public: Option<String>,
}

/// Reads the directory of an overlay.
///
/// # Errors
/// A missing or wrong `overlay.toml`, a path in it that is not in `tree/`, a file of a kind that cannot be laid over
/// (device, socket, pipe): each named.
pub fn load(dir: &Path) -> Result<Overlay> {
    let name = dir.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let file = dir.join("overlay.toml");
    let text = std::fs::read_to_string(&file).map_err(|e| {
        Error::io(format!("overlay `{name}` cannot be read"), &file, e)
            .hint("an overlay is a directory overlays/NAME with `overlay.toml` (why = \"…\") and `tree/`")
    })?;
    secrets::in_overlay(&file.display().to_string(), text.as_bytes())?;
    let described: OverlayToml = toml::from_str(&text).map_err(|e| wrong(&file, &e.to_string()))?;
    if described.why.trim().is_empty() || described.why.chars().any(char::is_control) {
        return Err(wrong(&file, "`why` must say in one line why the overlay exists"));
    }
    let mut entries = BTreeMap::new();
    let configure = program(&dir.join("configure"))?;
    if configure.is_none() || dir.join("tree").exists() {
        read(&dir.join("tree"), b"", &mut entries, &mut lost::HardLinks::default())?;
    }
    if entries.is_empty() && configure.is_none() {
        return Err(wrong(&dir.join("tree"), "the overlay is empty"));
    }
    let mut public = PublicSecrets::default();
    let mut known = BTreeSet::new();
    for (path, special) in described.files {
        let Some(entry) = entries.get_mut(path.trim_matches('/').as_bytes()) else {
            return Err(wrong(&file, &format!("`{path}` is not in its tree")));
        };
        if let Some(why) = special.public {
            let NodeKind::File(content) = &entry.node.kind else {
                return Err(wrong(&file, &format!("`{path}` is not a regular file, so it cannot be `public`")));
            };
            if why.trim().is_empty() {
                return Err(wrong(&file, &format!("`public` of `{path}` must say why it is not a secret")));
            }
            public.declare(content.bytes());
            known.insert(path.trim_matches('/').as_bytes().to_vec());
        }
        if let Some(mode) = special.mode {
            let parsed = u32::from_str_radix(&mode, 8).ok().filter(|m| *m <= 0o7777 && mode.len() >= 3);
            entry.node.mode =
                parsed.ok_or_else(|| wrong(&file, &format!("mode `{mode}` of `{path}` is not octal, like 0640")))?;
        }
        if let Some(owner) = special.owner {
            let (user, group) = owner.split_once(':').unwrap_or((&owner, &owner));
            let fine = |w: &str| {
                !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
            };
            if !fine(user) || !fine(group) {
                return Err(wrong(&file, &format!("owner `{owner}` of `{path}` is not `user:group`")));
            }
            entry.owner = Some((user.into(), group.into()));
        }
    }
    for (path, entry) in entries.iter().filter(|(path, _)| !known.contains(*path)) {
        if let NodeKind::File(content) = &entry.node.kind {
            let shown = dir.join("tree").join(OsStr::from_bytes(path));
            secrets::in_overlay(&shown.display().to_string(), content.bytes())?;
        }
    }
    Ok(Overlay { name, why: described.why, overrides: described.r#override, entries, public, configure })
}

/// `configure`, when there is one.
fn program(file: &Path) -> Result<Option<Content>> {
    let meta = match std::fs::symlink_metadata(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| Error::io("an overlay's program cannot be read", file, e))?,
    };
    if !meta.is_file() || meta.mode() & 0o100 == 0 {
        return Err(wrong(file, "`configure` is a program: a file that its owner may execute"));
    }
    let bytes = std::fs::read(file).map_err(|e| Error::io("an overlay's program cannot be read", file, e))?;
    secrets::in_overlay(&file.display().to_string(), &bytes)?;
    Ok(Some(Content::from_bytes(bytes)))
}

impl Overlay {
    /// Where what it brings at a path comes from.
    pub(crate) fn place(&self, path: &[u8]) -> String {
        match self.entries.get(path) {
            Some(OverlayEntry { configured: true, .. }) => format!("overlays/{}/configure", self.name),
            _ => format!("overlays/{}/tree/{}", self.name, String::from_utf8_lossy(path)),
        }
    }
    /// Changes whenever anything changes that can reach an image.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.field(self.name.as_bytes());
        hasher.field(&[u8::from(self.overrides)]);
        if let Some(program) = &self.configure {
            hasher.field(&program.digest().0);
        }
        for (path, entry) in &self.entries {
            hasher.field(path);
            hasher.field(&entry.node.mode.to_le_bytes());
            let (user, group) = entry.owner.clone().unwrap_or_default();
            hasher.field(user.as_bytes());
            hasher.field(group.as_bytes());
            match &entry.node.kind {
                NodeKind::File(content) => hasher.field(&content.digest().0),
                NodeKind::Symlink(target) => hasher.field(target),
                _ => hasher.field(b""),
            }
        }
        hasher.finish()
    }
}

/// Two overlays that touch one path are an error unless the later one declares `override = true`. Directories are shared.
///
/// # Errors
/// Names both overlays and the path.
pub fn conflicts(overlays: &[Overlay]) -> Result<()> {
    let mut owners: BTreeMap<&[u8], &Overlay> = BTreeMap::new();
    for overlay in overlays {
        for (path, entry) in &overlay.entries {
            if matches!(entry.node.kind, NodeKind::Directory) && entry.owner.is_none() && entry.node.mode == 0o755 {
                continue;
            }
            if let Some(first) = owners.insert(path, overlay)
                && !overlay.overrides
            {
                let place = overlay.place(path);
                let path = String::from_utf8_lossy(path);
                return Err(Error::input(format!(
                    "overlays `{}` and `{}` both bring /{path}",
                    first.name, overlay.name
                ))
                .at(place)
                .hint(format!("remove one, or write `override = true` in overlays/{}/overlay.toml", overlay.name)));
            }
        }
    }
    Ok(())
}

fn wrong(file: &Path, what: &str) -> Error {
    let (first, rest) = what.trim_end().split_once('\n').unwrap_or((what.trim_end(), ""));
    let error = Error::input("this overlay is not well-formed").at(file.display().to_string()).because(first);
    if rest.is_empty() { error } else { error.detail(rest) }
}

fn read(
    dir: &Path,
    path: &[u8],
    entries: &mut BTreeMap<TreePath, OverlayEntry>,
    seen: &mut lost::HardLinks,
) -> Result<()> {
    let failed = |e| Error::io("an overlay's directory cannot be read", dir, e);
    let list = std::fs::read_dir(dir).map_err(failed)?.collect::<std::io::Result<Vec<_>>>();
    let mut list = list.map_err(failed)?;
    list.sort_by_key(std::fs::DirEntry::file_name);
    for item in list {
        let (file, mut below) = (item.path(), path.to_vec());
        if !below.is_empty() {
            below.push(b'/');
        }
        below.extend_from_slice(item.file_name().as_bytes());
        let failed = |e| Error::io("a file of an overlay cannot be read", &file, e);
        let meta = std::fs::symlink_metadata(&file).map_err(failed)?;
        seen.refuse_lost(&file, &below, &meta)?;
        let node = if meta.is_dir() {
            Node::directory(0o755)
        } else if meta.is_symlink() {
            Node::symlink(std::fs::read_link(&file).map_err(failed)?.into_os_string().into_vec())
        } else if meta.is_file() {
            let mode = if meta.mode() & 0o100 != 0 { 0o755 } else { 0o644 };
            Node::file(mode, std::fs::read(&file).map_err(failed)?)
        } else {
            return Err(wrong(&file, "only files, directories and symbolic links can be laid over a tree"));
        };
        let deeper = matches!(node.kind, NodeKind::Directory);
        entries.insert(below.clone(), OverlayEntry { node, owner: None, configured: false });
        if deeper {
            read(&file, &below, entries, seen)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn make(name: &str, toml: &str, files: &[(&str, u32)]) -> (tempfile::TempDir, Overlay) {
        let dir = tempfile::tempdir().unwrap();
        let overlay = dir.path().join(name);
        std::fs::create_dir_all(overlay.join("tree")).unwrap();
        std::fs::write(overlay.join("overlay.toml"), toml).unwrap();
        for (file, mode) in files {
            let file = overlay.join("tree").join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "x").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        let loaded = load(&overlay).unwrap_or_else(|e| panic!("{e}"));
        (dir, loaded)
    }

    #[test]
    fn modes_follow_the_rule_not_the_checkout() {
        let (_a, one) = make("a", "why = 'x'", &[("etc/a", 0o600), ("etc/run", 0o770)]);
        let (_b, two) = make("a", "why = 'other'", &[("etc/a", 0o664), ("etc/run", 0o755)]);
        assert_eq!(one.entries[&b"etc/a"[..]].node.mode, 0o644);
        assert_eq!(one.entries[&b"etc/run"[..]].node.mode, 0o755);
        assert_eq!(one.digest(), two.digest(), "neither modes of a checkout nor the reason reach the image");
    }

    #[test]
    fn declared_owner_and_mode_count() {
        let toml = "why = 'x'\n[files.\"etc/key\"]\nmode = '0640'\nowner = 'root:www-data'";
        let (_a, one) = make("a", toml, &[("etc/key", 0o644)]);
        assert_eq!(one.entries[&b"etc/key"[..]].node.mode, 0o640);
        assert_eq!(one.entries[&b"etc/key"[..]].owner, Some(("root".into(), "www-data".into())));
    }

    #[test]
    fn two_overlays_on_one_path_are_named() {
        let (_a, one) = make("one", "why = 'x'", &[("etc/a", 0o644)]);
        let (_b, two) = make("two", "why = 'x'", &[("etc/a", 0o644), ("etc/b", 0o644)]);
        let error = conflicts(&[one.clone(), two]).unwrap_err().to_string();
        assert!(error.contains("`one`") && error.contains("`two`") && error.contains("/etc/a"), "{error}");
        let (_c, three) = make("three", "why = 'x'\noverride = true", &[("etc/a", 0o644)]);
        conflicts(&[one, three]).unwrap();
    }
}
