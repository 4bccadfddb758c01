//! Who holds a lock. Proxmox VE names the lock's file, and not the one who has it.

use crate::client::{CallError, Client, Parameters, Path};
use crate::json::{list, text};
use crate::run::utc;
use crate::task::Upid;

/// The task that is running about a VM, as far as this login sees it.
pub(crate) fn holder(client: &Client, node: &str, id: u32) -> Result<Option<Upid>, CallError> {
    let parameters = Parameters::none().number("vmid", id.into()).text("source", "active");
    let tasks = client.get(&Path::new(["nodes", node, "tasks"]), &parameters)?;
    Ok(list(&tasks).find_map(|task| text(task, "upid").parse::<Upid>().ok()))
}

/// Whose lock it is, for people.
pub(crate) fn describe(client: &Client, node: &str, id: u32) -> String {
    match holder(client, node, id) {
        Ok(Some(task)) => {
            format!("VM {id} is held by the task {} of {}, since {}", task.kind(), task.user(), utc(task.started()))
        }
        Ok(None) => format!(
            "no task about VM {id} is running that this login sees; after a stop `qm cleanup` holds its lock for up to 30 \
             seconds, and a backup or another user's task for longer"
        ),
        Err(_) => format!("who holds the lock of VM {id} cannot be asked"),
    }
}
