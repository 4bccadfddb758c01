//! An update server as systemd-sysupdate(8) asks one: files, and beside them `SHA256SUMS` that names them, sha256sum(1).
//! Files have an ETag, may be asked for in part, and can be served by a server that lies or fails.

use super::http::{Body, Fault, Reply, Site};
use diorite_model::Digest;
use std::{sync::Arc, time::Duration};

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// `SHA256SUMS` names a digest that it does not have.
    Digest,
    /// One bit is another one; the length is right.
    Bit,
    /// The connection ends after so many bytes of the answer, although all were promised.
    Cut(usize),
    /// So many bytes come at a time, and so long nothing between.
    Slow(usize, Duration),
    /// It is named and not there.
    Missing,
}

/// A file that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Arc<[u8]>,
    /// What is wrong with it.
    pub lie: Option<Lie>,
}

impl Offered {
    /// A file with nothing wrong.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), lie: None }
    }
    /// With a lie.
    pub fn lying(mut self, lie: Lie) -> Self {
        self.lie = Some(lie);
        self
    }
}

impl Site {
    /// Offers these files under this path, in place of what was named there before: a name that is gone is no longer in
    /// `SHA256SUMS`.
    pub fn updates(&self, under: &str, files: &[Offered]) {
        let under = under.trim_end_matches('/');
        let mut sums = String::new();
        for Offered { name, bytes, lie } in files {
            let digest = Digest::of(bytes);
            let named = if *lie == Some(Lie::Digest) { Digest::of(b"something else") } else { digest };
            sums += &format!("{named}  {name}\n");
            let mut bytes = bytes.clone();
            if *lie == Some(Lie::Bit) {
                let mut other = bytes.to_vec();
                other.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                bytes = other.into();
            }
            let mut reply = tagged(bytes);
            match lie {
                Some(Lie::Cut(after)) => reply = reply.broken(Fault::CutAfter(*after)),
                Some(Lie::Slow(piece, pause)) => reply.trickle = Some((*piece, *pause)),
                Some(Lie::Missing) => reply = Reply::new(404, "text/plain", "not found\n"),
                None | Some(Lie::Digest | Lie::Bit) => {}
            }
            self.set(format!("{under}/{name}"), reply);
        }
        self.set(format!("{under}/SHA256SUMS"), tagged(sums.into_bytes().into()));
    }
}

/// Bytes whose ETag is their digest.
fn tagged(bytes: Arc<[u8]>) -> Reply {
    let reply = Reply::new(200, "application/octet-stream", "").field("ETag", &format!("\"{}\"", Digest::of(&bytes)));
    Reply { body: Body::Bytes(bytes), ..reply }
}
