//! State on a disk of its own: which disk that is, and its partition, in the initrd.
//!
//! udev(7) says of every disk whether something is on it, of every partition whether it is this image's state, and marks
//! both. Then a service looks at the marks once all devices have appeared, and takes a disk only where there is no doubt:
//! the one that holds this image's state, or else the only empty one. Everything else ends the boot.

use super::partition;
use crate::guest::Guest;
use crate::guest::ini::Ini;
use diorite_model::{Recipe, Result};

const SERVICE: &str = "diorite-state-disk.service";
/// In the initrd. Not below repart.d: systemd-repart.service would look for it on the disk of the image.
const PROGRAM: &str = "usr/lib/diorite/state-disk";
const DEFINITIONS: &str = "usr/lib/diorite/state-disk.d";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    guest.initrd_file(&format!("{DEFINITIONS}/50-var.conf"), 0o644, partition::definition(recipe).finish()?)?;
    guest.initrd_file("etc/udev/rules.d/70-diorite-state.rules", 0o644, rules(recipe))?;
    guest.initrd_file(PROGRAM, 0o755, include_bytes!("state-disk.sh").to_vec())?;
    guest.initrd_unit(SERVICE, &service())?;
    let maker = partition::maker(recipe);
    if !maker.is_empty() {
        guest.initrd_drop_in(SERVICE, "20-diorite-state", &maker)?;
    }
    guest.initrd_wants("initrd-root-fs.target", SERVICE)
}

/// udev(7), after 60-persistent-storage.rules has asked libblkid. A disk with several signatures is ambivalent and has
/// no type. The only value from the recipe is a UUID.
fn rules(recipe: &Recipe) -> String {
    let unknown = ["ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_AMBIVALENT", "ID_PART_TABLE_TYPE"];
    let unknown = unknown.map(|key| format!("ENV{{{key}}}==\"\"")).join(", ");
    format!(
        "ACTION==\"remove\", GOTO=\"diorite_state_end\"\n\
         SUBSYSTEM!=\"block\", GOTO=\"diorite_state_end\"\n\
         ENV{{DEVTYPE}}==\"partition\", ENV{{ID_PART_ENTRY_UUID}}==\"{}\", \
         SYMLINK+=\"diorite/state/%k diorite/candidate\"\n\
         ENV{{DEVTYPE}}!=\"disk\", GOTO=\"diorite_state_end\"\n\
         KERNEL!=\"sd*|vd*|xvd*|nvme*|mmcblk*\", GOTO=\"diorite_state_end\"\n\
         ATTR{{size}}!=\"0\", ATTR{{ro}}==\"0\", ATTR{{removable}}==\"0\", {unknown}, \
         SYMLINK+=\"diorite/blank/%k diorite/candidate\"\n\
         LABEL=\"diorite_state_end\"\n",
        partition::id(recipe)
    )
}

/// Before the file systems of the root's fstab(5) are waited for: its messages come before their time-outs.
fn service() -> Ini {
    let candidate = "dev-diorite-candidate.device";
    Ini::new()
        .section("Unit")
        .set("Description", "Find the disk for state")
        .set("DefaultDependencies", "no")
        // Waited for; when it does not come, the program says so.
        .set("Wants", candidate)
        // Nothing is written for a root that does not verify.
        .set("Requires", "sysroot.mount")
        .set("After", format!("sysroot.mount {candidate} systemd-udevd.service systemd-udev-trigger.service"))
        .set("Before", "initrd-root-fs.target initrd-fs.target")
        .set("Conflicts", "initrd-switch-root.target shutdown.target")
        .once_or_emergency()
        .set("StandardOutput", "journal+console")
        // That cmp(1), which tells an empty disk from another, is here and works.
        .set("ExecStartPre", "/usr/bin/cmp --silent --bytes=512 /dev/zero /dev/zero")
        .set("ExecStart", format!("/usr/bin/sh /{PROGRAM}"))
}
