//! The command line. One definition makes parsing, help and the reference page.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Immutable Debian images: declared once, built reproducibly, proven by booting them.
#[derive(Debug, Parser)]
#[command(name = "diorite", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Answer in JSON on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing while working.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Folder of finished and half-way results [default: $DIORITE_STORE, else the user's cache folder].
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// A profile, and where its lock and results are.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// A file in profiles/ without its ending, or a path to a profile.
    pub name: String,
    /// The lock to use instead of the one beside the profile.
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Folder for results [default: out/NAME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Print the recipe: the profile with every default explicit.
    Show(Target),
    /// Resolve packages and write the lock, or say in words what would change.
    Lock {
        #[command(flatten)]
        target: Target,
        /// Replace an existing lock by a fresh one.
        #[arg(long)]
        update: bool,
    },
    /// Show the steps of a build, their keys, and which the store already holds.
    Plan(PlanArgs),
    /// Download what the lock names.
    Fetch(Target),
    /// Pack a lock with all its packages, or take such a pack in.
    #[command(subcommand)]
    Vault(Vault),
    /// Make the disk image.
    Build(BuildArgs),
    /// Boot the image in the lab and check it.
    Verify(PlanArgs),
    /// Build, then verify: what `make image` runs.
    Image(BuildArgs),
    /// Print the profile language: a JSON Schema for editors, or the reference page.
    Schema {
        /// The reference page, in Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Say what this host offers.
    Doctor,
    /// Prepare what the test suite needs and print it as shell assignments.
    #[command(hide = true)]
    TestMaterial(BuildArgs),
}

/// What `build` takes.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub target: Target,
    /// When the lock is missing, or packages have gone from every mirror, lock afresh into the results folder instead of stopping.
    #[arg(long)]
    pub relock: bool,
    /// Do not write disk.qcow2.
    #[arg(long)]
    pub no_qcow2: bool,
}

/// What `plan` and `verify` take.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub target: Target,
    /// Use the lock that `build --relock` left in the results folder, where there is one for this profile.
    #[arg(long)]
    pub relock: bool,
}

/// What `vault` does.
#[derive(Debug, Subcommand)]
pub enum Vault {
    /// Write the lock and every package it names into one file.
    Export {
        #[command(flatten)]
        target: Target,
        /// The file to write.
        file: PathBuf,
    },
    /// Verify every package in the file and put it into the store.
    Import {
        /// The file to read.
        file: PathBuf,
    },
}
