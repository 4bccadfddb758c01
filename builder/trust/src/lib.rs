//! What people who did not build an image need to trust it, as data for programs that are not ours. Bytes in, bytes out: nothing
//! here reads a file, asks a clock or draws a random number.
//!
//! ```text
//! sbom                      ImageContents → ImageInventory → SPDX 2.3, CycloneDX 1.6
//! audit                     Lock × known vulnerabilities → Audit → VEX
//! ```

#![forbid(unsafe_code)]

pub mod audit;
pub mod sbom;
