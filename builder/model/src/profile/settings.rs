//! What a profile says besides its recipe.

use crate::{audit::AuditPolicy, instance::Instance, machine::Machine, purpose::Purpose, verify::OwnCheck};
use std::collections::BTreeMap;

/// What a profile says that cannot change a byte of the image: where to look for packages, what to ask of a machine
/// that runs, what machine to make, what its documentation says of it, and which known vulnerabilities are put up with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Mirrors of the Debian archive, tried in this order; empty: the caller's own choice.
    pub mirrors: Vec<String>,
    /// Archive of old packages, a template with `{timestamp}`.
    pub snapshot: Option<String>,
    /// Index of wheels; none: the caller's own choice.
    pub wheel_index: Option<String>,
    /// What the machine is for, and who answers for it.
    pub purpose: Purpose,
    /// Checks of the profile's own.
    pub checks: Vec<OwnCheck>,
    /// Which known vulnerabilities are put up with.
    pub audit: AuditPolicy,
    /// The virtual machine that the image becomes.
    pub machine: Machine,
    /// Machines made from the image, where it is more than one, by host name.
    pub instances: BTreeMap<String, Instance>,
}
