//! SealedTree → initrd: systemd, the device rules and the kernel modules that find the root, check it and mount it,
//! taken from the image's own tree, so that kernel, modules and programs agree.
//!
//! What goes in is listed in [`contents`]; libraries follow from ELF files. Whatever lies below
//! `usr/lib/diorite/initrd/` in the tree is laid over the result and wins; programs its units start come along, and
//! modules its modules-load.d names.
//!
//! Sources: bootup(7) and systemd's initrd interface ("/etc/initrd-release marks an initrd"); the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst for what it unpacks.

pub mod contents;
mod microcode;

use crate::kernel::KernelImage;
use crate::modules::Modules;
use crate::{cpio, elf};
use contents::RequiredFile;
use diorite_model::{Error, Result};
use diorite_rootfs::secrets::{self, PublicSecrets};
use diorite_rootfs::tree::{Node, NodeKind, Tree, TreePath};
use std::collections::BTreeSet;

/// Files below this directory of a tree belong to the initrd's root.
pub const OVERLAY: &str = diorite_rootfs::paths::INITRD_OVERLAY;
const UNITS: &str = "usr/lib/systemd/system";
/// Higher levels gain a tenth of the size for many times the processor time.
const LEVEL: i32 = 3;
/// Links, directories and libraries that may lead to one another; real trees stay below twenty.
const DEPTH: usize = 200;

/// An initrd. Only this file makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initrd(Vec<u8>);

impl Initrd {
    /// A cpio archive, compressed; in front of it one with microcode, where the tree has some.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// The same with another archive laid over it.
    pub(crate) fn followed_by(self, archive: &[u8]) -> Result<Self> {
        Ok(Self([self.0, compressed(archive)?].concat()))
    }
    #[cfg(test)]
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

fn compressed(archive: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(archive, LEVEL).map_err(|e| Error::bug("the initrd could not be compressed").because(e))
}

/// Assembles and compresses (zstd) the initrd for one kernel of the tree. `epoch`: time of every file, seconds since
/// 1970. The same tree gives the same bytes. Errors name the file that the tree lacks and the package that brings it;
/// or a secret that is in it and not `public`.
pub fn assemble(tree: &Tree, kernel: &KernelImage, epoch: u64, public: &PublicSecrets) -> Result<Initrd> {
    let archive = cpio::write(&gather(tree, kernel.release())?, epoch)?;
    secrets::bytes("the initrd", &archive, public)?;
    Ok(Initrd([microcode::archive(tree, epoch)?, compressed(&archive)?].concat()))
}

/// The same of a tree that was searched for secrets when its image was made.
pub(crate) fn again(tree: &Tree, kernel: &KernelImage, epoch: u64) -> Result<Initrd> {
    let archive = cpio::write(&gather(tree, kernel.release())?, epoch)?;
    Ok(Initrd([microcode::archive(tree, epoch)?, compressed(&archive)?].concat()))
}

/// The initrd's own tree, before it becomes an archive.
pub fn gather(tree: &Tree, kernel_release: &str) -> Result<Tree> {
    let mut gathering = InitrdBuilder::new(tree);
    let tpm = gathering.library(contents::TPM_LIBRARY, &[]).is_some();
    for wanted in contents::PROGRAMS.iter().chain(contents::RULES) {
        gathering.require(wanted)?;
    }
    let optional = contents::OPTIONAL.iter().chain(if tpm { contents::TPM } else { &[] });
    for path in optional {
        if tree.get(path).is_some() {
            gathering.copy(path.as_bytes())?;
        }
    }
    for name in contents::LIBRARIES.iter().chain(if tpm { contents::TPM_LIBRARIES } else { &[] }) {
        if let Some(path) = gathering.library(name, &[]) {
            gathering.copy(&path)?;
        }
    }
    gathering.units(tpm)?;
    gathering.identity()?;
    gathering.modules(kernel_release)?;
    gathering.overlay()?;
    Ok(gathering.into)
}

/// A tree being filled from another.
struct InitrdBuilder<'a> {
    from: &'a Tree,
    into: Tree,
    /// Directories the loader searches, in order.
    library_directories: Vec<TreePath>,
    /// How many copies lead to one another right now: links, directories, libraries of libraries.
    depth: usize,
}

