//! Secure Boot on an architecture whose firmware and boot programs nobody here has tried.

use crate::Result;
use crate::recipe::Recipe;
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    if recipe.signing.is_none() || recipe.archive.architecture == "amd64" {
        return Ok(());
    }
    let what = format!("there is no Secure Boot for {} here", recipe.archive.architecture);
    let error = places.between("archive.architecture", what, "signing", "the image is to be signed");
    Err(error.hint("remove the table `[signing]`, or build for amd64"))
}
