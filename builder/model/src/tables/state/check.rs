//! State: a partition that its file system fits on, and modules that are not kept from it.

use crate::Result;
use crate::recipe::{Encryption, Recipe};
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let state = &recipe.state;
    let (name, least) = (state.filesystem.name(), state.filesystem.least());
    if state.minimum < least {
        let what = format!("{name} cannot be made on a partition of {}M", state.minimum >> 20);
        let error = places.between("state.minimum", what, "state.filesystem", "the file system is chosen");
        return Err(error.hint(format!("allowed with {name}: {}M or more", least >> 20)));
    }
    let mut needed = vec![(name, "state.filesystem")];
    if state.encryption == Encryption::Tpm2 {
        needed.push(("dm_crypt", "state.encryption"));
    }
    for (i, blocked) in recipe.hardening.blocked_modules.iter().enumerate() {
        if let Some((module, why)) = needed.iter().find(|(module, _)| blocked.replace('-', "_") == *module) {
            let path = format!("hardening.blocked_modules.{i}");
            return Err(places.between(
                &path,
                format!("`{module}` is blocked, and /var needs it"),
                why,
                "it is asked for",
            ));
        }
    }
    Ok(())
}
