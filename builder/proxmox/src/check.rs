//! What a target offers, and what its login may do: asked before anything is changed, and changing nothing.

mod findings;
mod inspection;
mod requirements;

pub use findings::{FindingSeverity, TargetFinding, TargetReport};
pub use requirements::{PrivilegeScope, REQUIRED, RequiredPrivilege};

use crate::client::{CallError, CallErrorKind, Client, Parameters, Path};
use diorite_model::machine::Cluster as ClusterSpec;
use diorite_model::{Error, Result};
use inspection::Inspection;
use serde_json::Value;

/// The oldest version that takes disk images through its API.
pub const OLDEST: (u32, u32) = (8, 4);
/// The newest series that the calls were tried on.
pub const NEWEST: u32 = 9;
/// Since then a create with tags needs VM.Config.Options at `/vms/ID`, which a grant on a pool does not give.
const TAGS_AT_THE_VM: (u32, u32) = (9, 2);

/// Looks at everything a deployment would need, and at what a profile asks of the cluster.
///
/// # Errors
/// [`Exit::Remote`](diorite_model::Exit::Remote) when the target cannot be reached or does not accept the login, or the version is too old. What
/// is wrong with a target that answers is in the report, all of it.
pub fn check(client: &Client, spec: &ClusterSpec) -> Result<TargetReport> {
    let answer = client.get(&Path::new(["version"]), &Parameters::none())?;
    let version = answer.get("version").and_then(Value::as_str).unwrap_or_default().to_owned();
    let target = client.target();
    let Some(series) = series(&version) else {
        let path = Path::new(["version"]);
        return Err(client
            .failure(
                CallErrorKind::UnexpectedReply,
                crate::client::Method::Get,
                &path,
                "there is no version in the answer",
            )
            .into_error());
    };
    if series < OLDEST {
        return Err(Error::remote(format!("target `{}` runs Proxmox VE {version}, which is too old", target.name))
            .at(target.url.clone())
            .because("disk images can be uploaded and imported since 8.4")
            .hint("upgrade it to 8.4 or 9"));
    }
    let mut report = TargetReport::new(target, client.who(), &version);
    if series.0 > NEWEST {
        report.add(
            FindingSeverity::Note,
            "version",
            format!("Proxmox VE {version} is newer than what Diorite was tried on"),
            "",
        );
    }
    if series >= TAGS_AT_THE_VM && target.pool.is_some() {
        let what = "tags are set after a VM is created: this version checks them at the VM, before it is in its pool";
        report.add(FindingSeverity::Ok, "version", what, "");
    }
    let mut look = Inspection { client, series, report };
    look.privileges(spec)?;
    look.pool()?;
    look.firewall()?;
    look.nodes()?;
    Ok(look.report)
}

/// `9.1.7` → 9, 1.
pub(crate) fn series(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '~']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether this login may have a node fetch files from elsewhere (`download-url`).
///
/// # Errors
/// As of any question.
pub(crate) fn may_fetch(client: &Client, node: &str) -> Result<bool, CallError> {
    let on_node = client.privileges(&format!("/nodes/{node}"))?;
    if on_node.contains_key("Sys.AccessNetwork") {
        return Ok(true);
    }
    let top = client.privileges("/")?;
    Ok(["Sys.Audit", "Sys.Modify"].iter().all(|name| top.contains_key(*name)))
}

/// A failure that is a finding: the thing itself was refused, while others may still answer.
fn local(failure: &CallError) -> bool {
    use CallErrorKind::*;
    matches!(failure.kind, Forbidden | Missing | Refused | Unavailable | Locked | Parameters | TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(series("9.1.7"), Some((9, 1)));
        assert_eq!(series("8.4.0~beta"), Some((8, 4)));
        assert_eq!(series("10.0"), Some((10, 0)));
        assert!(series("8.3.9").expect("a version") < OLDEST && series("8.10").expect("a version") > OLDEST);
        assert_eq!(series(""), None);
        assert_eq!(series("nine"), None);
    }
}
