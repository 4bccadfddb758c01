//! `[state]`.

use super::image::amount;
use super::*;

pub(super) const STATE: &[Field] =
    &[text("minimum", &values::SIZE, "smallest size of /var; it grows to the end of the disk").or_text("256M")];

pub(super) fn state(top: &Section) -> Result<State> {
    Ok(State { minimum: amount(&top.table_or_empty("state")?, "minimum", 64 << 20)? })
}
