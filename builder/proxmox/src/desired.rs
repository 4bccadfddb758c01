//! What a VM must be, in the hypervisor's terms (qm.conf(5)).

use crate::Target;
use crate::firewall;
use crate::notes::{Generation, HealthVerdict, MachineNotes};
use crate::properties::Properties;
use crate::run::DeployRun;
use diorite_model::machine::{Cluster, Machine as Hardware};
use diorite_model::recipe::{Link, StateDisk};
use diorite_model::report::{UnverifiedImage, VerifiedImage};
use diorite_model::{Digest, Error, Recipe, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Slot of the system disk.
pub const SYSTEM: &str = "scsi0";
/// Slot of the disk for /var. Nothing here ever changes it.
pub const STATE: &str = "scsi1";
/// Slot of the config drive. It is changed while the VM is off: its values are read once, at boot.
pub const CONFIG_DRIVE: &str = "scsi2";

/// The Debian package of the guest agent.
const AGENT: &str = "qemu-guest-agent";

/// Keys of a configuration with their values.
pub type Keys = BTreeMap<String, String>;

/// An image's file, as a storage takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Its name there, with its digest in it: whatever has this name is this image.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Bytes of the disk that it becomes.
    pub disk: u64,
    /// Of them, bytes that are written: what is all zero is not.
    pub used: u64,
}

impl ImageFile {
    /// The file of an image in qcow2; of the disk nothing is said.
    pub fn new(recipe: &Recipe, disk_sha256: Digest, size: u64, sha256: Digest) -> Self {
        let (image, digest) = (&recipe.image, disk_sha256.short(12));
        let name = format!("diorite-{}-{}-{digest}.qcow2", image.name, image.version);
        Self { name, size, sha256, disk: 0, used: 0 }
    }
}

/// A config drive: an ISO with one VM's own values.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigDriveIso {
    /// `local:iso/NAME.iso`; the digest in the name makes it the name of these bytes.
    pub volume: String,
    /// Its bytes; none when only one that is there already will do.
    pub bytes: Option<Vec<u8>>,
}

impl ConfigDriveIso {
    /// The config drive of the VM of this name.
    pub fn new(name: &str, bytes: Vec<u8>, target: &Target) -> Self {
        let digest = Digest::of(&bytes).short(20);
        Self { volume: format!("{}:iso/diorite-{name}-{digest}.iso", target.iso_storage), bytes: Some(bytes) }
    }

    /// The name of its file.
    pub fn file(&self) -> &str {
        self.volume.rsplit('/').next().unwrap_or_default()
    }
}

/// Without its bytes: they may hold secrets.
impl fmt::Debug for ConfigDriveIso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.volume)
    }
}

/// What is to be deployed.
#[derive(Debug, Clone)]
pub enum DeployImage {
    /// These very bytes were booted and checked.
    Verified(VerifiedImage),
    /// Deployed without a report; the VM's notes say so.
    Unverified(UnverifiedImage),
}

impl DeployImage {
    /// SHA-256 of the raw disk.
    pub fn sha256(&self) -> Digest {
        match self {
            DeployImage::Verified(image) => image.disk_sha256(),
            DeployImage::Unverified(image) => image.disk_sha256,
        }
    }
}

/// A machine as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Its name.
    pub name: String,
    /// IMAGE_ID of its image.
    pub image: String,
    /// IMAGE_VERSION.
    pub version: String,
    /// SHA-256 of the raw disk.
    pub sha256: Digest,
    /// The image was booted and checked before.
    pub verified: bool,
    /// Its file; none when only a disk that the machine has already will do.
    pub file: Option<ImageFile>,
    /// Everything besides its disks; none: as it is.
    pub hardware: Option<Keys>,
    /// Bytes of the disk for /var of a machine that is to be made.
    pub state: u64,
    /// Whether a machine that is to be made gets a TPM.
    pub tpm: bool,
    /// The hypervisor's firewall; none: as it is.
    pub firewall: Option<firewall::FirewallRules>,
    /// Replaced system disks that are kept; none: all.
    pub keep: Option<u32>,
    /// Its config drive; none: it stays as it is.
    pub config_drive: Option<ConfigDriveIso>,
    /// UUID of a machine that is to be made; none: the hypervisor makes one up.
    pub uuid: Option<String>,
    /// The node that a machine is to be made on; none: the one with the most memory left.
    pub node: Option<String>,
    /// What its cluster does for it; none: as it is.
    pub cluster: Option<Cluster>,
    /// What this very run has found out about the image on this machine.
    pub verdict: Option<HealthVerdict>,
    /// The run that makes it so; none when nothing is changed.
    pub run: Option<DeployRun>,
}

