//! Forms of the network's values.

use super::{Form, form, lower, lower_digit, only, random, starts};
use crate::cidr::Network;
use std::net::IpAddr;

/// An address with its prefix length: of a machine (host bits allowed).
pub const ADDRESS: Form = form("an address with its prefix length: `192.0.2.10/24`, `2001:db8::10/64`", 64, |text| {
    address_and_prefix(text).map(|_| ())
});

/// A network in CIDR form, RFC 4632: host bits must be zero, so that what is written is what is meant.
pub const NETWORK: Form =
    form("a network: `192.0.2.0/24`, `2001:db8::/32`", 64, |text| text.parse::<Network>().map(|_| ()));

/// Address and prefix length of `192.0.2.10/24`.
pub fn address_and_prefix(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, prefix) = text.split_once('/').ok_or("the prefix length is missing")?;
    let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is not an IP address"))?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let number: u8 = prefix.parse().map_err(|_| format!("`{prefix}` is not a prefix length"))?;
    if number > width || prefix != number.to_string() {
        return Err(format!("`{prefix}` is not a prefix length from 0 to {width}"));
    }
    Ok((address, number))
}

/// One IP address.
pub const IP: Form = form("an IP address: `192.0.2.1`, `2001:db8::1`", 45, |text| {
    text.parse::<IpAddr>().map(|_| ()).map_err(|_| "it is not an IP address".into())
});

/// Addresses of one host.
pub const ADDRESSES: Form =
    form("an IP address, or several with spaces between: `192.0.2.10 2001:db8::10`", 200, |text| {
        addresses(text).map(|_| ())
    });

/// The addresses of [`ADDRESSES`].
pub fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let mut all = Vec::new();
    for word in text.split(' ') {
        let address = word.parse::<IpAddr>().map_err(|_| format!("`{word}` is not an IP address"))?;
        if all.contains(&address) {
            return Err(format!("`{word}` stands in it twice"));
        }
        all.push(address);
    }
    Ok(all)
}

/// One IPv4 address.
pub const IPV4: Form = form("an IPv4 address: `192.0.2.1`", 15, |text| {
    text.parse::<std::net::Ipv4Addr>().map(|_| ()).map_err(|_| "it is not an IPv4 address".into())
});

/// A hardware address, IEEE 802 EUI-48.
pub const MAC: Form = form("a hardware address in lower case: `52:54:00:12:34:56`", 17, |text| {
    let parts: Vec<_> = text.split(':').collect();
    let fine = |p: &&str| p.len() == 2 && p.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    if parts.len() == 6 && parts.iter().all(fine) {
        Ok(())
    } else {
        Err("it is not six pairs of hexadecimal digits".into())
    }
});

/// An interface name, at most IFNAMSIZ - 1 bytes, or a glob(7) over one.
pub const INTERFACE: Form = form("an interface's name or pattern: `enp1s0`, `en*`", 15, |text| {
    starts(text, |c| c.is_ascii_alphanumeric() || c == '*', "a letter, a digit or `*`")?;
    only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '?'))
});

/// A kernel driver.
pub const DRIVER: Form = form("a driver's name or pattern: `virtio_net`", 32, |text| {
    starts(text, |c| c.is_ascii_alphanumeric() || c == '*', "a letter, a digit or `*`")?;
    only(text, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '?'))
});

/// A name of a link that only exists in the kernel (VLAN, bond, bridge) is an interface's name as well.
pub const DEVICE: Form = form("lower-case letters, digits and `-`, beginning with a letter, at most 15", 15, |text| {
    starts(text, lower, "a lower-case letter")?;
    only(text, |c| lower_digit(c) || c == '-')?;
    let taken = |name: &str| text.strip_prefix(name).is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
    match text {
        "all" | "default" | "lo" => Err("the kernel uses this name itself".into()),
        _ if taken("eth") => Err("the kernel gives this name to cards".into()),
        _ if text.starts_with("podman") || text.starts_with("veth") => Err("containers use such names".into()),
        _ => Ok(()),
    }
});

/// A name server, and if it is to prove who it is over TLS, its name: systemd.network(5), `DNS=`.
pub const NAME_SERVER: Form = form(
    "an IP address, with the server's name for TLS if wanted: `192.0.2.53`, `192.0.2.53#dns.example`",
    300,
    |text| {
        let (address, name) = text.split_once('#').map_or((text, None), |(a, n)| (a, Some(n)));
        (IP.check)(address)?;
        name.map_or(Ok(()), DOMAIN.check)
    },
);

