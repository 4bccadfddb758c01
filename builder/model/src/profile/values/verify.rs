//! Forms of `[[verify.check]]`: what is asked of a booted machine.

use super::{Form, form, lower_digit, only, starts};

/// Path and query of a URI, RFC 3986 §3.3 and §3.4: it becomes part of a request's first line.
pub const URI_PATH: Form = form("a path with its query, beginning with `/`: `/health?full=1`", 1024, |text| {
    starts(text, |c| c == '/', "`/`")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?%".contains(c))
});

/// Text that something must hold.
pub const NEEDLE: Form = form("any text in one line", 1024, |text| only(text, |_| true));

/// An absolute path.
pub const FILE_PATH: Form = form("an absolute path: letters, digits and `-_.+@:/`", 1024, |text| {
    starts(text, |c| c == '/', "`/`")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.+@:/".contains(c))?;
    match text[1..].split('/').find(|p| matches!(*p, "." | "..")) {
        Some(part) => Err(format!("`{part}` is not allowed in it")),
        None => Ok(()),
    }
});

/// Where a symbolic link points.
pub const LINK_TARGET: Form = form("a path: letters, digits and `-_.+@:/`", 1024, |text| {
    starts(text, |c| c.is_ascii_alphanumeric() || "/.".contains(c), "a letter, a digit, `.` or `/`")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.+@:/".contains(c))
});

/// An account or a group, the system's own too.
pub const ACCOUNT: Form = form("an account's or group's name: `www-data`, `root`", 32, |text| {
    starts(text, |c| c.is_ascii_lowercase() || c == '_', "a lower-case letter or `_`")?;
    only(text, |c| lower_digit(c) || matches!(c, '-' | '_'))
});

/// SHA-256 in hexadecimal.
pub const SHA256: Form = form("64 hexadecimal digits in lower case", 64, |text| {
    let digits = text.len() == 64 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    if digits { Ok(()) } else { Err("it is not 64 such digits".into()) }
});

/// A process's name as the kernel has it, proc_pid_comm(5).
pub const PROCESS: Form =
    form("a process's name, its first 15 characters: letters, digits and `-_.:/@+`", 15, |text| {
        starts(text, |c| c.is_ascii_alphanumeric() || c == '_', "a letter, a digit or `_`")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.:/@+".contains(c))
    });

/// A metric's name, Prometheus' data model.
pub const METRIC: Form = form("a metric's name: `node_load1`", 200, |text| {
    starts(text, |c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'), "a letter, `_` or `:`")?;
    only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
});

/// A label's name, Prometheus' data model.
pub const LABEL: Form = form("a label's name: `mountpoint`", 100, |text| {
    starts(text, |c| c.is_ascii_alphabetic() || c == '_', "a letter or `_`")?;
    only(text, |c| c.is_ascii_alphanumeric() || c == '_')
});

/// A package's version, Debian Policy 5.6.12.
pub const PACKAGE_VERSION: Form = form("a version: `1.26.3-3+deb13u1`", 100, |text| {
    starts(text, |c| c.is_ascii_digit(), "a digit")?;
    only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '~' | ':'))
});
