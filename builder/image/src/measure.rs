//! A unified kernel image → what a TPM will hold in PCR 11 when it has been started: what a secret can be sealed to, and what an
//! attestation of a machine can be compared with.
//!
//! Sources: systemd-stub(7) and systemd-measure(1): the stub extends the register by the name of each section, with its zero
//! byte, and by its content, in an order of its own; later each phase of the boot extends it by its name.

use crate::pe::Pe;
use diorite_model::{Digest, Result};

/// Sections in the order in which the stub measures them. Signatures of expected values (`.pcrsig`) cannot be among them.
const MEASURED: [&str; 13] = [
    ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey", ".profile",
    ".dtbauto", ".hwids",
];

/// The phases of a boot, systemd-pcrphase.service(8).
const PHASES: [&str; 4] = ["enter-initrd", "leave-initrd", "sysinit", "ready"];

/// The register at one moment of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedPcr {
    /// The phases so far, joined by colons as systemd-measure writes them; empty before the kernel runs.
    pub phases: String,
    /// The value in the bank of SHA-256.
    pub sha256: Digest,
}

/// PCR 11 before the kernel runs and after each phase.
///
/// # Errors
/// It is no EFI program.
pub fn pcr_11(uki: &[u8]) -> Result<Vec<ExpectedPcr>> {
    let uki = Pe::parse(uki.to_vec())?;
    let mut register = Digest([0; 32]);
    for name in MEASURED {
        if let Some(content) = uki.section(name)? {
            register = extended(register, &[name.as_bytes(), b"\0"].concat());
            register = extended(register, content);
        }
    }
    let mut all = vec![ExpectedPcr { phases: String::new(), sha256: register }];
    for phase in PHASES {
        register = extended(register, phase.as_bytes());
        let before = &all.last().expect("the first").phases;
        let phases = if before.is_empty() { phase.to_owned() } else { format!("{before}:{phase}") };
        all.push(ExpectedPcr { phases, sha256: register });
    }
    Ok(all)
}

/// What a register holds after an event.
fn extended(register: Digest, event: &[u8]) -> Digest {
    Digest::of(&[register.0, Digest::of(event).0].concat())
}