impl Desired {
    /// The machine of this name, with these links, that a recipe and its image make at a target.
    ///
    /// # Errors
    /// The recipe keeps /var on the image's own disk, which the next image would take away.
    pub fn new(
        name: &str,
        recipe: &Recipe,
        links: &BTreeMap<String, Link>,
        machine: &Hardware,
        image: &DeployImage,
        file: ImageFile,
        target: &Target,
    ) -> Result<Self> {
        deployable(recipe)?;
        let agent = |package: &String| package.split('=').next() == Some(AGENT);
        Ok(Self {
            name: name.to_owned(),
            image: recipe.image.name.clone(),
            version: recipe.image.version.clone(),
            sha256: image.sha256(),
            verified: matches!(image, DeployImage::Verified(_)),
            file: Some(file),
            hardware: Some(hardware(name, machine, recipe.packages.include.iter().any(agent), target)),
            state: machine.state,
            tpm: machine.tpm,
            firewall: Some(firewall::of(recipe, links)),
            keep: Some(machine.keep),
            config_drive: None,
            uuid: None,
            node: None,
            cluster: Some(machine.cluster.clone()),
            verdict: None,
            run: None,
        })
    }

    /// A machine with an image that it has had, and with the firewall that it came with; everything else as it is.
    pub fn back(name: &str, image: &str, generation: &Generation) -> Self {
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            version: generation.version.clone(),
            sha256: generation.sha256,
            verified: generation.verified,
            file: None,
            hardware: None,
            state: 0,
            tpm: false,
            firewall: generation.firewall.clone(),
            keep: None,
            config_drive: None,
            uuid: None,
            node: None,
            cluster: None,
            verdict: None,
            run: None,
        }
    }

    /// The notes of a machine that is created from it.
    pub fn initial_notes(&self) -> MachineNotes {
        MachineNotes {
            image: self.image.clone(),
            generations: vec![self.generation()],
            config_drives: BTreeSet::new(),
            run: self.run.clone(),
        }
    }

    /// What the notes say of its image before it has shown anything.
    pub fn generation(&self) -> Generation {
        Generation {
            version: self.version.clone(),
            sha256: self.sha256,
            volume: None,
            proven: HealthVerdict::New,
            verified: self.verified,
            on_trial: false,
            firewall: None,
        }
    }

    /// The name of the machine that takes the image in.
    pub fn staging(&self) -> String {
        format!("{}-staging", self.name)
    }

    /// Its tags: whose it is, and which image has shown that it works on it.
    pub fn tags(&self, target: &Target) -> String {
        format!("{};{}", target.tag, image_tag(target, self.sha256))
    }
}

/// The tag that says that an image works on a machine: the second place, besides the notes, where that is written.
pub fn image_tag(target: &Target, sha256: Digest) -> String {
    format!("{}-{}", target.tag, sha256.short(12))
}

/// Whether images of this recipe can be deployed: known from the profile alone, before anything is built.
///
/// # Errors
/// The recipe keeps /var on the image's own disk, which the next image would replace.
pub fn deployable(recipe: &Recipe) -> Result<()> {
    if recipe.state.disk == StateDisk::Same {
        return Err(Error::input(format!(
            "`{}` cannot be deployed: the next image would delete /var",
            recipe.image.name
        ))
        .at("[state] of the profile")
        .because("/var is on the system disk, and a deployment replaces that disk as a whole")
        .hint("write `disk = \"own\"` under `[state]`, then build and verify"));
    }
    Ok(())
}

/// How the system disk is attached; `volume` is what stands before the first comma.
pub fn system(volume: &str, sha256: Digest) -> String {
    format!("{volume},discard=on,iothread=1,serial={}", crate::notes::serial(sha256))
}

/// How a config drive is attached.
pub fn config_drive(volume: &str) -> String {
    format!("{volume},media=cdrom")
}