/// A domain's name, RFC 1123 §2.1, in lower case; international names as they are on the wire (`xn--…`).
pub const DOMAIN: Form = form("a domain in lower case: `example.org`", 253, |text| text.split('.').try_for_each(label));

/// Domains whose names are looked up over a link: all of them, or one and what is below it.
pub const ROUTED_DOMAIN: Form = form("a domain in lower case, `corp.example`, or `.` for every name", 253, |text| {
    if text == "." { Ok(()) } else { (DOMAIN.check)(text) }
});

/// A host name, hostname(5) and RFC 1123 §2.1: what gethostname(2) has room for.
pub const HOST_NAME: Form =
    form("letters in lower case, digits and `-`, in labels joined by `.`, at most 64", 64, |text| {
        text.split('.').try_for_each(label)?;
        // Programs that ask for the name's address would take it for one.
        if text.chars().all(|c| c.is_ascii_digit() || c == '.') { Err("it has no letter".into()) } else { Ok(()) }
    });

/// A server by address or name.
pub const SERVER: Form = form("a host's name or IP address: `ntp.example.org`, `192.0.2.123`", 253, |text| {
    if text.contains(':') { (IP.check)(text) } else { text.split('.').try_for_each(label) }
});

/// A name in a certificate: that of a server, or one for every name directly below a domain (RFC 9525 §6.3).
pub const CERTIFICATE_NAME: Form = form(
    "a host's name or IP address, or every name below a domain: `www.example.org`, `192.0.2.80`, `*.example.org`",
    253,
    |text| match text.strip_prefix("*.") {
        Some(domain) => (DOMAIN.check)(domain),
        None => (SERVER.check)(text),
    },
);

/// A zone that holds records for an authority: one with the names themselves, or one made for the records of one name.
pub const CHALLENGE_ZONE: Form =
    form("a domain in lower case: `example.org`, `_acme-challenge.www.example.org`", 253, |text| {
        (DOMAIN.check)(text.strip_prefix("_acme-challenge.").unwrap_or(text))
    });

/// The name of a key of TSIG, RFC 8945: a domain's name, which keys need not be those of hosts.
pub const TSIG_KEY: Form =
    form("a key's name, in labels of lower-case letters, digits, `-` and `_`: `acme`", 253, |text| {
        text.split('.').try_for_each(|part| label(&part.replace('_', "-")))
    });

fn label(label: &str) -> Result<(), String> {
    let right = label.to_ascii_lowercase().replace('_', "-");
    let wrong = label.chars().find(|&c| !lower_digit(c) && c != '-');
    match wrong {
        Some('_') => Err(format!("`_` is not allowed in a name of a host (RFC 1123): write `{right}`")),
        Some('A'..='Z') => Err(format!("names of hosts are written in lower case: `{right}`")),
        Some(_) => Err(format!("`{label}` is not lower-case letters, digits and `-`")),
        None if label.is_empty() => Err("a part between dots is empty".to_owned()),
        None if label.len() > 63 => Err(format!("`{label}` is longer than 63")),
        None if label.starts_with('-') => Err(format!("`{label}` begins with `-`")),
        None if label.ends_with('-') => Err(format!("`{label}` ends with `-`")),
        None => Ok(()),
    }
}

/// A public key of WireGuard: 32 bytes in Base64 (Curve25519, RFC 7748). It looks like any random text, and is none that is
/// secret.
pub const WIREGUARD_KEY: Form = random("44 characters that end with `=`, as `wg pubkey` prints them", 44, |text| {
    let digits = text.strip_suffix('=').ok_or("it does not end with `=`")?;
    only(digits, |c| c.is_ascii_alphanumeric() || c == '+' || c == '/')?;
    match digits.len() {
        43 => Ok(()),
        n => Err(format!("it has {} characters", n + 1)),
    }
});

/// Where a peer is reached: a name or an address, and a port.
pub const ENDPOINT: Form =
    form("a host and a UDP port: `vpn.example.org:51820`, `192.0.2.1:51820`, `[2001:db8::1]:51820`", 262, |text| {
        let endpoint = crate::recipe::Endpoint::try_from(text.to_owned())?;
        (SERVER.check)(&endpoint.host)
    });
