//! What runs checks: the boots of a verification, what is seen of them and kept, and whose fault an end is. It knows checks
//! by their type alone.
//!
//! ```text
//! attempts  once or several times, tried again where the host spoilt it
//!   └─ verify  one pass: the machine that everything is asked of
//!        ├─ other_boots  with nothing injected; a damaged copy (tampered)
//!        ├─ keep         snapshots of it: settled, failed
//!        └─ facts        its course in time, ports, last words
//! ```

pub mod attempts;
pub mod classes;
mod facts;
mod keep;
mod other_boots;
mod pass;
pub mod resume_failure;
mod secure_boot;
mod tampered;
mod verify;
