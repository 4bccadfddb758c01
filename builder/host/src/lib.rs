//! The only door to the machine Diorite runs on: store, progress, signals, sandbox, tools tree, doctor.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod answer;
pub mod device;
pub mod disks;
pub mod doctor;
pub mod file;
pub mod interrupt;
pub mod multicall;
pub mod progress;
pub mod sandbox;
pub mod secret;
pub mod signer;
#[doc(hidden)]
pub mod simulate;
pub mod store;
pub mod surroundings;
pub mod tools;
