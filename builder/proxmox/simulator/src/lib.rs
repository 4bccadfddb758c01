//! A simulated Proxmox VE host for tests, on loopback: no hypervisor is in Debian's archive.
//!
//! It knows the calls of [`endpoints`], which a test compares with the real API's own schema, and refuses every other
//! call and parameter, as the real one does. What it answers comes from a [`World`] that a test furnishes. It behaves as
//! observed on real hosts also where that is odd (each place says so), and fails on command ([`ApiFault`]).

#![forbid(unsafe_code)]

mod certificate;
mod cluster_config;
mod dispatch;
mod download;
pub mod endpoints;
mod fault;
mod hardware;
mod multipart;
mod params;
mod percent;
mod permission;
mod reply;
mod request;
mod routes;
mod server;
mod simulator;
mod state;
mod vms;
mod world;

pub use certificate::TestCertificate;
pub use fault::ApiFault;
pub use hardware::Hardware;
pub use simulator::Simulator;
pub use state::LoggedRequest;
pub use world::{ClusterConfig, ClusterNode, Storage, TOKEN, Task, USER, VirtualMachine, World};
