//! What a tool sees: a root in memory with the tree's /usr and the files it was given.

use super::ToolsTree;
use crate::sandbox::launch::{Op, c};
use crate::sandbox::{CAPABILITIES, DEVICE_LINKS, DEVICES, Ids, Operations, locked_flags};
use diorite_model::{Error, Result};
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

/// How a tool can be isolated here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Isolation {
    /// In namespaces; in a user namespace with these ids, if any.
    Namespaces(Option<Ids>),
    /// Not at all: started by the tree's own loader.
    Loader,
}

/// Found by trying, once per process.
pub(super) fn isolation() -> &'static Isolation {
    static ISOLATION: std::sync::OnceLock<Isolation> = std::sync::OnceLock::new();
    ISOLATION.get_or_init(|| {
        let candidates = match rustix::process::geteuid().is_root() {
            true => vec![None, Some(Ids::Direct), Some(Ids::Own)],
            false => vec![Some(Ids::Own)],
        };
        let wanted = std::env::var("DIORITE_SANDBOX").is_ok_and(|v| v == "chroot");
        let found = candidates.into_iter().find(|ids| !wanted && crate::sandbox::try_namespaces(ids.clone()).is_ok());
        found.map_or(Isolation::Loader, Isolation::Namespaces)
    })
}

/// A path to show: where, and whether it may be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VisiblePath {
    pub path: PathBuf,
    pub writable: bool,
}

/// Where the new root is built, once the host's root is at /old.
const NEW: &str = "/new";

/// The operations, in the manner of bubblewrap: a tmpfs becomes the root, the host moves to /old, the new root is
/// built beside it and pivoted into, and the host is let go.
pub(super) fn operations(tools: &ToolsTree, shown: &[VisiblePath], cwd: &Path) -> Result<Vec<(String, Op)>> {
    let mut list = Operations(Vec::new());
    let root = tools.root();
    let base = ["/tmp", "/run", "/mnt", "/var"].into_iter().find(|p| Path::new(p).is_dir()).unwrap_or("/proc");
    list.mount("", Path::new("/"), "", libc::MS_REC | libc::MS_PRIVATE, "");
    list.add("umask", Op::Umask(0));
    let plain = libc::MS_NOSUID | libc::MS_NODEV;
    list.mount("tmpfs", Path::new(base), "tmpfs", plain, "mode=755");
    let base = Path::new(base);
    list.mkdir(&base.join("new"), 0o755);
    list.mkdir(&base.join("old"), 0o755);
    list.add("pivot_root", Op::PivotInto(c(base), c(base.join("old"))));
    let new = Path::new(NEW);
    list.mount("tmpfs", new, "tmpfs", plain, "mode=755");
    for (name, mode) in
        [("proc", 0o755), ("dev", 0o755), ("etc", 0o755), ("run", 0o755), ("tmp", 0o1777), ("var", 0o755)]
    {
        list.mkdir(&new.join(name), mode);
    }
    for name in ["var/lib", "var/tmp", "var/cache"] {
        list.mkdir(&new.join(name), 0o755);
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        list.add(&format!("link /{name}"), Op::Symlink(c(format!("usr/{name}")), c(new.join(name))));
    }
    list.mkdir(&new.join("usr"), 0o755);
    show(&mut list, &root.join("usr"), &new.join("usr"), false);
    configuration(&mut list, root, new);
    devices(&mut list, new);
    list.mount("proc", &new.join("proc"), "proc", plain | libc::MS_NOEXEC, "");
    let tree = VisiblePath { path: root.to_owned(), writable: false };
    // Outer paths first, so that what lies within them is shown on top of them.
    let mut shown: Vec<VisiblePath> = shown.iter().cloned().chain([tree]).collect();
    shown.sort();
    for VisiblePath { path, writable } in shown {
        let source = fs::canonicalize(&path).map_err(|e| Error::io("a file given to a tool is missing", &path, e))?;
        let target = inside(&path);
        for directory in target.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev().filter(|f| f.starts_with(NEW))
        {
            list.mkdir(directory, 0o755);
        }
        match source.is_dir() {
            true => list.mkdir(&target, 0o755),
            false => list.touch(&target),
        }
        show(&mut list, &source, &target, writable);
    }
    list.add("pivot_root", Op::Pivot(c(NEW)));
    list.add("host name", Op::Hostname(c("localhost")));
    list.add("umask", Op::Umask(0o022));
    list.add(&format!("chdir {}", cwd.display()), Op::Chdir(c(cwd)));
    list.add("capabilities", Op::Capabilities(CAPABILITIES));
    Ok(list.0)
}

