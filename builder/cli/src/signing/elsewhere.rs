//! Signatures that are made where the key is: what is to be signed goes out in one file, and the signatures come back in another.
//!
//! ```text
//! --unsigned-digests FILE   {"schema": 1, "programs": [{"name", "authenticode", "message", "sha256"}]}
//! --signatures FILE         {"schema": 1, "signatures": [{"sha256", "signature"}]}
//! ```
//! `message` and `signature` are base64; `sha256` is that of the message, by which a signature is found again.

use diorite_image::BootPrograms;
use diorite_image::pe::Pe;
use diorite_model::{Digest, Error, Result, base64};
use diorite_trust::secure_boot::SigningRequest;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Version of both files.
const SCHEMA: u32 = 1;

/// What is to be signed.
#[derive(Debug, Serialize)]
pub struct SigningRequests {
    schema: u32,
    programs: Vec<ProgramRequest>,
}

/// One program that is to be signed.
#[derive(Debug, Serialize)]
struct ProgramRequest {
    name: String,
    /// Its Authenticode digest.
    authenticode: Digest,
    /// What the key signs, RSASSA-PKCS1-v1_5 with SHA-256: base64.
    message: String,
    /// SHA-256 of the message, for devices that sign digests.
    sha256: Digest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignaturesFile {
    schema: u32,
    signatures: Vec<GivenSignature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenSignature {
    sha256: Digest,
    signature: String,
}

/// The requests for these programs.
///
/// # Errors
/// One of them is damaged.
pub fn requests(programs: &BootPrograms) -> Result<SigningRequests> {
    let mut all = Vec::new();
    programs.each(|name, program| {
        let authenticode = Pe::parse(program.to_vec())?.unsigned()?.authenticode()?;
        let request = SigningRequest::of(&authenticode)?;
        let message = request.message();
        all.push(ProgramRequest {
            name: name.to_owned(),
            authenticode,
            message: base64::encode(message),
            sha256: Digest::of(message),
        });
        Ok(Vec::new())
    })?;
    Ok(SigningRequests { schema: SCHEMA, programs: all })
}

/// Signatures that were made elsewhere.
#[derive(Debug)]
pub struct GivenSignatures {
    file: PathBuf,
    signatures: Vec<GivenSignature>,
}

impl GivenSignatures {
    /// Reads the file.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).map_err(|e| Error::io("the signatures cannot be read", file, e))?;
        let refused = |why: String| {
            Error::input("this is not a file of signatures")
                .at(file.display().to_string())
                .because(why)
                .hint("the guide has its form: docs/guide/secure-boot.md")
        };
        let read: SignaturesFile = serde_json::from_slice(&text).map_err(|e| refused(e.to_string()))?;
        if read.schema != SCHEMA {
            return Err(refused(format!("it has schema {}, and this version reads {SCHEMA}", read.schema)));
        }
        Ok(Self { file: file.to_owned(), signatures: read.signatures })
    }

    /// The signature of a message.
    pub fn of(&self, name: &str, message: &[u8]) -> Result<Vec<u8>> {
        let sha256 = Digest::of(message);
        let found = self.signatures.iter().find(|given| given.sha256 == sha256).ok_or_else(|| {
            Error::input(format!("there is no signature of the {name}"))
                .at(self.place())
                .because(format!("none is of {sha256}: the image may be another one than when it was asked for"))
                .hint("write --unsigned-digests again, and have that signed")
        })?;
        base64::decode(&found.signature).ok_or_else(|| {
            Error::input("a signature is not base64").at(self.place()).hint("base64, without line breaks")
        })
    }

    /// Where they are from.
    pub fn place(&self) -> String {
        self.file.display().to_string()
    }
}
