//! A look for what must never be in an image: private keys, password hashes, a machine's identity.

use crate::tree::{Kind, Tree};
use diorite_model::{Error, Result};

/// Fails when a secret is found; names the first path of each kind.
pub(super) fn scan(tree: &Tree) -> Result<()> {
    for (path, node) in &tree.nodes {
        let Kind::File(content) = &node.kind else { continue };
        let bytes = content.bytes();
        let shown = String::from_utf8_lossy(path);
        // Libraries carry the keys of their self-tests (GnuTLS does), the same in every copy of their package.
        if !bytes.starts_with(b"\x7fELF") && has_private_key(bytes) {
            return Err(secret(&shown, "a private key"));
        }
        let config = path.starts_with(b"etc/") || path.starts_with(b"var/") || path.starts_with(b"usr/share/factory/");
        if config && has_password_hash(bytes) {
            return Err(secret(&shown, "the hash of a password"));
        }
        match path.as_slice() {
            b"etc/shadow" | b"etc/gshadow" => accounts(&shown, bytes)?,
            b"etc/machine-id" | b"var/lib/dbus/machine-id" if !bytes.is_empty() => {
                return Err(secret(&shown, "the identity of one machine"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn secret(path: &str, what: &str) -> Error {
    Error::input(format!("{what} is in the image"))
        .at(format!("/{path}"))
        .hint("secrets reach a machine as credentials, systemd.system-credentials(7); take this file out")
}

/// A PEM private key, RFC 7468: its label line and a line of at least 40 Base64 digits within the next three. Programs
/// that only know the label do not have such a line.
fn has_private_key(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    let mut rest = bytes;
    while let Some(at) = find(rest, BEGIN) {
        rest = &rest[at + BEGIN.len()..];
        let line = &rest[..rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()).min(80)];
        if !line.trim_ascii_end().ends_with(LABEL) {
            continue;
        }
        let digits = |l: &[u8]| {
            let l = l.trim_ascii();
            l.len() >= 40 && l.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b))
        };
        if rest.split(|&b| b == b'\n').skip(1).take(4).any(digits) {
            return true;
        }
    }
    false
}

/// crypt(5): `$y$`, `$gy$`, `$7$`, `$2b$`, `$6$`, `$5$`, `$1$` with salt and a long hash behind.
fn has_password_hash(bytes: &[u8]) -> bool {
    let digit = |b: &u8| b.is_ascii_alphanumeric() || b"./$=,".contains(b);
    [&b"$y$"[..], b"$gy$", b"$7$", b"$2b$", b"$2y$", b"$6$", b"$5$", b"$1$"].iter().any(|start| {
        let mut rest = bytes;
        while let Some(at) = find(rest, start) {
            rest = &rest[at + start.len()..];
            let body: Vec<u8> = rest.iter().take_while(|b| digit(b)).copied().collect();
            if body.len() >= 24 && body.contains(&b'$') {
                return true;
            }
        }
        false
    })
}

/// shadow(5), gshadow(5): the second field of every line must be one no password can match.
fn accounts(path: &str, bytes: &[u8]) -> Result<()> {
    for line in String::from_utf8_lossy(bytes).lines() {
        let field = line.split(':').nth(1).unwrap_or_default();
        if !matches!(field, "*" | "!" | "!*" | "!!") {
            let name = line.split(':').next().unwrap_or_default();
            let what = if field.is_empty() { "an account without a lock" } else { "a password" };
            return Err(secret(path, what).because(format!("account `{name}`")));
        }
    }
    Ok(())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let mut at = 0;
    while let Some(next) = bytes.get(at..)?.iter().position(|&b| b == first) {
        at += next;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;

    fn found(path: &str, text: &str) -> bool {
        let mut tree = Tree::new();
        tree.insert(path.as_bytes().to_vec(), Node::file(0o600, text));
        scan(&tree).is_err()
    }

    #[test]
    fn keys_hashes_and_identities_are_found() {
        let body = "A".repeat(64);
        let (dash, kind) = ("-----", "PRIVATE KEY");
        assert!(found("opt/x", &format!("junk {dash}BEGIN OPENSSH {kind}{dash}\n{body}\n")));
        assert!(found("usr/x", &format!("{dash}BEGIN {kind}{dash}\r\n{body}\r\n")));
        assert!(!found("usr/bin/x", &format!("{dash}BEGIN {kind}{dash}\0{dash}END")));
        assert!(!found("usr/x", &format!("{dash}BEGIN CERTIFICATE{dash}\n{body}\n")));
        assert!(found("etc/shadow", "root:$y$j9T$abc:20370:0:99999:7:::\n"));
        assert!(found("etc/shadow", "root::20370:0:99999:7:::\n"));
        assert!(!found("etc/shadow", "root:*:1::::::\nanna:!*:1::::::\nx:!:1::::::\n"));
        assert!(found("etc/some.conf", &format!("password = $6$saltsalt${}", "a".repeat(40))));
        assert!(found("etc/machine-id", "0123456789abcdef0123456789abcdef\n"));
    }
}
