//! The hypervisor's agent inside: its port is plugged in while the machine runs, as hypervisors do, with a question
//! waiting on it. QEMU reads the question from a named pipe and writes the answer to a file.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    scope::Scope,
};
use diorite_machine::Machine;
use diorite_model::{Error, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The package that brings the agent.
const PACKAGE: &str = "qemu-guest-agent";
/// The name of its port, and what it must answer (qemu-ga-ref(7)).
const PORT: &str = "org.qemu.guest_agent.0";
const QUESTION: &str = "{\"execute\":\"guest-ping\"}\n";

/// The agent answers, where the recipe has one.
pub fn check(scope: &Scope<'_>) -> Option<Check> {
    scope.recipe.packages.include.iter().any(|name| name == PACKAGE).then(|| {
        let check = Check::outside("guest-agent", "the QEMU guest agent answers", |machine| {
            let asked = plug(machine.machine())?;
            let judged = machine.retried(|_| Ok(asked.answer()?))?;
            unplug(machine.machine());
            Ok(judged)
        });
        check.injected_only()
    })
}

/// The port, plugged in.
struct AgentPort {
    answer: PathBuf,
    /// Held open: at its end QEMU would take the port for a closed one.
    _question: File,
}

/// Plugs the port in, the question in it.
fn plug(machine: &Machine) -> Result<AgentPort> {
    let disks = machine.written();
    let directory = disks.first().and_then(|d| d.parent()).ok_or_else(|| Error::bug("the machine has no directory"))?;
    let (question, answer) = (directory.join("agent-asked"), directory.join("agent-said"));
    let fail = |path: &Path, e: io::Error| Error::io("the agent's port cannot be made", path, e);
    mknodat(CWD, &question, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(|e| fail(&question, e.into()))?;
    let both = File::options().read(true).write(true).open(&question);
    let mut pipe = both.map_err(|e| fail(&question, e))?;
    pipe.write_all(QUESTION.as_bytes()).map_err(|e| fail(&question, e))?;
    diorite_host::file::write_scratch(&answer, "").map_err(|e| fail(&answer, e))?;
    let files = json!({ "in": question.display().to_string(), "out": answer.display().to_string() });
    machine.qmp("chardev-add", json!({ "id": "agent", "backend": { "type": "file", "data": files } }))?;
    machine
        .qmp("device_add", json!({ "driver": "virtserialport", "id": "agent", "chardev": "agent", "name": PORT }))?;
    Ok(AgentPort { answer, _question: pipe })
}

/// Unplugs the port again: a machine that is kept must not have one more than others.
fn unplug(machine: &Machine) {
    for command in ["device_del", "chardev-remove"] {
        // One that stays plugged in says nothing about the image.
        let _ = machine.qmp(command, json!({ "id": "agent" }));
    }
}

impl AgentPort {
    /// What has been said by now.
    fn answer(&self) -> Result<Judged> {
        let said = std::fs::read_to_string(&self.answer);
        Ok(answered(&said.map_err(|e| Error::io("the agent's answer cannot be read", &self.answer, e))?))
    }
}

fn answered(said: &str) -> Judged {
    let fine = said.lines().any(|l| serde_json::from_str(l).is_ok_and(|v: serde_json::Value| v["return"].is_object()));
    verdict(fine, if fine { "it answers a ping".to_owned() } else { format!("it says {}", short(said)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_is_one() {
        assert!(answered("{\"return\": {}}\n").is_ok());
        for other in ["", QUESTION, "{\"error\": {\"class\": \"CommandNotFound\"}}\n"] {
            assert!(answered(other).is_err(), "{other}");
        }
    }
}
