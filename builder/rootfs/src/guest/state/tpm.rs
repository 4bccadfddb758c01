//! Encrypted state: the TPM that keeps its key, in the initrd.
//!
//! systemd-repart makes the LUKS2 volume and seals its key to the TPM, bound to PCR 7; systemd-cryptsetup opens it, by
//! crypttab(5), when /var is about to be mounted. What is ours is that a machine on which either cannot be done says why
//! and restarts: it does not go on without encryption. Why PCR 7: docs/decisions/state-encryption.md.

use super::partition::{self, TPM_SERVICE, VOLUME};
use crate::guest::Guest;
use crate::guest::ini::Ini;
use diorite_model::{Recipe, Result};

const PROGRAM: &str = "usr/lib/diorite/state-tpm";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    guest.initrd_file("etc/crypttab", 0o600, partition::crypttab(recipe))?;
    guest.initrd_file(PROGRAM, 0o755, include_bytes!("state-tpm.sh").to_vec())?;
    guest.initrd_unit(TPM_SERVICE, &service())?;
    guest.initrd_drop_in(&format!("systemd-cryptsetup@{VOLUME}.service"), "10-diorite", &opening(recipe))?;
    guest.initrd_wants("initrd-root-fs.target", TPM_SERVICE)
}

/// Before anything is made.
fn service() -> Ini {
    Ini::new()
        .section("Unit")
        .set("Description", "Look for the TPM that keeps the key of state")
        .set("DefaultDependencies", "no")
        // systemd-tpm2-generator(8) waits for the device there when the firmware says that it has one.
        .set("After", "tpm2.target systemd-udevd.service systemd-udev-trigger.service")
        .set("Before", "initrd-root-fs.target initrd-fs.target")
        .set("Conflicts", "initrd-switch-root.target shutdown.target")
        .once_or_emergency()
        .set("StandardOutput", "journal+console")
        .set("ExecStart", format!("/usr/bin/sh /{PROGRAM} machine"))
}

/// What systemd-cryptsetup-generator(8) makes of the crypttab, and what we add to it.
fn opening(recipe: &Recipe) -> Ini {
    let partition = format!("/dev/disk/by-partuuid/{}", partition::id(recipe));
    Ini::new()
        .section("Unit")
        // Not required: the end of the initrd stops that service, and the volume has to stay open.
        .set("Wants", TPM_SERVICE)
        .set("After", TPM_SERVICE)
        .set("OnFailure", "emergency.target")
        .set("OnFailureJobMode", "replace-irreversibly")
        .section("Service")
        .set("StandardOutput", "journal+console")
        .set("ExecStartPre", format!("/usr/bin/sh /{PROGRAM} partition {partition}"))
        .set("ExecStopPost", format!("/usr/bin/sh /{PROGRAM} opened {partition}"))
}
