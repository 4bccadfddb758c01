//! Forms of `[hardening]`.

use super::{Form, form, only, starts};

/// A name of sysctl.d(5): dots between its parts; a slash stands for a dot inside one.
pub const SYSCTL: Form = form(
    "a sysctl's whole name in quotes: `\"net.ipv4.ip_forward\"`, `\"net.ipv4.conf.lan/200.forwarding\"`",
    128,
    |text| {
        starts(text, |c| c.is_ascii_lowercase(), "a lower-case letter")?;
        only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))?;
        let dot = text.find('.').ok_or("it has no `.`")?;
        if text.find('/').is_some_and(|slash| slash < dot) {
            return Err("its parts are separated by `.`".into());
        }
        match text.split(['.', '/']).any(str::is_empty) {
            true => Err("a part of it is empty".into()),
            false => Ok(()),
        }
    },
);

/// A value of sysctl.d(5).
pub const SYSCTL_VALUE: Form = form(
    "whole numbers with one space between them, or one word: `\"1\"`, `\"4096 87380 6291456\"`, `\"bbr\"`",
    128,
    |text| {
        let number = |w: &str| w.parse::<i64>().is_ok() && !w.starts_with('+');
        if text.split(' ').all(number) {
            return Ok(());
        }
        starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ','))
    },
);

/// A kernel module, modprobe.d(5).
pub const BLOCKED_MODULE: Form = form("a kernel module's name: `sctp`, `usb-storage`", 64, |text| {
    starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
    only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
});

/// What an exception is about: a directive, a sysctl, a word of the kernel's command line, a module.
pub const SETTING: Form =
    form("the name of a setting: `ProtectSystem`, `kernel.sysrq`, `lockdown=integrity`, `sctp`", 128, |text| {
        starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.=/".contains(c))
    });

/// The absolute path of a program.
pub const SETUID_PATH: Form = form("the absolute path of a program: `/usr/bin/su`", 255, super::access::absolute);
