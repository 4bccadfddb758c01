//! A step → the call of the API that it is.

use super::step::DeployStep;
use crate::Target;
use crate::client::{Method, Parameters, Path};
use crate::desired::{self, Desired, Keys, SYSTEM};
use crate::firewall::FirewallChange;
use crate::notes::Notes;
use crate::observed::Observed;
use std::fmt;

/// A call of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// How.
    pub method: Method,
    /// What.
    pub path: Path,
    /// With what.
    pub parameters: Parameters,
}

/// Seconds that a machine gets to shut down, before it is stopped.
const PATIENCE: u64 = 90;

impl DeployStep {
    /// Its call; none for what is more than one call, or none at all. `digest` of the machine's configuration guards
    /// against a change that somebody else made meanwhile.
    pub fn call(&self, desired: &Desired, observed: &Observed, target: &Target) -> Option<Call> {
        let node = observed.node.as_str();
        let qemu = |id: u32, last: &[&str]| {
            let number = id.to_string();
            let names: Vec<&str> = [&["nodes", node, "qemu", &number][..], last].concat();
            Path::new(names)
        };
        let call = |method, path, parameters| Some(Call { method, path, parameters });
        let guarded = || {
            let digest = observed.machine.as_ref().map(|vm| vm.digest.clone()).unwrap_or_default();
            Parameters::none().text("digest", digest)
        };
        let configure = |id, parameters| call(Method::Post, qemu(id, &["config"]), parameters);
        match self {
            DeployStep::Upload | DeployStep::UploadConfigDrive | DeployStep::HealthCheck => None,
            DeployStep::Create { id } => {
                let (hardware, file) = (desired.hardware.as_ref()?, desired.file.as_ref()?);
                let notes = Notes::Machine(desired.initial_notes());
                let keys = desired::new(desired, hardware, target, file);
                // Without tags: since 9.2 they need a privilege at the VM itself, which is not in its pool yet.
                let parameters = with(made(*id, target), &keys).text("description", notes.render(""));
                call(Method::Post, Path::new(["nodes", node, "qemu"]), parameters)
            }
            DeployStep::ImportStaging { id, staging } => {
                let file = desired.file.as_ref()?;
                let image =
                    format!("{}:0,import-from={}:import/{}", target.disk_storage, target.import_storage, file.name);
                let parameters = made(*id, target)
                    .text("name", desired.staging())
                    .number("memory", 64)
                    .text("scsihw", "virtio-scsi-single")
                    .text(SYSTEM, desired::system(&image, desired.sha256))
                    .text("description", Notes::Staging(staging.clone()).render(""));
                call(Method::Post, Path::new(["nodes", node, "qemu"]), parameters)
            }
            DeployStep::MoveDisk { from, to, slot } => {
                let parameters = Parameters::none()
                    .text("disk", SYSTEM)
                    .number("target-vmid", (*to).into())
                    .text("target-disk", slot.clone());
                call(Method::Post, qemu(*from, &["move_disk"]), parameters)
            }
            DeployStep::RemoveStaging { id } => {
                // The VM may have been moved to another node meanwhile.
                let node = observed.staging.as_ref().map_or(node, |staging| &staging.node);
                let path = Path::new(["nodes", node, "qemu", &id.to_string()]);
                call(Method::Delete, path, Parameters::none().flag("purge", true))
            }
            DeployStep::WriteNotes { id, notes } => {
                let before = observed.machine.as_ref().and_then(|vm| vm.config.get("description"));
                let notes = notes.render(before.map_or("", String::as_str));
                configure(*id, guarded().text("description", notes))
            }
            DeployStep::SetTags { id, tags } => configure(*id, guarded().text("tags", tags.clone())),
            DeployStep::SetConfig { id, keys } => configure(*id, with(guarded(), keys)),
            DeployStep::Revert { id } => configure(*id, guarded().text("revert", format!("{SYSTEM},boot"))),
            DeployStep::SwapDisk { id, volume } => {
                let disk = desired::system(volume, desired.sha256);
                configure(*id, guarded().text(SYSTEM, disk).text("boot", format!("order={SYSTEM}")))
            }
            DeployStep::Shutdown { id } => {
                let parameters = Parameters::none().number("timeout", PATIENCE).flag("forceStop", true);
                call(Method::Post, qemu(*id, &["status", "shutdown"]), parameters)
            }
            DeployStep::Stop { id } => call(Method::Post, qemu(*id, &["status", "stop"]), Parameters::none()),
            DeployStep::Start { id } => call(Method::Post, qemu(*id, &["status", "start"]), Parameters::none()),
            DeployStep::DeleteDisk { id, slot, .. } => configure(*id, guarded().text("delete", slot.clone())),
            DeployStep::RemoveConfigDrive { volume } => {
                let path = Path::new(["nodes", node, "storage", &target.iso_storage, "content", volume]);
                call(Method::Delete, path, Parameters::none())
            }
            DeployStep::Cluster { id, change } => Some(change.call(*id)),
            DeployStep::Firewall { id, change } => {
                let at = |last: &[&str]| qemu(*id, &[&["firewall"], last].concat());
                match change {
                    FirewallChange::Options(options) => {
                        call(Method::Put, at(&["options"]), with(Parameters::none(), options))
                    }
                    FirewallChange::Set(name) => {
                        call(Method::Post, at(&["ipset"]), Parameters::none().text("name", name.clone()))
                    }
                    FirewallChange::Network(name, network) => {
                        call(Method::Post, at(&["ipset", name]), Parameters::none().text("cidr", network.clone()))
                    }
                    FirewallChange::Rule(rule) => call(Method::Post, at(&["rules"]), with(Parameters::none(), rule)),
                    FirewallChange::RemoveRule(place, _) => {
                        call(Method::Delete, at(&["rules", &place.to_string()]), Parameters::none())
                    }
                    FirewallChange::RemoveNetwork(name, network) => {
                        let network = network.trim_start_matches('!');
                        call(Method::Delete, at(&["ipset", name, network]), Parameters::none())
                    }
                    // With what is in it, all at once.
                    FirewallChange::RemoveSet(name) => {
                        call(Method::Delete, at(&["ipset", name]), Parameters::none().flag("force", true))
                    }
                }
            }
        }
    }
}

/// What every new machine of ours is given.
fn made(id: u32, target: &Target) -> Parameters {
    let parameters = Parameters::none().number("vmid", id.into());
    match &target.pool {
        Some(pool) => parameters.text("pool", pool.clone()),
        None => parameters,
    }
}

fn with(parameters: Parameters, keys: &Keys) -> Parameters {
    keys.iter().fold(parameters, |all, (key, value)| all.text(key.clone(), value.clone()))
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.word(), self.path)?;
        for (name, value) in self.parameters.iter().filter(|(name, _)| *name != "digest") {
            write!(f, "\n    {name}={}", value.escape_debug())?;
        }
        Ok(())
    }
}
