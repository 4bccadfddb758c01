//! LockedPackages → SealedTree: unpack, configure, seal.

pub mod accounts;
pub mod build;
pub mod clock;
pub mod configure;
pub mod container;
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
pub mod paths;
pub mod privileges;
pub mod scan;
pub mod scripts;
pub mod seal;
pub mod secrets;
pub mod staging;
pub mod tools_tree;
pub mod tree;
