//! SealedTree → DiskImage: bytes in, bytes out. Nothing here mounts, and nothing needs privileges.

pub mod filesystem;
pub mod verity;
