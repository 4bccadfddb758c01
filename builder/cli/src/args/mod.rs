//! The command line. This one definition makes parsing, `--help`, the man pages, the shell completions and
//! docs/reference/cli.md.

mod attest;
mod audit;
mod deploy;
#[cfg(test)]
mod mentions;
mod renamed;
mod signing;
mod values;

pub use attest::{AttestShowArgs, AttestSignArgs, AttestVerb, AttestVerifyArgs, SignerArgs};
pub use audit::{AuditArgs, VexForm};
pub use deploy::{DeployArgs, DriveArgs, RollbackArgs, StatusArgs, TargetVerb};
pub use renamed::explain;
pub use signing::{KeysVerb, SigningArgs};

use crate::init::Example;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use diorite_checks::Forward;
use diorite_image::format::Format;
use diorite_model::report::Shard;
use std::path::PathBuf;

/// What help and the reference say at their end.
const AFTER: &str = "\
Exit codes: 0 done; 1 your input is wrong; 2 wrong usage; 3 the lock is out of
date; 4 a check failed or a difference was found; 5 the host lacks something;
6 a remote refused; 7 not reproducible; 70 a bug in Diorite; 130 interrupted;
141 the output was closed. Results go to stdout, progress and errors to stderr.";

/// Immutable Debian images: declared once, built reproducibly, proven by booting them.
#[derive(Debug, Parser)]
#[command(name = "diorite", version, arg_required_else_help = true, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// Print the answer as JSON on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Store (cache) directory [default: $DIORITE_STORE, else the user's cache directory].
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// A profile, and where its lock and results are.
#[derive(Debug, Clone, Args)]
pub struct ProfileArgs {
    /// Profile: the name of a file in profiles/ without .toml, or a path.
    pub name: String,
    #[command(flatten)]
    pub paths: PathArgs,
}

