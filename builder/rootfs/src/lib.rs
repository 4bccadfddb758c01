//! LockedPackages → SealedTree: unpack, configure, seal.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod accounts;
pub mod build;
pub mod configure;
pub mod control;
pub mod database;
pub mod deb;
pub mod extract;
pub mod guest;
pub mod helpers;
pub mod layers;
pub mod layout;
pub mod manifest;
pub mod order;
pub mod overlay;
pub mod pack;
pub mod scan;
pub mod scripts;
pub mod seal;
pub mod secrets;
pub mod tree;
pub mod unpack;
