//! Boot loader and unified kernel image: what firmware starts, and so what is signed.

use crate::pe::Pe;
use diorite_model::{Digest, Hasher, Result};

/// The programs that firmware starts, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootPrograms {
    /// The boot loader.
    pub loader: Vec<u8>,
    /// The unified kernel image.
    pub uki: Vec<u8>,
}

impl BootPrograms {
    /// The same, each changed by `change`, which is told what it is called in a list.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn each(&self, mut change: impl FnMut(&'static str, &[u8]) -> Result<Vec<u8>>) -> Result<Self> {
        Ok(Self { loader: change("boot loader", &self.loader)?, uki: change("unified kernel image", &self.uki)? })
    }

    /// One digest of what they start, whoever has signed them: of root hash and programs without their signatures.
    ///
    /// # Errors
    /// One of them is damaged.
    pub fn unsigned_digest(&self, root_hash: &Digest) -> Result<Digest> {
        let mut hasher = Hasher::new();
        hasher.field(&root_hash.0);
        for program in [&self.loader, &self.uki] {
            hasher.field(&Pe::parse(program.clone())?.unsigned()?.into_bytes());
        }
        Ok(hasher.finish())
    }
}
