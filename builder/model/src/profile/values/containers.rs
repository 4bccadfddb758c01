//! Forms of what containers are told.

use super::{CONTAINER_USER, Form, NAME, NETWORK, PROGRAM, RELATIVE_PATH, form, lower_digit, only, random, starts};
use crate::oci::Reference;
use crate::python::Pinned;

/// A network between containers; the words podman understands otherwise are none (podman-run(1) `--network`).
pub const NETWORK_NAME: Form =
    form("lower-case letters, digits and `-`, beginning with a letter, at most 32: `backend`", 32, |text| {
        (NAME.check)(text)?;
        const TAKEN: [&str; 10] =
            ["bridge", "container", "default", "host", "none", "ns", "pasta", "podman", "private", "slirp4netns"];
        if TAKEN.contains(&text) { Err("this word means something else to podman".into()) } else { Ok(()) }
    });

/// IPv4 addresses of a network between containers.
pub const SUBNET: Form = form("an IPv4 network from /8 to /29: `10.89.0.0/24`", 18, |text| {
    (NETWORK.check)(text)?;
    let prefix = text.split_once('/').and_then(|(a, p)| (!a.contains(':')).then(|| p.parse::<u8>().ok()).flatten());
    match prefix {
        Some(8..=29) => Ok(()),
        _ => Err("it is not an IPv4 network of this size".into()),
    }
});

/// Where a container sees something that is mounted into it.
pub const CONTAINER_PATH: Form =
    form("an absolute path: letters, digits and `-_.+/`, such as `/var/lib/postgresql`", 255, |text| {
        starts(text, |c| c == '/', "`/`")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.+/".contains(c))?;
        if text[1..].split('/').any(|p| matches!(p, "" | "." | "..")) {
            return Err("each part between `/` must be a name".into());
        }
        const RUNTIME: [&str; 4] = ["proc", "sys", "dev", "etc/resolv.conf"];
        let below = |p: &&&str| text[1..].strip_prefix(**p).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        match RUNTIME.iter().find(below) {
            Some(path) => Err(format!("/{path} belongs to the runtime")),
            None => Ok(()),
        }
    });

/// An image in a registry.
pub const IMAGE: Form = form(
    "a registry, a name and a digest, in lower case: `registry.example/team/app@sha256:` and 64 hexadecimal digits",
    400,
    |text| Reference::parse(text).map(|_| ()),
);

/// A file of pip's requirements. Its ending keeps it apart from a profile.
pub const REQUIREMENTS_FILE: Form =
    form("a path relative to the profile that ends in `.txt`: `requirements.txt`", 255, |text| {
        (RELATIVE_PATH.check)(text)?;
        if text.ends_with(".txt") { Ok(()) } else { Err("it does not end in `.txt`".into()) }
    });

/// One wheel, as pip's hash-checking mode writes it.
pub const REQUIREMENT: Form = random(
    "a name, one version and the SHA-256 of its wheel: `flask==3.0.3 --hash=sha256:` and 64 hexadecimal digits",
    40_000,
    |text| Pinned::parse(text).map(|_| ()),
);

/// Name of an environment variable, POSIX.1-2024 8.1.
pub const VARIABLE: Form = form("letters, digits and `_`, not beginning with a digit: `LOG_LEVEL`", 128, |text| {
    starts(text, |c| c.is_ascii_alphabetic() || c == '_', "a letter or `_`")?;
    only(text, |c| c.is_ascii_alphanumeric() || c == '_')
});

/// Name of a credential, systemd.exec(5): it is a file's name, and here a plain one.
pub const CREDENTIAL: Form =
    form("a credential's name: letters, digits and `-_.`, beginning with a letter: `db.password`", 64, |text| {
        starts(text, |c| c.is_ascii_alphabetic(), "a letter")?;
        only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    });

/// A device of the machine that may be given away. What is memory, a disk or a terminal of the machine itself may not.
pub const DEVICE_NODE: Form = form("a device by its path: `/dev/ttyUSB0`, `/dev/dri/renderD128`", 100, |text| {
    let below = text.strip_prefix("/dev/").ok_or("it is not below /dev")?;
    only(below, |c| c.is_ascii_alphanumeric() || "-_./".contains(c))?;
    if below.split('/').any(|p| p.is_empty() || p.starts_with('.')) {
        return Err("a part of it is empty or begins with a dot".into());
    }
    const KEPT: [&str; 16] = [
        "console", "disk", "dm-", "kmem", "kmsg", "loop", "mapper", "mem", "mmcblk", "nvme", "port", "sd", "sg", "tpm",
        "vd", "xvd",
    ];
    match KEPT.iter().find(|kept| below.starts_with(**kept)) {
        Some(kept) => {
            Err(format!("/dev/{kept}… is a disk or the machine's own: whoever may use it has the whole machine"))
        }
        None => Ok(()),
    }
});

