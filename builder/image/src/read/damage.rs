//! Every byte of a disk image against what it must be: the root against its root hash; the EFI system partition and the
//! partition table against what the root and the recipe in it give when they are made again; all else is zero.
//!
//! So damage is told by the file it is in, without anything to compare with. An EFI system partition that another version of
//! Diorite has made may differ without being damaged; build.json beside an image names its version.

use super::erofs::{ErofsReader, ImageFile, ImageFileKind, Stored};
use super::esp::is_uki;
use super::{Carried, DiskReader, ImageReader};
use crate::assemble::{self, BootParts};
use crate::disk;
use crate::esp::{self, ENROLMENT, EspFile};
use crate::initrd;
use crate::kernel::KernelImage;
use crate::pe::Pe;
use crate::region::Region;
use crate::sparse::Sparse;
use crate::verity::{self, VerityDamage};
use diorite_model::{Digest, Result};
use diorite_rootfs::tree::TreePath;
use std::collections::BTreeMap;

/// Something that is not as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The part of the disk: `root`, `ESP`, `hash tree`, `partition table`, `unused space`.
    pub part: &'static str,
    /// Where in it: a file, a block, a byte.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

fn damage(part: &'static str, place: impl Into<String>, what: impl Into<String>) -> Damage {
    Damage { part, place: place.into(), what: what.into() }
}

/// The first damage of the root: what can be asked before any file of it is read.
///
/// # Errors
/// The image cannot be read.
pub fn root_damage(disk: &DiskReader, root_hash: Digest) -> Result<Option<(VerityDamage, Option<usize>)>> {
    let (root, hashes) = (disk.root()?, disk.verity()?);
    let Some((data, tree)) = verity::lengths(&hashes)? else { return Ok(Some((VerityDamage::Superblock, None))) };
    if data > root.len() || tree > hashes.len() {
        return Ok(Some((VerityDamage::DataLength { blocks: root.len() / 4096, expected: data / 4096 }, None)));
    }
    let found = verity::first_damage(&root.part(0, data), &hashes.part(0, tree), root_hash)?;
    Ok(found.map(|damage| {
        let block = if let VerityDamage::Data(block) = damage { Some(block) } else { None };
        (damage, block)
    }))
}

/// The first damage of the root or of its hash tree, by the file it is in.
///
/// # Errors
/// The image cannot be read.
pub(super) fn of_root(image: &ImageReader) -> Result<Option<Damage>> {
    let found = root_damage(&image.disk, image.root_hash)?;
    Ok(found.map(|(what, block)| match block {
        Some(block) => damage("root", holders(&image.files, block, &image.root), what.to_string()),
        None => damage("hash tree", image.disk.path().display().to_string(), what.to_string()),
    }))
}

/// All that is wrong with an image, the first of each part.
///
/// # Errors
/// The image cannot be read.
pub(super) fn damages(image: &ImageReader) -> Result<Vec<Damage>> {
    let mut found: Vec<Damage> = of_root(image)?.into_iter().collect();
    found.extend(unused(&image.disk)?);
    // What is made again from a damaged root, or for another one, says nothing.
    if let Some(carried) = image.carried.as_ref().filter(|_| found.iter().all(|d| d.part == "unused space")) {
        found.extend(esp_damage(image, carried)?);
        found.extend(table_damage(&image.disk, carried, image.root_hash)?);
    }
    Ok(found)
}

/// The files of which a block of the root holds a part.
fn holders(files: &BTreeMap<TreePath, ImageFile>, block: usize, root: &ErofsReader) -> String {
    let here = |file: &ImageFile| match &file.kind {
        ImageFileKind::Regular(size, Stored::Plain(first, _)) => {
            (*first as usize..*first as usize + (*size / 4096) as usize).contains(&block)
        }
        ImageFileKind::Regular(_, Stored::Pieces(pieces)) => {
            pieces.iter().any(|piece| (piece.block as usize..(piece.block + piece.blocks) as usize).contains(&block))
        }
        ImageFileKind::Regular(size, Stored::Packed(at)) => root.packed_in(*at, *size, block),
        _ => false,
    };
    let mut names =
        files.iter().filter(|(_, file)| here(file)).map(|(path, _)| format!("/{}", String::from_utf8_lossy(path)));
    match (names.next(), names.count()) {
        (None, _) => format!("names, owners and modes (block {block})"),
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first} and {more} more files, which are stored together"),
    }
}

