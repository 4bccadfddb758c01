//! Times of `[monitoring]`.

use crate::Result;
use crate::profile::{section::Section, values};

/// Seconds of a span that is not nothing.
pub(super) fn span(t: &Section, key: &str) -> Result<u32> {
    let at = t.needed(key)?;
    match values::seconds(&at.value).expect("the form was checked") {
        0 => Err(t.files.error(at.span, format!("`{}.{key}` cannot be nothing", t.path))),
        seconds => Ok(seconds),
    }
}
