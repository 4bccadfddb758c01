//! An answer to a check: what was seen, as it must be or not; or why there is none.

use diorite_model::{Error, Exit};

/// What was seen, as it must be (`Ok`) or not (`Err`).
pub type Judged = Result<String, String>;

/// Why a check got no answer.
pub enum Unanswered {
    /// The machine cannot be asked anything any more.
    Over(Error),
    /// This check cannot be asked; others can.
    Skipped(String),
}

/// An answer, or why there is none.
pub type AskResult = Result<Judged, Unanswered>;

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Over(error)
    }
}

/// Whether an error is a verdict on the image, not on the host or the user.
pub fn is_verdict(error: &Error) -> bool {
    error.exit == Exit::VerificationFailed
}

/// What was seen, under the verdict on it.
pub fn verdict(good: bool, seen: impl Into<String>) -> Judged {
    if good { Ok(seen.into()) } else { Err(seen.into()) }
}

/// Good when nothing is wrong; else the first few things that are.
pub fn none_of(wrong: &[String], good: String) -> Judged {
    match wrong {
        [] => Ok(good),
        some => Err(some.iter().take(4).cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// The first lines of an output, for people.
pub fn short(text: &str) -> String {
    let lines: Vec<&str> = text.lines().take(6).collect();
    let joined = lines.join("; ");
    if joined.is_empty() { "nothing".to_owned() } else { joined.chars().take(300).collect() }
}
