//! StagedPackage packages → files in their places, by dpkg's rules (dpkg(1), deb-diversion(5), deb-control(5) Replaces):
//! a directory that exists is left as it is, whoever made it; a path of two packages is an error unless one replaces the
//! other or it is diverted; a symbolic link never takes the place of a directory.

use crate::database;
use crate::deb::{Member, MemberKind};
use crate::extract::{Ownership, Root};
use crate::origins::Origins;
use crate::staging::{StagedFile, StagedPackage, open_directory};
use diorite_model::recipe::FileFilter;
use diorite_model::{Digest, Error, Result};
use rustix::fs::FileType;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// What differs between a tools tree and an image's tree.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Leave owners to whoever runs this.
    pub own_ids: bool,
}

/// A tree that is being filled.
pub struct Layout {
    /// Its root.
    pub root: Root,
    rules: Rules,
    filter: FileFilter,
    /// Numbers of users and groups as the tree itself names them.
    pub users: HashMap<Vec<u8>, u32>,
    /// As above.
    pub groups: HashMap<Vec<u8>, u32>,
    /// Diverted path → its target and the package that diverted it (`:` for the administrator).
    pub diversions: BTreeMap<Vec<u8>, (Vec<u8>, String)>,
    /// Overrides of owner and mode by path.
    pub overrides: BTreeMap<Vec<u8>, Ownership>,
    /// Names that are known to be directories or to lead to one.
    directories: HashSet<Vec<u8>>,
    /// Real path of what is not a directory → the entry that is there.
    owners: HashMap<Vec<u8>, Owner>,
    /// Real path of a directory → the package that brought it first.
    brought: HashMap<Vec<u8>, usize>,
    /// By package, the paths as dpkg's list has them: names as in the archive.
    pub lists: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Directories whose final mode keeps us from writing into them: set at the end.
    modes: Vec<(Vec<u8>, u32)>,
}

/// A package of the set, and one of its entries.
#[derive(Clone, Copy)]
struct Owner {
    package: usize,
    entry: usize,
}

impl Layout {
    /// Starts in an existing directory. What the filter leaves out is never written, and stands on no list.
    pub fn new(root: &Path, rules: Rules, filter: FileFilter) -> Result<Self> {
        Ok(Self {
            root: Root::open(root)?,
            rules,
            filter,
            users: HashMap::new(),
            groups: HashMap::new(),
            diversions: BTreeMap::new(),
            overrides: BTreeMap::new(),
            directories: HashSet::new(),
            owners: HashMap::new(),
            brought: HashMap::new(),
            lists: BTreeMap::new(),
            modes: Vec::new(),
        })
    }

    /// What is left out.
    pub fn filter(&self) -> FileFilter {
        self.filter.clone()
    }

    /// To be called after a script ran in the tree.
    pub fn forget(&mut self) {
        self.root.forget();
        self.directories.clear();
    }

    /// Puts the files of one package in their places.
    pub fn lay_down(&mut self, package: usize, all: &[StagedPackage]) -> Result<()> {
        let mut list = Vec::with_capacity(all[package].files.len());
        let mut placed: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let directory = open_directory(&all[package].directory)?;
        for at in 0..all[package].files.len() {
            let kept = self
                .one(package, all, at, directory.as_fd(), &mut placed)
                .map_err(|e| e.detail(format!("while unpacking package `{}`", all[package].deb.name())))?;
            if kept {
                list.push(all[package].files[at].member.path.clone());
            }
        }
        self.lists.insert(package, list);
        Ok(())
    }

    /// Where the files come from that have been laid down, and those that dpkg's database has from control.tar.
    pub fn origins(&self, all: &[StagedPackage]) -> Origins {
        let mut origins = Origins::default();
        for (real, &package) in &self.brought {
            origins.insert_other(real.clone(), all[package].deb.name());
        }
        for (real, &Owner { package, entry }) in &self.owners {
            let StagedPackage { deb, files, .. } = &all[package];
            let file = &files[entry];
            let digest = match &file.member.kind {
                MemberKind::HardLink(first) => {
                    files[..entry].iter().rev().find(|f| f.member.path == *first).and_then(|f| f.digest)
                }
                _ => file.digest,
            };
            match digest {
                Some(digest) => origins.insert(real.clone(), deb.name(), digest),
                None => origins.insert_other(real.clone(), deb.name()),
            }
        }
        for staged in all {
            for (name, member) in &staged.deb.members {
                let path = database::info_path(staged, name);
                origins.insert(path.into_bytes(), staged.deb.name(), Digest::of(&member.bytes));
            }
        }
        origins
    }