/// Where a profile's lock and results are.
#[derive(Debug, Clone, Default, Args)]
pub struct PathArgs {
    /// Lock file [default: profiles/NAME.lock].
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Directory for results [default: out/NAME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Whether a stale lock may be replaced.
#[derive(Debug, Clone, Args)]
pub struct RelockArgs {
    /// When the lock is missing, or packages have gone from every mirror: resolve again into the scratch lock
    /// (scratch.lock in the results directory) instead of stopping.
    #[arg(long)]
    pub relock: bool,
}

/// Whether the scratch lock is used.
#[derive(Debug, Clone, Args)]
pub struct ScratchLockArgs {
    /// Use the scratch lock that `diorite build --relock` left in the results directory, if it exists and is for this
    /// profile.
    #[arg(long)]
    pub scratch_lock: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a project of your own: a commented profile, its base, an overlay, and CI configuration.
    Init(InitArgs),
    /// Turn another tool's file into tables of a profile.
    #[command(subcommand)]
    Import(ImportVerb),
    /// Print the recipe: the profile with every default explicit.
    Show(ProfileArgs),
    /// Resolve packages and write the lock; where there is one, show what would change.
    Lock {
        #[command(flatten)]
        profile: ProfileArgs,
        /// Replace an existing lock. Everything is resolved anew: every package gets the version that the archive has
        /// now.
        #[arg(long)]
        update: bool,
    },
    /// Show the steps of a build, their keys, and which results the store holds.
    Plan(PlanArgs),
    /// Download every package the lock names.
    Fetch(ProfileArgs),
    /// Export or import a lock with all its packages.
    #[command(subcommand)]
    Vault(VaultVerb),
    /// Build the disk image.
    Build(BuildArgs),
    /// Make keys by which machines know what they may start.
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Build an image once more, from its lock, with an empty store and in a different environment, and compare; explain where the two
    /// differ.
    Rebuild(RebuildArgs),
    /// Show what is in an image, the recipe and the lock that it carries, and verify that no byte has changed since the build.
    Inspect(InspectArgs),
    /// Show what differs between two images, profiles, locks or recipes: packages, files, people, units, ports, firewall, kernel,
    /// sizes.
    Diff(DiffArgs),
    /// Show which package, overlay or table of the profile put a file into an image.
    Whence(WhenceArgs),
    /// Sign statements about an image (what it was built from, what was seen of it), and say which of them hold.
    #[command(subcommand)]
    Attest(AttestVerb),
    /// Show which known vulnerabilities an image has; fail for those that the release has mended.
    Audit(AuditArgs),
    /// Boot the image in the lab and check it.
    Verify(VerifyArgs),
    /// Boot several machines in one lab and run the steps of a scenario.
    Scenario(ScenarioArgs),
    /// Build and verify.
    Image(BuildArgs),
    /// Write the server's documentation, as one HTML page and as Markdown; with test evidence if the report belongs to
    /// exactly this image.
    Doc(DocArgs),
    /// Inspect a deployment target.
    #[command(subcommand)]
    Target(TargetVerb),
    /// Write the signed config-drive ISO with the values of one instance.
    Drive(DriveArgs),
    /// Deploy the image: create the VM or update it; roll back if it fails its health checks.
    Deploy(DeployArgs),
    /// Return a VM to an image that it ran before.
    Rollback(RollbackArgs),
    /// List the VMs of a target and their images; with a profile, show where they differ from it.
    Status(StatusArgs),
    /// Build the image and boot it in the lab for interactive use: its console or a root shell, with forwarded ports.
    Run(RunArgs),
    /// Write the image to a physical disk and read it back.
    Write(WriteArgs),
    /// Print the profile language: a JSON Schema for editors, or the reference page.
    Schema {
        /// Print the reference page, in Markdown.
        #[arg(long)]
        markdown: bool,
        /// Print the reference page of scenarios, in Markdown.
        #[arg(long, conflicts_with = "markdown")]
        scenario: bool,
    },
    /// Report what this host offers: sandboxes, KVM, memory, disk space.
    Doctor,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the man pages, or print the reference of the command line.
    Man {
        /// Directory for the man pages: one for the program and one for each verb.
        #[arg(value_name = "DIR", required_unless_present = "markdown")]
        directory: Option<PathBuf>,
        /// Print one page in Markdown instead.
        #[arg(long, conflicts_with = "directory")]
        markdown: bool,
    },
    /// Used by `rebuild`; not for interactive use.
    #[command(hide = true)]
    Again {
        /// What is to be built.
        description: PathBuf,
    },
    /// Used by the installer stick (`build --format installer`); not for interactive use.
    #[command(hide = true)]
    Install,
    /// Prepare what the test suite needs and print it as shell assignments.
    #[command(hide = true)]
    TestMaterial(BuildArgs),
    /// Lock, unpack, configure and seal, as `build` does, and stop there; print what was passed by the look for secrets.
    #[command(hide = true)]
    TestSeal {
        #[command(flatten)]
        profile: ProfileArgs,
        /// Where to write what is in the tree, a line for each file.
        #[arg(long)]
        listing: Option<PathBuf>,
    },
}

/// What `init` takes.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Where to make it: a new directory, or one that has none of the files. Nothing is overwritten.
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// The example to begin with.
    #[arg(long, value_enum, default_value_t = Example::Server)]
    pub like: Example,
    /// The profile's name [default: from the directory's name].
    #[arg(long, value_parser = values::profile_name)]
    pub name: Option<String>,
}

/// What `build` takes.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub profile: ProfileArgs,
    #[command(flatten)]
    pub relock: RelockArgs,
    /// Formats to write beside disk.raw, separated by commas; `raw` writes no other.
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', default_value = "qcow2", value_parser = values::format())]
    pub format: Vec<Format>,
    #[command(flatten)]
    pub signing: SigningArgs,
    /// Build up to the boot programs, write what is to be signed of them to FILE, and stop: for a key that is elsewhere.
    #[arg(long, value_name = "FILE", requires = "keys", conflicts_with_all = ["signer", "signatures"])]
    pub unsigned_digests: Option<PathBuf>,
    /// Run every step a second time, with an empty store and in a different environment, and compare what each step gave; exit
    /// code 7 and an explanation when anything differs. For an image without signatures.
    #[arg(long, conflicts_with = "keys")]
    pub paranoid: bool,
}

