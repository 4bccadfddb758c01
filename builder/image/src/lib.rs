//! SealedTree → DiskImage: initrd, file system, hash tree, unified kernel image, disk. Bytes in, bytes out: no outside
//! program is run, nothing is mounted, and nothing needs privileges.

pub mod cpio;
pub mod disk;
pub mod elf;
pub mod esp;
pub mod filesystem;
pub mod initrd;
pub mod iso;
pub mod kernel;
pub mod modules;
pub mod pe;
pub mod qcow2;
pub mod sparse;
pub mod uki;
pub mod verity;
