//! The only room that knows Proxmox VE. It sees neither how images are made nor how they are tested.
//!
//! [`target`] says which hypervisor and with which login; [`client`] asks its API; [`check`] finds out what a target
//! offers and what its token may do, and changes nothing.

pub mod check;
pub mod client;
pub mod target;
pub mod task;
pub mod upload;

pub use client::{Client, Failure, Limits};
pub use target::Target;
