//! `deploy`, `rollback`, `status`: what `build` and `verify` have left becomes a machine of a hypervisor.

use super::{drive, target};
use crate::args::{DeployArgs, PathArgs, ProfileArgs, RollbackArgs, StatusArgs};
use crate::config_drive::{self, Signer};
use crate::context::Context;
use crate::project::Project;
use crate::results::Results;
use crate::{attestations, disks, file, out, print_deploy as print};
use diorite_checks::plan as checks;
use diorite_image::format;
use diorite_model::plan::Build;
use diorite_model::recipe::NodeExporter;
use diorite_model::report::{Report, Subject, UnverifiedImage};
use diorite_model::{Digest, Error, Exit, Result};
use diorite_proxmox::Client;
use diorite_proxmox::deploy::Deployer;
use diorite_proxmox::desired::{ConfigDriveIso, DeployImage, Desired, ImageFile, deployable};
use diorite_proxmox::fleet;
use diorite_proxmox::health::{self, HealthProbe};
use diorite_proxmox::notes::{Generation, HealthVerdict};
use diorite_proxmox::observed::MachineRef;
use diorite_proxmox::ready::ready;
use diorite_proxmox::run::DeployRun;
use diorite_proxmox::status::{self, MachineStatus, MetricsSource};
use diorite_trust::attest::AttestationPolicy;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// What the VMs' config drives are made of: who signs, and credentials by VM.
type ConfigDrives = BTreeMap<String, (Rc<Signer>, BTreeMap<String, Vec<u8>>)>;

/// Deploys the image that was built: creates the VMs of the profile or updates them, at most `--max-unavailable` at a time,
/// until one does not become healthy.
pub fn deploy(args: &DeployArgs, context: &Context) -> Result<Exit> {
    let project = Project::load(&args.profile)?;
    // Known from the profile alone: nobody should build and verify first to hear it.
    deployable(&project.recipe)?;
    let image = image(&project, args.unverified)?;
    let named = machines(&project, args.machine.as_deref())?;
    let client = target::client(&args.target.target)?;
    let required = policies(args.policy.as_deref(), &client)?;
    for policy in &required {
        attestations::judge(policy, &project.results.attestations(), image.sha256())?;
    }
    let values = values(&project, &named, &client)?;
    ready(&client, &project.settings.machine.cluster)?;
    let (probes, others) = health::probes(&project.settings.checks);
    if !others.is_empty() && !args.plan {
        context.progress.say(format!("not asked from here, but by `diorite verify`: {}", others.join(", ")));
    }
    let file = project.results.disk(&format::qcow2::FORMAT);
    let deployer = deployer(&client, Some(&file), &probes, args.timeout.timeout, context);
    let (mut all, mut placed) = (Vec::new(), Vec::new());
    let unconverted = ImageFile::new(&project.recipe, image.sha256(), 0, image.sha256());
    for name in &named {
        let mut desired = desired(&project, name, &image, unconverted.clone(), &client)?;
        place(&mut desired, &deployer, &mut placed, &values)?;
        all.push(desired);
    }
    if deployer.needs_file(&all)? {
        let converted = qcow2(&project, &image, &file, context)?;
        all.iter_mut().for_each(|desired| desired.file = Some(converted.clone()));
    }
    deployer.check_capacity(&all)?;
    if args.plan {
        return plan(&deployer, &all, context);
    }
    let (one, json) = (project.settings.instances.is_empty(), context.json);
    fleet::roll(&deployer, &all, args.max_unavailable.into(), &|desired, done| {
        let text = print::deployment(desired, &done, client.target());
        let record = project.results.deployment((!one).then_some(desired.name.as_str()));
        file::write(&record, text.as_bytes())?;
        out::print(print::done(desired, &done, &client.target().name, json))
    })?;
    Ok(Exit::Done)
}

/// What the target, and the file that was named, require of an image.
fn policies(file: Option<&Path>, client: &Client) -> Result<Vec<AttestationPolicy>> {
    let of_target = client.target().policy.as_ref().map(attestations::policy).transpose()?;
    let of_file = file.map(attestations::policy_file).transpose()?;
    Ok(of_target.into_iter().chain(of_file).collect())
}

