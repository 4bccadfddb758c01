//! The forms of what stands in `targets.toml`: allow-lists. Control characters are refused before any of these is asked.

use super::Serve;
use diorite_model::profile::{Form, Look};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;

const fn form(allowed: &'static str, longest: usize, check: fn(&str) -> Result<(), String>) -> Form {
    Form { allowed, longest, look: Look::Plain, check }
}

fn only(text: &str, first: fn(char) -> bool, allowed: fn(char) -> bool) -> Result<(), String> {
    match text.chars().next() {
        None => return Err("it is empty".into()),
        Some(c) if !first(c) => return Err(format!("it cannot begin with `{c}`")),
        Some(_) => {}
    }
    text.chars().find(|&c| !allowed(c)).map_or(Ok(()), |c| Err(format!("`{c}` is not allowed in it")))
}

fn letter(c: char) -> bool {
    c.is_ascii_alphabetic()
}
fn letter_digit(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

/// Name of a target.
pub(super) const NAME: Form =
    form("lower-case letters, digits and `-`, beginning with a letter, at most 32: `school`", 32, |text| {
        only(text, |c| c.is_ascii_lowercase(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    });

/// Where the API is.
pub(super) const URL: Form =
    form("https:, a host and perhaps a port, nothing else: `https://pve.example.org:8006`", 300, |text| {
        address(text).map(drop)
    });

/// `pve-node`: a host's name.
pub(super) const NODE: Form =
    form("a node's name: `pve1`", 63, |text| only(text, letter_digit, |c| letter_digit(c) || c == '-'));

/// `pve-storage-id`.
pub(super) const STORAGE: Form =
    form("a storage's name: `local-zfs`", 100, |text| only(text, letter, |c| letter_digit(c) || "-_.".contains(c)));

/// `pve-bridge-id`: the name of an interface, at most 15 characters.
pub(super) const BRIDGE: Form =
    form("a bridge's name: `vmbr0`", 15, |text| only(text, letter, |c| letter_digit(c) || "_-.".contains(c)));

/// `pve-poolid`: up to three names since 8.1.
pub(super) const POOL: Form = form("a pool's name: `school`, or `schools/north`", 128, |text| {
    text.split('/').try_for_each(|part| only(part, letter_digit, |c| letter_digit(c) || "_-.".contains(c)))
});

/// A tag, as Proxmox VE keeps it.
pub(super) const TAG: Form = form("lower-case letters, digits, `_`, `-`, `+` and `.`: `diorite`", 60, |text| {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    only(text, fine, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+.".contains(c))
});

/// The numbers of machines.
pub(super) const VMIDS: Form =
    form("the first and the last number, from 100 to 999999999: `9000-9099`", 30, |text| range(text).map(drop));

/// SHA-256 of a certificate.
pub(super) const FINGERPRINT: Form =
    form("SHA-256 as `pvenode cert info` prints it: 32 bytes in hexadecimal, with or without colons", 110, |text| {
        pinned(text).map(drop)
    });

/// A file; `~/` is the home directory, everything else is relative to the file that names it.
pub(super) const FILE: Form = form("a file's path, `~/` being the home directory", 400, |text| {
    only(text, |c| letter_digit(c) || "/~._".contains(c), |c| letter_digit(c) || "/~._-+@ ".contains(c))
});

/// Where nodes fetch images from.
pub(super) const SERVE: Form = form(
    "`auto`, or this host as the nodes know it, each perhaps with a port: `auto`, `auto:8099`, `192.0.2.7:8099`",
    300,
    |text| served(text).map(drop),
);

/// Name of an environment variable.
pub(super) const VARIABLE: Form = form("the name of an environment variable: `PVE_TOKEN`", 100, |text| {
    only(text, |c| c.is_ascii_uppercase() || c == '_', |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
});

/// A word of a command: it is started without a shell.
pub(super) const WORD: Form = form("one word of a command, as it is (no shell reads it)", 400, |text| match text {
    "" => Err("it is empty".into()),
    _ => Ok(()),
});

/// `pve-userid`.
pub(super) const USER: Form = form("a user and his realm: `root@pam`", 100, |text| {
    let (user, realm) = text.split_once('@').ok_or("the realm is missing")?;
    only(user, letter_digit, |c| letter_digit(c) || "_-.".contains(c))?;
    only(realm, letter, |c| letter_digit(c) || "_-.".contains(c))
});

/// A sentence for people.
pub(super) const SENTENCE: Form = form("one line of text", 200, |text| match text.trim() {
    "" => Err("it is empty".into()),
    _ => Ok(()),
});

/// `https://HOST:PORT`; the port is 8006 when none is said.
pub(super) fn address(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").ok_or("it does not begin with https://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (inner, behind) = inner.split_once(']').ok_or("a `]` is missing")?;
            inner.parse::<std::net::Ipv6Addr>().map_err(|_| "what stands in `[]` is no IPv6 address")?;
            let port = match behind {
                "" => None,
                _ => Some(behind.strip_prefix(':').ok_or("only a port can follow `]`")?),
            };
            (format!("[{inner}]"), port)
        }
        None => {
            let (host, port) = rest.split_once(':').map_or((rest, None), |(h, p)| (h, Some(p)));
            only(host, letter_digit, |c| letter_digit(c) || ".-".contains(c)).map_err(|why| match why.as_str() {
                "`/` is not allowed in it" => "nothing can follow the host and its port".into(),
                _ => format!("its host: {why}"),
            })?;
            (host.to_owned(), port)
        }
    };
    let port = match port {
        None => 8006,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ if port.contains('/') => return Err("nothing can follow the host and its port".into()),
            _ => return Err(format!("`{port}` is no port")),
        },
    };
    let bare = host.trim_matches(['[', ']']);
    let here = host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|a| a.is_loopback());
    match scheme {
        "https" => {}
        "http" if here => {}
        "http" => {
            return Err(
                "without TLS anybody on the way could read the token; only this very machine is asked so".into()
            );
        }
        _ => return Err(format!("`{scheme}:` is not a way to ask Proxmox VE")),
    }
    Ok(format!("{scheme}://{host}:{port}"))
}

/// `auto`, `HOST`, either with a port.
pub(super) fn served(text: &str) -> Result<Serve, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port.map(str::parse::<u16>) {
        None => 0,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(format!("`{}` is no port", port.unwrap_or_default())),
    };
    match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => drop(inner.parse::<Ipv6Addr>().map_err(|_| "what stands in `[]` is no IPv6 address")?),
        None => only(host, letter_digit, |c| letter_digit(c) || ".-".contains(c))?,
    }
    Ok(Serve { host: (host != "auto").then(|| host.to_owned()), port })
}

/// `9000-9099`; the least and greatest number of a machine are Proxmox VE's own.
pub(super) fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = text.split_once('-').ok_or("a `-` is missing")?;
    let number = |text: &str| match text.parse::<u32>() {
        Ok(n @ 100..=999_999_999) => Ok(n),
        Ok(n) => Err(format!("{n} is not from 100 to 999999999")),
        Err(_) => Err(format!("`{text}` is not a number")),
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last { Err("the first is greater than the last".into()) } else { Ok(first..=last) }
}

/// The bytes of a fingerprint.
pub(super) fn pinned(text: &str) -> Result<[u8; 32], String> {
    // Openssl and curl write the algorithm in front, Proxmox VE does not.
    let bare = ["sha256:", "SHA256:"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let hex = bare.replace(':', "");
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return Err(format!("SHA-256 has 64 digits, this has {}", hex.chars().count()));
    }
    for (i, byte) in digest.iter_mut().enumerate() {
        let pair = &hex[2 * i..2 * i + 2];
        *byte = u8::from_str_radix(pair, 16).map_err(|_| format!("`{pair}` is not hexadecimal"))?;
    }
    Ok(digest)
}
