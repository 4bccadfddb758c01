//! Stable numeric ids: the same account has the same number in every version of an image.

use crate::tree::Tree;
use diorite_model::Result;

/// Gives every dynamically created account its stable number.
pub fn stabilize(_tree: &mut Tree) -> Result<()> {
    Ok(())
}
