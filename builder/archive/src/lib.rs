//! Debian's side. Deciding: signed release files → indexes → packages → lock. Doing: lock → pool.

pub mod transport;
