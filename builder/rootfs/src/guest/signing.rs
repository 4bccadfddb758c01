//! The table `[signing]`: a machine that was given another command line than the signed one does not start.
//!
//! systemd-stub(7) adds what the hypervisor says in SMBIOS strings to the command line, under Secure Boot too. The initrd, which
//! is signed, holds the signed line; no root is mounted before the two are the same. docs/decisions/secure-boot.md says what that
//! keeps out, and what it does not.

use super::Guest;
use super::ini::Ini;
use diorite_model::recipe::Signing;
use diorite_model::{Recipe, Result};

const UNIT: &str = "diorite-command-line.service";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.signing.is_none() {
        return Ok(());
    }
    guest.initrd_unit(UNIT, &compare())?;
    guest.initrd_wants("sysinit.target", UNIT)?;
    // A masked unit is a missing one: then there is no root.
    let after = Ini::new().section("Unit").set("Requires", UNIT).set("After", UNIT);
    guest.initrd_drop_in("sysroot.mount", "10-command-line", &after)
}

fn compare() -> Ini {
    Ini::new()
        .section("Unit")
        .set("Description", "Compare the kernel's command line with the signed one")
        .set("DefaultDependencies", "no")
        .set("Before", "sysroot.mount initrd-root-fs.target")
        .set("Conflicts", "shutdown.target")
        .set("OnFailure", "emergency.target")
        .set("OnFailureJobMode", "replace-irreversibly")
        .section("Service")
        // It does not remain: what stops it at the end of the initrd would stop the mount that requires it.
        .set("Type", "oneshot")
        .set("StandardOutput", "journal+console")
        .set("StandardError", "journal+console")
        .set("ExecStart", format!("/usr/bin/cmp /proc/cmdline /{}", Signing::COMMAND_LINE))
}
