//! The root: verified, read-only, and booted from an entry that is known to be good.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    output::mount,
};
use diorite_machine::Output;

/// /proc/mounts, then what [`root`] reads of the root's device.
const ROOT: &str = "cat /proc/mounts; echo \"dm:$(cat /sys/dev/block/$(mountpoint -d /)/dm/uuid)\"";

/// Nothing can write to it.
pub fn checks() -> Vec<Check> {
    let mut all = vec![Check::script("root-verity", "the root is a read-only EROFS on dm-verity", ROOT, root)];
    for (name, path) in [("etc", "/etc"), ("usr", "/usr"), ("root", "")] {
        let what = format!("{} is not writable", if path.is_empty() { "/" } else { path });
        all.push(Check::script(format!("write-{name}-refused"), what, format!("touch {path}/diorite-verify"), refused));
    }
    // The remount may be answered with success and change nothing: only writing shows.
    let remount = "mount -o remount,rw /; touch /diorite-verify";
    all.push(Check::script("remount-refused", "the root cannot be remounted writable", remount, refused));
    all
}

/// The boot loader counts no tries any more.
pub fn boot_entry() -> Check {
    let list = "ls -1 /boot/EFI/Linux /efi/EFI/Linux 2>/dev/null";
    Check::script("boot-blessed", "the boot entry is blessed: its boot counter is gone", list, blessed)
}

/// /proc/mounts, then a line `dm:UUID` with the root device's dm/uuid from sysfs (dm-verity's begin with
/// `CRYPT-VERITY-`).
fn root(output: &Output) -> Judged {
    let Some((device, kind, options)) = mount(&output.text, "/") else { return Err(short(&output.text)) };
    let uuid = output.text.lines().find_map(|line| line.strip_prefix("dm:")).unwrap_or("none");
    let good = kind == "erofs" && options.contains(&"ro") && uuid.starts_with("CRYPT-VERITY-");
    verdict(good, format!("{device} {kind} {}, device mapper {uuid}", options.join(",")))
}

/// A command that must fail because the file system is read-only (EROFS, errno(3)).
fn refused(output: &Output) -> Judged {
    let read_only = output.text.contains("Read-only file system") || output.text.contains("write-protected");
    verdict(!output.success() && read_only, short(&output.text))
}

/// Names in /EFI/Linux of the boot partition: `NAME+LEFT-DONE.efi` counts tries, systemd-boot(7).
fn blessed(output: &Output) -> Judged {
    let entries: Vec<&str> = output.text.lines().filter(|line| line.ends_with(".efi")).collect();
    let good = !entries.is_empty() && entries.iter().all(|name| !name.contains('+'));
    verdict(good, short(&output.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(status: i32, text: &str) -> Output {
        Output { status, text: text.to_owned() }
    }

    const MOUNTS: &str = "/dev/mapper/root / erofs ro,relatime,user_xattr 0 0\nproc /proc proc rw 0 0\n\
                          /dev/vda6 /var ext4 rw,nosuid,nodev 0 0\n";

    #[test]
    fn the_root() {
        let with = |mounts: &str, uuid: &str| root(&out(0, &format!("{mounts}dm:{uuid}")));
        assert!(with(MOUNTS, "CRYPT-VERITY-0123-root").is_ok());
        assert!(with(MOUNTS, "CRYPT-LUKS2-0123-root").is_err(), "another mapping");
        assert!(with(MOUNTS, "").is_err(), "no mapping");
        assert!(with(&MOUNTS.replace("erofs ro", "erofs rw"), "CRYPT-VERITY-1").is_err(), "writable");
        assert!(with(&MOUNTS.replace("erofs", "ext4"), "CRYPT-VERITY-1").is_err(), "another file system");
        let covered = format!("{MOUNTS}overlay / overlay rw 0 0\n");
        assert!(with(&covered, "CRYPT-VERITY-1").is_err(), "something writable on top");
    }

    #[test]
    fn refusals() {
        assert!(refused(&out(1, "touch: cannot touch '/etc/x': Read-only file system")).is_ok());
        assert!(refused(&out(32, "mount: /: cannot remount /dev/mapper/root read-write, is write-protected.")).is_ok());
        assert!(refused(&out(0, "")).is_err(), "it was written");
        assert!(refused(&out(1, "touch: No space left on device")).is_err(), "refused for another reason");
    }

    #[test]
    fn an_entry_that_counts_tries_is_seen() {
        assert!(blessed(&out(0, "server_1.efi")).is_ok());
        for bad in ["server_1+3-0.efi", "server_1+2-1.efi", "server_1.efi\nserver_2+3-0.efi", "", "README"] {
            assert!(blessed(&out(0, bad)).is_err(), "{bad}");
        }
    }
}
