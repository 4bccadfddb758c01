//! Disks of mounts: how one is found, made and checked before it is mounted.

use crate::guest::Guest;
use crate::guest::ini::Ini;
use crate::guest::sandbox;
use crate::guest::units::escaped_path;
use diorite_model::recipe::{DiskMount, DiskName, FileSystem, Mount};
use diorite_model::{Error, Recipe, Result};
use std::fmt::Write;

/// The device that is mounted. udev(7) makes the links of labels and UUIDs; that of a serial number is made by [`rules`].
pub(super) fn device(name: &str, disk: &DiskMount) -> String {
    match &disk.name {
        DiskName::Label(label) => format!("/dev/disk/by-label/{label}"),
        DiskName::Uuid(uuid) => format!("/dev/disk/by-uuid/{uuid}"),
        DiskName::Serial(_) => format!("/dev/diorite/mounts/{name}"),
    }
}

fn maker(name: &str) -> String {
    format!("diorite-mount-{name}-create.service")
}

/// What the mount unit waits for; systemd.mount(5) adds the device itself.
pub(super) fn before(ini: Ini, name: &str, mount: &Mount, disk: &DiskMount, escaped: &str) -> Ini {
    let mut needed = Vec::new();
    if disk.create {
        needed.push(maker(name));
    }
    if disk.filesystem == FileSystem::Ext4 {
        needed.push(format!("systemd-fsck@{}.service", escaped_path(&device(name, disk))));
    }
    let ini = match needed.is_empty() {
        true => ini,
        false => ini.set("Requires", needed.join(" ")).set("After", needed.join(" ")),
    };
    // It follows its disk when that is made larger.
    if mount.read_only { ini } else { ini.set("Wants", format!("systemd-growfs@{escaped}.service")) }
}

pub(super) fn generate(guest: &mut Guest, name: &str, mount: &Mount, disk: &DiskMount) -> Result<()> {
    if !disk.create {
        return Ok(());
    }
    let path = device(name, disk);
    let escaped = escaped_path(&path);
    let mounted = escaped_path(&mount.directory());
    let ini = Ini::new()
        .section("Unit")
        .set("Description", format!("Make the file system of mount {name} if its disk is empty"))
        .set("DefaultDependencies", "no")
        .set("BindsTo", format!("{escaped}.device"))
        .set("After", format!("{escaped}.device"))
        .set("Before", format!("systemd-fsck@{escaped}.service {mounted}.mount shutdown.target"))
        .set("Conflicts", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("TimeoutSec", "infinity")
        // It leaves a disk alone on which libblkid(3) finds anything.
        .set("ExecStart", format!("/usr/lib/systemd/systemd-makefs {} {path}", disk.filesystem.name()));
    let device = format!("{path} rw");
    let open = [("PrivateTmp", ""), ("PrivateDevices", ""), ("DeviceAllow", device.as_str())];
    guest.unit(&maker(name), &sandbox::closed(ini, &open))
}

/// Links to disks by their serial numbers. Each bus has a property of its own for them.
pub(super) fn rules(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let mut text = String::new();
    for (name, mount) in &recipe.mounts {
        let Some(DiskMount { name: DiskName::Serial(serial), .. }) = mount.disk() else { continue };
        if !serial.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err(Error::bug(format!("{serial:?} cannot be a serial number")));
        }
        for key in ["ID_SERIAL", "ID_SERIAL_SHORT", "ID_SCSI_SERIAL"] {
            let _ = writeln!(
                text,
                "SUBSYSTEM==\"block\", ENV{{DEVTYPE}}==\"disk\", ENV{{{key}}}==\"{serial}\", SYMLINK+=\"diorite/mounts/{name}\""
            );
        }
    }
    if text.is_empty() { Ok(()) } else { guest.file("etc/udev/rules.d/70-diorite-mounts.rules", 0o644, text) }
}
