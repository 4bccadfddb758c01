//! Debian's side. Deciding: signed release files → indexes → packages → lock. Doing: lock → pool.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![forbid(unsafe_code)]

mod checksum;
pub mod deb;
pub mod fetch;
pub mod http;
pub mod images;
pub mod lockfile;
pub mod packages;
pub mod relation;
pub mod release;
pub mod resolve;
pub mod sources;
pub mod stanza;
pub mod transport;
pub mod universe;
pub mod url;
pub mod vault;
pub mod wheels;

pub use diorite_model::deb_version as version;