/// The image of a rollback has what the target requires, as at a deployment: a key or a requirement may have changed since.
fn still_allowed(
    required: &[AttestationPolicy],
    args: &RollbackArgs,
    machine: &MachineStatus,
    to: &Generation,
) -> Result<()> {
    if required.is_empty() {
        return Ok(());
    }
    let directory = match (&args.attestations, machine.image.as_deref()) {
        (Some(directory), _) => directory.clone(),
        // The hypervisor's word, which must not lead anywhere else.
        (None, Some(name))
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') =>
        {
            Results::of(&PathArgs::default(), name).attestations()
        }
        _ => {
            return Err(Error::input(format!(
                "the notes of VM {} (`{}`) do not name its image",
                machine.id, machine.name
            ))
            .hint("name the directory of the image's attestations with `--attestations`"));
        }
    };
    for policy in required {
        attestations::judge(policy, &directory, to.sha256).map_err(|error| {
            error.hint(format!(
                "statements about version {version} are looked for in {directory} and in {aside}; if they are elsewhere, name their \
                 directory with `--attestations`; `--version` names another image",
                directory = directory.display(),
                aside = attestations::aside(&directory, to.sha256).display(),
                version = to.version,
            ))
        })?;
    }
    Ok(())
}

/// Every call that would be made, machine by machine.
fn plan(deployer: &Deployer, all: &[Desired], context: &Context) -> Result<Exit> {
    let mut taken = BTreeSet::new();
    for desired in all {
        let plan = deployer.plan(desired, &taken)?;
        taken.extend(plan.steps.iter().filter_map(|(step, _)| step.creates()));
        if all.len() > 1 && !context.json {
            out::line(&desired.name)?;
        }
        out::print(print::plan(&plan, context.json))?;
    }
    Ok(Exit::Done)
}

/// The names of the machines that are meant: every instance of the profile, or one; without instances the one machine.
fn machines(project: &Project, name: Option<&str>) -> Result<Vec<String>> {
    let instances = &project.settings.instances;
    match name {
        None if instances.is_empty() => Ok(vec![project.recipe.image.hostname.clone()]),
        None => Ok(instances.keys().cloned().collect()),
        Some(name) if instances.is_empty() => Ok(vec![name.to_owned()]),
        Some(name) => drive::instance(project, name).map(|_| vec![name.to_owned()]),
    }
}

/// What these VMs' config drives are made of. All of it is fetched before anything is changed.
fn values(project: &Project, names: &[String], client: &Client) -> Result<ConfigDrives> {
    let mut all = BTreeMap::new();
    let Some(takes) = project.recipe.config_drive.as_ref().filter(|_| !project.settings.instances.is_empty()) else {
        return Ok(all);
    };
    let target = client.target();
    let of = format!("target `{}`", target.name);
    let source = target.signing_key.as_ref().ok_or_else(|| {
        Error::input(format!("{of} has no signing key for config drives"))
            .at(target.location.clone())
            .hint("write `signing_key_file = \"~/.config/diorite/config-drive-key\"`, or `signing_key_env`, or `signing_key_command`")
    })?;
    let signer = Rc::new(Signer::fetch(source, &of, &target.location, takes)?);
    for name in names {
        let credentials = config_drive::credentials(project, name, drive::instance(project, name)?)?;
        all.insert(name.clone(), (signer.clone(), credentials));
    }
    Ok(all)
}

/// The node of a VM that is to be made, and the config drive of one that has values of its own.
fn place(
    desired: &mut Desired,
    deployer: &Deployer,
    placed: &mut Vec<MachineRef>,
    values: &ConfigDrives,
) -> Result<()> {
    let (there, target) = (deployer.choose_node(desired, placed)?, deployer.client.target());
    if let Some((signer, credentials)) = values.get(&desired.name) {
        let uuid = there.clone().unwrap_or_else(|| uuid(target, &desired.name));
        desired.config_drive =
            Some(ConfigDriveIso::new(&desired.name, config_drive::iso(&uuid, credentials, signer)?, target));
        desired.uuid = there.is_none().then_some(uuid);
    }
    Ok(())
}

