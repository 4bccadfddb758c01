//! Kernel modules of the initrd: the ones asked for (`initrd::contents` lists them) and everything they depend on,
//! decompressed, with the index files that libkmod needs to find them.
//!
//! Sources: modules.dep(5), modprobe.d(5) for soft dependencies, depmod(8). A module's signature is appended to the
//! uncompressed file, so it stays valid when the compression is taken off.

pub mod index;

use diorite_model::{Error, Result};
use diorite_rootfs::tree::{Node, Tree, TreePath};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// What a tree says about its modules: `usr/lib/modules/RELEASE/modules.*`.
pub struct Modules<'a> {
    tree: &'a Tree,
    /// `usr/lib/modules/RELEASE`.
    directory: String,
    /// By normalized name (`dm_mod`).
    by_name: BTreeMap<String, Module<'a>>,
    /// Exact alias → module names, patterns too but never matched as such here.
    aliases: BTreeMap<&'a str, Vec<String>>,
    soft: BTreeMap<String, Vec<&'a str>>,
    builtin: BTreeSet<String>,
}

struct Module<'a> {
    /// Below the directory, as written: `kernel/fs/erofs/erofs.ko.xz`.
    path: &'a str,
    /// Normalized names of what must be there first, in the order of modules.dep.
    needs: Vec<String>,
    /// Line number: depmod's order, which decides which of two modules with one alias comes first.
    order: u32,
}

/// A module's name as the kernel knows it: file name without endings, `-` written `_`.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

impl<'a> Modules<'a> {
    /// Reads the lists depmod(8) left in the tree. An error names the file that is missing or not text.
    pub fn read(tree: &'a Tree, release: &str) -> Result<Self> {
        let directory = format!("usr/lib/modules/{release}");
        let text = |file: &str| -> Result<&'a str> {
            let path = format!("{directory}/{file}");
            let bytes = tree.read(&path).ok_or_else(|| {
                Error::input(format!("the kernel's module list `{file}` is missing"))
                    .at(format!("/{path}"))
                    .because("depmod has not run for this kernel, or no kernel package is installed")
                    .hint("add a kernel to the profile's packages, such as `linux-image-cloud-amd64`")
            })?;
            std::str::from_utf8(bytes)
                .map_err(|e| Error::input("a module list is not text").at(format!("/{path}")).because(e))
        };
        let words = |line: &'a str| line.split_ascii_whitespace();
        let mut by_name = BTreeMap::new();
        for (order, line) in (0..).zip(text("modules.dep")?.lines()) {
            let Some((path, needs)) = line.split_once(':') else { continue };
            let needs = words(needs).map(name_of).collect();
            by_name.insert(name_of(path), Module { path, needs, order });
        }
        let mut aliases: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in text("modules.alias").unwrap_or_default().lines() {
            if let ["alias", alias, module] = words(line).collect::<Vec<_>>()[..] {
                aliases.entry(alias).or_default().push(module.replace('-', "_"));
            }
        }
        let mut soft: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for line in text("modules.softdep").unwrap_or_default().lines() {
            if let ["softdep", module, rest @ ..] = &words(line).collect::<Vec<_>>()[..] {
                soft.entry(module.replace('-', "_")).or_default().extend(rest.iter().filter(|w| !w.ends_with(':')));
            }
        }
        let builtin = text("modules.builtin")?.lines().map(name_of).collect();
        Ok(Self { tree, directory, by_name, aliases, soft, builtin })
    }

    /// Whether the kernel has it, as a module or built in.
    pub fn knows(&self, name: &str) -> bool {
        let name = name.replace('-', "_");
        self.by_name.contains_key(&name) || self.builtin.contains(&name)
    }

    /// The wanted modules (or exact aliases) and all they depend on, hard and soft. Names the kernel does not have are
    /// left out: which of them are indispensable is the caller's business.
    pub fn closure(&self, wanted: &[&str]) -> BTreeSet<String> {
        let mut todo: Vec<String> = wanted.iter().map(|w| w.replace('-', "_")).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = todo.pop() {
            let Some(module) = self.by_name.get(&name) else { continue };
            if !found.insert(name.clone()) {
                continue;
            }
            todo.extend(module.needs.iter().cloned());
            for &soft in self.soft.get(&name).into_iter().flatten() {
                todo.push(soft.replace('-', "_"));
                todo.extend(self.aliases.get(soft).into_iter().flatten().cloned());
            }
        }
        found
    }

    /// Puts these modules, uncompressed, and their index files into a tree at the same directory.
    pub fn place(&self, names: &BTreeSet<String>, into: &mut Tree) -> Result<()> {
        for name in names {
            let Some(module) = self.by_name.get(name) else { continue };
            let bytes = self.decompressed(module.path)?;
            into.insert(self.path(plain(module.path)), Node::file(0o644, bytes));
        }
        let mut dependencies: Vec<index::IndexEntry> = Vec::new();
        let mut text = Vec::new();
        for name in names {
            let Some(module) = self.by_name.get(name) else { continue };
            let mut line = format!("{}:", plain(module.path));
            for need in &module.needs {
                if let Some(need) = self.by_name.get(need) {
                    line.push(' ');
                    line.push_str(plain(need.path));
                }
            }
            text.extend(line.as_bytes());
            text.push(b'\n');
            dependencies.push((name.clone().into_bytes(), module.order, line.into_bytes()));
        }
        let mut aliases: Vec<index::IndexEntry> = Vec::new();
        let mut alias_text = Vec::new();
        for (alias, modules) in &self.aliases {
            for module in modules.iter().filter(|m| names.contains(*m)) {
                let order = self.by_name.get(module).map_or(0, |m| m.order);
                aliases.push((normalized(alias).into_bytes(), order, module.clone().into_bytes()));
                alias_text.extend(format!("alias {alias} {module}\n").as_bytes());
            }
        }
        for (file, bytes) in [
            ("modules.dep", text),
            ("modules.dep.bin", index::write(&dependencies)),
            ("modules.alias", alias_text),
            ("modules.alias.bin", index::write(&aliases)),
        ] {
            into.insert(self.path(file), Node::file(0o644, bytes));
        }
        // These describe the whole kernel and hold for any part of its modules.
        for file in [
            "modules.builtin",
            "modules.builtin.bin",
            "modules.builtin.alias.bin",
            "modules.builtin.modinfo",
            "modules.devname",
            "modules.order",
            "modules.softdep",
            "modules.weakdep",
        ] {
            let path = self.path(file);
            if let Some(bytes) = self.tree.read(&path) {
                into.insert(path, Node::file(0o644, bytes));
            }
        }
        Ok(())
    }

    fn path(&self, below: &str) -> TreePath {
        format!("{}/{below}", self.directory).into_bytes()
    }

    fn decompressed(&self, path: &str) -> Result<Vec<u8>> {
        let full = self.path(path);
        let place = || format!("/{}/{path}", self.directory);
        let bytes = self.tree.read(&full).ok_or_else(|| {
            Error::input("a kernel module that modules.dep names is missing")
                .at(place())
                .hint("reinstall the kernel package")
        })?;
        let mut out = Vec::new();
        let done = match path.rsplit('.').next() {
            Some("xz") => liblzma::read::XzDecoder::new(bytes).read_to_end(&mut out),
            Some("zst") => zstd::stream::read::Decoder::new(bytes).and_then(|mut d| d.read_to_end(&mut out)),
            _ => {
                out.extend(bytes);
                Ok(out.len())
            }
        };
        done.map_err(|e| Error::input("a kernel module is damaged").at(place()).because(e))?;
        Ok(out)
    }
}

