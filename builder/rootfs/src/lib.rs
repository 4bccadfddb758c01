//! Locked packages → [`seal::SealedTree`]: unpack, configure, seal. A file uses only those below it:
//!
//! ```text
//! manifest                  SealedTree + Changes → tree.manifest
//! seal                      Tree + GuestFiles + overlays → SealedTree
//!   carried, provenance     what an image says about itself: recipe, lock, and where each file comes from
//! guest                     Recipe + Tree + ContainerTree → GuestFiles; a file for each table of the profile
//! container_root            Tree (of packages, or of `layers` that others made) → ContainerTree
//! wheels                    a container's wheels → WheelTree, laid over its Tree
//! configure                 Tree + overlays → Changes, by the overlays' own programs
//! overlay                   directories of a project, laid over a Tree
//! build                     locked packages → Tree, as a pack in the store
//!   staging, layout         .deb files → files in their places; `tools_tree` ends here
//!   scripts, helpers        Debian's scripts in the sandbox, and native stand-ins for what they call most
//!   debconf                 answers to the questions of those scripts
//!   read_directory, accounts, clock  a directory → Tree, with numbers and times that are the same in every build
//! secrets, privileges       what may be in no image
//! tree, pack, origins       files with owners, modes, times; in memory, and kept
//! ```

#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod accounts;
pub mod build;
pub mod carried;
pub mod clock;
pub mod configure;
pub mod container_root;
pub mod control;
pub mod database;
pub mod deb;
pub mod debconf;
mod escape;
pub mod extract;
pub mod guest;
pub mod helpers;
pub mod layers;
pub mod layout;
pub mod manifest;
mod mapped;
pub mod order;
pub mod origins;
pub mod overlay;
pub mod pack;
pub mod paths;
pub mod privileges;
pub mod provenance;
pub mod read_directory;
pub mod scripts;
pub mod seal;
pub mod secrets;
pub mod staging;
pub mod tools_tree;
pub mod tree;
pub mod wheels;
