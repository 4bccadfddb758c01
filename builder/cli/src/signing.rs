//! The options of a build → who signs its boot programs: nobody, a key in a directory, a program, or somebody who has done it
//! elsewhere. What comes from a program or a file is verified before it is used.

mod elsewhere;
mod keys;

pub use elsewhere::requests;

use crate::args::SigningArgs;
use diorite_host::signer;
use diorite_image::esp::{ENROLMENT, EspFile};
use diorite_image::pe::Pe;
use diorite_model::{Digest, Error, Hasher, Recipe, Result};
use diorite_trust::secure_boot::{BootCertificate, PrivateRsaKey, SigningRequest};
use elsewhere::GivenSignatures;
use keys::KeysDirectory;
use std::fmt;

/// Who signs the boot programs of a disk.
#[derive(Debug)]
pub enum DiskSigning {
    /// Nothing was said: then there must be nothing to sign.
    NotSaid,
    /// Nobody, as was asked for.
    Nobody,
    /// The owner of a certificate.
    Owner(Box<DiskOwner>),
}

/// Who has a certificate, and how he signs.
#[derive(Debug)]
pub struct DiskOwner {
    certificate: BootCertificate,
    /// Files of `loader/keys/auto` by name.
    enrolment: Vec<(String, Vec<u8>)>,
    way: SigningWay,
}

/// How a signature is come by.
#[derive(Debug)]
enum SigningWay {
    Key(PrivateRsaKey),
    Program(String),
    Given(GivenSignatures),
    /// They are made later; only what is to be signed is wanted.
    Later,
}

impl DiskSigning {
    /// What the options say.
    ///
    /// # Errors
    /// A file of the directory is missing or wrong.
    pub fn of(args: &SigningArgs, later: bool) -> Result<Self> {
        let Some(directory) = &args.keys else {
            return Ok(if args.unsigned { Self::Nobody } else { Self::NotSaid });
        };
        let keys = KeysDirectory(directory);
        let certificate = keys.certificate()?;
        let enrolment = keys.enrolment(&certificate)?;
        let way = match (&args.signer, &args.signatures) {
            _ if later => SigningWay::Later,
            (Some(command), _) => SigningWay::Program(command.clone()),
            (None, Some(file)) => SigningWay::Given(GivenSignatures::read(file)?),
            (None, None) => SigningWay::Key(keys.key(&certificate)?),
        };
        Ok(Self::Owner(Box::new(DiskOwner { certificate, enrolment, way })))
    }

    /// Whether it is what a recipe asks for.
    ///
    /// # Errors
    /// A profile that says nothing of signatures is to be signed; or one is not that does.
    pub fn suits(&self, recipe: &Recipe) -> Result<()> {
        let name = &recipe.image.name;
        match (recipe.signing.is_some(), self) {
            (true, Self::NotSaid) => Err(Error::input(format!("nobody was named to sign the image `{name}`"))
                .because("its profile has the table `[signing]`")
                .hint("name the keys, --keys DIR (made by `diorite keys new DIR`); or build it --unsigned")),
            (false, Self::Owner(_)) => Err(Error::input(format!("the image `{name}` is not to be signed"))
                .because("its profile has no table `[signing]`, and would not start with Secure Boot")
                .hint("write `[signing]` into the profile, or leave out --keys")),
            _ => Ok(()),
        }
    }

    /// What of it decides the bytes of a disk. The same key signs the same bytes alike, wherever it is kept.
    pub fn identity(&self) -> Digest {
        let mut key = Hasher::new();
        match self {
            Self::NotSaid | Self::Nobody => key.field(b"unsigned"),
            Self::Owner(owner) => {
                key.field(owner.certificate.der());
                for (name, file) in &owner.enrolment {
                    key.field(name.as_bytes());
                    key.field(file);
                }
            }
        }
        key.finish()
    }

    /// The certificate by whose key programs are signed.
    pub fn certificate(&self) -> Option<Digest> {
        if let Self::Owner(owner) = self { Some(owner.certificate.fingerprint()) } else { None }
    }

    /// The files by which firmware gets the keys.
    pub fn enrolment(&self) -> Vec<EspFile<'_>> {
        let Self::Owner(owner) = self else { return Vec::new() };
        let files = owner.enrolment.iter();
        files.map(|(name, file)| (format!("{ENROLMENT}/{name}"), file.as_slice().into())).collect()
    }

    /// A program with its signature, or as it is where nobody signs.
    ///
    /// # Errors
    /// The program is damaged; whoever signs has failed, or answers with another signature.
    pub fn signed(&self, name: &str, program: &[u8]) -> Result<Vec<u8>> {
        let Self::Owner(owner) = self else { return Ok(program.to_vec()) };
        let plain = Pe::parse(program.to_vec()).and_then(Pe::unsigned).map_err(|e| e.at(format!("the {name}")))?;
        let request = SigningRequest::of(&plain.authenticode()?)?;
        let message = request.message();
        let (signature, place) = match &owner.way {
            SigningWay::Key(key) => (key.sign(message)?, String::new()),
            SigningWay::Program(command) => (signer::ask(command, name, message)?, format!("program `{command}`")),
            SigningWay::Given(given) => (given.of(name, message)?, given.place()),
            SigningWay::Later => return Err(Error::bug("a program is signed that was to be signed later")),
        };
        let signature = request.answered(&owner.certificate, &signature);
        plain.signed(&signature.map_err(|e| e.at(format!("the {name}, {place}")))?)
    }
}

impl fmt::Display for DiskSigning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSaid | Self::Nobody => f.write_str("none"),
            Self::Owner(owner) => write!(f, "{}", owner.certificate.subject()),
        }
    }
}
