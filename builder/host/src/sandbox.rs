//! The sandbox: which kind this host allows, a child that owns all ids, and the place in which foreign code runs.
//!
//! ```text
//! diorite ── run_inside(job) ──> diorite __inside job ── Sandbox::run ─> dpkg, maintainer scripts
//!  own id                        every id 0…65535                      a Debian tree, no network, no host paths
//! ```
//! | mode | who may | what it is made of |
//! |---|---|---|
//! | [`SandboxMode::Namespaces`] | root | mount, pid, net, uts and ipc namespaces |
//! | [`SandboxMode::UserNamespace`] | a user with newuidmap(1) and /etc/subuid; root of a container | the same, in a user namespace |
//! | [`SandboxMode::Chroot`] | root that may neither unshare(2) nor mount(2) | chroot(2) and a seccomp filter: weaker, but the same bytes |

mod chroot;
mod dev;
pub(crate) mod filter;
mod ids;
mod inside;
pub(crate) mod launch;
mod memory;
mod mountpoints;
mod operations;
mod output;
pub(crate) mod outside;
mod paths;
pub(crate) mod policy;
mod probe;
mod program;
mod run;
mod why;

pub use inside::{Job, inside, run_inside, run_inside_with, typed};
pub use memory::Memory;
pub use output::{LOG_LIMIT, Output, Status};
pub use probe::{SandboxSupport, probe};
pub use run::Sandbox;
pub use why::Why;

pub(crate) use ids::Ids;
pub(crate) use inside::REMOVE;
pub(crate) use operations::{Operations, locked_flags};
pub(crate) use output::collect;
pub(crate) use paths::resolve;
pub(crate) use policy::{CAPABILITIES, DEVICE_LINKS, DEVICES, NAMESPACES};
pub(crate) use probe::{trees_in, try_namespaces};

use diorite_model::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// The kind of sandbox; the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// Root's own namespaces.
    Namespaces,
    /// A user namespace with a full range of ids, and the other namespaces within it.
    #[serde(rename = "userns")]
    UserNamespace,
    /// chroot(2) alone.
    Chroot,
}

impl SandboxMode {
    /// All, in the order of preference.
    pub const ALL: [Self; 3] = [Self::Namespaces, Self::UserNamespace, Self::Chroot];

    /// The name used in `DIORITE_SANDBOX` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::UserNamespace => "userns",
            Self::Chroot => "chroot",
        }
    }
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// The mode to use: that of our parent in a child of [`run_inside`], else `DIORITE_SANDBOX`, else the first that
/// the probe allows. Asked once per process.
///
/// # Errors
/// [`diorite_model::Exit::Host`], with what is missing for each mode, when none is possible or the one asked for is not.
pub fn mode() -> Result<SandboxMode> {
    static MODE: OnceLock<Result<SandboxMode>> = OnceLock::new();
    MODE.get_or_init(|| {
        if let Some(mode) = std::env::var(inside::MODE_VARIABLE).ok().and_then(|name| SandboxMode::from_name(&name)) {
            return Ok(mode);
        }
        choose(probe(), std::env::var("DIORITE_SANDBOX").ok().filter(|v| !v.is_empty()).as_deref())
    })
    .clone()
}

fn choose(probe: &SandboxSupport, wanted: Option<&str>) -> Result<SandboxMode> {
    let Some(wanted) = wanted else {
        if let Some(mode) = SandboxMode::ALL.into_iter().find(|m| probe.why_not(*m).is_none()) {
            return Ok(mode);
        }
        let why = SandboxMode::ALL.map(|m| (m, probe.why_not(m).expect("none is possible")));
        // A user can most easily get the user namespace, and its hint says more than "run as root".
        let [namespaces, user, chroot] = &why;
        let hints = [user, namespaces, chroot].map(|(_, w)| w.hint.as_str());
        let hint = hints.into_iter().find(|h| !h.is_empty()).unwrap_or("run as root");
        return Err(Error::host("this host offers no sandbox to run Debian's package scripts in")
            .detail(why.map(|(m, w)| format!("{}: {}", m.name(), w.cause)).join("\n"))
            .hint(hint));
    };
    let Some(mode) = SandboxMode::from_name(wanted) else {
        return Err(Error::new(
            diorite_model::Exit::Usage,
            format!("DIORITE_SANDBOX={wanted} is not a kind of sandbox"),
        )
        .hint("namespaces, userns or chroot"));
    };
    match probe.why_not(mode) {
        None => Ok(mode),
        Some(why) => Err(Error::host(format!("the sandbox asked for (DIORITE_SANDBOX={wanted}) is not possible here"))
            .because(&why.cause)
            .hint(&why.hint)),
    }
}

#[cfg(test)]
mod tests;
