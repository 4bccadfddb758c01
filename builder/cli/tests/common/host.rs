//! What a test does to the host, seen by itself and its children alone: a mount table of its own, small file systems,
//! and a machine with another /usr and /etc.
#![allow(dead_code)]

use super::harness::{Ignored, ignored};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::mount::{mount, mount_bind, mount_bind_recursive, mount_change, mount_remount, unmount};
use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// A child that sees a small, fresh tmpfs at `place`; as somebody else than root by way of a user namespace.
pub fn with_tmpfs(command: &mut Command, place: &Path, options: &'static str, flags: libc::c_ulong) {
    let place = CString::new(place.display().to_string()).expect("a path");
    let options = CString::new(options).expect("options");
    // SAFETY: asks for ids.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    // Who is nobody in a namespace may make no files there.
    let own = |id: u32| CString::new(format!("{id} {id} 1")).expect("a map");
    let maps = [
        (c"/proc/self/setgroups", c"deny".to_owned()),
        (c"/proc/self/uid_map", own(uid)),
        (c"/proc/self/gid_map", own(gid)),
    ];
    // SAFETY: between fork and exec only system calls on memory made before.
    unsafe {
        command.pre_exec(move || {
            let ok = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
            if uid == 0 {
                ok(libc::unshare(libc::CLONE_NEWNS))?;
            } else {
                ok(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUSER))?;
                for (file, map) in &maps {
                    let to = libc::open(file.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                    let length = map.as_bytes().len();
                    if libc::write(to, map.as_ptr().cast(), length) != length as isize {
                        return Err(io::Error::last_os_error());
                    }
                    libc::close(to);
                }
            }
            ok(libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ))?;
            ok(libc::mount(c"tmpfs".as_ptr(), place.as_ptr(), c"tmpfs".as_ptr(), flags, options.as_ptr().cast()))
        });
    }
}

/// Whether this host lets a test mount something for its child.
pub fn may_mount(somewhere: &Path) -> Result<(), Ignored> {
    let mut command = Command::new("/bin/true");
    with_tmpfs(&mut command, somewhere, "size=64k", 0);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        other => ignored(format!("this host lets a test mount nothing, not even in a namespace of its own: {other:?}")),
    }
}

/// Runs a job on a thread whose mount table is a copy of ours: what it mounts, only it and its children see, and it
/// ends with them. Only root can do that to a single thread.
pub fn apart<T: Send>(job: impl FnOnce() -> T + Send) -> Result<T, Ignored> {
    if !super::root() {
        return ignored("only root can give a test a mount table of its own");
    }
    let thread = std::thread::scope(|scope| {
        let run = || {
            // SAFETY: unshare(2) concerns this thread alone, which nobody else uses.
            match unsafe { libc::unshare(libc::CLONE_NEWNS) } {
                0 => {}
                _ => return ignored(format!("root may unshare no mount table here: {}", io::Error::last_os_error())),
            }
            mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).expect("private mounts");
            Ok(job())
        };
        scope.spawn(run).join()
    });
    thread.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A tmpfs of this size (`64k`, `20m`) at a directory, for use within [`apart`].
pub fn small(place: &Path, size: &str) {
    let options = CString::new(format!("size={size},mode=0755")).expect("options");
    mount("tmpfs", place, "tmpfs", MountFlags::empty(), options.as_c_str()).expect("a tmpfs");
}

/// Gives a tmpfs of [`small`] another size.
pub fn resize(place: &Path, size: &str) {
    mount_remount(place, MountFlags::empty(), format!("size={size}").as_str()).expect("another size");
}

/// Shows one directory at another place as well.
pub fn bind(from: &Path, to: &Path) {
    mount_bind(from, to).expect("a bind mount");
}

/// Someone who owns nothing on the host but a range of ids.
pub const PERSON: (&str, u32, u32) = ("builder", 1000, 1000);

/// Makes this thread's root (within [`apart`]) that of a machine where Debian's package `uidmap` is installed: /usr is
/// the tools tree's, newuidmap and newgidmap are set-user-ID root as that package has them, /etc knows [`PERSON`] with
/// 65536 ids besides, `project` is at /project. /proc, /dev and /sys stay the host's. `root` is an empty directory.
pub fn machine_with_uidmap(root: &Path, tools: &Path, project: &Path) {
    small(root, "16m");
    for name in ["usr", "etc", "proc", "dev", "sys", "tmp", "project", "helpers", "old"] {
        fs::create_dir(root.join(name)).expect("a directory");
    }
    fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777)).expect("permissions");
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).expect("a link");
    }
    let (name, uid, gid) = PERSON;
    let write = |file: &str, text: String| fs::write(root.join("etc").join(file), text).expect("a file of /etc");
    write("passwd", format!("root:x:0:0::/root:/bin/sh\n{name}:x:{uid}:{gid}::/project:/bin/sh\n"));
    write("group", format!("root:x:0:\n{name}:x:{gid}:\n"));
    write("subuid", format!("{name}:100000:65536\n"));
    write("subgid", format!("{name}:100000:65536\n"));
    bind(&tools.join("usr"), &root.join("usr"));
    mount_bind_recursive(project, root.join("project")).expect("the project and what is mounted in it");
    for name in ["proc", "dev", "sys"] {
        mount_bind_recursive(Path::new("/").join(name), root.join(name)).expect("the host's own");
    }
    for program in ["newuidmap", "newgidmap"] {
        let (from, copy) = (tools.join("usr/bin").join(program), root.join("helpers").join(program));
        fs::copy(from, &copy).expect("a program of the package uidmap");
        fs::set_permissions(&copy, Permissions::from_mode(0o4755)).expect("permissions");
        bind(&copy, &root.join("usr/bin").join(program));
    }
    rustix::process::pivot_root(root, root.join("old").as_path()).expect("another root");
    std::env::set_current_dir("/").expect("the new root");
    unmount("/old", UnmountFlags::DETACH).expect("the old root goes");
}
