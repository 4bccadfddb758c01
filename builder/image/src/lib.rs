//! SealedTree → DiskImage: initrd, file system, hash tree, unified kernel image, disk; and back, [`read`]. Bytes in, bytes
//! out: no outside program is run, nothing is mounted, and nothing needs privileges.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// Tests map gigabytes of zeros.
#![cfg_attr(not(test), forbid(unsafe_code))]

mod assemble;
pub mod cpio;
pub mod disk;
pub mod elf;
pub mod esp;
pub mod filesystem;
pub mod format;
pub mod initrd;
pub mod iso;
pub mod kernel;
pub mod measure;
pub mod modules;
pub mod pe;
mod programs;
pub mod read;
pub mod region;
pub mod sparse;
pub mod uki;
pub mod verity;
pub mod write;

pub use assemble::{ImageParts, boot_programs, write};
pub use programs::BootPrograms;
