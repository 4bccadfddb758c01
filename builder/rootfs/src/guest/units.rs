//! Switching units on and off as systemctl(1) enable, disable and mask do: by links below /etc/systemd/system.

use super::Guest;
use super::ini::Ini;
use crate::paths::INITRD_OVERLAY;
use crate::tree::{Node, NodeKind, TreePath};
use diorite_model::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

const SYSTEM: &str = "etc/systemd/system";
const SHIPPED: &str = "usr/lib/systemd/system";

impl Guest<'_> {
    /// The text of a unit file, ours first, then as PID 1 would find it.
    fn unit_text(&self, unit: &str) -> Option<(String, String)> {
        for dir in [SYSTEM, SHIPPED] {
            let path = format!("{dir}/{unit}");
            if let Some(text) = self.read(&path) {
                return Some((path, String::from_utf8_lossy(&text).into_owned()));
            }
        }
        None
    }

    /// The unit file of a unit, its template's if it is an instance: path and text.
    fn unit_file(&self, unit: &str) -> Option<(String, String)> {
        self.unit_text(unit).or_else(|| {
            let (name, kind) = unit.rsplit_once('.')?;
            let (template, _) = name.split_once('@')?;
            self.unit_text(&format!("{template}@.{kind}"))
        })
    }

    /// Makes the links its `[Install]` section asks for, those of `Also=` units too.
    ///
    /// # Errors
    /// There is no such unit in the tree, ours or an overlay's.
    pub fn enable(&mut self, unit: &str) -> Result<()> {
        self.enable_with(unit, &mut BTreeSet::new())
    }

    fn enable_with(&mut self, unit: &str, done: &mut BTreeSet<String>) -> Result<()> {
        if !done.insert(unit.to_owned()) {
            return Ok(());
        }
        let (path, text) = self.unit_file(unit).ok_or_else(|| {
            Error::input(format!("unit `{unit}` does not exist in this image"))
                .at("services.enable")
                .hint("add the package or overlay that brings it, or take it out of the list")
        })?;
        let target = format!("/{path}");
        let install = install(&text);
        let listed = |key: &str| -> Vec<String> {
            let of_key = install.iter().filter(|(k, _)| k == key);
            of_key.flat_map(|(_, v)| v.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
        };
        for (key, suffix) in [("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds")] {
            for other in listed(key) {
                self.link(&format!("{SYSTEM}/{other}.{suffix}/{unit}"), &target)?;
            }
        }
        for alias in listed("Alias") {
            self.link(&format!("{SYSTEM}/{alias}"), &target)?;
        }
        for also in listed("Also") {
            self.enable_with(&also, done)?;
        }
        Ok(())
    }

    /// Removes every link that starts a unit or gives it another name.
    pub fn disable(&mut self, unit: &str) {
        let starts = |path: &str, target: &str| {
            let (parent, own) = path.rsplit_once('/').unwrap_or(("", path));
            let in_list = [".wants", ".requires", ".upholds"].iter().any(|s| parent.ends_with(s));
            (own == unit && in_list) || target.rsplit('/').next() == Some(unit)
        };
        let found: Vec<String> = links(&self.tree.nodes).filter(|(p, t)| starts(p, t)).map(|(p, _)| p).collect();
        let ours: Vec<String> = links(&self.nodes).filter(|(p, t)| starts(p, t)).map(|(p, _)| p).collect();
        for path in ours {
            self.nodes.remove(path.as_bytes());
        }
        for path in found {
            self.remove(&path);
        }
    }

    /// Makes a unit impossible to start.
    pub fn mask(&mut self, unit: &str) -> Result<()> {
        self.disable(unit);
        self.link(&format!("{SYSTEM}/{unit}"), "/dev/null")
    }

    /// A unit of our own.
    pub fn unit(&mut self, name: &str, ini: &Ini) -> Result<()> {
        self.file(&format!("{SYSTEM}/{name}"), 0o644, ini.finish()?)
    }

    /// Settings added to a unit.
    pub fn drop_in(&mut self, unit: &str, ini: &Ini) -> Result<()> {
        self.drop_in_named(unit, "10-diorite", ini)
    }

    /// Settings added to a unit, in the order of their names.
    pub fn drop_in_named(&mut self, unit: &str, name: &str, ini: &Ini) -> Result<()> {
        self.file(&format!("{SYSTEM}/{unit}.d/{name}.conf"), 0o644, ini.finish()?)
    }

    /// A file that only the initrd gets.
    pub fn initrd_file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.file(&format!("{INITRD_OVERLAY}/{path}"), mode, bytes)
    }

    /// A unit of the initrd's.
    pub fn initrd_unit(&mut self, name: &str, ini: &Ini) -> Result<()> {
        self.initrd_file(&format!("{SYSTEM}/{name}"), 0o644, ini.finish()?)
    }

    /// Settings added to a unit of the initrd's, in the order of their names.
    pub fn initrd_drop_in(&mut self, unit: &str, name: &str, ini: &Ini) -> Result<()> {
        self.initrd_file(&format!("{SYSTEM}/{unit}.d/{name}.conf"), 0o644, ini.finish()?)
    }

    /// Has a target of the initrd's start a unit of ours.
    pub fn initrd_wants(&mut self, target: &str, unit: &str) -> Result<()> {
        self.link(&format!("{INITRD_OVERLAY}/{SYSTEM}/{target}.wants/{unit}"), &format!("../{unit}"))
    }

    /// Is there such a unit, of ours, an overlay's or a package's?
    pub fn has_unit(&self, unit: &str) -> bool {
        self.unit_file(unit).is_some()
    }
}

