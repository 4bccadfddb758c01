//! Raw disk → a disk that installs it: for a USB stick, to start a machine from that has no builder beside it.
//!
//! ```text
//! 1 esp                 one UKI: the image's kernel and initrd, and in a second archive this very program
//! 2 diorite-installer   a head of 4096 bytes (InstallerHead as JSON, then zeros), then the disk, compressed with zstd
//! ```
//! Nothing of the image itself runs before it is installed: the initrd starts `diorite install` on the screen and on the first
//! serial port, and goes no further. The same image, rule and program give the same bytes.

use super::{Format, FormatSource};
use crate::disk::{self, ALIGNMENT, DiskPartition, ESP, SECTOR};
use crate::uki::{self, UkiParts};
use crate::{cpio, elf, esp, initrd, kernel};
use diorite_host::file::NewFile;
use diorite_host::interrupt;
use diorite_model::recipe::InstallerRule;
use diorite_model::{Digest, Error, Recipe, Result};
use diorite_rootfs::tree::{Node, Tree};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The format's value.
pub const FORMAT: Format = Format { name: "installer", file: "installer.raw", write };

/// The label of the partition that holds the disk, and its type: one of this program's own.
pub const LABEL: &str = "diorite-installer";
const KIND: uuid::Uuid = uuid::uuid!("6e1b9c52-5a0d-4d0b-9a3c-8f1c2c7a9d10");
/// Bytes of the partition's head.
const HEAD: usize = 4096;
/// As for the initrd: higher levels gain little for much time.
const LEVEL: i32 = 3;

/// What the head of the partition says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallerHead {
    /// Of this format.
    pub schema: u32,
    /// The image's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Bytes of the disk.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Which disk is taken without asking.
    pub rule: Option<InstallerRule>,
}

/// This version of [`InstallerHead`].
const SCHEMA: u32 = 1;

/// Where the program is in the initrd.
const PROGRAM: &str = "usr/bin/diorite";
const UNITS: &str = "usr/lib/systemd/system";
const TARGET: &str = "diorite-installer.target";
const TARGET_UNIT: &str = "[Unit]\nDescription=Install the image on a disk\nRequires=sysinit.target\nAfter=sysinit.target\n\
     Wants=diorite-installer@tty1.service diorite-installer@ttyS0.service\nAllowIsolate=yes\n";
/// One of them installs: a disk is opened by one program alone.
const SERVICE_UNIT: &str = "[Unit]\nDescription=Install the image on a disk, asked at %I\nDefaultDependencies=no\n\
     After=sysinit.target systemd-udev-trigger.service\nConflicts=shutdown.target\nBefore=shutdown.target\n\
     SuccessAction=ACTION\n\
     [Service]\nType=oneshot\nExecStart=/usr/bin/diorite install\nStandardInput=tty-force\nStandardOutput=tty\n\
     StandardError=tty\nTTYPath=/dev/%I\nTTYReset=yes\n";

fn write(source: &FormatSource<'_>, out: &Path) -> Result<()> {
    let (recipe, sealed) = (source.parts.recipe, source.parts.sealed);
    let epoch = recipe.image.epoch;
    let kernel = kernel::sealed(sealed);
    let initrd = initrd::assemble(sealed.tree(), &kernel, epoch, sealed.public())?.followed_by(&archive(recipe)?)?;
    let uki = uki::assemble(&UkiParts {
        stub: sealed.stub(),
        kernel: &kernel,
        initrd: &initrd,
        // What asks is quiet for: messages of the kernel would stand between the questions.
        cmdline: &format!(
            "rd.systemd.unit={TARGET} rd.systemd.gpt_auto=no rd.systemd.show_status=no quiet loglevel=3 console=tty0 \
             console=ttyS0,115200"
        ),
        os_release: sealed.os_release(),
        splash: None,
    })?;
    // Firmware starts it by itself: there is nothing to choose, and no boot to count.
    let program = (source.sign)("installer", uki.bytes())?;
    let size = (program.len() as u64 * 5 / 4 + (16 << 20)).next_multiple_of(ALIGNMENT).max(64 << 20);
    let files: Vec<esp::EspFile<'_>> = vec![("EFI/BOOT/BOOTX64.EFI".into(), program.into())];
    let volume = u32::from_le_bytes(source.sha256.0[..4].try_into().expect("four bytes"));
    let esp = esp::write(&files, size, volume, "INSTALL", epoch)?;
    interrupt::check()?;

    let failed = |e: io::Error| Error::io("the installer cannot be written", out, e);
    let raw = File::open(source.raw).map_err(|e| Error::io("the disk image cannot be read", source.raw, e))?;
    let bytes = raw.metadata().map_err(failed)?.len();
    let head = InstallerHead {
        schema: SCHEMA,
        name: recipe.image.name.clone(),
        version: recipe.image.version.clone(),
        bytes,
        sha256: source.sha256,
        rule: recipe.platform.installer.clone(),
    };
    let new = NewFile::create(out, 0o666).map_err(failed)?;
    let payload_at = ALIGNMENT + size;
    let payload = payload(&raw, &head, new.file(), payload_at).map_err(failed)?;

    let id = |what: &str| disk::derived(what, &source.sha256);
    let partition = |label: &str, kind, what: &str, offset: u64, bytes: u64| DiskPartition {
        label: label.to_owned(),
        kind,
        id: id(what),
        first: offset / SECTOR,
        sectors: bytes.next_multiple_of(ALIGNMENT) / SECTOR,
        read_only: false,
    };
    let partitions = [
        partition("esp", ESP, "installer esp", ALIGNMENT, size),
        partition(LABEL, KIND, "installer payload", payload_at, payload),
    ];
    let whole = disk::disk_size(&partitions, 0);
    let table = disk::table(&partitions, whole, id("installer disk"))?;
    new.file().set_len(whole).map_err(failed)?;
    let pieces = table.pieces().chain(esp.pieces().map(|(offset, piece)| (ALIGNMENT + offset, piece)));
    for (offset, piece) in pieces {
        let end = piece.len().min(usize::try_from(whole - offset).unwrap_or(usize::MAX));
        new.file().write_all_at(&piece[..end], offset).map_err(failed)?;
    }
    new.publish().map_err(failed)
}

