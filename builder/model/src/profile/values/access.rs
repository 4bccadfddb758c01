//! Forms of `[access]`.

use super::{Form, form, only, starts};

/// A name in a user certificate, ssh-keygen(1) "CERTIFICATES": one line of a file of names, without options or comment.
pub const PRINCIPAL: Form =
    form("letters, digits and `-_.@`, beginning with a letter or digit: `anna`, `ops@example`", 64, |text| {
        starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.@".contains(c))
    });

/// A program that sudo(8) may run: its whole path, so that nobody's PATH decides which one it is.
pub const COMMAND: Form = form("the absolute path of a program: `/usr/bin/systemctl`", 255, absolute);

/// An argument of such a command, as it is: none of what sudoers(5) expands or separates by.
pub const COMMAND_ARGUMENT: Form =
    form("one word: letters, digits and `-_.,:=/@+`: `restart`, `web.service`, `--since=today`", 255, |text| {
        only(text, |c| c.is_ascii_alphanumeric() || "-_.,:=/@+".contains(c))
    });

/// Text for people, in one line of a file that no program parses.
pub const BANNER: Form = form("one line of text: letters, digits, spaces and `.,:;!?()'/-+@&*#=_`", 200, |text| {
    starts(text, char::is_alphanumeric, "a letter or digit")?;
    only(text, |c| c.is_alphanumeric() || " .,:;!?()'/-+@&*#=_".contains(c))
});

/// An absolute path of plain names.
pub(super) fn absolute(text: &str) -> Result<(), String> {
    starts(text, |c| c == '/', "`/`")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.+/".contains(c))?;
    match text[1..].split('/').find(|p| matches!(*p, "" | "." | "..")) {
        Some("") => Err("a name is missing in it".into()),
        Some(part) => Err(format!("`{part}` is not allowed in it")),
        None => Ok(()),
    }
}