impl<'a> InitrdBuilder<'a> {
    fn new(from: &'a Tree) -> Self {
        let mut into = Tree::new();
        for directory in
            ["proc", "sys", "dev", "run", "tmp", "sysroot", "etc", "var", "root", "usr/bin", "usr/sbin", "usr/lib64"]
        {
            into.insert(directory, Node::directory(if directory == "root" { 0o700 } else { 0o755 }));
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            into.insert(name, Node::symlink(format!("usr/{name}")));
        }
        into.insert("init", Node::symlink("usr/lib/systemd/systemd"));
        // ld.so(8): the multiarch directory, then the system's.
        let multiarch = from.children(b"usr/lib").map(|(path, _)| path).filter(|path| path.ends_with(b"-linux-gnu"));
        let fixed = [b"usr/lib64".to_vec(), b"usr/lib".to_vec()];
        let library_directories = multiarch.map(<[u8]>::to_vec).chain(fixed).collect();
        Self { from, into, library_directories, depth: 0 }
    }

    fn require(&mut self, wanted: &RequiredFile) -> Result<()> {
        if self.from.get(wanted.path).is_none() {
            return Err(Error::input(format!("the initrd needs `/{}`, which the tree does not have", wanted.path))
                .hint(format!("add `{}` to the profile's packages", wanted.package)));
        }
        self.copy(wanted.path.as_bytes())
    }

    /// Copies a file with everything it needs, a directory with everything in it, a link with its target; links on the
    /// way to it as well, so that the path works here as it did there.
    fn copy(&mut self, path: &[u8]) -> Result<()> {
        self.depth += 1;
        let done = if self.depth > DEPTH {
            Err(Error::input("symbolic link loop").at(format!("/{}", shown(path))))
        } else {
            self.copy_followed(path)
        };
        self.depth -= 1;
        done
    }

