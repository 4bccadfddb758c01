//! Which packages are installed, and how much of each.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is installed in the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// Package names asked for, in apt's words (`name`, `name=version`).
    pub include: Vec<String>,
    /// Install Recommends as well.
    pub recommends: bool,
    /// Packages whose own Recommends are installed, whatever `recommends` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recommends_of: Vec<String>,
    /// Packages that are never installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Answers to questions of packages' scripts, debconf(7), by template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub debconf: BTreeMap<String, String>,
    /// Which of their files are unpacked.
    #[serde(default, skip_serializing_if = "FileFilter::is_everything")]
    pub files: FileFilter,
}

/// Which files of packages are unpacked: documentation and translations may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFilter {
    /// Manuals, changelogs and the like. Licences are always unpacked.
    pub documentation: bool,
    /// Languages whose translations of messages are unpacked, `de`; `None`: all.
    pub translations: Option<Vec<String>>,
}

impl Default for FileFilter {
    fn default() -> Self {
        Self { documentation: true, translations: None }
    }
}

/// Directories of documentation, with a slash at their end.
const DOCUMENTATION: [&str; 7] = [
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/bug/",
    "usr/share/gtk-doc/",
    "usr/share/help/",
];
/// Where translations of messages are, by language.
const TRANSLATIONS: &str = "usr/share/locale/";

impl FileFilter {
    /// Nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a file, or a link, of a package is unpacked; `path` without a leading slash. Directories always are.
    pub fn keeps(&self, path: &[u8]) -> bool {
        if DOCUMENTATION.iter().any(|d| path.starts_with(d.as_bytes())) {
            // usr/share/doc/NAME that is no directory is a link to the one that has the licence.
            let package = path.strip_prefix(b"usr/share/doc/").is_some_and(|name| !name.contains(&b'/'));
            return self.documentation || package || path.ends_with(b"/copyright");
        }
        let (Some(languages), Some(rest)) = (&self.translations, path.strip_prefix(TRANSLATIONS.as_bytes())) else {
            return true;
        };
        // A file that stands beside the languages, `locale.alias`, is no translation.
        let Some(end) = rest.iter().position(|&b| b == b'/') else { return true };
        let language = &rest[..end];
        languages.iter().any(|wanted| {
            let tail = language.strip_prefix(wanted.as_bytes());
            tail.is_some_and(|tail| tail.first().is_none_or(|b| b"_@.".contains(b)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_goes_and_licences_stay() {
        let all = FileFilter::default();
        let none = FileFilter { documentation: false, translations: Some(vec!["de".into(), "pt_BR".into()]) };
        let kept = |path: &str| (all.keeps(path.as_bytes()), none.keeps(path.as_bytes()));
        for path in [
            "usr/share/doc/app/copyright",
            "usr/share/doc/libapp2",
            "usr/share/doc-base/app",
            "usr/bin/man",
            "usr/share/locale/locale.alias",
            "usr/share/locale/de/LC_MESSAGES/app.mo",
            "usr/share/locale/de_AT/LC_MESSAGES/app.mo",
            "usr/share/locale/de@hebrew/LC_MESSAGES/app.mo",
            "usr/share/locale/pt_BR/LC_MESSAGES/app.mo",
        ] {
            assert_eq!(kept(path), (true, true), "{path}");
        }
        for path in [
            "usr/share/doc/app/changelog.Debian.gz",
            "usr/share/man/de/man1/app.1.gz",
            "usr/share/info/app.info.gz",
            "usr/share/locale/den/LC_MESSAGES/app.mo",
            "usr/share/locale/pt/LC_MESSAGES/app.mo",
            "usr/share/locale/fr/LC_MESSAGES/app.mo",
        ] {
            assert_eq!(kept(path), (true, false), "{path}");
        }
    }
}