/// A path as the name of a unit, systemd-escape(1) `--path`.
pub(super) fn escaped_path(path: &str) -> String {
    let mut name = String::new();
    for (at, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b if b.is_ascii_alphanumeric() || b":_.".contains(&b) => name.push(b.into()),
            b => name.push_str(&format!("\\x{b:02x}")),
        }
    }
    name
}

/// Symbolic links below /etc/systemd/system: path and target.
fn links(nodes: &BTreeMap<TreePath, Node>) -> impl Iterator<Item = (String, String)> + '_ {
    let start = format!("{SYSTEM}/").into_bytes();
    nodes.range(start.clone()..).take_while(move |(p, _)| p.starts_with(&start)).filter_map(|(p, n)| {
        let NodeKind::Symlink(target) = &n.kind else { return None };
        Some((String::from_utf8_lossy(p).into_owned(), String::from_utf8_lossy(target).into_owned()))
    })
}

/// Assignments of the `[Install]` section.
fn install(text: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut all = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[Install]";
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            all.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        let unit = "[Unit]\n[Install]\nWantedBy=multi-user.target\nAlias=other.service\nAlso=b.socket\n";
        tree.insert(*b"usr/lib/systemd/system/a.service", Node::file(0o644, unit));
        tree.insert(*b"usr/lib/systemd/system/b.socket", Node::file(0o644, "[Install]\nWantedBy=sockets.target\n"));
        tree.insert(*b"usr/lib/systemd/system/t@.service", Node::file(0o644, "[Install]\nWantedBy=x.target\n"));
        tree
    }

    #[test]
    fn enable_makes_the_links_of_systemctl() {
        let tree = tree();
        let mut guest = Guest::new(&tree, &[]);
        guest.enable("a.service").unwrap();
        guest.enable("t@1.service").unwrap();
        let made: Vec<_> = guest.nodes.keys().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(
            made,
            [
                "etc/systemd/system/multi-user.target.wants/a.service",
                "etc/systemd/system/other.service",
                "etc/systemd/system/sockets.target.wants/b.socket",
                "etc/systemd/system/x.target.wants/t@1.service"
            ]
        );
        assert!(guest.enable("none.service").is_err());
    }

    /// What systemd-escape(1) says to the same paths.
    #[test]
    fn paths_become_names_of_units() {
        for (path, name) in [
            ("/srv/data", "srv-data"),
            ("/dev/disk/by-label/data-1", "dev-disk-by\\x2dlabel-data\\x2d1"),
            ("/mnt/a.b_c:d", "mnt-a.b_c:d"),
            ("/.hidden", "\\x2ehidden"),
        ] {
            assert_eq!(escaped_path(path), name);
        }
    }

    #[test]
    fn disable_takes_lists_and_aliases() {
        let mut tree = tree();
        for path in ["multi-user.target.wants/a.service", "other.service"] {
            let node = Node::symlink("/usr/lib/systemd/system/a.service");
            tree.insert(format!("{SYSTEM}/{path}").into_bytes(), node);
        }
        let mut guest = Guest::new(&tree, &[]);
        guest.disable("a.service");
        assert_eq!(guest.removed.len(), 2);
    }
}