/// Writes head and compressed disk at an offset; gives their bytes.
fn payload(raw: &File, head: &InstallerHead, mut to: &File, at: u64) -> io::Result<u64> {
    let mut start = serde_json::to_vec(head)?;
    start.resize(HEAD, 0);
    to.write_all_at(&start, at)?;
    to.seek(SeekFrom::Start(at + HEAD as u64))?;
    let mut encoder = zstd::Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut io::BufReader::with_capacity(1 << 20, raw), &mut encoder)?;
    let mut to = encoder.finish()?;
    to.flush()?;
    Ok(to.stream_position()? - at)
}

/// Head and disk of an installer's partition. The disk is read from its start, once.
///
/// # Errors
/// It cannot be read, is no such partition, or was made by another version of this program.
pub fn open(partition: &Path) -> Result<(InstallerHead, impl Read + use<>)> {
    let fail = |e: io::Error| Error::io("the installer cannot be read", partition, e);
    let mut file = File::open(partition).map_err(fail)?;
    let mut head = vec![0; HEAD];
    file.read_exact(&mut head).map_err(fail)?;
    let end = head.iter().position(|byte| *byte == 0).unwrap_or(head.len());
    let refused = |why: String| Error::input("this is no installer").at(partition.display().to_string()).because(why);
    let head: InstallerHead = serde_json::from_slice(&head[..end]).map_err(|e| refused(e.to_string()))?;
    if head.schema != SCHEMA {
        return Err(refused("another version of this program has made it".into()));
    }
    let disk = zstd::Decoder::new(io::BufReader::with_capacity(1 << 20, file)).map_err(fail)?.single_frame();
    Ok((head, disk))
}

/// The second archive of the initrd: this program and what starts it.
fn archive(recipe: &Recipe) -> Result<Vec<u8>> {
    let failed = |e| Error::io("this program cannot be read", "/proc/self/exe", e);
    let mut program = Vec::new();
    File::open("/proc/self/exe").and_then(|mut file| file.read_to_end(&mut program)).map_err(failed)?;
    if elf::needs(&program)?.interpreter.is_some() {
        return Err(Error::host("this program cannot be put into an installer")
            .because("it needs libraries of this host: it was not built as a static program")
            .hint("build it as a checkout's .cargo/config.toml says: RUSTFLAGS=\"-C target-feature=+crt-static\""));
    }
    let mut tree = Tree::new();
    tree.insert(PROGRAM, Node::file(0o755, program));
    tree.insert(format!("{UNITS}/{TARGET}"), Node::file(0o644, TARGET_UNIT));
    // Nobody takes the stick out where nobody is asked: started again, it would only find a disk that is not empty.
    let action = if recipe.platform.installer.is_some() { "poweroff" } else { "reboot" };
    let service = SERVICE_UNIT.replace("ACTION", action);
    tree.insert(format!("{UNITS}/diorite-installer@.service"), Node::file(0o644, service));
    cpio::write(&tree, recipe.image.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_gives_back_what_it_was_made_from() {
        let head = InstallerHead {
            schema: SCHEMA,
            name: "server".into(),
            version: "1".into(),
            bytes: 3 << 20,
            sha256: Digest::of(b"disk"),
            rule: None,
        };
        let mut disk = vec![0; 3 << 20];
        disk[1 << 20..][..5].copy_from_slice(b"state");
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("raw"), &disk).unwrap();
        let written = |head: &InstallerHead| {
            let partition = File::create(path("partition")).unwrap();
            let bytes = payload(&File::open(path("raw")).unwrap(), head, &partition, 0).unwrap();
            // The partition is longer than what is in it.
            partition.set_len(bytes + 5000).unwrap();
        };
        written(&head);
        let (found, mut image) = open(&path("partition")).unwrap();
        let mut back = Vec::new();
        image.read_to_end(&mut back).unwrap();
        assert!(found == head && back == disk);

        written(&InstallerHead { schema: SCHEMA + 1, ..head });
        let refused = |name: &str| open(&path(name)).err().expect("it is refused").to_string();
        assert!(refused("partition").contains("another version of this program"));
        assert!(refused("raw").contains("this is no installer"));
    }
}
