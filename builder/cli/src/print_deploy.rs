//! What people and scripts read about deployments on stdout.

use diorite_proxmox::deploy::{DeployPlan, Deployment};
use diorite_proxmox::desired::Desired;
use diorite_proxmox::notes::HealthVerdict;
use diorite_proxmox::plan::{Call, DeployStep};
use diorite_proxmox::status::MachineStatus;
use diorite_proxmox::target::Target;
use serde_json::{Value, json};

/// Every call that would be made.
pub fn plan(plan: &DeployPlan, as_json: bool) -> String {
    let DeployPlan { steps, unmet } = plan;
    if as_json {
        let one = |(step, call): &(DeployStep, Option<Call>)| {
            let parameters = |call: &Call| -> serde_json::Map<String, Value> {
                call.parameters.iter().filter(|(n, _)| *n != "digest").map(|(n, v)| (n.to_owned(), json!(v))).collect()
            };
            let call = call.as_ref().map(|call| {
                json!({ "method": call.method.word(), "path": call.path.to_string(), "parameters": parameters(call) })
            });
            json!({ "step": step.to_string(), "call": call })
        };
        return format!(
            "{}\n",
            json!({ "schema": 1, "steps": steps.iter().map(one).collect::<Vec<_>>(), "unmet": unmet })
        );
    }
    let mut text = not_had(unmet);
    if steps.is_empty() {
        return text + "nothing to do: everything is as declared\n";
    }
    for (number, (step, call)) in steps.iter().enumerate() {
        text += &format!("{:>3}  {step}\n", number + 1);
        if let Some(call) = call {
            text += &format!("       {}\n", call.to_string().replace('\n', "\n       "));
        }
    }
    let restarts = steps.iter().filter(|(step, _)| step.interrupts()).count();
    let down = match restarts {
        0 => "the VM is not interrupted".to_owned(),
        1 => "the VM is down for one restart".to_owned(),
        n => format!("the VM is down for {n} restarts"),
    };
    text + &format!("{} steps; {down}; nothing was changed\n", steps.len())
}

/// What the profile asks of the cluster and the cluster cannot do.
fn not_had(unmet: &[String]) -> String {
    unmet.iter().map(|what| format!("UNMET {what}\n")).collect()
}

/// `deployment.json`.
pub fn deployment(desired: &Desired, done: &Deployment, target: &Target) -> String {
    let value = json!({
        "schema": 1, "target": target.name, "url": target.url, "node": done.node, "machine": done.id,
        "name": desired.name, "image": desired.image, "version": desired.version, "disk_sha256": desired.sha256,
        "verified": desired.verified, "steps": done.steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "seconds": done.seconds, "away_seconds": done.away,
        "addresses": done.evidence.as_ref().map(|e| &e.addresses), "unmet": done.unmet,
    });
    format!("{value:#}\n")
}

/// What was done.
pub fn done(desired: &Desired, done: &Deployment, target: &str, as_json: bool) -> String {
    if as_json {
        let steps: Vec<_> = done.steps.iter().map(ToString::to_string).collect();
        return format!(
            "{}\n",
            json!({ "schema": 1, "machine": done.id, "node": done.node, "version": desired.version,
                    "disk_sha256": desired.sha256, "steps": steps, "seconds": done.seconds, "away_seconds": done.away, "unmet": done.unmet })
        );
    }
    let mut text: String = done.steps.iter().map(|step| format!("done  {step}\n")).collect();
    text += &not_had(&done.unmet);
    text += &format!(
        "{} {} runs on {target} as VM {} (`{}`, node {})",
        desired.image, desired.version, done.id, desired.name, done.node
    );
    if done.steps.is_empty() {
        return text + "; nothing to do\n";
    }
    text += &format!("\n{} steps in {:.0} s", done.steps.len(), done.seconds);
    if let Some(away) = done.away {
        text += &format!("; down for {away:.0} s");
    }
    if done.locked >= 1.0 {
        text += &format!("; {:.0} s of it waiting for locks", done.locked);
    }
    if let Some(evidence) = &done.evidence {
        let addresses: Vec<_> = evidence.addresses.iter().map(ToString::to_string).collect();
        let at = if addresses.is_empty() { String::new() } else { format!(" at {}", addresses.join(", ")) };
        let asked =
            if evidence.asked.is_empty() { String::new() } else { format!("; checks: {}", evidence.asked.join(", ")) };
        let agent = if evidence.agent { "its guest agent answers" } else { "it runs; it has no guest agent" };
        text += &format!("\n{agent}{at}{asked}");
    }
    text + "\n"
}

