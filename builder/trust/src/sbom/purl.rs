//! Package URLs, as the specification `package-url/purl-spec` writes them.

use std::fmt::Write as _;

/// `pkg:KIND/NAMESPACE/NAME@VERSION?KEY=VALUE&…`. The namespace's parts are separated by slashes; empty values and an empty
/// namespace or version are left out, qualifiers sorted.
pub fn purl(kind: &str, namespace: &str, name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let mut text = format!("pkg:{kind}/");
    for part in namespace.split('/').filter(|part| !part.is_empty()) {
        escape(&mut text, part, "");
        text.push('/');
    }
    escape(&mut text, name, "/");
    if !version.is_empty() {
        text.push('@');
        escape(&mut text, version, "/");
    }
    let mut sorted: Vec<_> = qualifiers.iter().filter(|(_, value)| !value.is_empty()).collect();
    sorted.sort_unstable();
    for (i, (key, value)) in sorted.into_iter().enumerate() {
        let _ = write!(text, "{}{key}=", if i == 0 { '?' } else { '&' });
        escape(&mut text, value, "/");
    }
    text
}

/// A distribution of Python: its name in lower case, with `-` for `_`.
pub fn python(name: &str, version: &str) -> String {
    purl("pypi", "", &name.to_lowercase().replace('_', "-"), version, &[])
}

/// A Debian package by name, version and architecture.
pub fn debian_url(name: &str, version: &str, architecture: &str) -> String {
    purl("deb", "debian", name, version, &[("arch", architecture)])
}

/// Something that is of no kind that has its own URLs.
pub fn generic_url(name: &str, version: &str) -> String {
    purl("generic", "", name, version, &[])
}

/// A Go module; `github.com/a/b` has the namespace `github.com/a`.
pub fn go(path: &str, version: &str) -> String {
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
    purl("golang", namespace, name, version, &[])
}

/// Percent encoding of RFC 3986; a colon stays, and so does what `kept` names.
fn escape(text: &mut String, value: &str, kept: &str) {
    for byte in value.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || ".-_~:".contains(c) || kept.contains(c) {
            text.push(c);
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What packageurl-python 0.17.6, the reference implementation in Python, makes of the same parts.
    #[test]
    fn they_are_those_of_packageurl_python() {
        let of = purl;
        let util_linux = [("upstream", "util-linux@2.41.5-0+deb13u1"), ("distro", "debian-13"), ("arch", "amd64")];
        let repository = [("repository_url", "registry.example:5000/team/app"), ("arch", "amd64")];
        for (ours, theirs) in [
            (
                of("deb", "debian", "bsdutils", "1:2.41.5-0+deb13u1", &util_linux),
                "pkg:deb/debian/bsdutils@1:2.41.5-0%2Bdeb13u1?arch=amd64&distro=debian-13&upstream=util-linux%402.41.5-0%2Bdeb13u1",
            ),
            (
                of("deb", "debian", "libstdc++6", "14.2.0-19", &[("arch", "amd64"), ("distro", "debian-13")]),
                "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13",
            ),
            (
                of("deb", "debian", "init-system-helpers", "1.69~deb13u1", &[("arch", "all"), ("distro", "")]),
                "pkg:deb/debian/init-system-helpers@1.69~deb13u1?arch=all",
            ),
            (python("Zope.Interface_X", "1.0"), "pkg:pypi/zope.interface-x@1.0"),
            (
                go("github.com/Azure/go-Ansiterm", "v0.0.1+incompatible"),
                "pkg:golang/github.com/Azure/go-Ansiterm@v0.0.1%2Bincompatible",
            ),
            (go("stdlib", "1.24.4"), "pkg:golang/stdlib@1.24.4"),
            (of("cargo", "", "Serde_json", "1.0.0", &[]), "pkg:cargo/Serde_json@1.0.0"),
            (
                of("oci", "", "app", "sha256:abc", &repository),
                "pkg:oci/app@sha256:abc?arch=amd64&repository_url=registry.example:5000/team/app",
            ),
            (
                of("apk", "alpine", "libcrypto3", "3.3.1-r0", &[("arch", "x86_64"), ("distro", "alpine-3.20.1")]),
                "pkg:apk/alpine/libcrypto3@3.3.1-r0?arch=x86_64&distro=alpine-3.20.1",
            ),
            (
                of("generic", "", "a b/c%d", "1/2 ä@#?", &[("x", "a&b=c/d ä:~+")]),
                "pkg:generic/a%20b/c%25d@1/2%20%C3%A4%40%23%3F?x=a%26b%3Dc/d%20%C3%A4:~%2B",
            ),
        ] {
            assert_eq!(ours, theirs);
        }
    }
}
