//! What a profile says of known vulnerabilities: `[audit]`. No byte of the image depends on it, so that it is no part of the
//! recipe, and what is waived today need not be built again.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days after which data about vulnerabilities is too old to be believed, unless something else is said.
pub const MAX_AGE: u32 = 7;

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPolicy {
    /// Where data about vulnerabilities is: a URL; none: the caller's own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Days after which that data is refused.
    pub max_age: u32,
    /// Vulnerabilities that are put up with, by name (`CVE-2025-1234`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waivers: BTreeMap<String, Waiver>,
}

impl Default for AuditPolicy {
    fn default() -> Self {
        Self { data: None, max_age: MAX_AGE, waivers: BTreeMap::new() }
    }
}

/// A vulnerability that is put up with for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Why.
    pub reason: String,
    /// The last day on which it holds, `2026-12-31`.
    pub until: String,
    /// The source package in which it is put up with; none: in all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}
