//! Arguments of the verbs that deal with signed statements about images.

use super::{PathArgs, values};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `attest` does.
#[derive(Debug, Subcommand)]
pub enum AttestVerb {
    /// Sign what is known of an image: what it was built from, and what `verify` saw of it.
    Sign(AttestSignArgs),
    /// Say which statements hold for an image, and by which key; exit 4 where one does not, or one that is required is missing.
    Verify(AttestVerifyArgs),
    /// Print what statements say, without verifying who says it.
    Show(AttestShowArgs),
}

/// Who signs.
#[derive(Debug, Clone, Args)]
pub struct SignerArgs {
    /// Private key, ed25519 or ECDSA P-256 (PKCS#8 in PEM); a file of mode 600.
    #[arg(long, value_name = "FILE", required_unless_present = "signer")]
    pub key: Option<PathBuf>,
    /// A program that reads the bytes to sign from its standard input and prints the raw signature. No shell reads the words.
    #[arg(long, value_name = "COMMAND", requires = "public_key", conflicts_with = "key")]
    pub signer: Option<String>,
    /// The public half of that program's key, with which its answers are verified.
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub public_key: Option<PathBuf>,
}

/// What `attest sign` takes.
#[derive(Debug, Clone, Args)]
pub struct AttestSignArgs {
    /// A profile whose image was built, a directory of results, or the path of a raw disk image (disk.raw) in one.
    #[arg(value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
    #[command(flatten)]
    pub signer: SignerArgs,
    /// Who is responsible for where the image was built (`builder.id` of SLSA).
    #[arg(long, value_name = "URI", default_value = "urn:diorite:builder", value_parser = values::uri)]
    pub builder_id: String,
}

/// What `attest verify` takes.
#[derive(Debug, Clone, Args)]
pub struct AttestVerifyArgs {
    /// A profile whose image was built, a directory of results, or the path of a raw disk image (disk.raw).
    #[arg(value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
    /// Public keys whose signatures count.
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "policy")]
    pub key: Vec<PathBuf>,
    /// Statements that must hold, separated by commas: provenance, test-result, vsa, rebuild [default: all that are there].
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = values::statement_kind())]
    pub require: Vec<String>,
    /// A file that says which keys count and which statements must hold, in place of both options.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "require"])]
    pub policy: Option<PathBuf>,
    /// Directory of the attestations [default: attestations/ beside the image].
    #[arg(long, value_name = "DIR")]
    pub attestations: Option<PathBuf>,
}

/// What `attest show` takes.
#[derive(Debug, Clone, Args)]
pub struct AttestShowArgs {
    /// A profile, a directory of results, a raw disk image (disk.raw), or a file with an attestation (*.sigstore.json).
    #[arg(value_name = "IMAGE")]
    pub image: String,
    #[command(flatten)]
    pub paths: PathArgs,
}
