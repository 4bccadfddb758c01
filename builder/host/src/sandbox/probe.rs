//! Which modes this host allows, found by trying: a child makes the very calls the sandbox will make.

use super::SandboxMode;
use super::ids::{self, Ids};
use super::launch::{Launch, Op, c, null_device};
use super::policy::NAMESPACES;
use super::why::Why;
use diorite_model::Error;
use serde::Serialize;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the host allows.
#[derive(Debug, Clone, Serialize)]
pub struct SandboxSupport {
    /// For each mode of [`SandboxMode::ALL`] why it is not possible, or `None`.
    modes: [Option<Why>; 3],
}

impl SandboxSupport {
    /// Why a mode is not possible here; `None`: it is.
    pub fn why_not(&self, mode: SandboxMode) -> Option<&Why> {
        self.modes[mode as usize].as_ref()
    }
    #[cfg(test)]
    pub(super) fn of(modes: [Option<Why>; 3]) -> Self {
        Self { modes }
    }
}

/// Tries every mode, once per process.
pub fn probe() -> &'static SandboxSupport {
    static PROBE: OnceLock<SandboxSupport> = OnceLock::new();
    PROBE.get_or_init(|| SandboxSupport { modes: [namespaces().err(), user_namespace().err(), chroot().err()] })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn namespaces() -> Result<(), Why> {
    if !is_root() {
        return Err(Why { cause: "only root may make these namespaces".into(), hint: "run as root".into() });
    }
    ids::own_ids()?;
    try_namespaces(None)
}

fn user_namespace() -> Result<(), Why> {
    try_namespaces(Some(Ids::full()?))
}

/// Namespaces, a private mount table, a fresh /proc and a tmpfs: everything that some host is known to refuse.
pub(crate) fn try_namespaces(ids: Option<Ids>) -> Result<(), Why> {
    let user = ids.is_some();
    let mount = |kind: &str, target: &str, flags| Op::Mount {
        source: c(if kind.is_empty() { "" } else { kind }),
        target: c(target),
        kind: c(kind),
        flags,
        data: c(""),
    };
    let ops = vec![
        ("mount(2) of / as private".to_owned(), mount("", "/", libc::MS_REC | libc::MS_PRIVATE)),
        (
            "mount(2) of /proc (a container hides parts of it, so the kernel refuses a fresh one)".to_owned(),
            mount("proc", "/proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC),
        ),
        ("mount(2) of a tmpfs".to_owned(), mount("tmpfs", "/proc", 0)),
        ("sethostname(2)".to_owned(), Op::Hostname(c("localhost"))),
    ];
    attempt(NAMESPACES, ids, ops).map_err(|e| Why { cause: cause(&e), hint: hint(user) })
}

fn chroot() -> Result<(), Why> {
    if !is_root() {
        return Err(Why { cause: "only root may call chroot(2)".into(), hint: "run as root".into() });
    }
    ids::own_ids()?;
    attempt(0, None, vec![("chroot(2)".to_owned(), Op::Chroot(c("/")))])
        .map_err(|e| Why { cause: cause(&e), hint: "give the container the capability CAP_SYS_CHROOT".into() })?;
    device_nodes(TREES.get().unwrap_or(&std::env::temp_dir()))
}

/// Where trees will be made; what counts is the file system they are on.
static TREES: OnceLock<PathBuf> = OnceLock::new();

/// Says where trees will be made. To be called before the first [`probe`].
pub(crate) fn trees_in(directory: &Path) {
    let _ = TREES.set(directory.to_owned());
}

/// Makes the nodes of a /dev in a directory, and writes to its null.
fn device_nodes(parent: &Path) -> Result<(), Why> {
    let directory = parent.join(format!(".probe-{}", std::process::id()));
    let why = |what: &str, e: std::io::Error, hint: &str| Why {
        cause: format!("{what} in {}: {e}", parent.display()),
        hint: hint.into(),
    };
    fs::create_dir(&directory)
        .map_err(|e| why("no directory can be made", e, "name a directory that can be written with DIORITE_STORE"))?;
    let made = super::dev::devices(&directory)
        .map_err(|e| why("device nodes cannot be made (mknod(2))", e, "give the container the capability CAP_MKNOD"));
    let result = made.and_then(|()| {
        crate::file::write_scratch(directory.join("null"), "probe").map_err(|e| {
            let hint = "the file system is mounted with nodev: name a directory on another one with DIORITE_STORE";
            why("device nodes cannot be used", e, hint)
        })
    });
    let _ = fs::remove_dir_all(&directory);
    result
}

fn attempt(namespaces: libc::c_int, ids: Option<Ids>, ops: Vec<(String, Op)>) -> diorite_model::Result<()> {
    let null = null_device()?;
    let streams = [null.as_raw_fd(); 3];
    let launch = Launch {
        namespaces,
        ids,
        init: false,
        reaper: false,
        ops,
        argv: Vec::new(),
        env: Vec::new(),
        streams,
        keep: Vec::new(),
        death_signal: libc::SIGKILL,
    };
    let ended = launch.start(libc::SIGKILL)?.wait()?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(Error::host("the probe ended").because(ended.status)),
    }
}

fn cause(error: &Error) -> String {
    error.cause.clone().unwrap_or_else(|| error.what.clone())
}

/// The usual culprit, named by its sysctl.
fn hint(user: bool) -> String {
    let sysctl =
        |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).ok().and_then(|t| t.trim().parse::<u64>().ok());
    let culprits = [
        ("kernel/apparmor_restrict_unprivileged_userns", 1, "Ubuntu's AppArmor restricts user namespaces", 0),
        ("kernel/unprivileged_userns_clone", 0, "Debian's switch forbids user namespaces", 1),
        ("user/max_user_namespaces", 0, "no user namespace is allowed", 15_000),
    ];
    if user {
        for (name, bad, what, good) in culprits {
            if sysctl(name) == Some(bad) {
                let name = name.replace('/', ".");
                return format!("{what}: as root, sysctl -w {name}={good}; or run as root");
            }
        }
    }
    "in a container: allow unshare(2) and mount(2), or leave /proc unmasked (docker: --privileged, podman: --security-opt unmask=ALL)".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_nodes_are_tried_where_trees_will_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let gone = directory.path().join("gone");
        let why = device_nodes(&gone).unwrap_err();
        assert!(why.cause.contains(&gone.display().to_string()) && why.hint.contains("DIORITE_STORE"), "{why:?}");
        let tried = device_nodes(directory.path());
        assert!(tried.is_ok() || tried.is_err_and(|why| why.cause.contains(&directory.path().display().to_string())));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing stays");
    }
}
