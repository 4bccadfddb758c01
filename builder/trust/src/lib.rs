//! What people who did not build an image need to trust it, as data for programs that are not ours. Bytes in, bytes out: nothing
//! here reads a file or asks a clock, and only new keys are drawn from the system's random numbers.
//!
//! ```text
//! sbom                      ImageContents → ImageInventory → SPDX 2.3, CycloneDX 1.6
//! attest                    Build, Recipe, Lock, Report → signed statements (in-toto, SLSA, Sigstore bundle) → what holds of a disk
//! secure_boot               keys, digests of EFI programs → certificates, signatures, variables of firmware
//! keys                      keys of attestations: bytes → signature → verified
//! audit                     Lock × known vulnerabilities → Audit → VEX
//! ```

#![forbid(unsafe_code)]

pub mod attest;
pub mod audit;
pub mod keys;
pub mod sbom;
pub mod secure_boot;
