//! Arguments of the verbs that deal with a hypervisor. They all name it with `--target`; what comes first is the
//! profile or the VM.

use super::{ProfileArgs, values};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Which hypervisor.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// The hypervisor: a name in profiles/targets.toml or ~/.config/diorite/targets.toml.
    #[arg(long = "target", value_name = "TARGET")]
    pub target: String,
}

/// How long a VM may take.
#[derive(Debug, Clone, Args)]
pub struct TimeoutArgs {
    /// Time for the VM to become healthy after its start.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

/// What `drive` takes.
#[derive(Debug, Clone, Args)]
pub struct DriveArgs {
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// One of the profile's `[instances]`.
    pub instance: String,
    /// Firmware UUID of the VM that will accept this config drive.
    #[arg(long, value_name = "UUID", value_parser = values::uuid)]
    pub machine: String,
    /// Private key (OpenSSH, ssh-ed25519) whose public half is in `config_drive.signers`; a file of mode 600.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where to write the ISO [default: out/NAME/INSTANCE.iso].
    #[arg(long, value_name = "FILE")]
    pub iso: Option<PathBuf>,
}

/// What `deploy` takes.
#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    pub profile: ProfileArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    /// The VM's name on the target [default: the profile's host name].
    #[arg(long = "name", value_name = "MACHINE")]
    pub machine: Option<String>,
    /// VMs that may be down at once during a rolling update.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub max_unavailable: u16,
    /// Show every API call that would be made, and make none.
    #[arg(long)]
    pub plan: bool,
    /// Deploy without a passing verification report; recorded in the VM's notes.
    #[arg(long)]
    pub unverified: bool,
    /// Deploy only an image of which this file's keys have said what it requires; besides the target's own `policy`.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    #[command(flatten)]
    pub timeout: TimeoutArgs,
}

/// What `rollback` takes.
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// The VM's name [default: the only one on the target].
    #[arg(value_name = "MACHINE")]
    pub machine: Option<String>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// The image version to return to [default: the last one that worked].
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Show every API call that would be made, and make none.
    #[arg(long)]
    pub plan: bool,
    /// Return only to an image of which this file's keys have said what it requires; besides the target's own `policy`.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Directory of the attestations that a policy asks for [default: out/IMAGE/attestations, IMAGE as in the VM's notes].
    #[arg(long, value_name = "DIR")]
    pub attestations: Option<PathBuf>,
    #[command(flatten)]
    pub timeout: TimeoutArgs,
}

/// What `status` takes.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// A profile, to show where its VMs differ from it.
    #[arg(value_name = "PROFILE")]
    pub profile: Option<String>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// The VM's name [default: the profile's host name].
    #[arg(long = "name", value_name = "MACHINE", requires = "profile")]
    pub machine: Option<String>,
    /// Compare per-VM values too: this reads their secrets and the signing key.
    #[arg(long, requires = "profile")]
    pub values: bool,
}

/// What `target` does.
#[derive(Debug, Subcommand)]
pub enum TargetVerb {
    /// Report what a target offers, what its login may do there, and every problem found; change nothing.
    Check {
        /// A name in profiles/targets.toml or ~/.config/diorite/targets.toml.
        #[arg(value_name = "TARGET")]
        name: String,
    },
}
