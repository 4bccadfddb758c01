//! Forms of what is watched, and of who is told.

use super::{DOMAIN, Form, SERVER, URI_PATH, form, lower_digit, only, starts};

/// A page on a web server, RFC 3986, without a user's name.
pub const URL: Form = form(
    "`http://` or `https://`, a host in lower case, a port if wanted, and a path: `https://www.example.org/health`",
    1024,
    |text| url(text).map(|_| ()),
);

/// What a [`URL`] says.
pub struct Url<'a> {
    pub host: &'a str,
    pub port: u16,
}

/// Host and port of a [`URL`].
pub fn url(text: &str) -> Result<Url<'_>, String> {
    let (rest, usual) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, 443),
        (_, Some(rest)) => (rest, 80),
        _ => return Err("it begins with neither `http://` nor `https://`".into()),
    };
    let (place, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    (URI_PATH.check)(path)?;
    let (host, port) = place_of(place)?;
    Ok(Url { host, port: port.unwrap_or(usual) })
}

/// Host, and port if there is one, of `host:port` or `[2001:db8::1]:port`.
fn place_of(place: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("`]` is missing behind the address")?;
            if !host.contains(':') {
                return Err(format!("`[{host}]` is not an IPv6 address"));
            }
            (host, port)
        }
        None => place.find(':').map_or((place, ""), |at| place.split_at(at)),
    };
    (SERVER.check)(host)?;
    let Some(port) = port.strip_prefix(':') else {
        return if port.is_empty() { Ok((host, None)) } else { Err(format!("`{port}` is not a port")) };
    };
    let number = port.parse::<u16>().ok().filter(|n| *n > 0 && port == n.to_string());
    Ok((host, Some(number.ok_or_else(|| format!("`{port}` is not a port"))?)))
}

/// A server with its port.
pub const SMARTHOST: Form =
    form("a host in lower case and its port: `mail.example.org:587`", 260, |text| smarthost(text).map(|_| ()));

/// Host and port of a [`SMARTHOST`].
pub fn smarthost(text: &str) -> Result<(&str, u16), String> {
    let (host, port) = place_of(text)?;
    Ok((host, port.ok_or("the port is missing")?))
}

/// A mail address as people have it, a part of RFC 5321 §4.1.2.
pub const MAIL: Form = form("a mail address: `team@example.org`", 254, |text| {
    let (local, domain) = text.split_once('@').ok_or("the `@` is missing")?;
    starts(local, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
    only(local, |c| c.is_ascii_alphanumeric() || "-_.+".contains(c))?;
    (DOMAIN.check)(domain)
});

/// The name of an account on a mail server.
pub const MAIL_USER: Form = form("an account's name: letters, digits and `-_.+@`", 254, |text| {
    starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.+@".contains(c))
});

/// A type of DNS records.
pub const RECORD: Form = form("a type of DNS records in upper case: `A`, `AAAA`, `MX`", 10, |text| {
    starts(text, |c| c.is_ascii_uppercase(), "an upper-case letter")?;
    only(text, |c| c.is_ascii_uppercase() || c.is_ascii_digit())
});

/// A name that is looked up: service names begin with `_`.
pub const LOOKED_UP: Form = form("a domain's name in lower case: `www.example.org`", 253, |text| {
    starts(text, |c| lower_digit(c) || c == '_', "a lower-case letter, a digit or `_`")?;
    only(text, |c| lower_digit(c) || "-_.".contains(c))?;
    if text.split('.').any(str::is_empty) { Err("a part between dots is empty".into()) } else { Ok(()) }
});

/// An expression in PromQL. It goes into a file as one string; Prometheus' own parser judges the rest.
pub const EXPRESSION: Form = form("an expression in PromQL: `node_load5 > 8`", 1000, |text| {
    only(text, |_| true)?;
    closed(text)
});

/// Whether every bracket and every quote is closed.
fn closed(text: &str) -> Result<(), String> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match quote {
            // Nothing is escaped between backticks.
            Some(end) if c == end && !escaped => quote = None,
            Some(end) => escaped = c == '\\' && !escaped && end != '`',
            None => match c {
                '"' | '\'' | '`' => (quote, escaped) = (Some(c), false),
                '(' | '[' | '{' => open.push(c),
                ')' | ']' | '}' => {
                    let fits = matches!((open.pop(), c), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}'));
                    if !fits {
                        return Err(format!("`{c}` closes nothing"));
                    }
                }
                _ => {}
            },
        }
    }
    match (quote, open.last()) {
        (Some(quote), _) => Err(format!("a {quote} is not closed")),
        (None, Some(bracket)) => Err(format!("`{bracket}` is not closed")),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_taken_apart() {
        for (text, host, port) in [
            ("https://www.example.org", "www.example.org", 443),
            ("http://192.0.2.1:8080/health?full=1", "192.0.2.1", 8080),
            ("https://[2001:db8::1]/", "2001:db8::1", 443),
            ("http://[2001:db8::1]:81", "2001:db8::1", 81),
        ] {
            let seen = url(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((seen.host, seen.port), (host, port), "{text}");
        }
        for text in [
            "ftp://a.example",
            "https://",
            "https://a.example:0",
            "https://a.example:99999",
            "https://a.example:",
            "https://A.example",
            "https://a.example/ x",
            "https://user@a.example",
            "https://2001:db8::1/",
            "https://[a.example]/",
            "a.example",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
        assert!(smarthost("mail.example:587").is_ok_and(|s| s == ("mail.example", 587)));
        assert!(smarthost("mail.example").is_err() && smarthost(":25").is_err());
    }

    #[test]
    fn expressions_are_closed() {
        for text in ["up == 0", "a{b=\"}\"} > 1", "rate(x[5m])", "x{a=~`(\\`}", "a{b='\\''} > 0"] {
            assert!((EXPRESSION.check)(text).is_ok(), "{text}");
        }
        for text in ["", "rate(x[5m]", "x)", "a{b=\"}", "rate(x[5m))", "x{a='\\'}"] {
            assert!((EXPRESSION.check)(text).is_err(), "{text}");
        }
    }
}
