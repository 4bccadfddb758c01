//! The words Diorite is made of: profile, recipe, lock, plan, digest, report, scenario. Pure: no I/O at all.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod audit;
pub mod base64;
pub mod certificate;
mod cidr;
pub mod date;
pub mod deb_version;
mod digest;
mod error;
pub mod hardening;
pub mod instance;
pub mod listeners;
pub mod lock;
pub mod machine;
pub mod oci;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod purpose;
pub mod python;
pub mod recipe;
pub mod report;
pub mod scenario;
pub mod secret;
mod tables;
pub mod uuid;
pub mod verify;

pub use digest::{Digest, Hasher};
pub use error::{Error, Exit, Result};
pub use lock::{Lock, LockedPackage};
pub use recipe::Recipe;
