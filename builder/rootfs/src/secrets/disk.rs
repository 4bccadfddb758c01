//! The look at a stream of bytes that comes in pieces: a disk while it is hashed.

use super::{PublicSecrets, nowhere};
use diorite_model::Result;
use diorite_model::secret::REACH;

/// Looks at bytes as they pass. What lies across two pieces is found as well.
#[derive(Debug)]
pub struct DiskScanner<'a> {
    public: &'a PublicSecrets,
    /// The end of what has passed, looked at again with what follows, and the newest piece.
    bytes: Vec<u8>,
    /// Offset behind those bytes.
    end: u64,
    found: Option<(u64, &'static str)>,
}

impl<'a> DiskScanner<'a> {
    /// Nothing has passed yet.
    pub fn new(public: &'a PublicSecrets) -> Self {
        Self { public, bytes: Vec::new(), end: 0, found: None }
    }

    /// The next piece, and its offset; a hole before it ends what came before.
    pub fn pass(&mut self, offset: u64, piece: &[u8]) {
        if offset != self.end {
            self.look(0);
            self.bytes.clear();
        }
        self.bytes.extend_from_slice(piece);
        self.end = offset + piece.len() as u64;
        self.look(REACH);
        let done = self.bytes.len().saturating_sub(REACH);
        self.bytes.drain(..done);
    }

    /// What begins before the last `rest` bytes: all of it is here.
    fn look(&mut self, rest: usize) {
        let start = self.end - self.bytes.len() as u64;
        let limit = self.bytes.len().saturating_sub(rest);
        if let Some(found) = self.public.first(&self.bytes).filter(|f| f.at.start < limit) {
            self.found.get_or_insert((start + found.at.start as u64, found.what));
        }
    }

    /// Everything has passed.
    ///
    /// # Errors
    /// A secret was among it.
    pub fn finish(mut self) -> Result<()> {
        self.look(0);
        match self.found {
            None => Ok(()),
            Some((at, what)) => Err(nowhere(what).at(format!("byte {at} of the disk"))),
        }
    }
}
