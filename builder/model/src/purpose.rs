//! What a machine is for and who answers for it: words of `[image]` for its documentation. No byte of the image depends on
//! any of it, so that it is no part of the recipe.

use serde::Serialize;

/// Words for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Purpose {
    /// What the machine is for.
    pub purpose: Option<String>,
    /// Who answers for it.
    pub owners: Vec<String>,
    /// Whom to call or to write to.
    pub contacts: Vec<String>,
}

impl Purpose {
    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
