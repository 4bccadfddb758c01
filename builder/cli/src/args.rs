//! The command line. One definition makes parsing, help and the reference page.

use clap::{Args, Parser, Subcommand};
use diorite_checks::Forward;
use diorite_image::format::{self, Format};
use diorite_model::report::Shard;
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
    /// Directory of finished and half-way results [default: $DIORITE_STORE, else the user's cache directory].
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
    /// Directory for results [default: out/NAME].
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
    Verify(VerifyArgs),
    /// Boot several machines in one lab and do the steps of a scenario.
    Scenario(ScenarioArgs),
    /// Build, then verify: what `make image` runs.
    Image(BuildArgs),
    /// Look at a hypervisor that images can be deployed to.
    #[command(subcommand)]
    Target(TargetVerb),
    /// Make the config drive of an instance: a disc with what that machine has of its own, signed.
    Drive(DriveArgs),
    /// Make a machine of the image on a hypervisor, or give the machine that is there its next image; an image that does not
    /// show that it works is taken back.
    Deploy(DeployArgs),
    /// Go back to an image that a machine had before.
    Rollback(RollbackArgs),
    /// Show the machines of a target, their images, and where one differs from its profile.
    Status(StatusArgs),
    /// Build, then boot the image in the lab for a person: its console or a root shell, and ports that lead into it.
    Run(RunArgs),
    /// Print the profile language: a JSON Schema for editors, or the reference page.
    Schema {
        /// The reference page, in Markdown.
        #[arg(long)]
        markdown: bool,
        /// The reference page of scenarios instead.
        #[arg(long, conflicts_with = "markdown")]
        scenario: bool,
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
    /// When the lock is missing, or packages have gone from every mirror, lock afresh into the results directory instead of stopping.
    #[arg(long)]
    pub relock: bool,
    /// Formats to write beside disk.raw, separated by commas; `raw` alone writes no other.
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', default_value = "qcow2", value_parser = format_parser())]
    pub format: Vec<Format>,
    /// The name before `--format`.
    #[arg(long, hide = true)]
    pub no_qcow2: bool,
}

fn format_parser() -> impl clap::builder::TypedValueParser<Value = Format> {
    use clap::builder::TypedValueParser as _;
    let names = format::ALL.iter().map(|format| format.name);
    clap::builder::PossibleValuesParser::new(names).map(|name| Format::named(&name).expect("one of the names"))
}

/// What `plan` takes.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub target: Target,
    /// Use the lock that `build --relock` left in the results directory, where there is one for this profile.
    #[arg(long)]
    pub relock: bool,
}

/// What `verify` takes.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// A file in profiles/ without its ending, or a path to a profile.
    #[arg(required_unless_present = "reopen")]
    pub name: Option<String>,
    /// The lock to use instead of the one beside the profile.
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Directory for results [default: out/NAME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Use the lock that `build --relock` left in the results directory, where there is one for this profile.
    #[arg(long)]
    pub relock: bool,
    /// The name is a raw disk; FILE is the profile it was made from, or the recipe.json beside it.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Show the checks and where each is asked from, and boot nothing.
    #[arg(long)]
    pub list: bool,
    /// Ask only checks of these names, and what they need first; `*` is any text, `?` any character.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub only: Vec<String>,
    /// Leave out checks of these names, unless another one needs them first.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub skip: Vec<String>,
    /// Ask one part of several: `2/3`. Every check is in exactly one part.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Boot the machine even where the moment kept from an earlier run would do, and keep a new one.
    #[arg(long)]
    pub boot: bool,
    /// Do all of it N times; a check that does not answer the same each time is flaky, and fails.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeat: u32,
    /// Go back to the moment at which a check failed, kept in this directory `evidence`, with a shell in the machine. With a
    /// name the tools come from that profile's lock.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["recipe", "list", "only", "skip", "shard", "boot", "repeat"])]
    pub reopen: Option<PathBuf>,
}

impl VerifyArgs {
    /// What is verified; nothing has a name only where a failure is reopened.
    pub fn target(&self) -> Target {
        Target { name: self.name.clone().unwrap_or_default(), lock: self.lock.clone(), out: self.out.clone() }
    }
}

/// What `scenario` takes.
#[derive(Debug, Clone, Args)]
pub struct ScenarioArgs {
    /// Files in vm-tests/scenarios/ without their ending, or paths [default with --list: all of them].
    #[arg(value_name = "FILE", required_unless_present = "list")]
    pub files: Vec<String>,
    /// Show what each scenario proves and its steps, and boot nothing.
    #[arg(long)]
    pub list: bool,
    /// Do all of it N times; a step that does not answer the same each time is flaky, and fails.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeat: u32,
    /// Use the locks that `build --relock` left in the results directories, where there are some.
    #[arg(long)]
    pub relock: bool,
    /// Directory for results; each scenario has one of its name in it.
    #[arg(long, value_name = "DIR", default_value = "out/scenarios")]
    pub out: PathBuf,
}

