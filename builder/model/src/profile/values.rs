//! The forms of values: allow-lists, never deny-lists. Control characters are refused before any of these is asked.

mod access;
mod audit;
mod backup;
mod containers;
mod hardening;

pub use access::*;
pub use audit::*;
pub use backup::*;
pub use containers::*;
pub use hardening::*;

use crate::tables::firewall::recipe::Period;
use std::net::IpAddr;

mod monitoring;
mod mounts;
mod network;
mod packages;
mod scenario;
mod time;

pub use monitoring::*;
pub use mounts::*;
pub use network::*;
pub use packages::*;
pub use scenario::*;
pub use time::*;

/// What a right value looks like: whether the scan for secrets would take it for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Like nothing that could be a secret.
    Plain,
    /// As random as a key, and public all the same: a public key.
    Random,
    /// A certificate in PEM, of several lines. Who writes it into a file writes what it means, never the text itself.
    Certificate,
}

/// What a string may be: the words for a person, and the judge.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Allowed values, in words.
    pub allowed: &'static str,
    /// Longest value in bytes.
    pub longest: usize,
    /// What a right value looks like.
    pub look: Look,
    /// Says what is wrong.
    pub check: fn(&str) -> Result<(), String>,
}

const fn form(allowed: &'static str, longest: usize, check: fn(&str) -> Result<(), String>) -> Form {
    Form { allowed, longest, look: Look::Plain, check }
}

const fn random(allowed: &'static str, longest: usize, check: fn(&str) -> Result<(), String>) -> Form {
    Form { allowed, longest, look: Look::Random, check }
}

fn only(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), String> {
    match text.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(format!("`{c}` is not allowed in it")),
        None if text.is_empty() => Err("it is empty".into()),
        None => Ok(()),
    }
}

fn starts(text: &str, allowed: impl Fn(char) -> bool, words: &str) -> Result<(), String> {
    if text.chars().next().is_some_and(allowed) { Ok(()) } else { Err(format!("it must begin with {words}")) }
}

fn lower(c: char) -> bool {
    c.is_ascii_lowercase()
}
fn lower_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// IMAGE_ID (os-release(5)); also the name of files and partitions.
pub const IMAGE_NAME: Form =
    form("lower-case letters, digits and `-`, beginning with a letter, at most 24", 24, |text| {
        starts(text, lower, "a lower-case letter")?;
        only(text, |c| lower_digit(c) || c == '-')
    });

