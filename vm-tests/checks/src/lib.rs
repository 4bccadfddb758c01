//! What must be true of an image, derived from its recipe, and the verification that asks it: `disk → Report`.
//! It sees what a user sees: a disk, its digest and a recipe. The disk is never written.
//!
//! ```text
//! Recipe ── plan ── select ──┬─ outside  asked on the wire (lab)
//!                            ├─ inside   asked in an injected shell (machine), judged by pure functions (judge)
//!                            └─ console  a copy with one flipped byte must be refused (tamper)
//! Scenario ── scenario: several machines in one lab, a timeline of steps, the same questions
//! answers (verify) and facts ── classes, attempts ── Report ── results: report.json, report.html, junit.xml
//! ```

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod agent;
mod aside;
mod ask;
mod attempts;
mod classes;
mod closed;
pub mod containers;
mod facts;
mod gpt;
mod journal;
mod judge;
mod links;
mod moment;
mod own;
pub mod plan;
mod reopen;
mod results;
mod run;
mod scenario;
mod select;
mod session;
mod state;
mod surroundings;
mod tamper;
mod unasked;
mod verify;

pub use attempts::{VerifyInput, verify};
pub use closed::Closed;
pub use own::Own;
pub use plan::{Check, Expected, Family, Of, Person, Question};
pub use reopen::{Failure, Reopened};
pub use results::{html, junit, write};
pub use run::{Forward, Forwarded, RunEnd, RunInput, run};
pub use scenario::{Disk, ScenarioInput, run as scenario};
pub use select::{Choice, Wanted};
pub use verify::digest as disk_digest;
