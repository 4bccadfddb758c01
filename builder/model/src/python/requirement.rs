//! What a distribution requires, PEP 508: the lines `Requires-Dist` of its metadata.

use super::{Marker, Specifiers, normalized};
use std::fmt;

/// `name[extra] (>=1.0) ; marker`, or `name @ url ; marker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Its name in the normal form.
    pub name: String,
    /// Optional parts of it, in the normal form.
    pub extras: Vec<String>,
    /// Which versions will do; any where it is named by a URL.
    pub versions: Specifiers,
    /// Where it is, if its place is named.
    pub url: Option<String>,
    /// When it is required.
    pub marker: Option<Marker>,
}

impl Requirement {
    /// Reads one. Error: a cause in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let end = text.find(|c: char| !inside(c)).unwrap_or(text.len());
        let name = normalized(&text[..end])?;
        let mut rest = text[end..].trim_start();
        let mut extras = Vec::new();
        if let Some(behind) = rest.strip_prefix('[') {
            let (list, behind) = behind.split_once(']').ok_or("`]` is missing behind the extras")?;
            for extra in list.split(',').map(str::trim).filter(|e| !e.is_empty()) {
                extras.push(normalized(extra).map_err(|_| format!("`{}` is not an extra", extra.escape_debug()))?);
            }
            rest = behind.trim_start();
        }
        extras.sort();
        extras.dedup();
        if let Some(behind) = rest.strip_prefix('@') {
            let behind = behind.trim_start();
            let (url, marker) = match behind.split_once(" ;").or_else(|| behind.split_once("; ")) {
                Some((url, marker)) => (url.trim(), Some(Marker::parse(marker)?)),
                None => (behind, None),
            };
            if url.is_empty() || url.contains(char::is_whitespace) {
                return Err("`@` is followed by a URL".into());
            }
            return Ok(Self { name, extras, versions: Specifiers::default(), url: Some(url.to_owned()), marker });
        }
        let (versions, marker) = match rest.split_once(';') {
            Some((versions, marker)) => (versions.trim(), Some(Marker::parse(marker)?)),
            None => (rest.trim(), None),
        };
        let bare = versions.strip_prefix('(').and_then(|v| v.strip_suffix(')')).unwrap_or(versions);
        Ok(Self { name, extras, versions: Specifiers::parse(bare)?, url: None, marker })
    }

    /// Name, extras and versions, for people.
    pub fn words(&self) -> String {
        let extras = if self.extras.is_empty() { String::new() } else { format!("[{}]", self.extras.join(",")) };
        format!("{}{extras}{}", self.name, self.versions)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())?;
        if let Some(url) = &self.url {
            write!(f, " @ {url}")?;
        }
        match &self.marker {
            Some(marker) => write!(f, " ; {marker}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_metadata_say_is_read() {
        for (text, meant) in [
            ("requests", "requests"),
            ("Zope.Interface>=5", "zope-interface>=5"),
            ("charset-normalizer (<4,>=2)", "charset-normalizer<4,>=2"),
            ("uvicorn[standard] >=0.20,<1 ; extra == 'all'", "uvicorn[standard]>=0.20,<1 ; extra == \"all\""),
            ("a[ C , b ]==1.*; os_name=='posix'", "a[b,c]==1.* ; os_name == \"posix\""),
            (
                "pip @ https://example.invalid/pip-1-py3-none-any.whl",
                "pip @ https://example.invalid/pip-1-py3-none-any.whl",
            ),
            (
                "x @ https://example.invalid/x;y.whl ; os_name == 'nt'",
                "x @ https://example.invalid/x;y.whl ; os_name == \"nt\"",
            ),
            ("x ;python_version<'3'", "x ; python_version < \"3\""),
        ] {
            let read = Requirement::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(read.to_string(), meant);
            assert_eq!(Requirement::parse(meant).unwrap(), read);
        }
        for bad in ["", ">=1", "a b", "a[b", "a @ ", "a==1 2", "a ; ", "a~~1", "a[$]", "a @ x y"] {
            assert!(Requirement::parse(bad).is_err(), "{bad}");
        }
    }
}
