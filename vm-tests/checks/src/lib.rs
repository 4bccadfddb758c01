//! What must be true of an image, derived from its recipe, and the verification that asks it: `disk → Report`.
//! It sees what a user sees: a disk, its digest and a recipe. The disk is never written.
//!
//! ```text
//! Recipe ── plan: derived, declared ── Vec<Check> ── select ──┬─ outside  asked on the wire (lab)
//!                                                             ├─ inside   asked in an injected shell (machine)
//!                                                             └─ console  a tampered copy must be refused (tamper)
//! Scenario ── scenario: several machines in one lab, a timeline of steps, the same judges
//! answers (verify) and facts ── classes, attempts ── Report ── results: report.json, report.html, junit.xml
//! ```

mod answer;
mod aside;
mod asker;
mod attempts;
mod check;
mod classes;
mod declared;
mod derived;
mod facts;
mod gpt;
mod input;
mod moment;
mod output;
mod placeholders;
pub mod plan;
mod quote;
mod reopen;
mod results;
mod run;
mod scenario;
mod scope;
mod select;
mod session;
mod setup;
mod surroundings;
mod sweep;
mod tamper;
mod verify;

/// Containers as they are judged in a booted machine, and what stands in for their secrets.
pub mod containers {
    pub use crate::derived::containers::{DeclaredContainer, declared, judge, script};
    pub use crate::placeholders::credentials;
}

pub use attempts::verify;
pub use input::{VerifyInput, digest as disk_digest};
pub use reopen::{Failure, Reopened};
pub use results::{html, junit, write};
pub use run::{Forward, Forwarded, RunEnd, RunInput, run};
pub use scenario::{Disk, ScenarioInput, run as scenario};
pub use select::{Choice, SelectedCheck};
