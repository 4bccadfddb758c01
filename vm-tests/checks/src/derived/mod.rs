//! Recipe → checks that follow from it: one file for what each table of a profile promises, named as in `model` and
//! `rootfs`. A file holds the promise, the question, the judge of the answer, and tests in which the judge finds its fault.

pub mod access;
pub mod agent;
pub mod backup;
pub mod certificates;
pub mod containers;
pub mod firewall;
pub mod hardening;
pub mod image;
pub mod journal;
pub mod kernel;
pub mod locale;
pub mod memory;
pub mod monitoring;
pub mod mounts;
pub mod network;
pub mod packages;
pub mod platform;
pub mod root;
pub mod routing;
pub mod services;
pub mod signing;
pub mod ssh;
pub mod state;
pub mod time;
pub mod trust;
pub mod unsolicited;
pub mod vpn;
