//! SealedTree → DiskImage: initrd, file system, hash tree, unified kernel image, disk. Bytes in, bytes out: no outside
//! program is run, nothing is mounted, and nothing needs privileges.

pub mod disk;
pub mod esp;
pub mod filesystem;
pub mod pe;
pub mod qcow2;
pub mod sparse;
pub mod uki;
pub mod verity;
