//! Programs beside the guests, inside the lab: what a machine talks to when it is at work. Each is a handle that a test
//! keeps, and something that listens on a host of the lab.

pub mod files;
pub mod fortinet;
pub mod http;
pub mod metrics;
pub mod registry;
pub mod smtp;
pub mod syslog;
pub mod updates;
