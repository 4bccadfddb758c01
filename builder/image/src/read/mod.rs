//! Disk image → what is in it: partitions, the files of the EFI system partition and of the root, and what the image carries
//! about itself. Nothing is mounted, and every byte of a foreign image is taken for hostile.
//!
//! ```text
//! ImageReader    all of it                                 here
//! DiskReader     the partition table                       here
//!   ├─ EspFiles  files of the EFI system partition, UKI    esp.rs
//!   ├─ ErofsReader  files of the root                      erofs/
//!   │    └─ Carried  recipe, lock, provenance              carried.rs
//!   └─ damages   every byte that is not as it was made     damage.rs
//! ```

pub mod carried;
pub mod damage;
pub mod erofs;
pub mod esp;
mod tree;

pub use carried::{Carried, carried};
pub use damage::Damage;
pub use erofs::{ErofsReader, ImageFile, ImageFileKind};
pub use esp::EspFiles;

use crate::disk::{DiskPartition, EMPTY, ESP, READ_ONLY, ROOT, ROOT_VERITY, SECTOR};
use crate::region::Region;
use diorite_model::{Digest, Error, Result};
use diorite_rootfs::tree::{Tree, TreePath};
use gpt::disk::LogicalBlockSize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use uuid::Uuid;

/// An image, read as far as everybody needs it.
pub struct ImageReader {
    /// The disk.
    pub disk: DiskReader,
    /// Files of its EFI system partition.
    pub esp: EspFiles,
    /// What the kernel is told.
    pub root_hash: Digest,
    /// Its root.
    pub root: ErofsReader,
    /// The files of the root.
    pub files: BTreeMap<TreePath, ImageFile>,
    /// What it carries about itself; none where an earlier version of Diorite has made it.
    pub carried: Option<Carried>,
}

impl ImageReader {
    /// Reads an image.
    ///
    /// # Errors
    /// [`diorite_model::Exit::Input`]: it is no image, or so damaged that it cannot be read; what, and where.
    pub fn open(path: &Path) -> Result<Self> {
        let disk = DiskReader::open(path)?;
        let esp = EspFiles::read(&disk.esp()?)?;
        let root_hash = esp.root_hash()?;
        let read = || {
            let root = ErofsReader::open(disk.root()?)?;
            let files = root.files()?;
            let carried = carried(path, &root, &files)?;
            Ok((root, files, carried))
        };
        match read() {
            Ok((root, files, carried)) => Ok(Self { disk, esp, root_hash, root, files, carried }),
            // What cannot be read may be damaged: then the block is the better answer.
            Err(error) => Err(match damage::root_damage(&disk, root_hash)? {
                Some((what, _)) => Error::input("the root file system is damaged")
                    .at(path.display().to_string())
                    .because(what)
                    .hint("build or copy the image again"),
                None => error,
            }),
        }
    }

    /// The same of an image whose root is compared with its root hash, so that what is read of it is true.
    ///
    /// # Errors
    /// As [`Self::open`], and for any damaged byte of the root: the file it is in.
    pub fn open_whole(path: &Path) -> Result<Self> {
        let image = Self::open(path)?;
        match damage::of_root(&image)? {
            None => Ok(image),
            Some(damage) => Err(Error::input("the image is damaged")
                .at(path.display().to_string())
                .because(format!("{}: {}: {}", damage.part, damage.place, damage.what))
                .hint("copy or build it again; `diorite inspect` looks at all of it")),
        }
    }

    /// All that is wrong with it, the first of each part.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn damages(&self) -> Result<Vec<Damage>> {
        damage::damages(self)
    }

    /// The root as a tree in memory.
    ///
    /// # Errors
    /// A file is damaged.
    pub fn tree(&self) -> Result<Tree> {
        tree::of(self)
    }
}

/// An open disk image.
#[derive(Debug)]
pub struct DiskReader {
    whole: Region,
    partitions: Vec<DiskPartition>,
}

