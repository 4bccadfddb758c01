//! The only crate that knows Proxmox VE. It sees neither how images are made nor how they are tested.
//!
//! [`target`] says which hypervisor and with which login; [`client`] calls its API; [`check`] finds out what a target
//! offers and what its token may do, and changes nothing. [`inspector`] reads what is there ([`observed`]), [`plan`]
//! decides the next step towards what is [`desired`], and [`deploy`] takes it and inspects again.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod capacity;
pub mod check;
pub mod client;
pub mod cluster;
pub mod deploy;
pub mod desired;
pub mod download;
mod file_server;
pub mod firewall;
pub mod fleet;
pub mod health;
pub mod inspector;
mod json;
mod lock;
pub mod metrics;
pub mod notes;
pub mod observed;
pub mod plan;
mod properties;
pub mod ready;
pub mod run;
pub mod status;
pub mod target;
pub mod task;
pub mod upload;

pub use client::{CallError, Client, ClientLimits};
pub use target::Target;
