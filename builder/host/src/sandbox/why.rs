//! Why a kind of sandbox is not possible on this host.

use serde::Serialize;

/// Why something is not possible, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// What is missing or refused.
    pub cause: String,
    /// What to do; may be empty.
    pub hint: String,
}
