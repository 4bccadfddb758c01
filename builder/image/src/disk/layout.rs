//! Where partitions stand on the disk, and what identifies them.

use diorite_model::Hasher;
use diorite_model::{Digest, Error, Result, recipe};
use gpt::partition::Partition;
use gpt::partition_types::{OperatingSystem, Type};
use uuid::Uuid;

/// Bytes in a logical block.
pub const SECTOR: u64 = 512;
/// Partitions begin at whole MiB, as systemd-repart and others align them.
pub(crate) const ALIGNMENT: u64 = 1 << 20;
/// Partition types, Discoverable Partitions Specification.
pub(crate) const ESP: Uuid = uuid::uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
pub(crate) const ROOT: Uuid = uuid::uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
pub(crate) const ROOT_VERITY: Uuid = uuid::uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5");
/// Attribute "read-only" of the same specification.
pub(crate) const READ_ONLY: u64 = 1 << 60;
/// The label of a slot nothing was written to yet, sysupdate.d(5).
pub(crate) const EMPTY: &str = "_empty";
/// UTF-16 units a label can have (UEFI specification, table 5-6).
const LABEL: usize = 36;

/// A partition in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskPartition {
    /// The label: `esp`, `NAME_VERSION`, `_empty`.
    pub label: String,
    /// The type by the Discoverable Partitions Specification.
    pub kind: Uuid,
    /// The identifier, unique to this partition.
    pub id: Uuid,
    /// First logical block.
    pub first: u64,
    /// Number of logical blocks.
    pub sectors: u64,
    /// May not be written to.
    pub read_only: bool,
}

impl DiskPartition {
    /// Where it begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.first * SECTOR
    }
    /// The first logical block behind it.
    pub fn end(&self) -> u64 {
        self.first + self.sectors
    }
    /// As an entry of the table.
    pub(super) fn entry(&self) -> Partition {
        Partition {
            part_type_guid: Type { guid: self.kind, os: OperatingSystem::None },
            part_guid: self.id,
            first_lba: self.first,
            last_lba: self.end() - 1,
            flags: if self.read_only { READ_ONLY } else { 0 },
            name: self.label.clone(),
        }
    }
}

/// Compares the parts with the sizes the recipe gives their partitions.
pub(super) fn check_sizes(sizes: &recipe::Disk, esp: u64, root: u64, verity: u64) -> Result<()> {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    for (what, setting, is, room) in
        [("root file system", "root", root, sizes.root), ("hash tree", "verity", verity, sizes.verity)]
    {
        if is > room {
            return Err(Error::input(format!(
                "the {what} of {} MiB does not fit its partition of {} MiB",
                mib(is),
                mib(room)
            ))
            .hint(format!(
                "set `disk.{setting}` in the profile to {} MiB or more",
                (mib(is) * 5 / 4).next_multiple_of(16)
            )));
        }
    }
    if esp != sizes.esp {
        return Err(Error::bug("the EFI system partition was made for another size"));
    }
    for (setting, size) in [("esp", sizes.esp), ("root", sizes.root), ("verity", sizes.verity)] {
        if size == 0 || size % ALIGNMENT != 0 {
            return Err(Error::input(format!("`disk.{setting}` is {size} bytes")).hint("give a whole number of MiB"));
        }
    }
    Ok(())
}

/// Places the five partitions.
pub(super) fn place(name: &str, version: &str, root_hash: &Digest, sizes: &recipe::Disk) -> Result<Vec<DiskPartition>> {
    let root = format!("{name}_{version}");
    let verity = format!("{root}_verity");
    if verity.encode_utf16().count() > LABEL {
        return Err(Error::input(format!("the partition label `{verity}` has more than {LABEL} characters"))
            .hint("shorten `image.name` or `image.version` in the profile"));
    }
    let half = |from: usize| {
        let mut id = [0; 16];
        id.copy_from_slice(&root_hash.0[from..from + 16]);
        Uuid::from_bytes(id)
    };
    let derived = |what: &str| derived(what, root_hash);
    let mut next = ALIGNMENT;
    Ok([
        ("esp".to_owned(), ESP, derived("esp"), sizes.esp, false),
        (root, ROOT, half(0), sizes.root, true),
        (verity, ROOT_VERITY, half(16), sizes.verity, true),
        (EMPTY.to_owned(), ROOT, derived("second root"), sizes.root, false),
        (EMPTY.to_owned(), ROOT_VERITY, derived("second verity"), sizes.verity, false),
    ]
    .map(|(label, kind, id, size, read_only)| {
        let first = next / SECTOR;
        next += size;
        DiskPartition { label, kind, id, first, sectors: size / SECTOR, read_only }
    })
    .into())
}