/// What `rebuild` takes.
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// A profile (its image is built first where it is not there), or the path of a raw disk image (disk.raw), which is rebuilt
    /// from the recipe and the lock that it carries.
    #[arg(value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
    #[command(flatten)]
    pub relock: RelockArgs,
    /// When the same bytes come, sign a statement of that with this private key, into attestations/ beside the image.
    #[arg(long, value_name = "FILE", conflicts_with = "attest_signer")]
    pub attest: Option<PathBuf>,
    /// The same, signed by a program that reads the bytes to sign from its standard input and prints the raw signature.
    #[arg(long, value_name = "COMMAND", requires = "attest_public_key")]
    pub attest_signer: Option<String>,
    /// The public half of that program's key, with which its answers are verified.
    #[arg(long, value_name = "FILE", requires = "attest_signer")]
    pub attest_public_key: Option<PathBuf>,
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// What `inspect` takes.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// The path of a raw disk image (disk.raw), or a profile whose image was built.
    #[arg(value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
    /// Print the recipe that the image carries, in the form of recipe.json, and nothing else.
    #[arg(long, conflicts_with = "print_lock")]
    pub print_recipe: bool,
    /// Print the lock that the image carries, and nothing else. It names no tools: those are in no image.
    #[arg(long)]
    pub print_lock: bool,
}

/// What `diff` takes.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// A raw disk image, a profile (its recipe and lock, and its image where it was built from them), a lock (NAME.lock) or a
    /// recipe (recipe.json).
    #[arg(value_name = "A")]
    pub before: String,
    /// The other one.
    #[arg(value_name = "B")]
    pub after: String,
    #[command(flatten)]
    pub lock: ScratchLockArgs,
    /// Also show what the changelogs of raised packages say, and the vulnerabilities they name. The packages must be in the store.
    #[arg(long)]
    pub changelogs: bool,
    /// Print one HTML page that stands alone.
    #[arg(long, conflicts_with = "markdown")]
    pub html: bool,
    /// Print Markdown, for a comment below a pull request.
    #[arg(long)]
    pub markdown: bool,
}

/// What `whence` takes.
#[derive(Debug, Clone, Args)]
pub struct WhenceArgs {
    /// The path in the image, from its root: `/etc/hosts`.
    #[arg(value_name = "PATH")]
    pub path: String,
    /// The path of a raw disk image (disk.raw), or a profile whose image was built.
    #[arg(value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
}

/// What `plan` takes.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub profile: ProfileArgs,
    #[command(flatten)]
    pub lock: ScratchLockArgs,
}

/// What `verify` takes.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// A file in profiles/ without its ending, or the path of a profile; with --recipe, the path of a raw disk.
    #[arg(required_unless_present = "reopen")]
    pub name: Option<String>,
    #[command(flatten)]
    pub paths: PathArgs,
    #[command(flatten)]
    pub lock: ScratchLockArgs,
    /// NAME is a raw disk; FILE is the profile it was built from, or the recipe.json of its build.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// List the checks and where each one is run from; boot nothing.
    #[arg(long)]
    pub list: bool,
    /// Run only the checks whose names match, and the checks they depend on; `*` matches any text, `?` any character.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub only: Vec<String>,
    /// Leave out the checks whose names match, unless another check needs them.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub skip: Vec<String>,
    /// Run part I of N, for example `2/3`. Every check is in exactly one part.
    #[arg(long, value_name = "I/N", value_parser = values::shard)]
    pub shard: Option<Shard>,
    /// Boot even if a kept snapshot could be used, and keep a new snapshot.
    #[arg(long)]
    pub boot: bool,
    /// Verify N times; a check with different results is flaky, and fails.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeat: u32,
    /// Restore the machine as it was when a check failed, from this `evidence` directory, with a root shell. With a
    /// NAME, the tools come from that profile's lock.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["recipe", "list", "only", "skip", "shard", "boot", "repeat"])]
    pub reopen: Option<PathBuf>,
}