    fn copy_followed(&mut self, path: &[u8]) -> Result<()> {
        let missing = || Error::input("a file that the initrd needs is missing").at(format!("/{}", shown(path)));
        for (end, _) in path.iter().enumerate().filter(|&(_, &b)| b == b'/') {
            if let Some(Node { kind: NodeKind::Symlink(target), .. }) = self.from.get(&path[..end]) {
                self.keep(&path[..end]);
                let rest = [target, &path[end..]].concat();
                return self.copy(&beside(&path[..end], &rest));
            }
        }
        let node = self.from.get(path).ok_or_else(missing)?;
        match &node.kind {
            NodeKind::Directory => {
                self.into.insert(path, node.clone());
                for (child, _) in self.from.children(path) {
                    self.copy(child)?;
                }
            }
            NodeKind::Symlink(target) => {
                let is_new = self.keep(path);
                if is_new && target != b"/dev/null" {
                    self.copy(&beside(path, target))?;
                }
            }
            NodeKind::File(_) | NodeKind::HardLink(_) => {
                let is_new = self.keep(path);
                if is_new {
                    let bytes = self.from.read(path).ok_or_else(missing)?;
                    if elf::is_elf(bytes) {
                        self.libraries(path, bytes)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes one node over as it is; false when it was there already.
    fn keep(&mut self, path: &[u8]) -> bool {
        if self.into.get(path).is_some() {
            return false;
        }
        let Some(mut node) = self.from.get(path).cloned() else { return false };
        if let NodeKind::HardLink(first) = &node.kind {
            let Some(first) = self.from.get(first) else { return false };
            node = first.clone();
        }
        self.into.insert(path, node);
        true
    }

    /// Copies what an ELF file needs: interpreter, libraries, and those it opens for a feature that matters here.
    fn libraries(&mut self, path: &[u8], bytes: &[u8]) -> Result<()> {
        let needs = elf::needs(bytes).map_err(|e| e.at(format!("/{}", shown(path))))?;
        if let Some(interpreter) = &needs.interpreter {
            self.copy(interpreter.trim_start_matches('/').as_bytes())?;
        }
        // A library beside this one was found by the program that loads both (libsystemd-core, libsystemd-shared).
        let own = [shown(path.rsplitn(2, |&b| b == b'/').nth(1).unwrap_or_default())];
        for name in &needs.libraries {
            let found = self.library(name, &needs.run_path).or_else(|| self.library(name, &own)).ok_or_else(|| {
                Error::input(format!("the library `{name}` is missing from the tree"))
                    .because(format!("`/{}` needs it", shown(path)))
                    .hint("a package's dependencies are not all installed")
            })?;
            self.copy(&found)?;
        }
        for entry in needs.dlopen.iter().filter(|d| contents::FEATURES.contains(&d.feature.as_str())) {
            let found = entry.soname.iter().find_map(|name| self.library(name, &needs.run_path));
            match found {
                Some(library) => self.copy(&library)?,
                None if entry.priority == "suggested" => {}
                None => {
                    return Err(Error::input(format!(
                        "the library `{}` is missing from the tree",
                        entry.soname.join("` or `")
                    ))
                    .because(format!("`/{}` opens it for {}", shown(path), entry.feature)));
                }
            }
        }
        Ok(())
    }

    fn library(&self, name: &str, run_path: &[String]) -> Option<TreePath> {
        let own = run_path.iter().map(|p| p.trim_matches('/').as_bytes());
        own.chain(self.library_directories.iter().map(Vec::as_slice))
            .map(|directory| [directory, b"/", name.as_bytes()].concat())
            .find(|path| self.from.get(path).is_some())
    }

    /// Units, and those links in `.wants` and `.requires` directories whose both ends are here.
    fn units(&mut self, tpm: bool) -> Result<()> {
        let names: BTreeSet<&str> =
            contents::UNITS.iter().chain(if tpm { contents::TPM_UNITS } else { &[] }).copied().collect();
        for name in &names {
            let path = format!("{UNITS}/{name}");
            if self.from.get(&path).is_some() {
                self.copy(path.as_bytes())?;
            }
        }
        let directories: Vec<&[u8]> = self.from.children(UNITS.as_bytes()).map(|c| c.0).collect();
        for directory in directories {
            let Ok(directory_name) = std::str::from_utf8(&directory[UNITS.len() + 1..]) else { continue };
            let unit = directory_name.strip_suffix(".wants").or_else(|| directory_name.strip_suffix(".requires"));
            if !unit.is_some_and(|u| names.contains(u)) {
                continue;
            }
            for (link, _) in self.from.children(directory) {
                let name = std::str::from_utf8(&link[directory.len() + 1..]).unwrap_or_default();
                if names.contains(name) && (directory_name, name) != contents::LEFT_OUT {
                    self.copy(link)?;
                }
            }
        }
        self.into.insert(format!("{UNITS}/default.target"), Node::symlink("initrd.target"));
        Ok(())
    }

    /// Who this is: os-release with the mark of an initrd, users, groups with the image's own numbers (device rules
    /// name groups), and our own units.
    fn identity(&mut self) -> Result<()> {
        self.require(&RequiredFile { path: "usr/lib/os-release", package: "base-files" })?;
        self.into.insert("etc/os-release", Node::symlink("../usr/lib/os-release"));
        self.into.insert("etc/initrd-release", Node::symlink("os-release"));
        self.into.insert("usr/lib/initrd-release", Node::symlink("os-release"));
        for (path, text) in contents::FILES {
            self.into.insert(*path, Node::file(0o644, *text));
        }
        let group = self.from.read("etc/group").unwrap_or(b"root:x:0:\n");
        self.into.insert("etc/group", Node::file(0o644, group));
        self.into.insert("etc/shadow", Node::file(0o400, "root:*:20000::::::\n"));
        Ok(())
    }

    fn modules(&mut self, release: &str) -> Result<()> {
        let modules = Modules::read(self.from, release)?;
        if let Some(missing) = contents::MODULES.iter().find(|m| !modules.knows(m)) {
            return Err(Error::input(format!("the kernel {release} has no `{missing}`"))
                .because("an image cannot boot without it")
                .hint("take one of Debian's own kernels, such as `linux-image-cloud-amd64`"));
        }
        // Our own modules-load.d(5).
        let directory = format!("{OVERLAY}/usr/lib/modules-load.d");
        let lists = self.from.children(directory.as_bytes()).filter_map(|(path, _)| self.from.read(path));
        let lists: Vec<_> = lists.map(String::from_utf8_lossy).collect();
        let named: Vec<&str> = lists.iter().flat_map(|text| text.lines()).collect();
        if let Some(missing) = named.iter().find(|m| !modules.knows(m)) {
            return Err(Error::input(format!("the kernel {release} has no `{missing}`"))
                .because("the initrd is to load it")
                .hint("take one of Debian's own kernels, such as `linux-image-cloud-amd64`"));
        }
        let wanted: Vec<&str> = contents::MODULES.iter().chain(contents::DRIVERS).copied().chain(named).collect();
        modules.place(&modules.closure(&wanted), &mut self.into)
    }

    /// Lays `usr/lib/diorite/initrd/` over the result.
    fn overlay(&mut self) -> Result<()> {
        let prefix = format!("{OVERLAY}/").into_bytes();
        let below = self.from.nodes.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        for (path, node) in below {
            let target = &path[prefix.len()..];
            let mut node = node.clone();
            if let NodeKind::HardLink(first) = &node.kind {
                let bytes = self.from.read(first).unwrap_or_default();
                node.kind = NodeKind::File(diorite_rootfs::tree::Content::from_bytes(bytes.to_vec()));
            }
            let dropin = target.ends_with(b".conf") && target.windows(11).any(|w| w == b".service.d/");
            let unit = (dropin || target.ends_with(b".service")).then(|| self.from.read(path)).flatten();
            self.into.insert(target, node);
            if let Some(unit) = unit {
                self.started_by(unit).map_err(|e| e.at(format!("/{}", shown(path))))?;
            }
        }
        Ok(())
    }

    /// Copies the programs a service unit names in its `Exec…=` lines, systemd.service(5). One marked `-` may be missing.
    /// A unit that works in the real root finds its programs there.
    fn started_by(&mut self, unit: &[u8]) -> Result<()> {
        let unit = String::from_utf8_lossy(unit);
        if unit.lines().any(|line| line.trim() == "RootDirectory=/sysroot") {
            return Ok(());
        }
        for line in unit.lines() {
            let Some((key, value)) = line.trim().split_once('=') else { continue };
            if !key.starts_with("Exec") {
                continue;
            }
            let word = value.trim().split_ascii_whitespace().next().unwrap_or_default();
            let program = word.trim_start_matches(['@', '-', ':', '+', '!', '|']);
            let Some(program) = program.strip_prefix('/') else { continue };
            let here = |tree: &Tree| tree.resolve(program.as_bytes()).is_some_and(|p| tree.get(&p).is_some());
            if here(&self.into) {
                continue;
            }
            if here(self.from) {
                self.copy(program.as_bytes())?;
            } else if !word[..word.len() - program.len() - 1].contains('-') {
                return Err(Error::input(format!(
                    "a unit of the initrd starts `/{program}`, which the tree does not have"
                )));
            }
        }
        Ok(())
    }
}

/// The path a link's target means: relative to the directory the link is in, or to the root; `.` and `..` taken out.
fn beside(link: &[u8], target: &[u8]) -> TreePath {
    let directory = link.rsplitn(2, |&b| b == b'/').nth(1).unwrap_or_default();
    let whole = if target.starts_with(b"/") { target.to_vec() } else { [directory, b"/", target].concat() };
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in whole.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::sample;

    const LIB: &str = "usr/lib/x86_64-linux-gnu";

    fn tree() -> Tree {
        let mut tree = Tree::new();
        tree.insert("lib64", Node::symlink("usr/lib64"));
        tree.insert("usr/bin/tool", Node::file(0o755, sample(&["liba.so.1"], None)));
        tree.insert(format!("{LIB}/liba.so.1"), Node::symlink("liba.so.1.2"));
        let note =
            r#"[{"feature":"kmod","soname":["libk.so.9","libk.so.2"]},{"feature":"bpf","soname":["libbpf.so.1"]}]"#;
        tree.insert(format!("{LIB}/liba.so.1.2"), Node::file(0o644, sample(&[], Some(note))));
        tree.insert(format!("{LIB}/libk.so.2"), Node::file(0o644, sample(&[], None)));
        tree
    }

    #[test]
    fn libraries_follow_needed_names_links_and_wanted_features() {
        let tree = tree();
        let mut gathering = InitrdBuilder::new(&tree);
        gathering.copy(b"usr/bin/tool").unwrap();
        for name in ["liba.so.1", "liba.so.1.2", "libk.so.2"] {
            assert!(gathering.into.get(format!("{LIB}/{name}")).is_some(), "{name}");
        }
        assert!(gathering.into.get(format!("{LIB}/libbpf.so.1")).is_none());
    }

    #[test]
    fn a_missing_library_names_itself_and_who_needs_it() {
        let mut tree = tree();
        tree.remove(format!("{LIB}/libk.so.2"));
        let error = InitrdBuilder::new(&tree).copy(b"usr/bin/tool").unwrap_err().to_string();
        assert!(error.contains("libk.so.9` or `libk.so.2") && error.contains("liba.so.1.2"), "{error}");
        tree.remove(format!("{LIB}/liba.so.1"));
        let error = InitrdBuilder::new(&tree).copy(b"usr/bin/tool").unwrap_err().to_string();
        assert!(error.contains("liba.so.1") && error.contains("/usr/bin/tool"), "{error}");
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = gather(&Tree::new(), "6.1").unwrap_err().to_string();
        assert!(error.contains("/usr/lib/systemd/systemd") && error.contains("systemd"), "{error}");
    }

    #[test]
    fn links_on_the_way_come_along_and_circles_end() {
        let mut tree = tree();
        tree.insert("opt/now", Node::symlink("../usr/bin"));
        tree.insert("round", Node::symlink("round"));
        let mut gathering = InitrdBuilder::new(&tree);
        gathering.copy(b"opt/now/tool").unwrap();
        assert!(matches!(gathering.into.get("opt/now").unwrap().kind, NodeKind::Symlink(_)));
        assert!(gathering.into.get("usr/bin/tool").is_some());
        assert!(gathering.copy(b"round/x").unwrap_err().to_string().contains("loop"));
    }

    #[test]
    fn programs_of_overlay_units_come_along() {
        let mut tree = tree();
        let unit = format!("{OVERLAY}/etc/systemd/system/x.service");
        tree.insert(unit.as_str(), Node::file(0o644, "[Service]\nExecStart=/usr/bin/tool --x\nExecStop=-/bin/none\n"));
        let mut gathering = InitrdBuilder::new(&tree);
        gathering.overlay().unwrap();
        assert!(gathering.into.get("usr/bin/tool").is_some());
        assert!(gathering.into.get(format!("{LIB}/liba.so.1.2")).is_some());
        tree.insert(unit.as_str(), Node::file(0o644, "[Service]\nExecStart=@/usr/bin/none none\n"));
        let error = InitrdBuilder::new(&tree).overlay().unwrap_err().to_string();
        assert!(error.contains("/usr/bin/none") && error.contains("x.service"), "{error}");
        let elsewhere = "[Service]\nRootDirectory=/sysroot\nExecStart=/usr/bin/none none\n";
        tree.insert(unit.as_str(), Node::file(0o644, elsewhere));
        InitrdBuilder::new(&tree).overlay().unwrap();
    }

    #[test]
    fn what_drop_ins_start_and_lists_of_modules_name_comes_along() {
        let mut tree = tree();
        let dropin = format!("{OVERLAY}/etc/systemd/system/x.service.d/10-more.conf");
        tree.insert(dropin, Node::file(0o644, "[Service]\nExecStartPre=/usr/bin/tool -V\n"));
        // Not a drop-in of a service.
        tree.insert(format!("{OVERLAY}/etc/x.conf"), Node::file(0o644, "ExecStart=/usr/bin/none\n"));
        let list = format!("{OVERLAY}/usr/lib/modules-load.d/x.conf");
        tree.insert(list.as_str(), Node::file(0o644, "xfs\n"));
        let directory = "usr/lib/modules/6.1";
        let builtin: String = contents::MODULES.iter().map(|m| format!("kernel/{m}.ko\n")).collect();
        tree.insert(
            format!("{directory}/modules.dep"),
            Node::file(0o644, "kernel/xfs.ko: kernel/crc.ko\nkernel/crc.ko:\n"),
        );
        tree.insert(format!("{directory}/modules.builtin"), Node::file(0o644, builtin));
        for module in ["xfs", "crc"] {
            tree.insert(format!("{directory}/kernel/{module}.ko"), Node::file(0o644, module));
        }
        let mut gathering = InitrdBuilder::new(&tree);
        gathering.overlay().unwrap();
        gathering.modules("6.1").unwrap();
        for path in ["usr/bin/tool", "usr/lib/modules/6.1/kernel/xfs.ko", "usr/lib/modules/6.1/kernel/crc.ko"] {
            assert!(gathering.into.get(path).is_some(), "{path}");
        }
        let mut without = tree.clone();
        without.remove(&list);
        let mut gathering = InitrdBuilder::new(&without);
        gathering.modules("6.1").unwrap();
        assert!(gathering.into.get(format!("{directory}/kernel/xfs.ko")).is_none(), "nobody asks for it");
        tree.insert(list, Node::file(0o644, "zfs\n"));
        let error = InitrdBuilder::new(&tree).modules("6.1").unwrap_err().to_string();
        assert!(error.contains("`zfs`") && error.contains("6.1"), "{error}");
    }

    #[test]
    fn the_overlay_wins() {
        let mut tree = tree();
        tree.insert(format!("{OVERLAY}/etc/fstab"), Node::file(0o644, "ours"));
        let mut gathering = InitrdBuilder::new(&tree);
        gathering.into.insert("etc/fstab", Node::file(0o644, ""));
        gathering.overlay().unwrap();
        assert_eq!(gathering.into.read("etc/fstab").unwrap(), b"ours");
        assert_eq!(beside(b"a/b/c", b"../d/./e"), b"a/d/e");
        assert_eq!(beside(b"a", b"/x//y"), b"x/y");
    }
}
