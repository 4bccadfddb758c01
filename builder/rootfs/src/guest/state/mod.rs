//! The table `[state]`: the partition for /var, what is mounted at boot, and what /var is made of.

mod disk;
mod partition;
mod tpm;

use crate::guest::Guest;
use crate::guest::ini::Ini;
use diorite_model::recipe::{Encryption, FileSystem, StateDisk};
use diorite_model::{Error, Recipe, Result};

/// Where repart.d(5) definitions are, in the image and in the initrd, for a partition on the image's own disk.
const REPART: &str = "usr/lib/repart.d/50-var.conf";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    initrd(guest, recipe)?;
    if recipe.state.disk == StateDisk::Same {
        guest.file(REPART, 0o644, partition::definition(recipe).finish()?)?;
    }
    // fstab(5). /var is mounted in the initrd, and follows its partition when the disk is made larger later; /root is
    // memory, so that a key given with the machine can be put there.
    let options = "rw,nosuid,nodev,x-initrd.mount,x-systemd.growfs";
    let device = match recipe.state.encryption {
        Encryption::None => format!("PARTUUID={}", partition::id(recipe)),
        Encryption::Tpm2 => format!("/dev/mapper/{}", partition::VOLUME),
    };
    // The others need no check before they are mounted: their fsck(8) does nothing.
    let pass = if recipe.state.filesystem == FileSystem::Ext4 { 2 } else { 0 };
    let var = format!("{device} /var {} {options} 0 {pass}\n", recipe.state.filesystem.name());
    let mut fstab = var + "tmpfs /root tmpfs mode=0700,nosuid,nodev,size=16M 0 0\n";
    for path in &recipe.state.volatile {
        if !path.starts_with("/var/") || !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b)) {
            return Err(Error::bug(format!("{path:?} cannot be a volatile directory")));
        }
        let mode = if path == "/var/tmp" { "1777" } else { "0755" };
        fstab += &format!("tmpfs {path} tmpfs mode={mode},nosuid,nodev,size=25% 0 0\n");
    }
    guest.file("etc/fstab", 0o644, fstab)?;
    if recipe.state.encryption == Encryption::Tpm2 {
        guest.file("etc/crypttab", 0o600, partition::crypttab(recipe))?;
    }
    let mut lines = String::from(
        "d /var/home 0755 root root -\n\
         d /var/srv 0755 root root -\n\
         d /var/opt 0755 root root -\n\
         d /var/log/journal 2755 root systemd-journal -\n\
         L+ /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg\n",
    );
    for (name, person) in recipe.access.people() {
        lines += &format!("d /var/home/{name} 0700 {0} {0} -\n", person.uid);
    }
    guest.file("usr/lib/tmpfiles.d/10-diorite.conf", 0o644, lines)?;
    // /home and /srv are links to state here; Debian's file would ask for directories.
    guest.link("etc/tmpfiles.d/home.conf", "/dev/null")
}

/// What makes, finds and opens the partition, in the initrd.
fn initrd(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    const MAKER: &str = "systemd-repart.service";
    // The root is a verity device: which disk to partition is known only once it is mounted.
    let after_root = Ini::new().section("Unit").set("After", "sysroot.mount").set("Requires", "sysroot.mount");
    guest.initrd_drop_in(MAKER, "10-diorite", &after_root)?;
    match recipe.state.disk {
        StateDisk::Same => {
            guest.initrd_file(REPART, 0o644, partition::definition(recipe).finish()?)?;
            let maker = partition::maker(recipe);
            if !maker.is_empty() {
                guest.initrd_drop_in(MAKER, "20-diorite-state", &maker)?;
            }
        }
        StateDisk::Own => disk::generate(guest, recipe)?,
    }
    if recipe.state.encryption == Encryption::Tpm2 {
        tpm::generate(guest, recipe)?;
    }
    match recipe.state.filesystem {
        FileSystem::Ext4 => Ok(()),
        other => guest.initrd_file("usr/lib/modules-load.d/diorite-state.conf", 0o644, format!("{}\n", other.name())),
    }
}
