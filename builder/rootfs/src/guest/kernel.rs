//! The table `[kernel]`: modules that are loaded at boot. Its package and command line are no files of the tree.

use super::Guest;
use diorite_model::{Error, Recipe, Result};

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let modules = &recipe.kernel.modules;
    if modules.is_empty() {
        return Ok(());
    }
    if !modules.iter().all(|n| n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))) {
        return Err(Error::bug("a module's name would not stay on its own line"));
    }
    // modules-load.d(5): one name per line.
    let lines: String = modules.iter().map(|name| format!("{name}\n")).collect();
    guest.file("etc/modules-load.d/10-diorite.conf", 0o644, lines)
}
