//! SealedTree, root file system and hash tree → DiskImage: the stages from the initrd to the disk, in order.

use crate::disk::{self, DiskImage, DiskParts};
use crate::esp::EspFile;
use crate::initrd::Initrd;
use crate::kernel::KernelImage;
use crate::programs::BootPrograms;
use crate::sparse::Sparse;
use crate::uki::{self, UkiParts};
use crate::{cpio, esp, initrd, kernel};
use diorite_host::interrupt;
use diorite_model::recipe::{Signing, StateDisk};
use diorite_model::{Digest, Recipe, Result};
use diorite_rootfs::seal::SealedTree;
use diorite_rootfs::tree::{Node, Tree};
use std::path::Path;

/// What a disk image is assembled from.
pub struct ImageParts<'a> {
    /// The sealed tree.
    pub sealed: &'a SealedTree,
    /// The programs that firmware starts, signed or not.
    pub boot: &'a BootPrograms,
    /// Further files of the EFI system partition: the keys that firmware is to take.
    pub enrolment: &'a [EspFile<'a>],
    /// The root file system, made from the same tree.
    pub root: &'a Path,
    /// Its hash tree.
    pub verity: &'a Path,
    /// The hash tree's top.
    pub root_hash: Digest,
    /// Name, version, sizes, command line.
    pub recipe: &'a Recipe,
}

/// SealedTree and root hash → boot loader and unified kernel image, unsigned. The same parts give the same bytes.
///
/// # Errors
/// A file that the initrd needs is missing; a secret is found in it.
pub fn boot_programs(sealed: &SealedTree, root_hash: Digest, recipe: &Recipe) -> Result<BootPrograms> {
    let kernel = kernel::sealed(sealed);
    let initrd = initrd::assemble(sealed.tree(), &kernel, recipe.image.epoch, sealed.public())?;
    programs(BootParts {
        stub: sealed.stub(),
        boot_manager: sealed.boot_manager(),
        kernel: &kernel,
        initrd,
        os_release: sealed.os_release(),
        root_hash,
        recipe,
    })
}

/// Writes the disk image to `out`, whole or not at all. The same parts give the same bytes.
///
/// # Errors
/// A part does not fit its partition; a secret is found; [`diorite_model::Exit::Interrupted`].
pub fn write(parts: &ImageParts, out: &Path) -> Result<DiskImage> {
    let ImageParts { sealed, boot, enrolment, root, verity, root_hash, recipe } = *parts;
    let esp = esp(boot, enrolment, root_hash, recipe)?;
    // The last moment to stop: from here on the disk is written as a whole.
    interrupt::check()?;
    let disk = DiskParts {
        name: &recipe.image.name,
        version: &recipe.image.version,
        root,
        verity,
        root_hash,
        esp: &esp,
        sizes: &recipe.disk,
        state: match recipe.state.disk {
            StateDisk::Same => recipe.state.minimum,
            StateDisk::Own => 0,
        },
        public: sealed.public(),
    };
    disk::write(&disk, out)
}

/// What boot programs are made of.
pub(crate) struct BootParts<'a> {
    pub stub: &'a [u8],
    pub boot_manager: &'a [u8],
    pub kernel: &'a KernelImage<'a>,
    pub initrd: Initrd,
    pub os_release: &'a [u8],
    pub root_hash: Digest,
    pub recipe: &'a Recipe,
}

/// The programs, unsigned.
pub(crate) fn programs(parts: BootParts) -> Result<BootPrograms> {
    let line = command_line(&parts.root_hash, parts.recipe);
    let initrd = match parts.recipe.signing {
        None => parts.initrd,
        Some(_) => parts.initrd.followed_by(&with_command_line(&line, parts.recipe.image.epoch)?)?,
    };
    let uki = uki::assemble(&UkiParts {
        stub: parts.stub,
        kernel: parts.kernel,
        initrd: &initrd,
        cmdline: &line,
        os_release: parts.os_release,
        splash: None,
    })?;
    Ok(BootPrograms { loader: parts.boot_manager.to_vec(), uki: uki.into_bytes() })
}

/// An archive laid over the initrd: the command line as /proc/cmdline must say it.
fn with_command_line(line: &str, epoch: u64) -> Result<Vec<u8>> {
    let mut tree = Tree::new();
    tree.insert(Signing::COMMAND_LINE, Node::file(0o444, format!("{line}\n")));
    cpio::write(&tree, epoch)
}

/// The EFI system partition. The same parts give the same bytes.
pub(crate) fn esp(boot: &BootPrograms, enrolment: &[EspFile], root_hash: Digest, recipe: &Recipe) -> Result<Sparse> {
    let mut files = esp::files(boot, &recipe.image.name, &recipe.image.version, recipe.signing.as_ref());
    files.extend(enrolment.iter().cloned());
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let volume = u32::from_le_bytes(root_hash.0[..4].try_into().expect("four bytes"));
    esp::write(&files, recipe.disk.esp, volume, "ESP", recipe.image.epoch)
}

/// The kernel's command line: where its root is, what to do when a block of it is damaged, and what the recipe adds.
pub(crate) fn command_line(root_hash: &Digest, recipe: &Recipe) -> String {
    let root = format!("roothash={root_hash}");
    let fixed =
        [root.as_str(), "ro", "rootfstype=erofs", "systemd.verity_root_options=restart-on-corruption"].into_iter();
    // A physical machine may have a screen and no serial port. The last console that there is becomes /dev/console.
    let screen = recipe.platform.is_metal().then_some("console=tty0");
    let fixed = fixed.chain(screen).chain(["console=ttyS0,115200", "panic=10"]);
    let more = recipe.hardening.command_line.iter().chain(&recipe.kernel.command_line).map(String::as_str);
    fixed.chain(more).collect::<Vec<_>>().join(" ")
}