/// What `run` takes.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub target: Target,
    /// When the lock is missing, or packages have gone from every mirror, lock afresh into the results directory instead of stopping.
    #[arg(long)]
    pub relock: bool,
    /// Boot what an earlier build left in the results directory, whatever has changed since.
    #[arg(long)]
    pub no_build: bool,
    /// Lead this port of the host, on loopback, to that TCP port of the machine; 0 is any that is free. May be given several times [default: every TCP port that the firewall admits].
    #[arg(long, value_name = "HOST:GUEST", value_parser = forward)]
    pub forward: Vec<Forward>,
    /// A root shell instead of the console. A credential brings it; no byte of the disk changes.
    #[arg(long)]
    pub shell: bool,
    /// Keep what the machine writes for the next run with --keep, in out/NAME/run.
    #[arg(long)]
    pub keep: bool,
}

/// What `drive` takes.
#[derive(Debug, Clone, Args)]
pub struct DriveArgs {
    #[command(flatten)]
    pub target: Target,
    /// One of `[instances]` of the profile.
    pub instance: String,
    /// UUID of the machine that it is for, as its firmware tells it; no other one takes it.
    #[arg(long, value_name = "UUID", value_parser = uuid)]
    pub machine: String,
    /// Private key (OpenSSH, ssh-ed25519) whose public half is in `config_drive.signers`; a file of mode 600.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where to put the disc [default: out/NAME/INSTANCE.iso].
    #[arg(long, value_name = "FILE")]
    pub disc: Option<PathBuf>,
}

fn uuid(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    match parts == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
        true => Ok(text.to_lowercase()),
        false => Err("a UUID is 32 hexadecimal digits, as in 6f9619ff-8b86-4d11-b42d-00c04fc964ff".into()),
    }
}

/// What `deploy` takes.
#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    pub target: Target,
    /// The hypervisor: a name in profiles/targets.toml or ~/.config/diorite/targets.toml.
    #[arg(long, value_name = "TARGET")]
    pub to: String,
    /// The machine's name there [default: the profile's host name].
    #[arg(long = "name", value_name = "NAME")]
    pub machine: Option<String>,
    /// Machines of a profile with several that may be away at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub max_unavailable: u16,
    /// Show every call that would be made, and make none.
    #[arg(long)]
    pub plan: bool,
    /// Deploy although no report vouches for these bytes; the machine's notes say so.
    #[arg(long)]
    pub unverified: bool,
    #[command(flatten)]
    pub patience: Patience,
}

/// How long a machine may take.
#[derive(Debug, Clone, Args)]
pub struct Patience {
    /// Seconds from its start until a machine must have shown that it works.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
}

/// What `rollback` takes.
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// The hypervisor: a name in profiles/targets.toml or ~/.config/diorite/targets.toml.
    pub target: String,
    /// The machine's name [default: the only one that is there].
    pub name: Option<String>,
    /// The version to go to [default: the one that worked before].
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Show every call that would be made, and make none.
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub patience: Patience,
}

/// What `status` takes.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// The hypervisor: a name in profiles/targets.toml or ~/.config/diorite/targets.toml.
    pub target: String,
    /// A profile, to show where its machine differs from it.
    #[arg(value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The machine's name [default: the profile's host name].
    #[arg(long, value_name = "NAME", requires = "profile")]
    pub name: Option<String>,
    /// Compare the machines' own values too: fetches their secrets, and the key that signs.
    #[arg(long, requires = "profile")]
    pub values: bool,
}

fn forward(text: &str) -> Result<Forward, String> {
    let parts = text.split_once(':').and_then(|(h, g)| Some((h.parse().ok()?, g.parse().ok()?)));
    match parts {
        Some((host, guest)) if guest > 0 => Ok(Forward { host, guest }),
        _ => Err("a port of the host and one of the machine: `8080:80`, or `0:80`".into()),
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    let number = |part: &str| part.parse::<usize>().ok().filter(|n| part == n.to_string());
    let parts = text.split_once('/').and_then(|(i, n)| Some((number(i)?, number(n)?)));
    match parts {
        Some((index, count)) if (1..=count).contains(&index) => Ok(Shard { index, count }),
        _ => Err("two numbers, the first from 1 to the second: `2/3`".into()),
    }
}

/// What `target` does.
#[derive(Debug, Subcommand)]
pub enum TargetVerb {
    /// Say what a target offers and what its login may do there, with everything that stands in the way; change nothing.
    Check {
        /// A name in profiles/targets.toml or ~/.config/diorite/targets.toml.
        name: String,
    },
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