/// Capabilities that a container may keep: those of common runtimes' defaults, and some that stay inside its namespaces.
const CAPABILITIES: [&str; 16] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "KILL",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "SYS_NICE",
];

/// A capability of [`CAPABILITIES`].
pub const CAPABILITY: Form = form(
    "`AUDIT_WRITE`, `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `FSETID`, `IPC_LOCK`, `KILL`, `NET_ADMIN`, `NET_BIND_SERVICE`, \
     `NET_RAW`, `SETFCAP`, `SETGID`, `SETPCAP`, `SETUID`, `SYS_CHROOT`, `SYS_NICE`",
    20,
    |text| {
        if CAPABILITIES.contains(&text) { Ok(()) } else { Err("it is not among those a container may keep".into()) }
    },
);

/// Four octal digits.
pub const MODE: Form = form("permissions as four octal digits: `0750`", 4, |text| {
    let octal = text.len() == 4 && text.starts_with('0') && text.chars().all(|c| ('0'..='7').contains(&c));
    if octal { Ok(()) } else { Err("it is not `0` and three octal digits".into()) }
});

/// Who owns something in a container.
pub const CONTAINER_OWNER: Form = CONTAINER_USER;

/// A host name, RFC 1123 2.1.
pub const HOSTNAME: Form =
    form("lower-case letters, digits, `-` and `.`, each part beginning with a letter or digit", 63, |text| {
        only(text, |c| lower_digit(c) || matches!(c, '-' | '.'))?;
        for part in text.split('.') {
            starts(part, lower_digit, "a letter or digit in each part")?;
            if part.ends_with('-') {
                return Err("a part ends in `-`".into());
            }
        }
        Ok(())
    });

/// A span of time in whole seconds.
pub const SPAN: Form =
    form("a whole number with `s`, `m` or `h`, at most a day: `30s`, `5m`", 6, |text| seconds(text).map(|_| ()));

/// Seconds of a span such as `5m`.
pub fn seconds(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((i, 's')) => (&text[..i], 1),
        Some((i, 'm')) => (&text[..i], 60),
        Some((i, 'h')) => (&text[..i], 3600),
        _ => return Err("the unit is missing".into()),
    };
    let whole = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    let seconds = number.parse::<u32>().ok().filter(|_| whole).and_then(|n| n.checked_mul(unit));
    seconds.filter(|n| *n <= 86_400).ok_or_else(|| format!("`{number}` is not a whole number up to a day"))
}

/// Processors, with at most three decimals.
pub const CPUS: Form =
    form("a number of processors, with at most three decimals: `2`, `0.5`", 7, |text| thousandths(text).map(|_| ()));

/// Thousandths of a number such as `1.5`.
pub fn thousandths(text: &str) -> Result<u32, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str, most: usize| (1..=most).contains(&t.len()) && t.chars().all(|c| c.is_ascii_digit());
    if !digits(whole, 3) || !digits(part, 3) {
        return Err("it is not such a number".into());
    }
    let number = format!("{whole}{part:0<3}").parse::<u32>().map_err(|e| e.to_string())?;
    if number < 10 { Err("it is less than a hundredth of a processor".into()) } else { Ok(number) }
}

/// The program of a health check. podman takes some words in its place for something else.
pub const HEALTH_PROGRAM: Form = form(PROGRAM.allowed, PROGRAM.longest, |text| {
    (PROGRAM.check)(text)?;
    match text.to_ascii_uppercase().as_str() {
        "CMD" | "CMD-SHELL" | "NONE" => Err("this word means something else to podman".into()),
        _ => Ok(()),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units() {
        for (text, meant) in [("30s", 30), ("5m", 300), ("24h", 86_400), ("0s", 0)] {
            assert_eq!(seconds(text), Ok(meant));
        }
        for bad in ["", "s", "5", "-1s", "1.5s", "25h", "99999999999h", "1 s", "+1s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        for (text, meant) in [("1", 1000), ("0.5", 500), ("1.25", 1250), ("12.345", 12_345), ("0.01", 10)] {
            assert_eq!(thousandths(text), Ok(meant));
        }
        for bad in ["", ".", "1.", ".5", "0", "0.001", "1.2345", "-1", "1e3", "9999", "1,5"] {
            assert!(thousandths(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        for good in ["/data", "/var/lib/postgresql", "/devices", "/.cache"] {
            assert_eq!((CONTAINER_PATH.check)(good), Ok(()));
        }
        let bad =
            ["/", "data", "//x", "/x/", "/x/../y", "/x:y", "/x,y", "/proc", "/sys/fs", "/dev/shm", "/a b", "/./x"];
        for bad in bad {
            assert!((CONTAINER_PATH.check)(bad).is_err(), "{bad}");
        }
    }
}
