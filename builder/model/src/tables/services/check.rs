//! Units that are switched off and needed, and names that two things have.

use crate::Result;
use crate::recipe::Recipe;
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let off = |unit: &str| {
        let named = |list: &[String]| list.iter().position(|u| u == unit);
        let disabled = named(&recipe.services.disable).map(|i| format!("services.disable.{i}"));
        named(&recipe.services.mask).map(|i| format!("services.mask.{i}")).or(disabled)
    };
    for (name, unit) in &recipe.services.units {
        let path = format!("services.units.{name}");
        for own in [format!("{name}.service"), format!("{name}.timer")] {
            if let Some(other) = off(&own) {
                let what = format!("`{own}` is the profile's own, and switched off");
                return Err(places.between(&path, what, &other, "switched off").hint("take one of them out"));
            }
        }
        if recipe.containers.contains_key(name) {
            let what = format!("a container and a service are both called `{name}`");
            let error = places.between(&path, what, &format!("containers.{name}"), "the container");
            return Err(error.because(format!("each makes `{name}.service`")).hint("give one another name"));
        }
        for (i, needed) in unit.requires.iter().enumerate() {
            if let Some(index) = recipe.services.mask.iter().position(|u| u == needed) {
                let what = format!("`{name}` requires `{needed}`, which cannot be started");
                let other = format!("services.mask.{index}");
                return Err(places.between(&format!("{path}.requires.{i}"), what, &other, "masked"));
            }
        }
    }
    Ok(())
}
