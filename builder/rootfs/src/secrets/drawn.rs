//! Values that a package's script has drawn at random: short texts that no package shipped, with a random UUID (RFC 9562,
//! version 4) in them, or with a password. Every machine would share them, and a build never makes the same twice. What is
//! derived from files of packages (byte code, caches, catalogues) is longer or no text.

use super::SecretScan;
use super::source::FileSource;
use crate::tree::{NodeKind, Tree};
use diorite_model::Digest;

/// The largest file that is looked at.
const LARGEST: usize = 32 << 10;
/// How the names of settings end that hold a password or a key.
const KEYS: [&str; 5] = ["pass", "passwd", "password", "secret", "secret_key"];

/// Path, what it is, and the digest of the content.
pub(super) fn by_scripts<'a>(tree: &'a Tree, search: &SecretScan) -> Vec<(&'a [u8], &'static str, Digest)> {
    let drawn = tree.nodes.iter().filter_map(|(path, node)| {
        let NodeKind::File(content) = &node.kind else { return None };
        let place = path.starts_with(b"etc/") || path.starts_with(b"var/lib/");
        if !place || content.len() > LARGEST {
            return None;
        }
        let text = std::str::from_utf8(content.bytes());
        let what = match text {
            // Tripwire's keys, in a form of its own.
            _ if path.starts_with(b"etc/tripwire/") && path.ends_with(b".key") => "a private key",
            Ok(text) if has_random_uuid(text) => "a random identifier",
            Ok(text) if text.lines().any(sets_password) => "a password",
            _ => return None,
        };
        let digest = content.digest();
        let script = || matches!((search.source)(path, &digest), FileSource::Script(_) | FileSource::Changed(_));
        (search.shipped.get(&digest).is_none() && script()).then_some((path.as_slice(), what, digest))
    });
    drawn.collect()
}

/// `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`, y being 8, 9, a or b.
fn has_random_uuid(text: &str) -> bool {
    const FORM: &[u8] = b"xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'x' => byte.is_ascii_hexdigit(),
        b'y' => b"89abAB".contains(byte),
        other => byte == other,
    };
    text.as_bytes().windows(FORM.len()).any(|window| window.iter().zip(FORM).all(fits))
}

/// A line that sets one of [`KEYS`] to what nobody has typed: eight characters or more, letters and digits among them.
fn sets_password(line: &str) -> bool {
    let line = line.trim();
    if line.starts_with(['#', ';', '/', '*']) {
        return false;
    }
    let Some((key, value)) = line.split_once(['=', ':']) else { return false };
    let key = key.trim().trim_matches(['$', '\'', '"']).to_ascii_lowercase();
    let value = value.trim().trim_end_matches([';', ',']).trim_matches(['\'', '"']);
    let random = value.len() >= 8
        && value.bytes().all(|b| b.is_ascii_graphic() && !b"/$<>{}()".contains(&b))
        && value.bytes().any(|b| b.is_ascii_digit())
        && value.bytes().any(|b| b.is_ascii_alphabetic());
    random && KEYS.iter().any(|known| key.ends_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_random_uuids_are_drawn() {
        assert!(has_random_uuid("nqn.2014-08.org.nvmexpress:uuid:5f0c7a51-8f0e-4f1c-9a3e-2f6d8f0f9f10\n"));
        for other in [
            "",
            "5f0c7a51-8f0e-4f1c-9a3e-2f6d8f0f9f1",
            // Version 1: of a name space, in every copy of a library.
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "5f0c7a51-8f0e-4f1c-ca3e-2f6d8f0f9f10",
        ] {
            assert!(!has_random_uuid(other), "{other}");
        }
    }

    #[test]
    fn a_password_is_told_from_a_setting() {
        for password in [
            "dbc_dbpass='c8Q3xYz1Wk2p'",
            "admin_pass: nK3kd93kd9sk",
            "SECRET_KEY = 'k2j3h4k2j3h4kj23h4'",
            "$dbpass='aB3dE6gH';",
            "ISC_PASSWORD=\"x9Kq27Zs\"",
        ] {
            assert!(sets_password(password), "{password}");
        }
        for setting in [
            "# password = abcdef123456",
            "password = changeme",
            "dbpass = ",
            "password_file = /etc/app/password1",
            "password = ${DB_PASSWORD1}",
            "passwd: files systemd",
        ] {
            assert!(!sets_password(setting), "{setting}");
        }
    }
}