/// A machine as it must be, its own values aside.
fn desired(project: &Project, name: &str, image: &DeployImage, file: ImageFile, client: &Client) -> Result<Desired> {
    let instance = project.settings.instances.get(name);
    let mac = instance.and_then(|i| i.mac.clone()).or_else(|| project.settings.machine.mac.clone());
    let machine = diorite_model::machine::Machine { mac, ..project.settings.machine.clone() };
    let links = instance.and_then(|i| i.network.as_ref()).unwrap_or(&project.recipe.network);
    Desired::new(name, &project.recipe, links, &machine, image, file, client.target())
}

/// The UUID of a machine that is to be made (RFC 9562, version 8): a run that was interrupted before the machine was there
/// is taken up with the same one, and finds the disc that it has uploaded.
fn uuid(target: &diorite_proxmox::Target, name: &str) -> String {
    diorite_model::uuid::derived(&Digest::of(format!("{}\n{}", target.url, name.to_lowercase()).as_bytes())).to_string()
}

/// Goes back to an image that a machine had before.
pub fn rollback(args: &RollbackArgs, context: &Context) -> Result<Exit> {
    let client = target::client(&args.target.target)?;
    let required = policies(args.policy.as_deref(), &client)?;
    let machine = the_machine(status::status(&client, &[], None, &context.progress)?, args, &client)?;
    let generation = generation(&machine, args.version.as_deref(), &client)?;
    still_allowed(&required, args, &machine, &generation)?;
    let desired = Desired::back(&machine.name, machine.image.as_deref().unwrap_or_default(), &generation);
    let deployer = deployer(&client, None, &[], args.timeout.timeout, context);
    if args.plan {
        out::print(print::plan(&deployer.plan(&desired, &BTreeSet::new())?, context.json))?;
        return Ok(Exit::Done);
    }
    let done = deployer.roll_back(&desired)?;
    out::print(print::done(&desired, &done, &client.target().name, context.json))?;
    Ok(Exit::Done)
}

/// Shows what runs, and where it differs from a profile.
pub fn status(args: &StatusArgs, context: &Context) -> Result<Exit> {
    let client = target::client(&args.target.target)?;
    let mut metrics = None;
    let desired = match &args.profile {
        None => Vec::new(),
        Some(profile) => {
            let project = Project::load(&ProfileArgs { name: profile.clone(), paths: PathArgs::default() })?;
            let build = built(&project)?;
            let exporter = project.recipe.monitoring.node_exporter.as_ref();
            metrics = exporter.map(|_| MetricsSource { port: NodeExporter::PORT, root_hash: build.root_hash });
            let image = DeployImage::Unverified(UnverifiedImage { disk_sha256: build.disk_sha256 });
            let file = ImageFile::new(&project.recipe, build.disk_sha256, 0, build.disk_sha256);
            let named = machines(&project, args.machine.as_deref())?;
            let values = if args.values { values(&project, &named, &client)? } else { ConfigDrives::new() };
            let (deployer, mut placed) = (deployer(&client, None, &[], 0, context), Vec::new());
            let one = |name: &String| {
                let mut desired = desired(&project, name, &image, file.clone(), &client)?;
                if args.values {
                    place(&mut desired, &deployer, &mut placed, &values)?;
                }
                Ok(desired)
            };
            named.iter().map(one).collect::<Result<Vec<_>>>()?
        }
    };
    let machines = status::status(&client, &desired, metrics, &context.progress)?;
    out::print(print::status(&machines, &desired, &client.target().name, context.json))?;
    let differs = machines.iter().any(MachineStatus::differs);
    let missing = desired.iter().any(|w| !machines.iter().any(|m| m.name.eq_ignore_ascii_case(&w.name)));
    Ok(if differs || missing { Exit::VerificationFailed } else { Exit::Done })
}

fn deployer<'a>(
    client: &'a Client,
    file: Option<&'a Path>,
    probes: &'a [HealthProbe],
    timeout: u64,
    context: &'a Context,
) -> Deployer<'a> {
    let timeout = Duration::from_secs(timeout);
    let run = DeployRun::begin(client.who(), timeout);
    Deployer { client, file, probes, timeout, run, progress: &context.progress }
}

fn built(project: &Project) -> Result<Build> {
    disks::build_of(project, &format!("`diorite image {}`, which builds and verifies", project.name))
}

