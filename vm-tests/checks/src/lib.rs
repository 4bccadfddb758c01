//! What must be true of an image, derived from its recipe, and the verification that asks it: `disk → Report`.
//! It sees what a user sees: a disk, its digest and a recipe. The disk is never written.
//!
//! ```text
//! Recipe ── plan ── Vec<Check> ──┬─ outside  asked on the wire (lab)
//!                                ├─ inside   asked in an injected shell (machine), judged by pure functions (judge)
//!                                └─ console  a copy with one flipped byte must be refused (tamper)
//! ```

mod ask;
mod closed;
mod containers;
mod gpt;
mod judge;
mod links;
mod plan;
mod results;
mod session;
mod surroundings;
mod tamper;
mod verify;

pub use closed::Closed;
pub use plan::{Check, Expected, Family, Person, Question, plan};
pub use results::{junit, write};
pub use verify::{VerifyInput, verify};