    /// Final modes of the directories of a tree of our own.
    pub fn finish(&mut self) -> Result<()> {
        for (real, mode) in std::mem::take(&mut self.modes) {
            self.root.set_mode(&real, mode)?;
        }
        Ok(())
    }

    /// Returns whether the entry belongs on the package's list.
    fn one(
        &mut self,
        package: usize,
        all: &[StagedPackage],
        at: usize,
        directory: BorrowedFd<'_>,
        placed: &mut HashMap<Vec<u8>, Vec<u8>>,
    ) -> Result<bool> {
        let StagedFile { member, name: staged, .. } = &all[package].files[at];
        if member.path.is_empty() {
            return Ok(true); // the root itself exists
        }
        if member.kind != MemberKind::Directory && !self.filter.keeps(&member.path) {
            return Ok(false);
        }
        let access = (!self.rules.own_ids).then(|| self.access(member));
        let name = all[package].deb.name();
        let target = match self.diversions.get(&member.path) {
            Some((to, by)) if by != name => to.clone(),
            _ => member.path.clone(),
        };
        if member.kind == MemberKind::Directory {
            return self.directory(package, member, &target, access).map(|()| true);
        }
        self.parents(&target)?;
        let real = self.root.real(&target)?;
        let existing = self.root.kind(&real)?;
        if existing == Some(FileType::Directory) {
            if matches!(member.kind, MemberKind::Symlink(_)) {
                return Ok(true);
            }
            return Err(Error::input(format!("package `{name}` has a file where there is a directory"))
                .at(format!("/{}", lossy(&member.path))));
        }
        if let Some(&owner) = self.owners.get(&real)
            && !self.settle(package, owner, all, &member.path, &real)?
        {
            return Ok(false);
        }
        match &member.kind {
            MemberKind::File(_) => {
                let root_owned = Ownership { uid: 0, gid: 0, mode: member.mode };
                let access = access.filter(|a| *a != root_owned);
                self.root.place(directory, staged, &real, access)?;
            }
            MemberKind::Symlink(to) => self.root.symlink(&real, to, member.mtime, access)?,
            MemberKind::HardLink(first) => match (placed.get(first), left_out(&all[package], first, &self.filter)) {
                (Some(first), _) => self.root.hard_link(first, &real)?,
                // Its first name is left out: this one takes the content.
                (None, Some(file)) => {
                    self.root.place(directory, &file.name, &real, access)?;
                    placed.insert(first.clone(), real.clone());
                }
                (None, None) => {
                    return Err(Error::input(format!(
                        "package `{name}` has a hard link to a file that it does not contain"
                    ))
                    .at(format!("/{} → /{}", lossy(&member.path), lossy(first))));
                }
            },
            special if self.rules.own_ids => {
                return Err(Error::input(format!("package `{name}` has a device node; a tools tree cannot"))
                    .at(format!("/{}", lossy(&member.path)))
                    .because(format!("{special:?}")));
            }
            special => {
                let (kind, device) = match special {
                    MemberKind::CharDevice(major, minor) => (FileType::CharacterDevice, (*major, *minor)),
                    MemberKind::BlockDevice(major, minor) => (FileType::BlockDevice, (*major, *minor)),
                    _ => (FileType::Fifo, (0, 0)),
                };
                self.root.unlink(&real)?;
                self.root.special(&real, kind, device, self.access(member))?;
            }
        }
        self.owners.insert(real.clone(), Owner { package, entry: at });
        if matches!(member.kind, MemberKind::File(_)) {
            placed.insert(member.path.clone(), real);
        }
        Ok(true)
    }

