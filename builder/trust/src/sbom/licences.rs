//! Names of licences as debian/copyright has them → names of the SPDX licence list.
//!
//! The names of Debian's specification ("Machine-readable debian/copyright file", version 1.0) are followed to the letter; it
//! allows SPDX's own names too. A name that could mean more than one licence (`GPL` without a version, `Artistic`,
//! `public-domain`) is no name here.

/// Names without a version, in lower case, and what SPDX calls them.
const NAMES: &[(&str, &str)] = &[
    ("0bsd", "0BSD"),
    ("afl-2.1", "AFL-2.1"),
    ("agpl-3", "AGPL-3.0-only"),
    ("agpl-3+", "AGPL-3.0-or-later"),
    ("apache-1.0", "Apache-1.0"),
    ("apache-1.1", "Apache-1.1"),
    ("apache-2", "Apache-2.0"),
    ("apache-2.0", "Apache-2.0"),
    ("artistic-2", "Artistic-2.0"),
    ("artistic-2.0", "Artistic-2.0"),
    ("beerware", "Beerware"),
    ("blueoak-1.0.0", "BlueOak-1.0.0"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd-3-clause-attribution", "BSD-3-Clause-Attribution"),
    ("bsd-4-clause", "BSD-4-Clause"),
    ("bsd-4-clause-uc", "BSD-4-Clause-UC"),
    ("bsl-1.0", "BSL-1.0"),
    ("bzip2-1.0.6", "bzip2-1.0.6"),
    ("cc-by-3.0", "CC-BY-3.0"),
    ("cc-by-4.0", "CC-BY-4.0"),
    ("cc-by-sa-3.0", "CC-BY-SA-3.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("cc0", "CC0-1.0"),
    ("cc0-1.0", "CC0-1.0"),
    ("cddl-1.0", "CDDL-1.0"),
    ("curl", "curl"),
    ("epl-1.0", "EPL-1.0"),
    ("epl-2.0", "EPL-2.0"),
    ("eupl-1.2", "EUPL-1.2"),
    ("expat", "MIT"),
    ("fsfap", "FSFAP"),
    ("fsful", "FSFUL"),
    ("fsfullr", "FSFULLR"),
    ("hpnd", "HPND"),
    ("isc", "ISC"),
    ("latex2e", "Latex2e"),
    ("mit", "MIT"),
    ("mit-0", "MIT-0"),
    ("mit-cmu", "MIT-CMU"),
    ("mpl-1.1", "MPL-1.1"),
    ("mpl-2", "MPL-2.0"),
    ("mpl-2.0", "MPL-2.0"),
    ("ncsa", "NCSA"),
    ("ntp", "NTP"),
    ("ofl-1.1", "OFL-1.1"),
    ("oldap-2.8", "OLDAP-2.8"),
    ("openldap-2.8", "OLDAP-2.8"),
    ("openssl", "OpenSSL"),
    ("php-3.01", "PHP-3.01"),
    ("postgresql", "PostgreSQL"),
    ("psf-2.0", "PSF-2.0"),
    ("python-2.0", "Python-2.0"),
    ("rsa-md", "RSA-MD"),
    ("ruby", "Ruby"),
    ("sleepycat", "Sleepycat"),
    ("tcl", "TCL"),
    ("unicode-3.0", "Unicode-3.0"),
    ("unicode-dfs-2015", "Unicode-DFS-2015"),
    ("unicode-dfs-2016", "Unicode-DFS-2016"),
    ("unlicense", "Unlicense"),
    ("vim", "Vim"),
    ("w3c", "W3C"),
    ("wtfpl", "WTFPL"),
    ("wtfpl-2", "WTFPL"),
    ("x11", "X11"),
    ("zlib", "Zlib"),
    ("zpl-2.1", "ZPL-2.1"),
];

/// Licences of the GNU project by their versions: the name before the version, and the versions there are.
const FAMILIES: &[(&str, &str, &[&str])] = &[
    ("gpl-", "GPL", &["1.0", "2.0", "3.0"]),
    ("lgpl-", "LGPL", &["2.0", "2.1", "3.0"]),
    ("gfdl-niv-", "GFDL", &["1.1", "1.2", "1.3"]),
    ("gfdl-", "GFDL", &["1.1", "1.2", "1.3"]),
];

/// Exceptions whose words name one exception only.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("classpath", "Classpath-exception-2.0"),
    ("font", "Font-exception-2.0"),
    ("libtool", "Libtool-exception"),
    ("linux-syscall-note", "Linux-syscall-note"),
];

/// What SPDX calls a licence of this name, perhaps `… with EXCEPTION exception`.
pub fn spdx_name(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    if let Some((licence, exception)) = name.split_once(" with ") {
        let exception = exception.trim();
        let word = exception.strip_suffix(" exception").unwrap_or(exception).trim();
        let (_, exception) = EXCEPTIONS.iter().find(|(known, _)| *known == word)?;
        return Some(format!("{} WITH {exception}", plain(licence.trim())?));
    }
    plain(&name)
}

fn plain(name: &str) -> Option<String> {
    if let Some((_, spdx)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some((*spdx).to_owned());
    }
    let (family, rest) = FAMILIES.iter().find_map(|family| Some((family, name.strip_prefix(family.0)?)))?;
    let (prefix, spdx, versions) = family;
    let (version, later) = match rest {
        rest if let Some(version) = rest.strip_suffix("-or-later") => (version, true),
        rest if let Some(version) = rest.strip_suffix("-only") => (version, false),
        rest => (rest.trim_end_matches('+'), rest.ends_with('+')),
    };
    let version = versions.iter().find(|v| **v == version || v.strip_suffix(".0") == Some(version))?;
    let invariant = if prefix.contains("niv") { "-no-invariants" } else { "" };
    let which = if later { "or-later" } else { "only" };
    Some(format!("{spdx}-{version}{invariant}-{which}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_one_licence_have_a_name() {
        for (debian, spdx) in [
            ("GPL-2", "GPL-2.0-only"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2.0+", "GPL-2.0-or-later"),
            ("GPL-3.0-or-later", "GPL-3.0-or-later"),
            ("GPL-2.0-only", "GPL-2.0-only"),
            ("LGPL-2.1+", "LGPL-2.1-or-later"),
            ("LGPL-2", "LGPL-2.0-only"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("GFDL-1.3", "GFDL-1.3-only"),
            ("Expat", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("GPL-2 with Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"),
            ("GPL-2+ with Libtool exception", "GPL-2.0-or-later WITH Libtool-exception"),
        ] {
            assert_eq!(spdx_name(debian).as_deref(), Some(spdx), "{debian}");
        }
    }

    #[test]
    fn what_could_mean_several_has_none() {
        for name in [
            "",
            "GPL",
            "LGPL",
            "GPL-4+",
            "GPL-",
            "Artistic",
            "public-domain",
            "BSD",
            "permissive",
            "GPL-3+ with Autoconf exception",
            "GPL-2+ with OpenSSL exception",
            "Other with Font exception",
        ] {
            assert_eq!(spdx_name(name), None, "{name}");
        }
    }
}
