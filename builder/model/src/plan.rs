//! Plan: the steps, their keys, and which are already in the store; nothing done yet.

use crate::Digest;
use serde::{Deserialize, Serialize};

/// One input-addressed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `tree`, `container web`, `configure`, `seal`, `initrd`, `filesystem`, `verity`, `uki`, `disk`, `qcow2`.
    pub name: String,
    /// Digest of every input and of the tools used.
    pub key: Digest,
    /// The store already holds the result.
    pub hit: bool,
}

/// What a finished step cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Bytes of the result.
    pub bytes: u64,
}

/// `out/NAME/build.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// Version of this format: 1.
    pub schema: u32,
    /// Image name.
    pub name: String,
    /// Image version.
    pub version: String,
    /// SHA-256 of disk.raw.
    pub disk_sha256: Digest,
    /// dm-verity root hash.
    pub root_hash: Digest,
    /// Digest of the recipe.
    pub recipe_digest: Digest,
    /// Digest of the lock.
    pub lock_digest: Digest,
    /// Programs of the tools tree that ran: name, version, argv. Empty where everything was done in process.
    pub tools: Vec<ToolRun>,
    /// The steps in order.
    pub steps: Vec<StepResult>,
}

/// One run of an outside program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRun {
    /// Program.
    pub name: String,
    /// Package version.
    pub version: String,
    /// Arguments.
    pub argv: Vec<String>,
}
