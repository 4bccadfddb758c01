//! Debian's side. Deciding: signed release files → indexes → packages → lock. Doing: lock → pool.

pub mod deb;
pub mod stanza;
pub mod transport;
pub mod version;