/// Beginnings of files that people may take for a disk image: where, what, and what the file then is.
const OTHERS: [(u64, &[u8], &str, &str); 9] = [
    (0, b"QFI\xfb", "a qcow2 image", "convert it: `qemu-img convert -O raw`"),
    (0, b"vhdxfile", "a VHDX image", "convert it: `qemu-img convert -O raw`"),
    (0, b"KDMV", "a VMDK image", "convert it: `qemu-img convert -O raw`"),
    (0, b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (0, b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (0x8001, b"CD001", "an ISO image", "give the disk image of a build, disk.raw"),
    (1024, b"\xe2\xe1\xf5\xe0", "an EROFS file system", "give the disk image that it is a part of"),
    (0, b"{", "a text", "give the disk image of a build, disk.raw"),
];

impl DiskReader {
    /// Opens a raw disk image and reads its partition table.
    ///
    /// # Errors
    /// [`diorite_model::Exit::Input`]: it is something else, is cut short, or was not made by Diorite.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e| Error::io("the image cannot be read", path, e);
        let place = path.display().to_string();
        let refused = |why: String, hint: &str| {
            Error::input("this is not a disk image").at(place.clone()).because(why).hint(hint)
        };
        if path.is_dir() {
            return Err(refused("it is a directory".into(), "give the disk image in it, disk.raw"));
        }
        let whole = Region::open(path)?;
        let size = whole.len();
        let begins = |at: u64, magic: &[u8]| {
            let mut bytes = vec![0; magic.len()];
            whole.read_at(&mut bytes, at).is_ok() && bytes == magic
        };
        if let Some((_, _, what, hint)) = OTHERS.iter().find(|(at, magic, _, _)| begins(*at, magic)) {
            return Err(refused(format!("it is {what}"), hint));
        }
        let config = gpt::GptConfig::new().writable(false).logical_block_size(LogicalBlockSize::Lb512);
        let table = config.open_from_device(File::open(path).map_err(fail)?).map_err(|e| {
            if begins(SECTOR, b"EFI PART") {
                let error = Error::input("the partition table is damaged").at(place.clone()).because(e);
                return error.hint("copy or download the image again");
            }
            let hint = "give the disk image of a build, disk.raw; or its recipe.json, or a lock";
            refused("it has no GUID partition table".into(), hint)
        })?;
        let header = table.header();
        let needed = header.current_lba.max(header.backup_lba).saturating_add(1).saturating_mul(SECTOR);
        if size < needed {
            return Err(Error::input("the image is cut short")
                .at(place)
                .because(format!("it has {size} bytes, and its partition table is that of a disk of {needed}"))
                .hint("copy or download it again"));
        }
        let partitions = table.partitions().values().filter(|p| p.is_used()).map(|p| DiskPartition {
            label: p.name.clone(),
            kind: p.part_type_guid.guid,
            id: p.part_guid,
            first: p.first_lba,
            sectors: (p.last_lba + 1).saturating_sub(p.first_lba),
            read_only: p.flags & READ_ONLY != 0,
        });
        let partitions: Vec<_> = partitions.collect();
        let outside = |p: &&DiskPartition| p.first.checked_add(p.sectors).is_none_or(|end| end > size / SECTOR);
        if let Some(outside) = partitions.iter().find(outside) {
            return Err(Error::input("the image is cut short")
                .at(place)
                .because(format!("partition `{}` lies behind its end", outside.label.escape_debug()))
                .hint("copy or download it again"));
        }
        let reader = Self { whole, partitions };
        reader.partition(ROOT).and(reader.partition(ROOT_VERITY)).and(reader.partition(ESP)).map_err(|e| {
            let hint = "inspect, diff and whence read images that `diorite build` has made";
            e.hint(hint)
        })?;
        Ok(reader)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.whole.path()
    }
    /// Bytes of the disk.
    pub fn size(&self) -> u64 {
        self.whole.len()
    }
    /// Its partitions in the order of the table.
    pub fn partitions(&self) -> &[DiskPartition] {
        &self.partitions
    }
    /// Any stretch of it.
    pub fn region(&self, start: u64, len: u64) -> Region {
        self.whole.part(start, len)
    }
    /// The EFI system partition.
    pub fn esp(&self) -> Result<Region> {
        self.partition(ESP).map(|p| self.of(p))
    }
    /// The root partition of the first slot.
    pub fn root(&self) -> Result<Region> {
        self.partition(ROOT).map(|p| self.of(p))
    }
    /// Its hash partition.
    pub fn verity(&self) -> Result<Region> {
        self.partition(ROOT_VERITY).map(|p| self.of(p))
    }

    fn of(&self, partition: &DiskPartition) -> Region {
        self.region(partition.offset(), partition.sectors * SECTOR)
    }
    fn partition(&self, kind: Uuid) -> Result<&DiskPartition> {
        let found = self.partitions.iter().find(|p| p.kind == kind && p.label != EMPTY);
        found.ok_or_else(|| {
            let what = match kind {
                ESP => "EFI system partition",
                ROOT => "root partition",
                _ => "hash partition of a root",
            };
            Error::input("this image was not made by Diorite")
                .at(self.path().display().to_string())
                .because(format!("it has no {what}"))
        })
    }
}