/// The image that was built, if its bytes are those that were verified.
fn image(project: &Project, unverified: bool) -> Result<DeployImage> {
    let build = built(project)?;
    let disk = project.results.raw();
    let found = disks::raw_digest(&disk)?;
    if found != build.disk_sha256 {
        return Err(Error::input("the disk is not the one that was built")
            .at(disk.display().to_string())
            .because(format!("its SHA-256 is {found}, build.json says {}", build.disk_sha256))
            .hint("build again"));
    }
    if unverified {
        return Ok(DeployImage::Unverified(UnverifiedImage { disk_sha256: found }));
    }
    let (file, own) = (project.results.report(), &project.settings.checks);
    let plan_digest = checks::digest(&checks::of(&project.recipe, own), own);
    let subject = Subject { disk_sha256: found, recipe_digest: project.recipe.digest(), plan_digest };
    let refused = |cause: String| {
        Error::new(
            Exit::VerificationFailed,
            format!("there is no passing report about this disk of `{}`", project.name),
        )
        .at(file.display().to_string())
        .because(cause)
        .hint(format!(
            "run `diorite verify {}`, or deploy with `--unverified`, which is recorded in the VM's notes",
            project.name
        ))
    };
    let text = std::fs::read(&file).map_err(|e| refused(format!("it cannot be read: {e}")))?;
    let report: Report = serde_json::from_slice(&text).map_err(|e| refused(format!("it is damaged: {e}")))?;
    report.accept(&subject).map(DeployImage::Verified).map_err(|refusal| refused(refusal.to_string()))
}

/// The disk that was verified as qcow2. It is made anew from those very bytes: what lies beside them may be something else.
fn qcow2(project: &Project, image: &DeployImage, file: &Path, context: &Context) -> Result<ImageFile> {
    let stage = context.progress.stage("convert the disk to qcow2");
    let raw = project.results.raw();
    // Another run may convert the same disk at this moment.
    let lock = File::open(&raw).and_then(|raw| raw.lock().map(|()| raw));
    let _lock = lock.map_err(|e| Error::io("the disk cannot be read", &raw, e))?;
    let used = format::qcow2::write(&raw, file)?.used();
    let disk = std::fs::metadata(&raw).map_err(|e| Error::io("the disk cannot be read", &raw, e))?.len();
    let (sha256, size) = diorite_host::file::sha256(file, "the image")?;
    stage.done(diorite_host::progress::bytes(size));
    let form = ImageFile::new(&project.recipe, image.sha256(), size, sha256);
    Ok(ImageFile { disk, used, ..form })
}

/// The machine that is meant.
fn the_machine(mut machines: Vec<MachineStatus>, args: &RollbackArgs, client: &Client) -> Result<MachineStatus> {
    let names: Vec<_> = machines.iter().map(|m| m.name.clone()).collect();
    if let Some(name) = &args.machine {
        machines.retain(|m| m.name.eq_ignore_ascii_case(name));
    }
    let there = if names.is_empty() {
        "it has no VM that Diorite made".to_owned()
    } else {
        format!("available: {}", names.join(", "))
    };
    match (machines.pop(), machines.is_empty()) {
        (Some(machine), true) => Ok(machine),
        (Some(_), false) => Err(Error::input(format!("target `{}` has several VMs", client.target().name))
            .hint(format!("name one: {}", names.join(", ")))),
        (None, _) => {
            let name = args.machine.as_deref().map_or(String::new(), |name| format!(" `{name}`"));
            Err(Error::input(format!("target `{}` has no VM{name}", client.target().name)).hint(there))
        }
    }
}

/// The generation that is meant: the one named, or the one that worked before.
fn generation(machine: &MachineStatus, version: Option<&str>, client: &Client) -> Result<Generation> {
    let mut all = machine.disks.iter();
    let found = match version {
        Some(version) => all.find(|disk| disk.generation.version == version),
        None => all.skip(1).find(|disk| disk.generation.proven == HealthVerdict::Good && !disk.missing),
    };
    found.map(|disk| disk.generation.clone()).ok_or_else(|| {
        let desired = version.map_or("no earlier version that works".to_owned(), |v| format!("no version {v}"));
        let all: Vec<_> = machine.disks.iter().filter(|d| !d.missing).map(|d| d.generation.version.as_str()).collect();
        let error = Error::input(format!("VM {} (`{}`) has {desired}", machine.id, machine.name));
        error
            .at(client.target().url.clone())
            .hint(format!("available: {}; name one with `--version`, or deploy another image", all.join(", ")))
    })
}
