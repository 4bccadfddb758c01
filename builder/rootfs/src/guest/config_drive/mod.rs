//! The table `[config_drive]`: values of a machine's own (its name, its addresses, its secrets) on an ISO image that one
//! of the image's trusted keys has signed or, where the profile allows it, on an unsigned one.
//!
//! The initrd reads them and leaves them where PID 1 takes credentials from after it has gone over to the real root
//! (systemd.system-credentials(7)), so that everything which reads credentials reads these too.

mod nocloud;

use crate::guest::Guest;
use crate::guest::ini::Ini;
use diorite_model::instance::NAMESPACE;
use diorite_model::{Recipe, Result};

const SERVICE: &str = "diorite-config-drive.service";
/// A service with a root directory of its own has no way to other services' credentials: this one hands them over.
const HANDOVER: &str = "diorite-config-drive-values.service";
const PROGRAM: &str = "usr/lib/diorite/config-drive";
/// Where [`PROGRAM`] leaves what it has taken.
const TAKEN: &str = "/run/diorite-config-drive";
/// Where PID 1 takes credentials from after it has gone over to the real root (systemd, import-creds.c).
const CREDENTIALS: &str = "/run/credentials/@initrd";
const SIGNERS: &str = "usr/lib/diorite/config-drive-signers";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let Some(config_drive) = &recipe.config_drive else { return Ok(()) };
    let mut programs = Vec::new();
    if !config_drive.signers.is_empty() {
        // ssh-keygen(1), "ALLOWED SIGNERS".
        let signer = |key: &String| format!("diorite namespaces=\"{NAMESPACE}\" {key}\n");
        guest.file(SIGNERS, 0o644, config_drive.signers.iter().map(signer).collect::<String>())?;
        guest.file(PROGRAM, 0o755, include_bytes!("config-drive.sh").to_vec())?;
        programs.push(PROGRAM);
    }
    // Last: what is signed is worth more.
    if config_drive.nocloud {
        nocloud::generate(guest, recipe)?;
        programs.push(nocloud::PROGRAM);
    }
    for (name, service) in [(SERVICE, reader_unit(&programs)), (HANDOVER, handover_unit())] {
        guest.initrd_unit(name, &service)?;
        guest.initrd_wants("initrd.target", name)?;
    }
    let copy = format!("C {CREDENTIALS} 0700 root root - {TAKEN}/credentials\n");
    guest.initrd_file("usr/lib/diorite/config-drive-keep.conf", 0o644, copy)?;
    guest.initrd_file("usr/lib/diorite/config-drive-forget.conf", 0o644, format!("R {TAKEN}\n"))?;
    guest.initrd_file("usr/lib/modules-load.d/diorite-config-drive.conf", 0o644, "isofs\n")
}

fn reader_unit(programs: &[&str]) -> Ini {
    unit("Take this machine's own values from its config drive")
        .set("Requires", "sysroot.mount")
        .set("After", "sysroot.mount systemd-modules-load.service systemd-udev-trigger.service initrd-root-fs.target")
        .once_or_emergency()
        .set("StandardOutput", "journal+console")
        .set("RootDirectory", "/sysroot")
        .set("MountAPIVFS", "yes")
        .set("BindPaths", "/run")
        .each("ExecStart", programs.iter().map(|program| format!("/{program}")))
}

fn handover_unit() -> Ini {
    let tmpfiles = |what: &str, file: &str| {
        format!("/usr/bin/systemd-tmpfiles --{what} /usr/lib/diorite/config-drive-{file}.conf")
    };
    unit("Hand this machine's own values over as credentials")
        .set("ConditionPathExists", format!("{TAKEN}/credentials"))
        .set("Requires", SERVICE)
        .set("After", SERVICE)
        .once_or_emergency()
        .set("ExecStart", tmpfiles("create", "keep"))
        .set("ExecStart", tmpfiles("remove", "forget"))
}

fn unit(description: &str) -> Ini {
    Ini::new()
        .section("Unit")
        .set("Description", description)
        .set("DefaultDependencies", "no")
        .set("Before", "initrd.target initrd-cleanup.service initrd-switch-root.target")
        .set("Conflicts", "initrd-switch-root.target shutdown.target")
}
