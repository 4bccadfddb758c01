//! The only room that knows Proxmox VE. It sees neither how images are made nor how they are tested.
//!
//! [`target`] says which hypervisor and with which login; [`client`] asks its API; [`check`] finds out what a target
//! offers and what its token may do, and changes nothing. [`seen`] looks at the machines, [`plan`] says the next step
//! towards what is [`wanted`], and [`deploy`] takes it and looks again.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod check;
pub mod client;
pub mod cluster;
pub mod deploy;
pub mod download;
pub mod firewall;
pub mod fleet;
pub mod health;
pub mod metrics;
pub mod plan;
mod properties;
pub mod ready;
pub mod record;
mod room;
pub mod seen;
mod serve;
pub mod status;
pub mod target;
pub mod task;
pub mod upload;
pub mod wanted;

pub use client::{Client, Failure, Limits};
pub use target::Target;
