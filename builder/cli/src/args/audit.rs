//! The command line of `audit`.

use super::{PathArgs, ScratchLockArgs, values};
use clap::{Args, ValueEnum};

/// What `audit` takes.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// A profile (its lock is audited, built or not), or the path of a raw disk image (disk.raw).
    #[arg(value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
    #[command(flatten)]
    pub lock: ScratchLockArgs,
    /// The data: a file of the Debian security tracker or of OSV, a directory or a zip of OSV's records, or a URL of such a file
    /// [default: `audit.data` of the profile, else $DIORITE_AUDIT_DATA].
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// The day the data is of, 2026-12-31, where it has none in it [default: when the file was last changed].
    #[arg(long, value_name = "DAY", value_parser = values::day)]
    pub data_day: Option<u64>,
    /// Days after which data is refused [default: `audit.max_age` of the profile, else 7].
    #[arg(long, value_name = "DAYS")]
    pub max_age: Option<u32>,
    /// Audit as if it were this day [default: today].
    #[arg(long, value_name = "DAY", value_parser = values::day)]
    pub day: Option<u64>,
    /// With the path of an image: the profile whose `[audit]` says what is put up with.
    #[arg(long, value_name = "PROFILE")]
    pub waivers: Option<String>,
    /// Print a VEX document of this form instead.
    #[arg(long, value_enum, value_name = "FORM", conflicts_with = "json")]
    pub vex: Option<VexForm>,
}

/// A form of VEX documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VexForm {
    /// OpenVEX v0.2.0.
    Openvex,
    /// CycloneDX 1.6.
    Cyclonedx,
}