/// A module's path without its compression ending.
fn plain(path: &str) -> &str {
    path.strip_suffix(".xz").or_else(|| path.strip_suffix(".zst")).unwrap_or(path)
}

/// An alias as libkmod looks it up: `-` written `_`, except inside `[…]`.
fn normalized(alias: &str) -> String {
    let mut inside = false;
    alias
        .chars()
        .map(|c| {
            inside = (inside || c == '[') && c != ']';
            if c == '-' && !inside { '_' } else { c }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: &str = "usr/lib/modules/6.1";

    fn tree() -> Tree {
        let mut tree = Tree::new();
        let mut put = |file: &str, text: &[u8]| tree.insert(format!("{DIRECTORY}/{file}"), Node::file(0o644, text));
        put("modules.dep", b"kernel/a-fs.ko: kernel/lib.ko\nkernel/lib.ko:\nkernel/crc.ko:\nkernel/other.ko:\n");
        put("modules.alias", b"alias fs-a a_fs\nalias crypto-crc crc\nalias pci:v[0-9]-* other\n");
        put("modules.softdep", b"# words\nsoftdep lib pre: crypto-crc\n");
        put("modules.builtin", b"kernel/ext4.ko\n");
        for m in ["a-fs", "lib", "crc", "other"] {
            put(&format!("kernel/{m}.ko"), m.as_bytes());
        }
        tree
    }

    #[test]
    fn closure_follows_hard_and_soft_dependencies() {
        let tree = tree();
        let modules = Modules::read(&tree, "6.1").unwrap();
        let found = modules.closure(&["a-fs", "ext4", "not-there"]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a_fs", "crc", "lib"]);
        assert!(modules.knows("ext4") && modules.knows("a_fs") && !modules.knows("zfs"));
    }

    #[test]
    fn the_indexes_hold_what_was_placed() {
        let tree = tree();
        let modules = Modules::read(&tree, "6.1").unwrap();
        let mut into = Tree::new();
        modules.place(&modules.closure(&["a_fs"]), &mut into).unwrap();
        let read = |file: &str| into.read(format!("{DIRECTORY}/{file}")).unwrap();
        assert_eq!(index::find(read("modules.dep.bin"), b"a_fs").unwrap(), b"kernel/a-fs.ko: kernel/lib.ko");
        assert_eq!(index::find(read("modules.alias.bin"), b"fs_a").unwrap(), b"a_fs");
        assert_eq!(index::find(read("modules.alias.bin"), b"pci:v[0-9]_*"), None);
        assert_eq!(read("kernel/a-fs.ko"), b"a-fs");
        assert!(into.get(format!("{DIRECTORY}/kernel/other.ko")).is_none());
        assert_eq!(normalized("a-b[0-9]c-d"), "a_b[0-9]c_d");
    }

    #[test]
    fn a_missing_list_is_named() {
        let error = Modules::read(&Tree::new(), "6.1").err().unwrap();
        assert!(error.to_string().contains("/usr/lib/modules/6.1/modules.dep"), "{error}");
    }
}
