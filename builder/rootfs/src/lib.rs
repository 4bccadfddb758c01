//! LockedPackages → SealedTree: unpack, configure, seal.

pub mod tree;