    fn directory(&mut self, package: usize, member: &Member, target: &[u8], access: Option<Ownership>) -> Result<()> {
        if self.directories.contains(target) {
            return Ok(());
        }
        self.parents(target)?;
        let real = self.root.real(target)?;
        self.brought.entry(real.clone()).or_insert(package);
        match self.root.kind(&real)? {
            None => {
                let mode = access.map_or(member.mode, |a| a.mode);
                if self.rules.own_ids && mode & 0o700 != 0o700 {
                    self.root.make_directory(&real, access, mode | 0o700)?;
                    self.modes.push((real, mode));
                } else {
                    self.root.make_directory(&real, access, mode)?;
                }
            }
            Some(FileType::Directory) => {}
            Some(FileType::Symlink) => drop(self.root.real_directory(target)?),
            Some(_) => {
                return Err(Error::input("a package has a directory where there is a file")
                    .at(format!("/{}", lossy(&member.path))));
            }
        }
        self.directories.insert(target.to_vec());
        Ok(())
    }

    /// Parents that no package brought; packages nearly always bring their own.
    fn parents(&mut self, path: &[u8]) -> Result<()> {
        let Some(slash) = path.iter().rposition(|&b| b == b'/') else { return Ok(()) };
        let parent = &path[..slash];
        if self.directories.contains(parent) {
            return Ok(());
        }
        self.parents(parent)?;
        let real = self.root.real(parent)?;
        if self.root.kind(&real)?.is_none() {
            let access = (!self.rules.own_ids).then_some(Ownership { uid: 0, gid: 0, mode: 0o755 });
            self.root.make_directory(&real, access, 0o755)?;
        } else {
            self.root.real_directory(parent)?;
        }
        self.directories.insert(parent.to_vec());
        Ok(())
    }

    /// Two packages have the same path: may this one have it? False: the other keeps it, and alone.
    fn settle(
        &mut self,
        package: usize,
        owner: Owner,
        all: &[StagedPackage],
        path: &[u8],
        real: &[u8],
    ) -> Result<bool> {
        let other = owner.package;
        let (name, other_name) = (all[package].deb.name(), all[other].deb.name());
        if package == other {
            return Ok(true);
        }
        // Since the other was laid down, this one diverted its file, and dpkg-divert moved it away.
        if let Some((to, by)) = self.diversions.get(path).cloned()
            && by == name
        {
            let moved = self.root.real(&to)?;
            self.owners.insert(moved, owner);
            return Ok(true);
        }
        let replaces = |a: usize, b: usize| {
            let relations = all[a].deb.control.relations("Replaces");
            relations.iter().flatten().any(|r| r.name == all[b].deb.name() && r.admits(all[b].deb.version()))
        };
        if replaces(package, other) {
            if let Some(list) = self.lists.get_mut(&other) {
                let root = &mut self.root;
                list.retain(|p| p != path && root.real(p).map_or(true, |r| r != real));
            }
            return Ok(true);
        }
        if replaces(other, package) {
            return Ok(false);
        }
        Err(Error::input(format!("packages `{other_name}` and `{name}` have the same file"))
            .at(format!("/{}", lossy(path)))
            .because("neither declares that it replaces the other, nor diverts it")
            .hint("leave one of them out of the profile"))
    }

    /// Owner by the tree's own names, else by number, and mode; an override wins over both.
    fn access(&self, member: &Member) -> Ownership {
        if let Some(access) = self.overrides.get(&member.path) {
            return *access;
        }
        Ownership {
            uid: self.users.get(&member.user).copied().unwrap_or(member.uid),
            gid: self.groups.get(&member.group).copied().unwrap_or(member.gid),
            mode: member.mode,
        }
    }
}

/// The file of this path, if the filter leaves it out.
fn left_out<'a>(package: &'a StagedPackage, path: &[u8], filter: &FileFilter) -> Option<&'a StagedFile> {
    let file = |f: &&StagedFile| f.member.path == path && matches!(f.member.kind, MemberKind::File(_));
    package.files.iter().find(file).filter(|_| !filter.keeps(path))
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