/// Bytes that are not zero where nothing is.
fn unused(disk: &DiskReader) -> Result<Option<Damage>> {
    let (root, hashes) = (disk.root()?, disk.verity()?);
    let behind = |region: Region, len: u64| region.part(len, region.len().saturating_sub(len)).first_not_zero();
    if let Some((data, tree)) = verity::lengths(&hashes)? {
        for (what, region, len) in [("root", root, data), ("hash tree", hashes, tree)] {
            if let Some(at) = behind(region, len)? {
                return Ok(Some(damage("unused space", format!("byte {} behind the {what}", at), "it is not zero")));
            }
        }
    }
    // Between and behind the partitions in use; the table has its own check.
    let used: Vec<_> = disk.partitions().iter().filter(|p| p.label != disk::EMPTY).collect();
    let mut at = disk::ALIGNMENT;
    let end = disk.size().saturating_sub(disk::ALIGNMENT);
    let ends = used.iter().map(|p| (p.offset(), p.end() * disk::SECTOR)).chain([(end, end)]);
    for (start, next) in ends {
        if let Some(byte) = disk.region(at, start.saturating_sub(at)).first_not_zero()? {
            return Ok(Some(damage("unused space", format!("byte {} of the disk", at + byte), "it is not zero")));
        }
        at = at.max(next);
    }
    Ok(None)
}

/// The partition table against the one that recipe and root hash give.
fn table_damage(disk: &DiskReader, carried: &Carried, root_hash: Digest) -> Result<Option<Damage>> {
    let made = disk::table_of(&carried.recipe, &root_hash, disk.size())?;
    let ends = [("", 0), ("the copy of ", disk.size().saturating_sub(disk::ALIGNMENT))];
    for (which, start) in ends {
        let len = disk::ALIGNMENT.min(disk.size() - start);
        let there = disk.region(start, len).bytes(0, len as usize)?;
        let mut expected = vec![0; len as usize];
        made.read_at(start, &mut expected);
        if let Some(at) = there.iter().zip(&expected).position(|(a, b)| a != b) {
            let place = format!("{which}the table, byte {} of the disk", start + at as u64);
            let what = format!("0x{:02x}, and recipe and root hash give 0x{:02x}", there[at], expected[at]);
            return Ok(Some(damage("partition table", place, what)));
        }
    }
    Ok(None)
}

