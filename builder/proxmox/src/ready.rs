//! Before the first change: everything that a deployment would fail on.

use crate::check;
use crate::client::Client;
use diorite_model::machine::Cluster as ClusterSpec;
use diorite_model::{Error, Result};

/// Looks at the target, and refuses with all that stands in the way.
///
/// # Errors
/// [`Exit::Remote`](diorite_model::Exit::Remote), naming each privilege, storage, bridge, pool or node.
pub fn ready(client: &Client, spec: &ClusterSpec) -> Result<check::TargetReport> {
    let report = check::check(client, spec)?;
    // How much room is needed is known by the very image (`Deployer::room`).
    let problems: Vec<_> = report.problems().filter(|problem| problem.about != "space").collect();
    if problems.is_empty() {
        return Ok(report);
    }
    let lines: Vec<_> = problems.iter().map(|p| format!("{}\n  help: {}", p.what, p.hint)).collect();
    let target = client.target();
    Err(Error::remote(format!("target `{}` is not ready; nothing was changed", target.name))
        .at(target.url.clone())
        .detail(lines.join("\n"))
        .hint(format!("`diorite target check {}` lists everything", target.name)))
}
