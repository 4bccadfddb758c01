//! Forms of what is installed.

use super::{Form, form, lower, lower_digit, only, starts};

/// Suite of a repository besides Debian's, sources.list(5): below `dists`, or with a slash at its end a flat repository's
/// own directory below its URI.
pub const EXTRA_SUITE: Form = form(
    "a suite, `trixie` or `bookworm/updates`, or the directory of a flat repository, with a slash at its end: `./`, `stable/`",
    128,
    |text| {
        only(text, |c| c.is_ascii_alphanumeric() || "-_.+~/".contains(c))?;
        let parts = match text.strip_suffix('/') {
            Some("" | ".") => return Ok(()),
            Some(directory) => directory.strip_prefix("./").unwrap_or(directory),
            None => text,
        };
        parts
            .split('/')
            .try_for_each(|part| starts(part, |c| c.is_ascii_alphanumeric(), "a letter or digit, in every part"))
    },
);

/// Component of a repository besides Debian's: a directory below the suite's.
pub const EXTRA_COMPONENT: Form = form("a component of the repository: `main`, `multiverse`, `17`", 64, |text| {
    only(text, |c| c.is_ascii_alphanumeric() || "-_.+~/".contains(c))?;
    text.split('/').try_for_each(|part| starts(part, |c| c.is_ascii_alphanumeric(), "a letter or digit, in every part"))
});

/// deb-control(5), Policy 5.6.1: a package name, or `name=version` (5.6.12).
pub const PACKAGE: Form =
    form("a Debian package, `nginx`, or with its version, `nginx=1.26.3-3+deb13u1`", 200, |text| {
        let (name, version) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
        (PACKAGE_NAME.check)(name)?;
        version.map_or(Ok(()), |v| {
            starts(v, |c| c.is_ascii_digit(), "a version that begins with a digit")?;
            only(v, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '~' | ':'))
        })
    });

/// A package's name alone, Policy 5.6.1.
pub const PACKAGE_NAME: Form = form("a Debian package: `openssh-server`", 100, |text| {
    if text.len() < 2 {
        return Err("a package's name has at least two characters".into());
    }
    starts(text, lower_digit, "a lower-case letter or digit")?;
    only(text, |c| lower_digit(c) || matches!(c, '+' | '-' | '.'))
});

/// The name of a debconf template, debconf-devel(7): nearly always a package's name and the question's.
pub const DEBCONF_TEMPLATE: Form = form(
    "a template of a package: letters, digits and `-_.+:`, with slashes: `postfix/main_mailer_type`",
    128,
    |text| {
        let (first, rest) = text.split_once('/').ok_or("the slash behind the package's name is missing")?;
        for part in std::iter::once(first).chain(rest.split('/')) {
            starts(part, |c| c.is_ascii_alphanumeric(), "a letter or digit, in every part")?;
            only(part, |c| c.is_ascii_alphanumeric() || "-_.+:".contains(c))?;
        }
        Ok(())
    },
);

/// An answer to a debconf question, one line of debconf-set-selections(1): a backslash at its end would continue it.
pub const DEBCONF_ANSWER: Form =
    form("the answer in one line, as debconf-set-selections(1) takes it: `Local only`, `true`", 1024, |text| {
        only(text, |c| c != '\\')?;
        if text.trim() == text { Ok(()) } else { Err("it begins or ends with a blank".into()) }
    });

/// A language as directories of /usr/share/locale are named, with a country where there are several.
pub const LANGUAGE: Form =
    form("a language, `de`, or one of a country, `pt_BR`; the first stands for all countries", 6, |text| {
        let (language, country) = text.split_once('_').map_or((text, None), |(l, c)| (l, Some(c)));
        if !matches!(language.len(), 2 | 3) || !language.chars().all(lower) {
            return Err(format!("`{language}` is not a language of two or three letters"));
        }
        match country {
            Some(c) if c.len() != 2 || !c.chars().all(|c| c.is_ascii_uppercase()) => {
                Err(format!("`{c}` is not a country of two capital letters"))
            }
            _ => Ok(()),
        }
    });
