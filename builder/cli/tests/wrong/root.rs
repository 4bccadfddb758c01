//! What is wrong with the root itself, and how it was started.

use super::{Image, Wrong, right, table::NONE};

/// The root itself.
pub const UNVERIFIED: Image = Image {
    name: "unverified",
    right: right::PROFILE,
    skip: &["untouched", "clones-differ"],
    wrongs: &[
        Wrong {
            what: "a root that nothing verifies",
            files: &[
                ("etc/systemd/system-generators/systemd-veritysetup-generator", "-> /dev/null"),
                ("usr/lib/diorite/initrd/etc/systemd/system-generators/systemd-veritysetup-generator", "-> /dev/null"),
                (
                    "usr/lib/diorite/initrd/etc/systemd/system/initrd-root-device.target.d/50-root-device.conf",
                    "[Unit]\nRequires=dev-disk-by\\x2dpartlabel-server_1.device\n\
                     After=dev-disk-by\\x2dpartlabel-server_1.device\n",
                ),
                (
                    "usr/lib/diorite/initrd/etc/systemd/system/sysroot.mount",
                    "[Unit]\nBefore=initrd-root-fs.target\n[Mount]\nWhat=/dev/disk/by-partlabel/server_1\n\
                     Where=/sysroot\nType=erofs\nOptions=ro\n",
                ),
            ],
            caught: &[
                ("root-verity", "/dev/vda2 erofs"),
                ("tamper-refused", "the machine came up"),
                ("metrics-image", "slot=\"unknown\""),
            ],
            ..NONE
        },
        Wrong {
            what: "a boot that is never blessed",
            files: &[("etc/systemd/system/systemd-bless-boot.service", "-> /dev/null")],
            caught: &[("boot-blessed", "+")],
            ..NONE
        },
        Wrong {
            what: "another time zone",
            files: &[("etc/localtime", "-> /usr/share/zoneinfo/Europe/Vienna")],
            caught: &[("timezone", "")],
            ..NONE
        },
    ],
};
