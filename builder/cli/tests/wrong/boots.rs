//! Disks whose machines do not get through their boot.

use super::table::{ASIDE, NONE};
use super::{Image, Wrong, right};

/// A job of the early boot never ends: no card gets its driver, and the console says the same line over and over.
pub const HUNG: Image = Image {
    name: "hung",
    right: right::PROFILE,
    skip: ASIDE,
    wrongs: &[Wrong {
        what: "a machine that hangs in its boot",
        files: &[(
            "usr/lib/systemd/system/wrong-wait.service",
            "[Unit]\nDefaultDependencies=no\nBefore=sysinit.target network-pre.target systemd-udevd.service\n\
             [Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n\
             [Install]\nWantedBy=sysinit.target\n",
        )],
        caught: &[],
        ..NONE
    }],
};

/// A program of a container that ends at once: the image's own gate restarts the machine.
pub const RESTARTS: Image = Image {
    name: "restarts",
    right: right::PROFILE,
    skip: ASIDE,
    wrongs: &[Wrong {
        what: "a container that cannot start",
        edits: &[("\"busybox\", \"sleep\", \"1000000\"", "\"busybox\", \"false\"")],
        caught: &[],
        ..NONE
    }],
};
