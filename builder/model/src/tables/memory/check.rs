//! A swap file that state has room for.

use crate::Result;
use crate::recipe::Recipe;
use crate::tables::places::Places;

/// What /var is left with: logs, container state, and what a file system keeps for itself.
const LEFT: u64 = 192 << 20;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let Some(swap) = recipe.memory.swap else { return Ok(()) };
    let (needed, minimum) = (swap + LEFT, recipe.state.minimum);
    if needed > minimum {
        let (swap, minimum) = (swap >> 20, minimum >> 20);
        let what = format!("a swap file of {swap}M does not fit on /var, which may have {minimum}M");
        let error = places.between("memory.swap", what, "state.minimum", "the smallest size of /var");
        return Err(error.hint(format!("write `minimum = \"{}M\"` or more under [state]", needed >> 20)));
    }
    Ok(())
}
