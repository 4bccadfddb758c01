//! The language of programs.

use crate::{check::Check, output::says, scope::Scope};

/// What is set for units, and that its character set is there.
const SCRIPT: &str =
    "systemctl show-environment | sed -n s/^LANG=//p; LC_ALL=$(sed s/LANG=// /etc/locale.conf) locale charmap 2>&1";

/// It is as declared.
pub fn check(scope: &Scope<'_>) -> Check {
    let lang = &scope.recipe.locale.lang;
    let (what, expected) = (format!("the locale is {lang}"), format!("{lang}\nUTF-8"));
    Check::script("language", what, SCRIPT, move |said| says(said, &expected))
}
