//! Encrypted state: the TPM that keeps its key, in the initrd.
//!
//! systemd-repart makes the LUKS2 volume and seals its key to the TPM, bound to PCR 7; systemd-cryptsetup opens it, by
//! crypttab(5), when /var is about to be mounted. What is ours is that a machine on which either cannot be done says why
//! and restarts: there is no way on without encryption. Why PCR 7: docs/decisions/state-encryption.md.

use super::Guest;
use super::ini::Ini;
use super::initrd::ROOT;
use super::state;
use diorite_model::{Recipe, Result};

const SYSTEM: &str = "etc/systemd/system";
/// Looks for a TPM before anything is written.
pub(super) const SERVICE: &str = "diorite-state-tpm.service";
const PROGRAM: &str = "usr/lib/diorite/state-tpm";
/// Name of the opened volume in /dev/mapper.
pub(super) const NAME: &str = "var";

/// crypttab(5), the same in the initrd, which opens the volume, and in the image, which finds it open. `noauto`: it is
/// opened for the sake of the mount, not waited for before there is a partition. Somebody at the console has five
/// minutes for a recovery key, if one was enrolled; without one nobody is asked.
pub(super) fn crypttab(recipe: &Recipe) -> String {
    let partition = state::partition(recipe);
    format!("{NAME} PARTUUID={partition} - tpm2-device=auto,x-initrd.attach,noauto,timeout=5min\n")
}

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let mut put = |path: &str, mode, bytes: Vec<u8>| guest.file(&format!("{ROOT}/{path}"), mode, bytes);
    put("etc/crypttab", 0o600, crypttab(recipe).into_bytes())?;
    put(PROGRAM, 0o755, include_bytes!("state-tpm.sh").to_vec())?;
    put(&format!("{SYSTEM}/{SERVICE}"), 0o644, service().finish()?)?;
    let cryptsetup = format!("{SYSTEM}/systemd-cryptsetup@{NAME}.service.d/10-diorite.conf");
    put(&cryptsetup, 0o644, opening(recipe).finish()?)?;
    guest.link(&format!("{ROOT}/{SYSTEM}/initrd-root-fs.target.wants/{SERVICE}"), &format!("../{SERVICE}"))
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
        .set("OnFailure", "emergency.target")
        .set("OnFailureJobMode", "replace-irreversibly")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("StandardOutput", "journal+console")
        .set("ExecStart", format!("/usr/bin/sh /{PROGRAM} machine"))
}

/// What systemd-cryptsetup-generator(8) makes of the crypttab, and what we add to it.
fn opening(recipe: &Recipe) -> Ini {
    let partition = format!("/dev/disk/by-partuuid/{}", state::partition(recipe));
    Ini::new()
        .section("Unit")
        // Not required: the end of the initrd stops that service, and the volume has to stay open.
        .set("Wants", SERVICE)
        .set("After", SERVICE)
        .set("OnFailure", "emergency.target")
        .set("OnFailureJobMode", "replace-irreversibly")
        .section("Service")
        .set("StandardOutput", "journal+console")
        .set("ExecStartPre", format!("/usr/bin/sh /{PROGRAM} partition {partition}"))
        .set("ExecStopPost", format!("/usr/bin/sh /{PROGRAM} opened {partition}"))
}
