//! What must be true of an image, derived from its recipe, and the verification that asks it: `disk → Report`.
//! It sees what a user sees: a disk, its digest and a recipe. The disk is never written.
//!
//! ```text
//! Recipe ── plan: derived, declared ── Vec<Check> ── select ──┬─ outside  asked on the wire (lab)
//!                                                             ├─ inside   asked in an injected shell (machine)
//!                                                             └─ console  a tampered copy must be refused (boots::tampered)
//! Scenario ── scenario: several machines in one lab, a timeline of steps, the same judges
//! answers and facts ── boots ── Report ── results: report.json, report.html, junit.xml
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod answer;
mod asker;
mod boots;
mod check;
mod declared;
mod derived;
mod gpt;
mod input;
mod output;
mod packet_names;
mod placeholders;
pub mod plan;
mod quote;
mod results;
mod run;
mod scenario;
mod scope;
mod select;
mod session;
mod setup;
mod snapshot;
mod surroundings;
mod sweep;

/// Containers as they are judged in a booted machine, and what stands in for their secrets.
pub mod containers {
    pub use crate::derived::containers::{DeclaredContainer, declared, judge, script};
    pub use crate::placeholders::credentials;
}

pub use boots::{
    attempts::verify,
    resume_failure::{FailureSnapshot, ResumedMachine},
};
pub use input::{VerifyInput, digest as disk_digest};
pub use results::{html, junit, write};
pub use run::{Forward, Forwarded, RunEnd, RunInput, run};
pub use scenario::{ScenarioDisk, ScenarioInput, run as scenario};
pub use select::{Choice, SelectedCheck};
