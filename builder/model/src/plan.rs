//! Plan: the steps, their keys, and which are already in the store; nothing done yet.

use crate::Digest;
use serde::{Deserialize, Serialize};

/// One input-addressed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `tree`, `container web`, `configure`, `filesystem`, `disk`.
    pub name: String,
    /// Digest of every input, and of the program that runs the step.
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
    /// The programs that made the image and are not in it. Every step runs in Diorite itself, so this is one.
    pub tools: Vec<BuildTool>,
    /// The steps in order.
    pub steps: Vec<StepResult>,
}

/// A program that made an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildTool {
    /// Program.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
}

impl BuildTool {
    /// The program that is running: the digest is part of every step's key.
    pub fn diorite(version: &str, sha256: Digest) -> Self {
        Self { name: "diorite".into(), version: version.into(), sha256 }
    }
}

/// One run of a program of the tools tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRun {
    /// Program.
    pub name: String,
    /// Package version.
    pub version: String,
    /// Arguments.
    pub argv: Vec<String>,
}
