//! A flat repository has no components.

use super::recipe::is_flat;
use crate::Result;
use crate::recipe::Recipe;
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    for (name, extra) in &recipe.archive.extra {
        if is_flat(&extra.suite) && !extra.components.is_empty() {
            let at = |key: &str| format!("archive.extra.{name}.{key}");
            return Err(places
                .between(&at("components"), "a flat repository has no components", &at("suite"), "said to be flat")
                .hint("take `components` out; or, where it has a directory `dists`, write `suite` without the slash at its end"));
        }
    }
    Ok(())
}
