//! The only door to the machine Diorite runs on: store, progress, signals, sandbox, tools tree, doctor.

pub mod doctor;
pub mod interrupt;
pub mod progress;
pub mod sandbox;
pub mod secret;
#[doc(hidden)]
pub mod simulate;
pub mod standin;
pub mod store;
pub mod tools;