/// The EFI system partition against the one that the root gives. Of programs that are to be signed, all but the signature is
/// compared, and keys are nobody's but the signer's.
fn esp_damage(image: &ImageReader, carried: &Carried) -> Result<Option<Damage>> {
    let (uki_path, uki) = image.esp.uki()?;
    let section = |pe: &Pe, name: &str| pe.section(name).ok().flatten().map(<[u8]>::to_vec).unwrap_or_default();
    let pe = match Pe::parse(uki.to_vec()) {
        Ok(pe) => pe,
        Err(error) => return Ok(Some(damage("ESP", format!("/{uki_path}"), error.cause.unwrap_or(error.what)))),
    };
    let (kernel, release) = (section(&pe, ".linux"), section(&pe, ".uname"));
    if Digest::of(&kernel) != carried.description.kernel {
        let what = "it is not the kernel whose SHA-256 the root has";
        return Ok(Some(damage("ESP", format!("/{uki_path}, section .linux"), what)));
    }
    let tree = image.tree()?;
    let release = String::from_utf8_lossy(&release).trim_end_matches('\0').to_owned();
    let releases: Vec<_> = tree.children(b"usr/lib/modules").map(|(path, _)| path.to_vec()).collect();
    if !releases.iter().any(|path| path.ends_with(format!("/{release}").as_bytes())) {
        let what = format!("the root has no modules of kernel `{}`", release.escape_debug());
        return Ok(Some(damage("ESP", format!("/{uki_path}, section .uname"), what)));
    }
    let read = |path: &str| tree.read(path).map(<[u8]>::to_vec).unwrap_or_default();
    let boot = |name: &str| read(&format!("usr/lib/systemd/boot/efi/{name}"));
    let machine = if carried.recipe.archive.architecture == "arm64" { "aa64" } else { "x64" };
    let os_release = tree.resolve(b"etc/os-release").and_then(|path| tree.read(&path)).unwrap_or_default();
    let booted = KernelImage::of(&release, &kernel);
    let initrd = initrd::again(&tree, &booted, carried.recipe.image.epoch)?;
    let (stub, manager) = (boot(&format!("linux{machine}.efi.stub")), boot(&format!("systemd-boot{machine}.efi")));
    let recipe = &carried.recipe;
    let programs = assemble::programs(BootParts {
        stub: &stub,
        boot_manager: &manager,
        kernel: &booted,
        initrd,
        os_release,
        root_hash: image.root_hash,
        recipe,
    })?;
    let signed = recipe.signing.is_some();
    let enrolment: Vec<EspFile> = match signed {
        true => image.esp.below(ENROLMENT).map(|(path, file)| (path.clone(), file.as_slice().into())).collect(),
        false => Vec::new(),
    };
    let (name, version) = (&recipe.image.name, &recipe.image.version);
    let mut expected = esp::files(&programs, name, version, recipe.signing.as_ref());
    expected.extend(enrolment.iter().cloned());
    let expected: BTreeMap<String, _> = expected.into_iter().collect();
    for path in expected.keys().chain(image.esp.files.keys()) {
        match (expected.get(path), image.esp.files.get(path)) {
            (Some(expected), Some(there)) if **expected == **there => {}
            (Some(expected), Some(there)) if signed && unsigned(expected) == unsigned(there) => {}
            (Some(expected), Some(there)) => return Ok(Some(differing(path, expected, there))),
            (Some(_), None) => return Ok(Some(damage("ESP", format!("/{path}"), "it is missing"))),
            _ => return Ok(Some(damage("ESP", format!("/{path}"), "no build puts it there"))),
        }
    }
    // The same files as they are here, signatures and all: what is left are tables and free space.
    let made = match image.esp.programs() {
        Some(there) if signed => assemble::esp(&there, &enrolment, image.root_hash, recipe)?,
        _ => assemble::esp(&programs, &enrolment, image.root_hash, recipe)?,
    };
    raw_difference(&image.disk.esp()?, &made)
}

/// A program without its signature; anything else as it is.
fn unsigned(file: &[u8]) -> Vec<u8> {
    let plain = Pe::parse(file.to_vec()).and_then(Pe::unsigned).map(Pe::into_bytes);
    plain.unwrap_or_else(|_| file.to_vec())
}

/// Where a file of the partition is not as it is made again.
fn differing(path: &str, expected: &[u8], there: &[u8]) -> Damage {
    let at = expected.iter().zip(there).position(|(a, b)| a != b).unwrap_or(expected.len().min(there.len()));
    let sections = is_uki(path).then(|| Pe::parse(expected.to_vec()).and_then(|pe| pe.sections()).ok()).flatten();
    let section = sections
        .into_iter()
        .flatten()
        .find(|s| (s.raw_offset as usize..(s.raw_offset + s.raw_size) as usize).contains(&at));
    let section = section.map(|s| format!(", section {}", s.name)).unwrap_or_default();
    let what = "it is not what the root and the recipe give; or another version of Diorite has made it";
    damage("ESP", format!("/{path}{section}, byte {at}"), what)
}

/// Bytes that no file holds: the tables and directories of FAT, and free space.
fn raw_difference(there: &Region, made: &Sparse) -> Result<Option<Damage>> {
    let mut expected = vec![0; 1 << 18];
    let mut buffer = expected.clone();
    let mut at = 0;
    while at < there.len() {
        let count = expected.len().min((there.len() - at) as usize);
        there.read_at(&mut buffer[..count], at)?;
        made.read_at(at, &mut expected[..count]);
        if let Some(byte) = buffer[..count].iter().zip(&expected).position(|(a, b)| a != b) {
            let place = format!("byte {} of the partition", at + byte as u64);
            return Ok(Some(damage("ESP", place, "no file is there: a table or directory of FAT, or free space")));
        }
        at += count as u64;
    }
    Ok(None)
}
