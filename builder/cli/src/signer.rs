//! Arguments → who signs statements: a key in a file, or a program.

use crate::args::SignerArgs;
use crate::attestations;
use diorite_host::answer;
use diorite_host::secret::SecretRequest;
use diorite_model::instance::SecretSource;
use diorite_model::{Error, Result};
use diorite_trust::keys::{AttestationKey, AttestationSigner, OutsideSigner};

/// Longest signature that a program may print, in bytes: ECDSA in DER has 72.
const SIGNATURE: usize = 4096;
/// Most bytes of a private key's file.
const KEY: usize = 64 << 10;

/// Who signs.
///
/// # Errors
/// The key's file can be read by others, or is no key of attestations; no public key for the program.
pub fn of(args: &SignerArgs) -> Result<Box<dyn AttestationSigner>> {
    if let Some(file) = &args.key {
        let sought =
            SecretRequest { noun: "key", of: "attestations", place: "--key", longest: KEY, taken: "all of it" };
        let text = sought.read(&SecretSource::File(file.clone()), &|_| None)?;
        return Ok(Box::new(AttestationKey::read(&text, &file.display().to_string())?));
    }
    let (Some(command), Some(file)) = (&args.signer, &args.public_key) else {
        return Err(Error::bug("neither a key nor a signer was named"));
    };
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    Ok(Box::new(OutsideSigner {
        public: attestations::key(file)?.key,
        name: format!("program `{}`", words.join(" ")),
        ask: Box::new(move |bytes| answer::of_program(&words, bytes, SIGNATURE, "signer")),
    }))
}