/// The disk's size: partitions, room for state, and a last MiB whose end holds the table's second copy.
pub(crate) fn disk_size(partitions: &[DiskPartition], state: u64) -> u64 {
    let end = partitions.last().map_or(ALIGNMENT, |p| p.end() * SECTOR);
    (end + state).next_multiple_of(ALIGNMENT) + ALIGNMENT
}

/// The disk's own identifier.
pub(super) fn disk_guid(root_hash: &Digest) -> Uuid {
    derived("disk", root_hash)
}

/// An identifier that follows from the root hash, or another digest.
pub(crate) fn derived(what: &str, root_hash: &Digest) -> Uuid {
    let mut hasher = Hasher::new();
    hasher.field(b"diorite partition identifier");
    hasher.field(what.as_bytes());
    hasher.field(&root_hash.0);
    Uuid::from_bytes(diorite_model::uuid::derived(&hasher.finish()).0)
}

/// Refuses a layout that overlaps, leaves the usable blocks, is not aligned, or names two partitions alike. The `gpt`
/// crate writes whatever it is given.
pub(super) fn validate(partitions: &[DiskPartition], first_usable: u64, last_usable: u64) -> Result<()> {
    let wrong = |p: &DiskPartition, why: &str| Err(Error::bug(format!("partition `{}` {why}", p.label)));
    let mut before = first_usable;
    for (i, p) in partitions.iter().enumerate() {
        if p.sectors == 0 || p.offset() % ALIGNMENT != 0 {
            return wrong(p, "is empty or not aligned");
        }
        if p.first < before {
            return wrong(p, "overlaps what stands before it");
        }
        if p.end() - 1 > last_usable {
            return wrong(p, "reaches beyond the end of the disk");
        }
        if partitions[..i].iter().any(|other| other.id == p.id) {
            return wrong(p, "has the identifier of another");
        }
        before = p.end();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed() -> Vec<DiskPartition> {
        let sizes = recipe::Disk { esp: 256 << 20, root: 384 << 20, verity: 16 << 20 };
        place("server", "1", &Digest::of(b"x"), &sizes).unwrap()
    }

    #[test]
    fn partitions_follow_each_other() {
        let p = placed();
        assert_eq!(p[0].first, 2048);
        assert!(p.windows(2).all(|w| w[0].end() == w[1].first));
        assert_eq!(disk_size(&p, 512 << 20), (1 + 256 + 2 * 384 + 2 * 16 + 512 + 1) << 20);
        validate(&p, 34, (2000 << 20) / SECTOR).unwrap();
        assert_eq!(p[3].id.get_version_num(), 8);
    }

    #[test]
    fn bad_layouts_are_refused() {
        let last = (2000 << 20) / SECTOR;
        let spoiled = |spoil: &dyn Fn(&mut Vec<DiskPartition>)| {
            let mut p = placed();
            spoil(&mut p);
            validate(&p, 34, last).unwrap_err().what
        };
        assert!(spoiled(&|p| p[2].first -= 2048).contains("overlaps"));
        assert!(spoiled(&|p| p[2].first += 1).contains("not aligned"));
        assert!(spoiled(&|p| p[4].sectors = last).contains("beyond"));
        assert!(spoiled(&|p| p[4].id = p[0].id).contains("identifier"));
        assert!(validate(&placed(), 4096, last).is_err());
    }

    #[test]
    fn a_label_too_long_is_refused() {
        let sizes = recipe::Disk { esp: 1 << 20, root: 1 << 20, verity: 1 << 20 };
        let error = place(&"n".repeat(30), "1", &Digest::of(b"x"), &sizes).unwrap_err();
        assert!(error.to_string().contains("image.name"));
    }
}