/// Everything besides disks.
pub fn hardware(name: &str, hardware: &Hardware, agent: bool, target: &Target) -> Keys {
    let mac = hardware.mac.as_deref().unwrap_or_default();
    let vlan = hardware.vlan.map_or(String::new(), |vlan| format!(",tag={vlan}"));
    let card = match mac {
        // Made without a value, it gets an address, and keeps it.
        "" => "virtio".to_owned(),
        mac => format!("virtio={mac}"),
    };
    let keys = [
        ("name", name.to_owned()),
        ("machine", "q35".into()),
        ("bios", "ovmf".into()),
        ("ostype", "l26".into()),
        ("cpu", "x86-64-v2-AES".into()),
        ("cores", hardware.cores.to_string()),
        ("memory", (hardware.memory >> 20).to_string()),
        ("scsihw", "virtio-scsi-single".into()),
        // Without `disk`: a change of the system disk waits for the next start, instead of failing half-way.
        ("hotplug", "network,usb".into()),
        ("net0", format!("{card},bridge={}{vlan},firewall={}", target.bridge, u8::from(target.firewall))),
        ("agent", format!("enabled={}", u8::from(agent))),
        ("serial0", "socket".into()),
        ("vga", "serial0".into()),
        ("rng0", "source=/dev/urandom".into()),
        ("onboot", u8::from(hardware.start_at_boot).to_string()),
    ];
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// GiB of a new machine's disk for /var.
pub fn state(desired: &Desired) -> u64 {
    desired.state.div_ceil(1 << 30).max(1)
}

/// The keys of a new machine: the hardware and its disks.
pub fn new(desired: &Desired, hardware: &Keys, target: &Target, file: &ImageFile) -> Keys {
    let disks = &target.disk_storage;
    let mut keys = hardware.clone();
    let image = format!("{disks}:0,import-from={}:import/{}", target.import_storage, file.name);
    keys.insert(SYSTEM.into(), system(&image, desired.sha256));
    let size = state(desired);
    keys.insert(STATE.into(), format!("{disks}:{size},discard=on,iothread=1,serial=state"));
    // Ours are enrolled by the image itself, where it brings any.
    keys.insert("efidisk0".into(), format!("{disks}:0,efitype=4m,pre-enrolled-keys=0"));
    if desired.tpm {
        keys.insert("tpmstate0".into(), format!("{disks}:0,version=v2.0"));
    }
    keys.insert("boot".into(), format!("order={SYSTEM}"));
    keys.extend(desired.config_drive.as_ref().map(|d| (CONFIG_DRIVE.to_owned(), config_drive(&d.volume))));
    keys.extend(desired.uuid.as_ref().map(|uuid| ("smbios1".to_owned(), format!("uuid={uuid}"))));
    keys
}

/// Whether a key is not as it must be. What the hypervisor added (addresses, sizes) is as it must be.
pub fn differs(key: &str, there: Option<&String>, desired: &str) -> bool {
    let Some(there) = there else { return true };
    match key {
        "net0" => {
            let (there, desired) = (Properties::of(&named(there)), Properties::of(&named(desired)));
            !there.hold(&desired) || there.get("tag") != desired.get("tag")
        }
        "agent" => {
            // `1` is short for `enabled=1`.
            let on = |text: &str| text.split(',').any(|p| matches!(p, "1" | "enabled=1"));
            on(there) != on(desired)
        }
        // The domain name system knows no case.
        "name" => !there.eq_ignore_ascii_case(desired),
        _ => there != desired && !Properties::of(there).hold(&Properties::of(desired)),
    }
}

/// A card's model stands first, with its address or without: `virtio` is `virtio=`.
fn named(card: &str) -> String {
    match card.split_once(',') {
        Some((model, rest)) if !model.contains('=') => format!("{model}=,{rest}"),
        None if !card.contains('=') => format!("{card}="),
        _ => card.to_owned(),
    }
}

/// The value that makes a key right without losing what must stay: the card's address.
pub fn corrected(key: &str, there: Option<&String>, desired: &str) -> String {
    let model = |text: &str| text.split(',').next().unwrap_or_default().to_owned();
    match there {
        Some(there) if key == "net0" && !model(desired).contains('=') && model(there).contains('=') => {
            let rest = desired.split_once(',').map_or("", |(_, rest)| rest);
            format!("{},{rest}", model(there))
        }
        _ => desired.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_keeps_its_address() {
        let there = "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1".to_owned();
        let desired = "virtio,bridge=vmbr0,firewall=1";
        assert!(!differs("net0", Some(&there), desired));
        for other in ["virtio,bridge=vmbr1,firewall=1", "virtio,bridge=vmbr0,tag=5,firewall=1", "e1000,bridge=vmbr0"] {
            assert!(differs("net0", Some(&there), other), "{other}");
        }
        let tagged = format!("{there},tag=5");
        assert!(differs("net0", Some(&tagged), desired), "a VLAN that is not declared");
        assert_eq!(
            corrected("net0", Some(&there), "virtio,bridge=vmbr1,firewall=1"),
            "virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1"
        );
        let fixed = "virtio=52:54:00:00:00:07,bridge=vmbr0";
        assert_eq!(corrected("net0", Some(&there), fixed), fixed);
    }

    #[test]
    fn short_words_are_the_same() {
        assert!(!differs("agent", Some(&"1".into()), "enabled=1"));
        assert!(!differs("agent", Some(&"enabled=1,fstrim_cloned_disks=1".into()), "enabled=1"));
        assert!(differs("agent", Some(&"0".into()), "enabled=1"));
        assert!(differs("cores", Some(&"4".into()), "2") && differs("cores", None, "2"));
        assert!(!differs("machine", Some(&"q35".into()), "q35"));
    }
}
