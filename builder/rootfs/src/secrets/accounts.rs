//! What only one machine may have: its number, its host keys, and passwords.

use super::source::{Advice, secret};
use crate::tree::Tree;
use diorite_model::Result;
use diorite_model::secret::Password;

/// Fails when an account has a password or none is asked of it, or when the tree has the identity of one machine.
pub(crate) fn identity(tree: &Tree) -> Result<()> {
    for path in ["etc/shadow", "etc/gshadow", "etc/passwd"] {
        if let Some(bytes) = tree.read(path) {
            passwords(path, bytes)?;
        }
    }
    for path in ["etc/machine-id", "var/lib/dbus/machine-id", "usr/share/factory/var/lib/dbus/machine-id"] {
        if tree.read(path).is_some_and(|bytes| !bytes.is_empty()) {
            return Err(secret(path.as_bytes(), "the identity of one machine", Advice::Identity));
        }
    }
    let host_key = |path: &&Vec<u8>| path.starts_with(b"etc/ssh/ssh_host_") || path.ends_with(b"/random-seed");
    match tree.nodes.keys().find(host_key) {
        None => Ok(()),
        Some(path) => Err(secret(path, "the identity of one machine", Advice::Identity)),
    }
}

/// shadow(5), gshadow(5), passwd(5): no password may match the second field of any line, and none may be empty. A group
/// without a password is one that only its members have.
fn passwords(path: &str, bytes: &[u8]) -> Result<()> {
    for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.is_empty()) {
        let field = line.split(':').nth(1).unwrap_or_default();
        let what = match Password::of(field) {
            Password::Locked => continue,
            Password::Empty if path == "etc/gshadow" => continue,
            Password::Empty => "an account without a lock",
            Password::Hash => "a password",
        };
        let name = line.split(':').next().unwrap_or_default();
        return Err(secret(path.as_bytes(), what, Advice::Account).because(format!("account `{name}`")));
    }
    Ok(())
}
