//! Forms of a scenario's words.

use super::{Form, form};
use crate::scenario::Trait;

/// What can happen while a machine is scanned.
pub const CHURN: Form = form("`reload-firewall` or `restart-containers`", 32, |text| match text {
    "reload-firewall" | "restart-containers" => Ok(()),
    _ => Err("nobody knows how to do that".into()),
});

/// What machines are told apart by.
pub const TRAIT: Form = form(
    "one of `machine-id`, `host-keys`, `hostname`, `macs`, `addresses`, `firmware`, `state`, `boot`, `image`",
    16,
    |text| match Trait::ALL.iter().any(|(word, _)| *word == text) {
        true => Ok(()),
        false => Err("machines are not told apart by that".into()),
    },
);
