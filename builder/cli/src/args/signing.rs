//! Options about signatures of boot programs, and `keys`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Who signs the boot programs of an image for Secure Boot.
#[derive(Debug, Clone, Default, Args)]
pub struct SigningArgs {
    /// Sign the boot programs with the keys in this directory, made by `diorite keys new`; for a profile with `[signing]`.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Have COMMAND sign instead of db.key (run by /bin/sh): it gets bytes on stdin and prints their RSA signature (PKCS #1
    /// v1.5, SHA-256), which is verified.
    #[arg(long, value_name = "COMMAND", requires = "keys")]
    pub signer: Option<String>,
    /// Take the signatures from FILE, made elsewhere of what --unsigned-digests wrote.
    #[arg(long, value_name = "FILE", requires = "keys", conflicts_with = "signer")]
    pub signatures: Option<PathBuf>,
    /// Sign nothing, although the profile has `[signing]`: the image does not start with Secure Boot.
    #[arg(long, conflicts_with = "keys")]
    pub unsigned: bool,
}

/// What `keys` does.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Make keys: for Secure Boot private keys, certificates and the files by which firmware takes them; and one for attestations.
    New {
        /// The directory: a new one, or one that has none of the files. Nothing is overwritten.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Whose keys they are, as their certificates say.
        #[arg(long, value_name = "NAME", default_value = "Diorite", value_parser = super::values::owner)]
        name: String,
    },
}
