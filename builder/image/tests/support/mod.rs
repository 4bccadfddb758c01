//! What the tests of artefacts share: a tree, and everything the crate makes from it.

use diorite_image::{disk, esp, filesystem, format, initrd, kernel, sparse::Sparse, uki, verity};
use diorite_model::{Digest, Result, recipe};
use diorite_rootfs::origins::{Origins, ShippedContents};
use diorite_rootfs::{clock::Times, pack, read_directory, secrets, tree::Tree};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The time of everything in the test image.
pub const EPOCH: u64 = 1_760_000_000;
const MIB: u64 = 1 << 20;

/// The directory an environment variable names; tests cannot run without it.
pub fn directory(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set; `make test` sets it"));
    PathBuf::from(value)
}

/// Where the files of that tree come from.
fn origins() -> Origins {
    Origins::open(&directory("DIORITE_TEST_TREE")).unwrap_or_else(|e| panic!("{e}"))
}

/// The tree named by DIORITE_TEST_TREE, a pack or a directory, without the identity that sealing takes out.
pub fn tree() -> Tree {
    let directory = directory("DIORITE_TEST_TREE");
    let times = Times::at_most(EPOCH as i64);
    let tree = if directory.join("index").is_file() {
        pack::open(&directory)
    } else {
        read_directory::read_directory(&directory, &times)
    };
    let mut tree = tree.unwrap_or_else(|e| panic!("{e}"));
    for path in ["etc/machine-id", "var/lib/dbus/machine-id"] {
        tree.nodes.remove(path.as_bytes());
    }
    tree
}

/// Everything that is made on the way to a disk.
pub struct Made {
    /// What the kernel is told.
    pub cmdline: String,
    /// Top of the hash tree.
    pub root_hash: Digest,
    /// The disk.
    pub image: disk::DiskImage,
}

/// Makes a disk from a tree: files `root`, `verity`, `initrd`, `uki.efi`, `esp`, `disk.raw`, `disk.qcow2` in a directory.
pub fn make(tree: &Tree, directory: &Path) -> Result<Made> {
    let path = |name: &str| directory.join(name);
    let sizes = recipe::Disk { esp: 128 * MIB, root: 512 * MIB, verity: 16 * MIB };
    let id = [7; 16];
    // The published keys that libraries carry to test themselves: a compressor may leave them as they were.
    let origins = origins();
    let search = secrets::SecretScan {
        shipped: &ShippedContents::of([&origins]),
        declared: &secrets::PublicSecrets::default(),
        source: &|_, _| secrets::FileSource::Profile,
    };
    let public = secrets::scan(tree, &search)?.public;
    filesystem::write(tree, &filesystem::FilesystemOptions::new(EPOCH, id), &path("root"), None)?;
    let root_hash = verity::format(&path("root"), &path("verity"), &[1; 32], id)?.root_hash;
    let kernel = kernel::find(tree)?;
    let initrd = initrd::assemble(tree, &kernel, EPOCH, &public)?;
    let cmdline = format!(
        "roothash={root_hash} ro rootfstype=erofs systemd.verity_root_options=restart-on-corruption \
         console=ttyS0,115200 panic=10"
    );
    let read = |path: &str| tree.read(path).unwrap_or_else(|| panic!("the tree has no /{path}"));
    let uki = uki::assemble(&uki::UkiParts {
        stub: read("usr/lib/systemd/boot/efi/linuxx64.efi.stub"),
        kernel: &kernel,
        initrd: &initrd,
        cmdline: &cmdline,
        os_release: read("usr/lib/os-release"),
        splash: None,
    })?;
    let loader = read("usr/lib/systemd/boot/efi/systemd-bootx64.efi");
    let programs = diorite_image::BootPrograms { loader: loader.to_vec(), uki: uki.bytes().to_vec() };
    let esp = esp::write(&esp::files(&programs, "server", "1", None), sizes.esp, 0x1234_5678, "ESP", EPOCH)?;
    for (name, bytes) in [("initrd", initrd.bytes()), ("uki.efi", uki.bytes())] {
        std::fs::write(path(name), bytes).unwrap();
    }
    save(&esp, &path("esp"));
    let (root, verity) = (path("root"), path("verity"));
    let parts = disk::DiskParts {
        name: "server",
        version: "1",
        root: &root,
        verity: &verity,
        root_hash,
        esp: &esp,
        sizes: &sizes,
        state: 64 * MIB,
        public: &public,
    };
    let image = disk::write(&parts, &path("disk.raw"))?;
    format::qcow2::write(&path("disk.raw"), &path("disk.qcow2"))?;
    format::vhd::write(&path("disk.raw"), &image.sha256, &path("disk.vhd"))?;
    format::vhdx::write(&path("disk.raw"), &image.sha256, &path("disk.vhdx"))?;
    format::vmdk::write(&path("disk.raw"), &image.sha256, &path("disk.vmdk"))?;
    Ok(Made { cmdline, root_hash, image })
}

/// A disk in memory as a file.
fn save(disk: &Sparse, path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(disk.size()).unwrap();
    disk.pieces().for_each(|(offset, piece)| file.write_all_at(piece, offset).unwrap());
}
