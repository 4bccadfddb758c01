//! The config drive: values that a machine has of its own (its name, its addresses, its secrets) on a disc that somebody
//! has signed whose key the image knows, or on one that nobody has signed where the image takes that. The initrd leaves them where PID 1 takes credentials from after it has gone over
//! to the real root (systemd.system-credentials(7)), so that everything which reads credentials reads these too.

use super::Guest;
use super::ini::Ini;
use super::initrd::ROOT;
use super::nocloud;
use diorite_model::instance::NAMESPACE;
use diorite_model::{Recipe, Result};

const SYSTEM: &str = "etc/systemd/system";
const SERVICE: &str = "diorite-config-drive.service";
/// A service that works in another root has no way to other services' credentials, so that a second one hands them over.
const HANDS_OVER: &str = "diorite-config-drive-values.service";
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
    for (name, service) in [(SERVICE, service(&programs)), (HANDS_OVER, hands_over())] {
        guest.file(&format!("{ROOT}/{SYSTEM}/{name}"), 0o644, service.finish()?)?;
        guest.link(&format!("{ROOT}/{SYSTEM}/initrd.target.wants/{name}"), &format!("../{name}"))?;
    }
    let copy = format!("C {CREDENTIALS} 0700 root root - {TAKEN}/credentials\n");
    guest.file(&format!("{ROOT}/usr/lib/diorite/config-drive-keep.conf"), 0o644, copy)?;
    guest.file(&format!("{ROOT}/usr/lib/diorite/config-drive-forget.conf"), 0o644, format!("R {TAKEN}\n"))?;
    guest.file(&format!("{ROOT}/usr/lib/modules-load.d/diorite-config-drive.conf"), 0o644, "isofs\n")
}

fn service(programs: &[&str]) -> Ini {
    unit("Take this machine's own values from its config drive")
        .set("Requires", "sysroot.mount")
        .set("After", "sysroot.mount systemd-modules-load.service systemd-udev-trigger.service initrd-root-fs.target")
        .set("OnFailure", "emergency.target")
        .set("OnFailureJobMode", "replace-irreversibly")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("StandardOutput", "journal+console")
        .set("RootDirectory", "/sysroot")
        .set("MountAPIVFS", "yes")
        .set("BindPaths", "/run")
        .each("ExecStart", programs.iter().map(|program| format!("/{program}")))
}

fn hands_over() -> Ini {
    let tmpfiles = |what: &str, file: &str| {
        format!("/usr/bin/systemd-tmpfiles --{what} /usr/lib/diorite/config-drive-{file}.conf")
    };
    unit("Hand this machine's own values over as credentials")
        .set("ConditionPathExists", format!("{TAKEN}/credentials"))
        .set("Requires", SERVICE)
        .set("After", SERVICE)
        .set("OnFailure", "emergency.target")
        .set("OnFailureJobMode", "replace-irreversibly")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
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
