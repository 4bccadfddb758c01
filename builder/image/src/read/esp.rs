//! EFI system partition → its files, and the sections of the unified kernel image.

use crate::pe::Pe;
use crate::programs::BootPrograms;
use crate::region::Region;
use crate::sparse::Sparse;
use diorite_model::{Digest, Error, Result};
use fatfs::{Dir, FileSystem, FsOptions};
use std::collections::BTreeMap;
use std::io::Read as _;

/// Directories inside one another.
const DEEPEST: usize = 16;

/// The files of an EFI system partition by path, `/` between the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EspFiles {
    /// Their contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Where it is, for errors.
    place: String,
}

impl EspFiles {
    /// Reads all files.
    ///
    /// # Errors
    /// The file system is damaged.
    pub fn read(region: &Region) -> Result<Self> {
        let mut disk = Sparse::new(region.len());
        for (start, end) in region.data_ranges()? {
            disk.write_at(start, &region.bytes(start, (end - start) as usize)?);
        }
        let place = format!("the EFI system partition of {}", region.path().display());
        let files = Self::of(&mut disk).map_err(|e| {
            Error::input("the EFI system partition is damaged")
                .at(place.clone())
                .because(e)
                .hint("build or copy the image again")
        })?;
        Ok(Self { files, place })
    }

    /// The files of a partition in memory.
    pub(crate) fn of(disk: &mut Sparse) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
        let system = FileSystem::new(disk, FsOptions::new().update_accessed_date(false))?;
        let mut files = BTreeMap::new();
        read(&system.root_dir(), "", 0, &mut files)?;
        Ok(files)
    }

    /// The unified kernel image: path and bytes.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn uki(&self) -> Result<(&str, &[u8])> {
        let ukis: Vec<_> = self.files.iter().filter(|(path, _)| is_uki(path)).collect();
        match ukis.as_slice() {
            [(path, bytes)] => Ok((path, bytes)),
            some => Err(Error::input("an image of Diorite has one unified kernel image")
                .at(self.place.clone())
                .because(format!("there are {} in EFI/Linux", some.len()))
                .hint("give an image as `diorite build` has made it")),
        }
    }

    /// The files in a directory.
    pub fn below(&self, directory: &str) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        let inside = move |path: &str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        self.files.iter().filter(move |(path, _)| inside(path))
    }

    /// The programs that firmware starts, where they are.
    pub fn programs(&self) -> Option<BootPrograms> {
        let loader = self.files.get("EFI/BOOT/BOOTX64.EFI")?.clone();
        Some(BootPrograms { loader, uki: self.uki().ok()?.1.to_vec() })
    }

    /// The kernel's command line.
    ///
    /// # Errors
    /// As [`Self::uki`], or it has none.
    pub fn command_line(&self) -> Result<String> {
        let (path, bytes) = self.uki()?;
        let damaged = |why: &str| {
            let error = Error::input("the unified kernel image is damaged").at(format!("/{path} in {}", self.place));
            error.because(why).hint("build or copy the image again")
        };
        let pe = Pe::parse(bytes.to_vec()).map_err(|e| damaged(e.cause.as_deref().unwrap_or(&e.what)))?;
        let section = pe.section(".cmdline").ok().flatten().ok_or_else(|| damaged("it has no command line"))?;
        let text = std::str::from_utf8(section).map_err(|_| damaged("its command line is no text"))?;
        Ok(text.trim_end_matches('\0').trim_end().to_owned())
    }

    /// The root hash that the kernel is told.
    ///
    /// # Errors
    /// As [`Self::command_line`], or it says none.
    pub fn root_hash(&self) -> Result<Digest> {
        let line = self.command_line()?;
        let said = line.split(' ').find_map(|word| word.strip_prefix("roothash="));
        said.and_then(|hash| hash.parse().ok()).ok_or_else(|| {
            Error::input("the kernel's command line names no root hash")
                .at(self.place.clone())
                .because(format!("it is `{}`", line.escape_debug()))
                .hint("give an image as `diorite build` has made it")
        })
    }
}

/// Is this the place of a unified kernel image?
pub(crate) fn is_uki(path: &str) -> bool {
    path.starts_with("EFI/Linux/") && path.ends_with(".efi")
}

fn read(
    directory: &Dir<&mut Sparse>,
    path: &str,
    depth: usize,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> std::io::Result<()> {
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        if entry.is_dir() && depth < DEEPEST {
            read(&entry.to_dir(), &path, depth + 1, files)?;
        } else if entry.is_file() {
            let mut bytes = Vec::new();
            entry.to_file().read_to_end(&mut bytes)?;
            files.insert(path, bytes);
        }
    }
    Ok(())
}
