//! What this program does when it is not started as `diorite`: jobs in a child that owns every id, and programs of a
//! Debian tree that it stands in for.

use crate::build;
use diorite_host::multicall::Applet;
use diorite_host::sandbox::Job;
use diorite_model::Exit;
use std::ffi::OsString;
use std::process::ExitCode;

/// Jobs that run in a child that owns every id.
pub const INSIDE: &[(&str, Job)] = build::INSIDE;

/// Programs of a Debian tree that this one stands in for while packages are configured.
pub const STANDINS: &[(&str, Applet)] = &[
    ("deb-systemd-helper", |arguments| stand_in("deb-systemd-helper", arguments)),
    ("update-ca-certificates", |arguments| stand_in("update-ca-certificates", arguments)),
];

fn stand_in(name: &str, arguments: &[OsString]) -> ExitCode {
    let arguments: Vec<String> = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let code = diorite_rootfs::helpers::dispatch(name, &arguments).unwrap_or(Exit::Bug as i32);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