/// A host path under the new root.
fn inside(path: &Path) -> PathBuf {
    Path::new(NEW).join(path.strip_prefix("/").unwrap_or(path))
}

/// Binds a host path, which now lies under /old.
fn show(list: &mut Operations, host: &Path, target: &Path, writable: bool) {
    let old = Path::new("/old").join(host.strip_prefix("/").unwrap_or(host));
    list.bind(&old, target, libc::MS_REC);
    if !writable {
        let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | locked_flags(host);
        list.mount("", target, "", flags, "");
    }
}

/// /etc: what the tree's packages ship, and an account for whoever we are (ssh(1) insists on one).
fn configuration(list: &mut Operations, root: &Path, new: &Path) {
    let names = fs::read_dir(root.join("etc")).into_iter().flatten().flatten().map(|e| e.file_name());
    let mut names: Vec<_> =
        names.filter(|n| !["passwd", "group", "hostname", "hosts"].contains(&&*n.to_string_lossy())).collect();
    names.sort();
    for name in names {
        let link = new.join("etc").join(&name);
        list.add(&format!("link {}", link.display()), Op::Symlink(c(root.join("etc").join(&name)), c(link)));
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut passwd = "root:x:0:0:root:/tmp:/bin/sh\n".to_owned();
    let mut group = "root:x:0:\n".to_owned();
    if uid != 0 {
        passwd += &format!("user:x:{uid}:{gid}:user:/tmp:/bin/sh\n");
        group += &format!("user:x:{gid}:\n");
    }
    passwd += "nobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n";
    group += "nogroup:x:65534:\n";
    for (name, text) in [("passwd", passwd), ("group", group)] {
        list.add(&format!("write /etc/{name}"), Op::Write(c(new.join("etc").join(name)), text.into_bytes()));
    }
}

/// /dev with the usual nodes, and KVM where the host has it.
fn devices(list: &mut Operations, new: &Path) {
    let dev = new.join("dev");
    let mut names: Vec<&str> = DEVICES.map(|(name, ..)| name).into();
    if Path::new("/dev/kvm").exists() {
        names.push("kvm");
    }
    for name in names {
        list.touch(&dev.join(name));
        list.bind(&Path::new("/old/dev").join(name), &dev.join(name), 0);
    }
    for (name, target) in DEVICE_LINKS {
        list.add(&format!("link /dev/{name}"), Op::Symlink(c(target), c(dev.join(name))));
    }
    list.mkdir(&dev.join("shm"), 0o1777);
}

/// Program and arguments, and additions to the environment.
type LoaderCommand = (Vec<CString>, Vec<(&'static str, PathBuf)>);

/// Where tools have their libraries. A DT_RUNPATH (ld.so(8)) is an absolute path, which means the host's directory here.
const LIBRARIES: [&str; 5] = [
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/swtpm",
    "usr/lib/x86_64-linux-gnu/systemd",
    "usr/lib",
    "usr/libexec/sudo",
];

/// Program and arguments through the tree's loader, and what the environment needs then.
pub(super) fn via_loader(tools: &ToolsTree, tool: super::Tool) -> Result<LoaderCommand> {
    let root = tools.root();
    let path = LIBRARIES.map(|p| root.join(p).into_os_string()).join(std::ffi::OsStr::new(":"));
    let loader = tools.file("usr/lib64/ld-linux-x86-64.so.2")?;
    let program = tools.file(tool.path())?;
    let mut argv = vec![c(loader), c("--library-path"), c(path)];
    let mut env = Vec::new();
    match tool.kind() {
        super::list::ProgramKind::Elf => argv.push(c(program)),
        kind => {
            if kind == super::list::ProgramKind::Python {
                argv.push(c(tools.file("usr/bin/python3")?));
            }
            argv.push(c(program));
            env.push(("PYTHONHOME", root.join("usr")));
            env.push(("PYTHONPATH", root.join("usr/lib/python3/dist-packages")));
        }
    }
    if tool == super::Tool::QemuSystem {
        for directory in ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"] {
            argv.extend([c("-L"), c(root.join(directory))]);
        }
        env.push(("QEMU_MODULE_DIR", root.join("usr/lib/x86_64-linux-gnu/qemu")));
    }
    Ok((argv, env))
}
