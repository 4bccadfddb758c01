//! The tools tree: Debian packages unpacked and never configured, whose programs are the only ones we run.
//!
//! Where namespaces can be had a program sees a root of its own: the tree's /usr, the named inputs (read-only) and
//! outputs under their own absolute paths, a fresh /proc and /dev, no network. Elsewhere it is started through the
//! tree's own dynamic loader (ld.so(8)) and sees the host, which needs no privilege at all. Either way the tree itself
//! is there under its own absolute path, so an argument may name any of its files by [`ToolsTree::file`].

mod command;
mod cpu_wait;
mod list;
mod toolroot;

pub use command::{Child, ToolCommand};
pub use list::{Tool, packages};

use diorite_model::{Error, Exit, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An unpacked tools tree. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ToolsTree {
    root: Arc<PathBuf>,
    /// Package → version.
    versions: Arc<BTreeMap<String, String>>,
}

impl ToolsTree {
    /// Opens the tree at `dir`. Versions come from the file `versions` (lines `PACKAGE VERSION`), else from
    /// `var/lib/dpkg/status`.
    pub fn open(dir: &Path) -> Result<Self> {
        let root = fs::canonicalize(dir).map_err(|e| Error::io("there is no tools tree", dir, e))?;
        if !root.join("usr").is_dir() {
            return Err(Error::new(Exit::Input, "this is not a tools tree")
                .at(root.display().to_string())
                .because("it has no /usr"));
        }
        let text = |path: &str| fs::read_to_string(root.join(path));
        let versions = match text("versions") {
            Ok(text) => {
                text.lines().filter_map(|l| l.split_once(' ')).map(|(p, v)| (p.into(), v.trim().into())).collect()
            }
            Err(_) => from_status(&text("var/lib/dpkg/status").unwrap_or_default()),
        };
        Ok(Self { root: Arc::new(root), versions: Arc::new(versions) })
    }

    /// The tree's directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The Debian packages that a tools tree is locked from; their dependencies come by resolving.
    pub fn packages() -> &'static [&'static str] {
        packages()
    }

    /// The absolute path of a file of the tree (`usr/share/OVMF/OVMF_CODE_4M.fd`), for an argument of any tool.
    ///
    /// # Errors
    /// When the tree lacks it.
    pub fn file(&self, inside: &str) -> Result<PathBuf> {
        let path = crate::sandbox::resolve(&self.root, Path::new(inside), true)
            .map_err(|e| Error::io("a file of the tools tree cannot be read", self.root.join(inside), e))?;
        match path.exists() {
            true => Ok(path),
            false => Err(Error::host(format!("the tools tree lacks {inside}")).at(self.root.display().to_string())),
        }
    }

    /// A run of a program, to be filled in.
    pub fn command(&self, tool: Tool) -> ToolCommand {
        ToolCommand::new(self, tool)
    }

    /// The version of the package that holds a tool; `unknown` when the tree does not say.
    pub fn version(&self, tool: Tool) -> &str {
        self.versions.get(tool.package()).map_or("unknown", String::as_str)
    }
}

/// Package and version of every paragraph of a dpkg status file (deb-control(5)).
fn from_status(text: &str) -> BTreeMap<String, String> {
    text.split("\n\n")
        .filter_map(|paragraph| {
            let field = |name: &str| paragraph.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned());
            Some((field("Package:")?, field("Version:")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_either_file() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("usr")).unwrap();
        fs::create_dir_all(tree.path().join("var/lib/dpkg")).unwrap();
        let status = "Package: gdisk\nStatus: install ok installed\nVersion: 1.0.10-2\n\nPackage: x\nVersion: 2\n";
        fs::write(tree.path().join("var/lib/dpkg/status"), status).unwrap();
        assert_eq!(ToolsTree::open(tree.path()).unwrap().version(Tool::Sgdisk), "1.0.10-2");
        fs::write(tree.path().join("versions"), "gdisk 3\nother 4\n").unwrap();
        let tools = ToolsTree::open(tree.path()).unwrap();
        assert_eq!((tools.version(Tool::Sgdisk), tools.version(Tool::Nft)), ("3", "unknown"));
        assert_eq!(tools.file("usr/none").unwrap_err().exit, Exit::Host);
    }

    #[test]
    fn a_directory_without_usr_is_no_tree() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ToolsTree::open(directory.path()).unwrap_err().cause.unwrap(), "it has no /usr");
    }
}
