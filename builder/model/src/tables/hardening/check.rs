//! Words of the kernel's command line, and modules, that say the opposite of a setting.

use crate::Result;
use crate::recipe::Recipe;
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
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
    let same = |one: &str, other: &str| one.replace('-', "_") == other.replace('-', "_");
    for (i, module) in recipe.kernel.modules.iter().enumerate() {
        if recipe.hardening.blocked_modules.iter().any(|blocked| same(blocked, module)) {
            let error = places.finding(&format!("kernel.modules.{i}"), format!("`{module}` is loaded and blocked"));
            let error = error.because("`[hardening]` keeps it from loading");
            let hint =
                format!("say why it is needed: [[hardening.exceptions]] with setting = \"{module}\" and why = \"…\"");
            return Err(error.hint(hint));
        }
    }
    Ok(())
}
