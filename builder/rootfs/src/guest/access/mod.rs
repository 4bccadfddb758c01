//! The table `[access]`: accounts of people and groups, what the secure shell takes, and who may do what by sudo.

mod accounts;
mod ssh;
mod sudoers;

use super::Guest;
use diorite_model::{Recipe, Result};

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    accounts::generate(guest, recipe)?;
    ssh::generate(guest, recipe)?;
    sudoers::generate(guest, recipe)
}
