//! What every initrd gets on top of what it takes from the tree: a restart instead of an emergency shell, and the
//! machine's identity kept on state.

use super::Guest;
use super::image;
use super::ini::Ini;
use diorite_model::{Recipe, Result};

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    // The default host name is taken from here, before the root is there.
    let os_release = image::os_release(guest, recipe)?;
    guest.initrd_file("etc/os-release", 0o644, os_release)?;
    guest.initrd_unit("emergency.service", &emergency())?;
    // Where the firmware gives no identity, the one made up at first boot is kept on state: copied there once, copied
    // from there to memory, bound over the empty file. No shell is needed for it.
    guest.initrd_unit(MACHINE_ID, &machine_id())?;
    guest.initrd_wants("initrd.target", MACHINE_ID)?;
    let keep = "d /sysroot/var/lib/diorite 0755 root root -\n\
                C /sysroot/var/lib/diorite/machine-id 0444 root root - /etc/machine-id\n";
    guest.initrd_file("usr/lib/diorite/machine-id-keep.conf", 0o644, keep)?;
    let take = "C /run/diorite-machine-id 0444 root root - /sysroot/var/lib/diorite/machine-id\n";
    guest.initrd_file("usr/lib/diorite/machine-id-take.conf", 0o644, take)
}

const MACHINE_ID: &str = "diorite-machine-id.service";

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
        .once_or_emergency()
        .set("ExecStart", tmpfiles("machine-id-keep.conf"))
        .set("ExecStart", tmpfiles("machine-id-take.conf"))
        .set("ExecStart", "/usr/bin/mount --bind /run/diorite-machine-id /sysroot/etc/machine-id")
        .set("ExecStart", "/usr/bin/mount -o remount,bind,ro /sysroot/etc/machine-id")
}
