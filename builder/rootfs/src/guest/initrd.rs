//! Files that the initrd gets on top of what it takes from the tree: everything below [`ROOT`] goes to its root.

use super::Guest;
use super::ini::Ini;
use super::{state, state_disk, state_tpm};
use diorite_model::{
    Recipe, Result,
    recipe::{Encryption, FileSystem, StateDisk},
};

/// Directory in the image whose content is laid over the initrd's root.
pub const ROOT: &str = "usr/lib/diorite/initrd";
const SYSTEM: &str = "etc/systemd/system";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    match recipe.state.disk {
        StateDisk::Same => {
            guest.file(&format!("{ROOT}/{}", state::REPART), 0o644, state::repart(recipe).finish()?)?;
        }
        StateDisk::Own => state_disk::generate(guest, recipe)?,
    }
    if recipe.state.encryption == Encryption::Tpm2 {
        state_tpm::generate(guest, recipe)?;
    }
    let filesystem = recipe.state.filesystem;
    if filesystem != FileSystem::Ext4 {
        let file = format!("{ROOT}/usr/lib/modules-load.d/diorite-state.conf");
        guest.file(&file, 0o644, format!("{}\n", filesystem.name()))?;
    }
    // The default host name is taken from here, before the root is there.
    let os_release = super::identity::os_release(guest, recipe)?;
    guest.file(&format!("{ROOT}/etc/os-release"), 0o644, os_release)?;
    let mut put = |path: &str, ini: Ini| guest.file(&format!("{ROOT}/{path}"), 0o644, ini.finish()?);
    // The root is a verity device: which disk to partition is known only once it is mounted.
    let after_root = Ini::new().section("Unit").set("After", "sysroot.mount").set("Requires", "sysroot.mount");
    put(&format!("{SYSTEM}/systemd-repart.service.d/10-diorite.conf"), after_root)?;
    if recipe.state.disk == StateDisk::Same {
        let maker = state_maker(recipe);
        if !maker.is_empty() {
            put(&format!("{SYSTEM}/systemd-repart.service.d/20-diorite-state.conf"), maker)?;
        }
    }
    put(&format!("{SYSTEM}/emergency.service"), emergency())?;
    // Where the firmware gives no identity, the one made up at first boot is kept on state: copied there once, copied
    // from there to memory, bound over the empty file. No shell is needed for it.
    put(&format!("{SYSTEM}/diorite-machine-id.service"), machine_id())?;
    let wants = format!("{ROOT}/{SYSTEM}/initrd.target.wants/diorite-machine-id.service");
    guest.link(&wants, "../diorite-machine-id.service")?;
    let keep = "d /sysroot/var/lib/diorite 0755 root root -\n\
                C /sysroot/var/lib/diorite/machine-id 0444 root root - /etc/machine-id\n";
    guest.file(&format!("{ROOT}/usr/lib/diorite/machine-id-keep.conf"), 0o644, keep)?;
    let take = "C /run/diorite-machine-id 0444 root root - /sysroot/var/lib/diorite/machine-id\n";
    guest.file(&format!("{ROOT}/usr/lib/diorite/machine-id-take.conf"), 0o644, take)
}

/// What the unit that makes the partition waits for and needs besides, if anything.
pub(super) fn state_maker(recipe: &Recipe) -> Ini {
    let mut ini = Ini::new();
    if recipe.state.encryption == Encryption::Tpm2 {
        ini = ini.section("Unit").set("Requires", state_tpm::SERVICE).set("After", state_tpm::SERVICE);
        ini = ini.set("OnFailure", "emergency.target").set("OnFailureJobMode", "replace-irreversibly");
    }
    match recipe.state.filesystem {
        // Always there.
        FileSystem::Ext4 => ini,
        // Whether it is here and works; the initrd takes along what its units start.
        other => ini.section("Service").set("ExecStartPre", format!("/usr/sbin/mkfs.{} -V", other.name())),
    }
}

/// A failed initrd restarts the machine: then the boot counter of this entry runs down, and the other slot gets its turn.
fn emergency() -> Ini {
    Ini::new()
        .section("Unit")
        .set("Description", "Restart, so that the boot counter runs down")
        .set("DefaultDependencies", "no")
        .set("Conflicts", "shutdown.target")
        .set("Before", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("StandardOutput", "tty")
        .set("TTYPath", "/dev/console")
        .set("ExecStartPre", "-/usr/bin/systemctl --failed --no-pager")
        .set("ExecStartPre", "-/usr/bin/journalctl -b -p warning --no-pager -n 40")
        .set("ExecStart", "/usr/bin/systemctl --force reboot")
}

fn machine_id() -> Ini {
    let tmpfiles = |file: &str| format!("/usr/bin/systemd-tmpfiles --create /usr/lib/diorite/{file}");
    Ini::new()
        .section("Unit")
        .set("Description", "Keep the machine's identity on state")
        .set("DefaultDependencies", "no")
        // In a virtual machine with a UUID of its own PID 1 takes that one by itself, machine-id(5).
        .set("ConditionPathExists", "|!/sys/class/dmi/id/product_uuid")
        .set("ConditionVirtualization", "|!vm")
        .set("RequiresMountsFor", "/sysroot/var")
        .set("After", "initrd-fs.target")
        .set("Before", "initrd.target initrd-cleanup.service initrd-switch-root.target")
        .set("Conflicts", "initrd-switch-root.target shutdown.target")
        .set("OnFailure", "emergency.target")
        .set("OnFailureJobMode", "replace-irreversibly")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("ExecStart", tmpfiles("machine-id-keep.conf"))
        .set("ExecStart", tmpfiles("machine-id-take.conf"))
        .set("ExecStart", "/usr/bin/mount --bind /run/diorite-machine-id /sysroot/etc/machine-id")
        .set("ExecStart", "/usr/bin/mount -o remount,bind,ro /sysroot/etc/machine-id")
}
