//! What listens on which port, as two recipes say it: the one answer that verification and documentation use too.

use crate::{ValueChange, changes};
use diorite_model::Recipe;
use diorite_model::recipe::Protocol;
use std::collections::BTreeMap;

/// The ports that differ.
pub fn compare(a: &Recipe, b: &Recipe) -> Vec<ValueChange> {
    changes(&ports(a), &ports(b))
}

fn ports(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for listener in recipe.listeners() {
        let from = if listener.local { ", from the machine itself" } else { "" };
        let port = format!("{} {}", if listener.protocol == Protocol::Udp { "udp" } else { "tcp" }, listener.port);
        let owner = format!("{}{from}", listener.owner);
        all.entry(port).and_modify(|owners| *owners += &format!("; {owner}")).or_insert(owner);
    }
    all
}
