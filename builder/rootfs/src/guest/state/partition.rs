//! The partition for /var: its identity, how systemd-repart(8) makes it, and what opens it when it is encrypted.

use crate::guest::ini::Ini;
use diorite_model::recipe::{Encryption, FileSystem, State};
use diorite_model::{Digest, Recipe, uuid};

/// Name of the opened volume in /dev/mapper.
pub(super) const VOLUME: &str = "var";
/// Looks for a TPM before anything is written.
pub(super) const TPM_SERVICE: &str = "diorite-state-tpm.service";

/// The partition's UUID: the same for every version of an image, so that a new version finds the old one's data.
/// An RFC 9562 version 8 UUID made from the image's name.
pub(in crate::guest) fn id(recipe: &Recipe) -> String {
    uuid::derived(&Digest::of(format!("diorite state {}", recipe.image.name).as_bytes())).to_string()
}

/// repart.d(5): made at first boot, grows into the rest of the disk.
pub(super) fn definition(recipe: &Recipe) -> Ini {
    let ini = Ini::new()
        .section("Partition")
        .set("Type", "var")
        .set("Label", "var")
        .set("UUID", id(recipe))
        .set("Format", recipe.state.filesystem.name())
        .set("SizeMinBytes", format!("{}M", recipe.state.minimum >> 20))
        .set("FactoryReset", "yes");
    if recipe.state.encryption == Encryption::Tpm2 { ini.set("Encrypt", "tpm2") } else { ini }
}

/// What the unit that makes the partition waits for and needs besides, if anything.
pub(super) fn maker(recipe: &Recipe) -> Ini {
    let mut ini = Ini::new();
    if recipe.state.encryption == Encryption::Tpm2 {
        ini = ini.section("Unit").set("Requires", TPM_SERVICE).set("After", TPM_SERVICE);
        ini = ini.set("OnFailure", "emergency.target").set("OnFailureJobMode", "replace-irreversibly");
    }
    match recipe.state.filesystem {
        // systemd-repart makes it without any room for root alone; its last options win, mke2fs(8).
        FileSystem::Ext4 => ini
            .section("Service")
            .set("Environment", format!("\"SYSTEMD_REPART_MKFS_OPTIONS_EXT4=-m {}\"", State::RESERVED_PERCENT)),
        // Whether it is here and works; the initrd takes along what its units start.
        other => ini.section("Service").set("ExecStartPre", format!("/usr/sbin/mkfs.{} -V", other.name())),
    }
}

/// crypttab(5), the same in the initrd, which opens the volume, and in the image, which finds it open. `noauto`: it is
/// opened for the sake of the mount, not waited for before there is a partition. The console waits five minutes
/// for a recovery key, if one was enrolled.
pub(super) fn crypttab(recipe: &Recipe) -> String {
    let partition = id(recipe);
    format!("{VOLUME} PARTUUID={partition} - tpm2-device=auto,x-initrd.attach,noauto,timeout=5min\n")
}
