//! Forms of `[backup]`.

use super::{Form, SSH_KEY, form, only, starts};

/// An account on another machine, in a URL and on a command line.
pub const REMOTE_USER: Form = form("an account's name: letters, digits and `-_.`: `u123-sub1`", 64, |text| {
    starts(text, |c| c.is_ascii_alphanumeric() || c == '_', "a letter, a digit or `_`")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
});

/// The public key of a server, sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT", without the names in front of it.
pub const HOST_KEY: Form =
    form("a server's public key without the server's name in front of it: `ssh-ed25519 AAAA…`", 2048, |text| {
        if text.starts_with("sk-") {
            return Err("it is a key of a person's security token, which no server has".into());
        }
        if text.split(' ').nth(1).is_some_and(|word| word.starts_with("ssh-") || word.starts_with("ecdsa-")) {
            return Err("what stands in front of the type is the server's name: leave it out".into());
        }
        (SSH_KEY.check)(text)
    });
