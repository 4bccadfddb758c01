//! Words of the kernel's command line that say the opposite of a setting.

use super::Places;
use crate::Result;
use crate::recipe::Recipe;

pub(super) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let name = |word: &str| word.split('=').next().unwrap_or(word).to_owned();
    for (i, word) in recipe.kernel.command_line.iter().enumerate() {
        let Some(ours) = recipe.hardening.command_line.iter().find(|o| name(o) == name(word) && *o != word) else {
            continue;
        };
        let what = format!("`{word}` contradicts `{ours}`, which hardening sets");
        let path = format!("kernel.command_line.{i}");
        let error = places.between(&path, what, "hardening.level", "the level is chosen");
        let hint = format!("say why: [[hardening.exceptions]] with setting = \"{ours}\" and why = \"…\"");
        return Err(error.hint(hint));
    }
    Ok(())
}
