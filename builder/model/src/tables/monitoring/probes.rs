//! `[monitoring.probes.NAME]`.

use super::span::span;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::{Error, Result};

pub(crate) const PROBE: &[Field] = &[
    table("ping", PING, "an echo request, and its answer"),
    table("tcp", TCP, "a TCP connection"),
    table("http", HTTP, "a page over HTTP or HTTPS; a redirection is an answer and is not followed"),
    table("dns", DNS, "a name that a name server must know"),
    text("interval", &values::SPAN, "time between two attempts").or_text("30s"),
    text("timeout", &values::SPAN, "after this time an attempt has failed").or_text("10s"),
    choice("family", FAMILY, "one family of addresses only")
        .or_said("IPv6 where the name has such an address, else IPv4"),
];
const PING: &[Field] = &[text("host", &values::SERVER, "its name or address").needed()];
const TCP: &[Field] = &[
    text("host", &values::SERVER, "its name or address").needed(),
    port("port", "its port").needed(),
    boolean("tls", "over TLS: the end of its certificate is watched as well").or(false),
    boolean("verify_certificate", "with `tls`: whether its certificate must be valid").or(true),
    text("expect", &values::NEEDLE, "how the first line that the server says must begin: `SSH-2.0-`"),
];
const HTTP: &[Field] = &[
    text("url", &values::URL, "the page; with `https://` the end of its certificate is watched as well").needed(),
    Field { absent: Absent::Said("200 to 299"), ..STATUS },
    text("contains", &values::NEEDLE, "text that must be in the page"),
    boolean("verify_certificate", "with `https://`: whether its certificate must be valid").or(true),
];
const STATUS: Field = Field {
    name: "status",
    holds: Holds::Integers(100, 599),
    absent: Absent::Nothing,
    about: "status codes that are right",
};
const DNS: &[Field] = &[
    text("server", &values::SERVER, "the name server's name or address").needed(),
    text("name", &values::LOOKED_UP, "the name that it is asked for").needed(),
    text("record", &values::RECORD, "type of the records, of which there must be one").or_text("A"),
];
const FAMILY: &[(&str, &str)] = &[("ipv4", "IPv4 only"), ("ipv6", "IPv6 only")];

pub(super) fn probe(t: &Section) -> Result<Probe> {
    let what = kind(t)?;
    let (interval, timeout) = (span(t, "interval")?, span(t, "timeout")?);
    if timeout > interval {
        let error = t.files.error(t.span, format!("`{}` may take {timeout}s and is tried every {interval}s", t.path));
        return Err(error.hint("make `timeout` at most `interval`"));
    }
    let ipv4 = t.text("family")?.map(|f| f.value == "ipv4");
    Ok(Probe { what, interval, timeout, ipv4 })
}

/// Exactly one of the keys that say what is tried.
fn kind(t: &Section) -> Result<ProbeKind> {
    const KINDS: [&str; 4] = ["ping", "tcp", "http", "dns"];
    let said: Vec<_> = KINDS.iter().filter_map(|key| Some((*key, t.key(key)?))).collect();
    if let [(one, _), (two, span), ..] = said[..] {
        let error = t.files.error(span, format!("`{}` says two things that are tried: `{one}` and `{two}`", t.path));
        return Err(error.hint("a probe has one: make another probe of the other"));
    }
    if let Some(p) = t.table("ping")? {
        return Ok(ProbeKind::Ping { host: p.needed("host")?.value });
    }
    if let Some(p) = t.table("tcp")? {
        let tls = p.flag("tls")?;
        if let (false, Some(span)) = (tls, p.key("verify_certificate")) {
            return Err(no_certificate(&p, span, "say `tls = true`"));
        }
        return Ok(ProbeKind::Tcp {
            host: p.needed("host")?.value,
            port: p.needed_number("port")?.value,
            tls,
            verify_certificate: p.flag("verify_certificate")?,
            expect: p.text("expect")?.map(|e| e.value),
        });
    }
    if let Some(p) = t.table("http")? {
        let url = p.needed("url")?.value;
        if let (true, Some(span)) = (url.starts_with("http://"), p.key("verify_certificate")) {
            return Err(no_certificate(&p, span, "write `https://`"));
        }
        return Ok(ProbeKind::Http {
            url,
            status: p.numbers("status")?,
            contains: p.text("contains")?.map(|c| c.value),
            verify_certificate: p.flag("verify_certificate")?,
        });
    }
    if let Some(p) = t.table("dns")? {
        let (server, name) = (p.needed("server")?.value, p.needed("name")?.value);
        return Ok(ProbeKind::Dns { server, name, record: p.needed("record")?.value });
    }
    Err(t.files.error(t.span, format!("`{}` does not say what is tried", t.path)).hint(
        "write one of `ping = { host = … }`, `tcp = { host = …, port = … }`, `http = { url = … }`, \
         `dns = { server = …, name = … }`",
    ))
}

fn no_certificate(p: &Section, span: crate::profile::source::Span, say: &str) -> Error {
    let error = p.files.error(span, format!("`{}` sees no certificate", p.path));
    error.hint(format!("{say}, or remove `verify_certificate`"))
}

/// The table that says this.
pub(super) fn written(probe: &Probe) -> Written {
    let t = Written::default();
    let t = match &probe.what {
        ProbeKind::Ping { host } => t.with("ping", Written::default().with("host", &**host)),
        ProbeKind::Tcp { host, port, tls, verify_certificate, expect } => t.with(
            "tcp",
            Written::default()
                .with("host", &**host)
                .with("port", i64::from(*port))
                .with("tls", *tls)
                .maybe("verify_certificate", tls.then_some(*verify_certificate))
                .maybe("expect", expect.as_deref()),
        ),
        ProbeKind::Http { url, status, contains, verify_certificate } => t.with(
            "http",
            Written::default()
                .with("url", &**url)
                .with("status", status.iter().map(|s| i64::from(*s)).collect::<Vec<_>>())
                .maybe("contains", contains.as_deref())
                .maybe("verify_certificate", probe.sees_certificate().then_some(*verify_certificate)),
        ),
        ProbeKind::Dns { server, name, record } => {
            let dns = Written::default().with("server", &**server).with("name", &**name);
            t.with("dns", dns.with("record", &**record))
        }
    };
    t.with("interval", format!("{}s", probe.interval))
        .with("timeout", format!("{}s", probe.timeout))
        .maybe("family", probe.ipv4.map(|four| if four { "ipv4" } else { "ipv6" }))
}
