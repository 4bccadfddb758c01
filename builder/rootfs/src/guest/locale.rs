//! The table `[locale]`: language of programs, locale.conf(5), which PID 1 and, by its old name, pam_env(8) read.

use super::Guest;
use diorite_model::{Error, Recipe, Result};

const ARCHIVE: &str = "usr/lib/locale/locale-archive";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let archive = guest.read(ARCHIVE).unwrap_or_default();
    for name in recipe.locale.compiled() {
        // The archive holds names with the encoding as the C library normalizes it.
        let key = name.replace(".UTF-8", ".utf8");
        let there = archive.windows(key.len()).any(|w| w == key.as_bytes());
        if !there && !guest.has(&format!("usr/lib/locale/{key}/LC_CTYPE")) {
            return Err(Error::bug(format!("the locale `{name}` was not compiled")).at(format!("/{ARCHIVE}")));
        }
    }
    let lang = &recipe.locale.lang;
    if !lang.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c)) || lang.is_empty() {
        return Err(Error::bug(format!("LANG cannot be {lang:?}")));
    }
    guest.file("etc/locale.conf", 0o644, format!("LANG={lang}\n"))?;
    guest.link("etc/default/locale", "../locale.conf")
}
