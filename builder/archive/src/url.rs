//! The little that is needed of RFC 3986: joining a mirror's root and a path, `file:` URLs, and showing a URL without
//! the password in it.

use diorite_model::oci::Reference;
use std::path::PathBuf;

/// Schemes a mirror may have.
pub const SCHEMES: [&str; 3] = ["http", "https", "file"];

/// The scheme in lower case, where there is one that Diorite can read.
pub fn scheme(url: &str) -> Option<&'static str> {
    let (scheme, _) = url.split_once(':')?;
    SCHEMES.into_iter().find(|s| s.eq_ignore_ascii_case(scheme))
}

/// `base/path` with the path percent-encoded. `+` is encoded as well, as apt does: some object stores read it as a space.
pub fn join(base: &str, path: &str) -> String {
    let mut url = format!("{}/", base.trim_end_matches('/'));
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => url.push(byte as char),
            _ => url.push_str(&format!("%{byte:02x}")),
        }
    }
    url
}

/// The path a `file:` URL names (`file:/srv/x`, `file:///srv/x`, RFC 8089), or nothing for any other URL.
pub fn file_path(url: &str) -> Option<PathBuf> {
    if scheme(url)? != "file" {
        return None;
    }
    let rest = &url["file:".len()..];
    let path = match rest.strip_prefix("//") {
        Some(authority) => &authority[authority.find('/')?..],
        None => rest,
    };
    use std::os::unix::ffi::OsStringExt;
    path.starts_with('/').then(|| PathBuf::from(std::ffi::OsString::from_vec(decode(path))))
}

/// Percent-decoding; bytes that do not form an escape are kept.
pub fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escape = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match escape.filter(|_| bytes[i] == b'%').and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    out
}

/// The URL as it may be shown: `user:password@` is replaced by `…@`.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => url.to_owned(),
    }
}

/// Whether a redirect from `from` to `to` may be followed, for a file that is known by its digest or for a login. With TLS it may;
/// without TLS only from this machine to itself, so that a remote server cannot direct requests to services on loopback.
pub fn may_lead(from: &str, to: &str) -> bool {
    let host = |url: &str, scheme: &str| {
        let rest = url.strip_prefix(scheme)?;
        Some(rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned())
    };
    let here = |url: &str| host(url, "http://").is_some_and(|h| Reference::is_loopback(&h));
    host(to, "https://").is_some_and(|h| !h.is_empty()) || here(from) && here(to)
}

/// Whether a URL without TLS is of this very machine.
pub fn is_here(url: &str) -> bool {
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(Reference::is_loopback)
}

/// `https://host:port` of a URL.
pub fn origin(url: &str) -> &str {
    let Some(start) = url.find("://").map(|i| i + 3) else { return url };
    &url[..url[start..].find(['/', '?', '#']).map_or(url.len(), |i| start + i)]
}

/// Resolves a Location header (RFC 9110, 10.2.2) against the URL that answered with it.
pub fn redirect(from: &str, location: &str) -> Option<String> {
    if location.contains("://") {
        return Some(location.to_owned());
    }
    let (scheme, rest) = from.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if location.starts_with("//") {
        return Some(format!("{scheme}:{location}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let path = rest[authority.len()..].split(['?', '#']).next().unwrap_or("");
    let directory = path.rfind('/').map_or("/", |i| &path[..=i]);
    Some(format!("{scheme}://{authority}{directory}{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_encoded() {
        let url = join("http://example.invalid/debian//", "pool/main/g/g++/g++_4%3a14-1+b2~x_amd64.deb");
        assert_eq!(url, "http://example.invalid/debian/pool/main/g/g%2b%2b/g%2b%2b_4%253a14-1%2bb2~x_amd64.deb");
        let path = join("file:///srv/debian", "pool/a b+c.deb");
        assert_eq!(file_path(&path).unwrap(), PathBuf::from("/srv/debian/pool/a b+c.deb"));
    }

    #[test]
    fn file_urls() {
        for url in ["file:/srv/m", "file:///srv/m", "FILE://localhost/srv/m"] {
            assert_eq!(file_path(url), Some(PathBuf::from("/srv/m")), "{url}");
        }
        for url in ["http://example.invalid/x", "file:srv", "cdrom:[x]/", "nothing"] {
            assert_eq!(file_path(url), None, "{url}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("https://me:secret@example.invalid/a@b"), "https://…@example.invalid/a@b");
        assert_eq!(shown("http://example.invalid/a@b"), "http://example.invalid/a@b");
    }

    #[test]
    fn nothing_leads_out_of_tls_but_here() {
        let (far, here) = ("https://r.example/v2/", "http://127.0.0.1:5000/v2/");
        for good in ["https://a.example/x", "https://a.example?x"] {
            assert!(may_lead(far, good) && may_lead(here, good), "{good}");
        }
        for own in ["http://127.0.0.1:5000/x", "http://localhost/x", "http://[::1]:5/x"] {
            assert!(may_lead(here, own) && !may_lead(far, own), "{own}");
        }
        for bad in [
            "http://a.example/x",
            "http://127.0.0.1.example/x",
            "http://localhost@a.example/",
            "http://127.0.0.1:80@a.example/",
            "http://127.0.0.1:80#@a.example/",
            "file:///x",
            "https:///x",
        ] {
            assert!(!may_lead(far, bad), "{bad}");
            assert!(!may_lead(here, bad) || bad.contains('#'), "{bad}");
        }
        assert_eq!(origin("https://a.example:5/x?y"), "https://a.example:5");
        assert_eq!(origin("https://a.example?y=/"), "https://a.example");
    }

    #[test]
    fn redirects() {
        let from = "http://example.invalid:81/a/b?c";
        assert_eq!(redirect(from, "https://other.invalid/x").unwrap(), "https://other.invalid/x");
        assert_eq!(redirect(from, "//other.invalid/x").unwrap(), "http://other.invalid/x");
        assert_eq!(redirect(from, "/x").unwrap(), "http://example.invalid:81/x");
        assert_eq!(redirect(from, "x").unwrap(), "http://example.invalid:81/a/x");
    }
}