/// IMAGE_VERSION; no `+` or `-`, which separate boot counters in the names of entries.
pub const IMAGE_VERSION: Form =
    form("letters, digits and `.`, beginning with a digit, at most 8: `1.0.3`", 8, |text| {
        starts(text, |c| c.is_ascii_digit(), "a digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || c == '.')
    });

/// A name a user gives to a link, a container or an overlay: it becomes part of file and unit names.
pub const NAME: Form =
    form("lower-case letters, digits and `-`, beginning with a letter, at most 32: `web`", 32, |text| {
        starts(text, lower, "a lower-case letter")?;
        only(text, |c| lower_digit(c) || c == '-')
    });

/// Suite of an archive.
pub const SUITE: Form = form("a suite's name: `trixie`", 64, |text| {
    starts(text, lower_digit, "a lower-case letter or digit")?;
    only(text, |c| lower_digit(c) || c == '-')
});

/// The suite that images are made from. Each is a promise: boot, units and packages of another one were never verified.
pub const DEBIAN_SUITE: Form = form("`trixie`, Debian 13", 64, |text| {
    (SUITE.check)(text)?;
    Err(match text {
        "trixie" => return Ok(()),
        "buster" | "bullseye" | "bookworm" => "images need systemd 257, and this suite has an older one".into(),
        "forky" | "duke" | "sid" => "it is not released, and images made from it are not verified yet".into(),
        "stable" | "oldstable" | "oldoldstable" | "testing" | "unstable" | "experimental" | "rc-buggy" => {
            "it becomes another release one day, and the image with it".into()
        }
        _ if text.ends_with("-backports") || text.ends_with("-sloppy") => {
            "it has a few newer packages, and no whole system: declare it as one of `archive.extra`".into()
        }
        _ if text.starts_with("trixie-") => "`trixie` has its updates and security updates with it".into(),
        _ => "Debian has no such release that images can be made from".into(),
    })
});

/// Component of an archive.
pub const COMPONENT: Form =
    form("`main`, `contrib`, `non-free`, `non-free-firmware`, or an archive's own", 64, |text| {
        starts(text, lower_digit, "a lower-case letter or digit")?;
        only(text, |c| lower_digit(c) || c == '-')
    });

/// Architectures an image can be built for.
pub const ARCHITECTURE: Form = form("`amd64`", 16, |text| match text {
    "amd64" => Ok(()),
    _ => Err("images are built for one architecture so far".into()),
});

/// A unit and its type, systemd.unit(5), without escapes.
pub const UNIT: Form =
    form("a unit with its type: `nginx.service`, `fstrim.timer`, `getty@tty1.service`", 128, |text| {
        const TYPES: [&str; 9] =
            ["service", "socket", "timer", "path", "mount", "automount", "target", "slice", "swap"];
        let (name, kind) = text.rsplit_once('.').ok_or("it does not end in a unit type")?;
        if !TYPES.contains(&kind) {
            return Err(format!("`.{kind}` is not a unit type that can be switched"));
        }
        starts(name, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(name, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':'))
    });

/// A login name as useradd(8) of Debian recommends, and no account of Debian's own.
pub const USER: Form =
    form("lower-case letters, digits, `-` and `_`, beginning with a letter, at most 31", 31, |text| {
        const TAKEN: [&str; 20] = [
            "root",
            "daemon",
            "bin",
            "sys",
            "sync",
            "games",
            "man",
            "lp",
            "mail",
            "news",
            "uucp",
            "proxy",
            "www-data",
            "backup",
            "list",
            "irc",
            "nobody",
            "sshd",
            "messagebus",
            "prometheus",
        ];
        starts(text, lower, "a lower-case letter")?;
        only(text, |c| lower_digit(c) || matches!(c, '-' | '_'))?;
        if TAKEN.contains(&text) || text.starts_with("systemd-") {
            return Err("this account belongs to the system".into());
        }
        Ok(())
    });

/// Whom a container runs as: a name or number in its own tree, with a group if wanted.
pub const CONTAINER_USER: Form =
    form("a user or number, or both with a group: `www-data`, `1000`, `1000:1000`", 65, |text| {
        let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
        for part in [Some(user), group].into_iter().flatten() {
            starts(part, lower_digit, "a lower-case letter or digit")?;
            only(part, |c| lower_digit(c) || matches!(c, '-' | '_'))?;
            if part.starts_with(|c: char| c.is_ascii_digit()) && part.parse::<u32>().is_err() {
                return Err(format!("`{part}` is not a number below 2^32"));
            }
        }
        Ok(())
    });

/// A network, or the name of a set of them: only the first has a `/`.
pub const PEER: Form = form("a network, `192.0.2.0/24`, or the name of one of `firewall.sets`", 64, |text| {
    let meant = text.contains(['/', ':']) || text.parse::<IpAddr>().is_ok();
    if meant { (NETWORK.check)(text) } else { (NAME.check)(text) }
});

/// Connections per time.
pub const RATE: Form =
    form("a number from 1 to 10000 per `second`, `minute`, `hour` or `day`: `10/minute`", 16, |text| {
        rate(text).map(|_| ())
    });

/// Number and period of `10/minute`.
pub fn rate(text: &str) -> Result<(u32, Period), String> {
    let (number, period) = text.split_once('/').ok_or("the time is missing")?;
    let all = [Period::Second, Period::Minute, Period::Hour, Period::Day];
    let period = all.into_iter().find(|p| p.name() == period).ok_or_else(|| format!("`{period}` is not a period"))?;
    let count = number.parse::<u32>().ok().filter(|n| (1..=10_000).contains(n) && number == n.to_string());
    Ok((count.ok_or_else(|| format!("`{number}` is not a number from 1 to 10000"))?, period))
}

/// Who listens on a port: a program or service.
pub const LISTENER: Form =
    form("a program's or service's name: letters, digits and `-_.@`, such as `nginx`", 64, |text| {
        starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.@".contains(c))
    });

/// What a person says to other people. It reaches the documentation and no file of the image.
pub const PROSE: Form = form("any text in one line", 400, |text| only(text, |_| true));

/// One word of the kernel's command line: nothing that quotes, separates or expands.
pub const KERNEL_WORD: Form =
    form("one word: letters, digits and `-_.,:=/@+`, such as `quiet` or `mitigations=auto`", 128, |text| {
        starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_.,:=/@+".contains(c))?;
        const OURS: [&str; 7] =
            ["root", "roothash", "usrhash", "init", "rdinit", "systemd.verity", "systemd.verity_root_options"];
        let name = text.split('=').next().unwrap_or(text);
        if OURS.contains(&name) || name.starts_with("systemd.verity") {
            return Err("the image sets this itself: the verified root hangs on it".into());
        }
        Ok(())
    });

/// One argument of a command. It goes into JSON, never through a shell; any text without control characters.
pub const ARGUMENT: Form = form("any text in one line", 4096, |_| Ok(()));

/// The program of a command: an absolute path in the container's tree or a name found through PATH.
pub const PROGRAM: Form = form("a program's name or absolute path: `busybox`, `/usr/sbin/nginx`", 255, |text| {
    only(text, |c| c.is_ascii_alphanumeric() || "-_.+/@".contains(c))?;
    starts(text, |c| c.is_ascii_alphanumeric() || c == '/', "a letter, a digit or `/`")?;
    if text.split('/').any(|p| p == "..") { Err("`..` is not allowed in it".into()) } else { Ok(()) }
});

/// A path relative to the profile, below its directory.
pub const RELATIVE_PATH: Form = form("a path relative to the profile: letters, digits and `-_.+~/`", 255, |text| {
    starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.+~/".contains(c))?;
    if text.split('/').any(|p| p == "..") { Err("`..` is not allowed in it".into()) } else { Ok(()) }
});

/// Where an archive is: deb(5).
pub const ARCHIVE_URI: Form =
    form("`http://…`, `https://…` or `file:///…` without user names or spaces", 255, |text| {
        let rest = ["https://", "http://", "file:///"].iter().find_map(|s| text.strip_prefix(s));
        let rest = rest.ok_or("it begins with none of `https://`, `http://`, `file:///`")?;
        only(rest, |c| c.is_ascii_alphanumeric() || "-_.~/:[]%+".contains(c))
    });

/// Where an index of wheels is: the address that pip's `index-url` has.
pub const WHEEL_INDEX: Form = form(
    "`https://…`, `http://…` or `file:///…` without user names or spaces: what pip calls `index-url`",
    255,
    |text| (ARCHIVE_URI.check)(text),
);

/// Where old packages are: an archive with a place for the time, and one for `debian` or `debian-security`.
pub const SNAPSHOT: Form = form("an archive's URI with `{timestamp}` in it", 255, |text| {
    if text.matches("{timestamp}").count() != 1 {
        return Err("`{timestamp}` must stand in it once".into());
    }
    (ARCHIVE_URI.check)(&text.replace("{timestamp}", "20250101T000000Z").replace("{archive}", "debian"))
});

/// An amount: bytes in whole MiB.
pub const SIZE: Form = form("a number with `M` (MiB) or `G` (GiB): `512M`, `2G`", 10, |text| size(text).map(|_| ()));

/// Bytes of an amount such as `512M`.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((i, 'M')) => (&text[..i], 1 << 20),
        Some((i, 'G')) => (&text[..i], 1 << 30),
        _ => return Err("the unit is missing".into()),
    };
    let wrong = || format!("`{number}` is not a positive whole number");
    if !number.chars().all(|c| c.is_ascii_digit()) || number.starts_with('0') {
        return Err(wrong());
    }
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|&n| n < 1 << 50).ok_or_else(wrong)
}

/// A profile as `diorite build` takes it.
pub const BUILT_PROFILE: Form = form("a profile's name, `server`, or its file, `lab/gate.toml`", 255, |text| {
    if text.ends_with(".toml") { (RELATIVE_PATH.check)(text) } else { (PROFILE.check)(text) }
});

/// Name of the profile that is extended.
pub const PROFILE: Form = form("the name of another profile in the same directory: `base`", 64, |text| {
    starts(text, lower_digit, "a lower-case letter or digit")?;
    only(text, |c| lower_digit(c) || matches!(c, '-' | '_'))
});

/// An OpenSSH public key, see [`super::ssh_key`].
pub const SSH_KEY: Form =
    form("one line of an OpenSSH public key file: `ssh-ed25519 AAAA… name@host`", 2048, super::ssh_key::check);

mod units;
mod verify;
mod vpn;

pub use units::*;
pub use verify::*;
pub use vpn::*;
