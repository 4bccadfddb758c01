//! What a run of a scenario is asked for.

use diorite_host::{progress::Progress, tools::ToolsTree};
use diorite_model::{Digest, Recipe, scenario::Scenario};
use std::path::{Path, PathBuf};

/// What a machine of a scenario is booted from.
#[derive(Debug, Clone)]
pub struct ScenarioDisk {
    /// The raw disk. It is never written.
    pub disk: PathBuf,
    /// Its SHA-256, as the build said.
    pub sha256: Digest,
    /// What it was made from.
    pub recipe: Recipe,
}

/// What a run needs.
#[derive(Debug, Clone, Copy)]
pub struct ScenarioInput<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The disk of each of its machines, in their order.
    pub disks: &'a [ScenarioDisk],
    /// How many times all of it is done, 1 at least.
    pub runs: u32,
    /// QEMU and firmware.
    pub tools: &'a ToolsTree,
    /// Where the report, wire.pcapng and consoles go; an `evidence` directory on failure; a directory for each of several runs.
    pub out: &'a Path,
    /// Who is told how it goes.
    pub progress: &'a Progress,
}