/// The machines of a target.
pub fn status(machines: &[MachineStatus], desired: &[Desired], target: &str, as_json: bool) -> String {
    if as_json {
        return format!("{:#}\n", json!({ "schema": 1, "target": target, "machines": machines }));
    }
    let mut text = String::new();
    for machine in machines {
        let state = match (machine.running, machine.agent) {
            (false, _) => "stopped",
            (true, Some(false)) => "running, its guest agent does not answer",
            (true, Some(true)) => "running, its guest agent answers",
            (true, None) => "running",
        };
        text += &format!("{} (VM {} on {}): {state}\n", machine.name, machine.id, machine.node);
        if let Some(state) = &machine.ha {
            text += &format!("  under high availability: {state}\n");
        }
        if machine.waits {
            text += "  changes of its configuration are pending until its next start\n";
        }
        if let Some(run) = &machine.run {
            text += &format!("  a deployment is under way: {}\n", run.describe());
        }
        let Some(image) = &machine.image else {
            text += "  its notes do not say which image it runs\n";
            continue;
        };
        for disk in &machine.disks {
            let (generation, now) = (&disk.generation, if disk.runs { "now " } else { "    " });
            let proven = match generation.proven {
                _ if generation.on_trial => "on trial",
                HealthVerdict::New => "not tried yet",
                HealthVerdict::Good => "works",
                HealthVerdict::Failed => "failed",
            };
            let proven = if disk.missing { "MISSING from its storage" } else { proven };
            let verified = if generation.verified { "" } else { ", deployed unverified" };
            let volume = generation.volume.as_deref().unwrap_or("?");
            let digest = generation.sha256.short(12);
            text += &format!("  {now}{image} {:<8} {digest}  {volume}  {proven}{verified}\n", generation.version);
        }
        if let Some(why) = &machine.unheard {
            text += &format!("  its metrics cannot be read from here: {why}\n");
        }
        if let Some(said) = &machine.says {
            let blessed = if said.blessed == Some(false) { ", its boot is not marked good yet" } else { "" };
            text +=
                &format!("  reports   {} {}, root hash {:.12}{blessed}\n", said.image, said.version, said.root_hash);
            for (name, active) in &said.containers {
                let state = if *active { "active" } else { "NOT ACTIVE" };
                text += &format!("            container {name}: {state}\n");
            }
        }
        let declared = desired.iter().any(|w| w.name.eq_ignore_ascii_case(&machine.name));
        if declared && !machine.differs() {
            text += "  as its profile declares\n";
        }
        for drift in &machine.drift {
            text += &format!("  DIFFERS {drift}\n");
        }
        if !machine.firewall.is_empty() {
            text += "  firewall   guest  hypervisor\n";
            for line in &machine.firewall {
                let mark = |there: bool| if there { "yes" } else { "-" };
                let differs = if line.guest == line.hypervisor { "       " } else { "DIFFERS" };
                text +=
                    &format!("    {differs}  {:<5}  {:<10}  {}\n", mark(line.guest), mark(line.hypervisor), line.what);
            }
        }
        for what in &machine.unsaid {
            text += &format!("  only in the guest's own filter: {what}\n");
        }
    }
    if machines.is_empty() {
        text += &format!("target `{target}` has no VM that Diorite made\n");
    } else {
        for desired in desired.iter().filter(|w| !machines.iter().any(|m| m.name.eq_ignore_ascii_case(&w.name))) {
            text += &format!("there is no VM `{}`\n", desired.name);
        }
    }
    text
}
