//! Debian's side. Deciding: signed release files → indexes → packages → lock. Doing: lock → pool.

pub mod deb;
pub mod http;
pub mod sources;
pub mod stanza;
pub mod transport;
pub mod url;
pub mod version;
