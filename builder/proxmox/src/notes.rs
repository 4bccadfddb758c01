//! A VM's notes: which image is on which of its disks, and whether it works. Volumes carry no metadata, and a detached disk
//! keeps nothing but its volume's name.

use crate::firewall::FirewallRules;
use crate::run::DeployRun;
use diorite_model::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the line that people read begins with.
const SENTENCE: &str = "Made by Diorite: ";
/// What the line that programs read begins with.
const MARK: &str = "diorite: ";
/// Most characters of a machine's notes (qm.conf(5), description).
const NOTES: usize = 8192;
/// Bytes of a disk's serial number (qemu: 20 in SCSI's page 0x80 as udev shows it).
const SERIAL: usize = 20;

/// Whether an image has shown on this machine that it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthVerdict {
    /// Not yet.
    New,
    /// It has.
    Good,
    /// It has not.
    Failed,
}

/// An image that is or was the system disk of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// IMAGE_VERSION.
    pub version: String,
    /// SHA-256 of the raw disk.
    pub sha256: Digest,
    /// `local-zfs:vm-100-disk-2`; none until the hypervisor has named it.
    pub volume: Option<String>,
    /// Whether it works. What has worked stays known: a new start does not take it back, only a failure does.
    pub proven: HealthVerdict,
    /// It was started and has not shown yet that it works after that start.
    #[serde(default, skip_serializing_if = "is_false")]
    pub on_trial: bool,
    /// Whether these bytes had been booted and checked before they came here.
    pub verified: bool,
    /// The hypervisor's firewall that it came with, for the way back; none where it is not looked at, or did not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallRules>,
}

/// For serde.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Generation {
    /// Serial number of its disk.
    pub fn serial(&self) -> String {
        serial(self.sha256)
    }
}

/// The serial number of a system disk: the beginning of its image's digest.
pub fn serial(sha256: Digest) -> String {
    sha256.short(SERIAL)
}

/// The notes of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Notes {
    /// Of a VM that runs an image.
    Machine(MachineNotes),
    /// Of a staging VM: it imports an image and passes its disk on.
    Staging(StagingNotes),
}

/// The notes of a VM that runs an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineNotes {
    /// IMAGE_ID.
    pub image: String,
    /// The system disk that it has, and those that it had, the latest first.
    pub generations: Vec<Generation>,
    /// Config drives that it has or had, as long as they are on their storage.
    #[serde(default, rename = "discs", skip_serializing_if = "BTreeSet::is_empty")]
    pub config_drives: BTreeSet<String>,
    /// The deployment that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<DeployRun>,
}

/// The notes of a staging VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagingNotes {
    /// Number of the machine that the disk is for.
    pub machine: u32,
    /// The slot of that machine that it goes to: `unused3`.
    pub slot: String,
    /// The image.
    pub generation: Generation,
}

impl Notes {
    /// As the notes of a machine: a line for people, and a line for programs. What else stood in the notes stays.
    pub fn render(&self, before: &str) -> String {
        let (people, programs) = (self.sentence(), self.line());
        let ours = |line: &&str| line.starts_with(SENTENCE) || line.trim().starts_with(MARK);
        let others: Vec<&str> = before.lines().filter(|line| !ours(line)).collect();
        let others = others.join("\n");
        match others.trim() {
            "" => format!("{people}\n\n{programs}\n"),
            others => format!("{others}\n\n{people}\n\n{programs}\n"),
        }
    }

    fn line(&self) -> String {
        format!("{MARK}{}", serde_json::to_string(self).expect("our own types serialize"))
    }

    fn sentence(&self) -> String {
        let what = match self {
            Notes::Machine(machine) => {
                let now = machine.generations.first();
                let version = now.map_or(String::new(), |g| format!(" {}, disk {}", g.version, g.sha256.short(12)));
                format!("{}{version}", machine.image)
            }
            Notes::Staging(staging) => format!("imports an image for VM {}, then is removed", staging.machine),
        };
        format!("{SENTENCE}{what}. The next line is read by it: leave it as it is.")
    }

    /// From the notes of a VM; none when they are not ours or were changed.
    pub fn parse(notes: &str) -> Option<Self> {
        let line = notes.lines().rev().find_map(|line| line.trim().strip_prefix(MARK))?;
        serde_json::from_str(line).ok()
    }
}

impl MachineNotes {
    /// With as many firewalls as fit into the notes, the latest first. `before`: what stands there.
    pub fn fitting(mut self, before: &str) -> Notes {
        while Notes::Machine(self.clone()).render(before).chars().count() > NOTES {
            let Some(last) = self.generations.iter_mut().rfind(|g| g.firewall.is_some()) else { break };
            last.firewall = None;
        }
        Notes::Machine(self)
    }

    /// The generation of this image.
    pub fn of(&self, sha256: Digest) -> Option<&Generation> {
        self.generations.iter().find(|g| g.sha256 == sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_back_and_what_others_write_is_not_ours() {
        let generation = Generation {
            version: "1".into(),
            sha256: Digest::of(b"disk"),
            volume: Some("local-zfs:vm-100-disk-0".into()),
            proven: HealthVerdict::Good,
            verified: true,
            on_trial: false,
            firewall: None,
        };
        let machine = Notes::Machine(MachineNotes {
            image: "server".into(),
            generations: vec![generation.clone()],
            config_drives: BTreeSet::new(),
            run: None,
        });
        let staging =
            Notes::Staging(StagingNotes { machine: 100, slot: "unused3".into(), generation: generation.clone() });
        for record in [machine, staging] {
            assert_eq!(Notes::parse(&record.render("")), Some(record.clone()));
            // A person may write around it; the interface ends every line differently.
            let edited = format!("Call Anna first.\r\n{}\r\nReally.", record.render("").replace('\n', "\r\n"));
            assert_eq!(Notes::parse(&edited), Some(record.clone()));
            let again = record.render(&edited);
            assert!(again.starts_with("Call Anna first.") && again.contains("\nReally."), "{again}");
            assert_eq!((again.matches(MARK).count(), again.matches(SENTENCE).count()), (1, 1));
            assert_eq!(record.render(&again), again, "it rests");
        }
        // What does not fit is left out, the oldest first; what somebody wrote stays.
        let wide = |version: &str| Generation {
            version: version.into(),
            firewall: Some(FirewallRules {
                rules: vec![[("comment".to_owned(), "x".repeat(3000))].into()],
                ..FirewallRules::default()
            }),
            ..generation.clone()
        };
        let machine = MachineNotes {
            image: "server".into(),
            generations: ["3", "2", "1"].map(wide).into(),
            config_drives: BTreeSet::new(),
            run: None,
        };
        let record = machine.fitting("Call Anna first.");
        let Notes::Machine(fitted) = &record else { panic!("{record:?}") };
        let kept: Vec<_> = fitted.generations.iter().map(|g| g.firewall.is_some()).collect();
        assert_eq!(kept, [true, true, false]);
        assert_eq!(Notes::parse(&record.render("Call Anna first.")), Some(record.clone()));
        for foreign in ["", "diorite: {}", "diorite: nonsense", "a machine made by diorite"] {
            assert_eq!(Notes::parse(foreign), None, "{foreign}");
        }
    }
}