/// What `scenario` takes.
#[derive(Debug, Clone, Args)]
pub struct ScenarioArgs {
    /// Scenarios: names of files in scenarios/ (in Diorite's repository, vm-tests/scenarios/) without .toml, or paths
    /// [default with --list: all of them].
    #[arg(value_name = "FILE", required_unless_present = "list")]
    pub files: Vec<String>,
    /// Show what each scenario proves, and its steps; boot nothing.
    #[arg(long)]
    pub list: bool,
    /// Run each scenario N times; a step with different results is flaky, and fails.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeat: u32,
    /// Use each profile's scratch lock, out/NAME/scratch.lock, if it exists.
    #[arg(long)]
    pub scratch_lock: bool,
    /// Directory for results; each scenario has a directory of its name in it [default: out/scenarios].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What `doc` takes.
#[derive(Debug, Clone, Args)]
pub struct DocArgs {
    #[command(flatten)]
    pub profile: ProfileArgs,
    /// The language of the document.
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value_t = DocLanguage::En)]
    pub lang: DocLanguage,
}

/// A language of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DocLanguage {
    /// English.
    En,
    /// German.
    De,
}

/// What `run` takes.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub profile: ProfileArgs,
    #[command(flatten)]
    pub relock: RelockArgs,
    #[command(flatten)]
    pub signing: SigningArgs,
    /// Boot what an earlier build left in the results directory, whatever has changed since.
    #[arg(long, conflicts_with = "relock")]
    pub no_build: bool,
    /// Forward a host port on 127.0.0.1 to a guest TCP port; 0 is any free port. May be repeated [default: every TCP
    /// port that the firewall admits].
    #[arg(long, value_name = "HOST:GUEST", value_parser = values::forward)]
    pub forward: Vec<Forward>,
    /// Open a root shell instead of the console. It is injected as a credential; no byte of the disk changes.
    #[arg(long)]
    pub shell: bool,
    /// Keep the machine's writes in out/NAME/run for the next run with --keep.
    #[arg(long)]
    pub keep: bool,
}

/// What `write` takes.
#[derive(Debug, Clone, Args)]
pub struct WriteArgs {
    /// A profile whose image was built, or the path of a raw disk image (disk.raw).
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
    /// The disk: /dev/sdX, /dev/nvme0n1.
    #[arg(value_name = "DISK")]
    pub disk: PathBuf,
    /// Overwrite a disk that is not empty (never one in use).
    #[arg(long)]
    pub force: bool,
    /// Write only an image of which this file's keys have said what it requires.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// What `import` reads.
#[derive(Debug, Subcommand)]
pub enum ImportVerb {
    /// Print containers, networks, volumes and secrets of a compose file as tables of a profile; on stderr, line by line, what
    /// could not be carried over.
    Compose {
        /// The file: compose.yaml, docker-compose.yml.
        file: PathBuf,
    },
}

/// What `vault` does.
#[derive(Debug, Subcommand)]
pub enum VaultVerb {
    /// Write the lock and every package it names into one file.
    Export {
        #[command(flatten)]
        profile: ProfileArgs,
        /// The file to write.
        file: PathBuf,
        /// Pack the program's own source as well: the directory of its checkout, and every crate that its Cargo.lock names, from
        /// cargo's cache.
        #[arg(long, value_name = "DIR")]
        source: Option<PathBuf>,
    },
    /// Verify every package in the file and put it into the store; in a project, also write its lock to
    /// profiles/NAME.lock, which is never overwritten.
    Import {
        /// The file to read.
        file: PathBuf,
        /// Unpack the program's source into this new directory, where cargo then compiles it without a network.
        #[arg(long, value_name = "DIR")]
        source: Option<PathBuf>,
    },
}
