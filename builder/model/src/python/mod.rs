//! Python's distributions, as far as a lock and an image need to know them: names, versions, requirements, markers, and the
//! file names of wheels. The rules are those of the Python packaging specifications (packaging.python.org/specifications),
//! which collect PEP 425, 427, 440, 503, 508 and 600.

mod marker;
#[cfg(test)]
mod packaging;
mod pinned;
mod requirement;
mod requirements;
mod specifier;
mod version;
mod wheel;

pub use marker::Marker;
pub use pinned::{Pinned, WheelSource};
pub use requirement::Requirement;
pub use requirements::{RequirementError, RequirementLine, read};
pub use specifier::Specifiers;
pub use version::Version;
pub use wheel::{WheelName, WheelRank};

use crate::LockedPackage;

/// The package that brings a container's interpreter, and its standard library whole.
pub const INTERPRETER: &str = "python3";

/// The interpreter that wheels are chosen for: CPython of Debian, on x86-64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The second number of its version: 13 of Python 3.13.
    pub minor: u32,
    /// Its version without Debian's revision: `3.13.5`.
    pub full: String,
    /// The second number of the C library's version: 41 of glibc 2.41.
    pub glibc: u32,
}

impl Python {
    /// The interpreter among these locked packages; none where [`INTERPRETER`] or the C library is missing, or is of a kind
    /// that is not known here.
    pub fn of(packages: &[LockedPackage]) -> Option<Self> {
        let upstream = |name: &str| {
            let version = packages.iter().find(|p| p.name == name)?.version.as_str();
            let version = version.split_once(':').map_or(version, |(_, rest)| rest);
            let numbers = |c: char| !c.is_ascii_digit() && c != '.';
            Some(version.split(numbers).next().unwrap_or_default().trim_end_matches('.').to_owned())
        };
        let minor_of = |version: &str, major: &str| -> Option<u32> {
            let rest = version.strip_prefix(major)?.strip_prefix('.')?;
            rest.split('.').next()?.parse().ok()
        };
        let default = upstream(INTERPRETER)?;
        let minor = minor_of(&default, "3")?;
        // The default interpreter's own package knows its version better than the one that points to it.
        let full = upstream(&format!("python3.{minor}")).unwrap_or(default);
        let glibc = minor_of(&upstream("libc6")?, "2")?;
        Some(Self { minor, full, glibc })
    }

    /// `3.13`.
    pub fn short(&self) -> String {
        format!("3.{}", self.minor)
    }
}

/// The normal form of a distribution's name, PEP 503: lower case, and runs of `-`, `_` and `.` as one `-`. Error: a cause
/// in words.
pub fn normalized(name: &str) -> Result<String, String> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    if name.is_empty()
        || name.len() > 100
        || !name.chars().all(inside)
        || !name.starts_with(edge)
        || !name.ends_with(edge)
    {
        return Err(
            "it is not the name of a distribution: letters, digits and `-_.`, with a letter or digit at both ends"
                .into(),
        );
    }
    let mut normal = String::new();
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    #[test]
    fn names_have_one_form() {
        for (name, normal) in [("Flask", "flask"), ("zope.interface", "zope-interface"), ("a-_.b", "a-b"), ("Q", "q")] {
            assert_eq!(normalized(name), Ok(normal.to_owned()));
        }
        for bad in ["", "-a", "a.", "a b", "../a", "ä", "a;b", &"a".repeat(101)] {
            assert!(normalized(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_interpreter_is_found_among_packages() {
        let package = |name: &str, version: &str| LockedPackage {
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            release: "trixie".into(),
            path: "pool/x.deb".into(),
            size: 1,
            sha256: Digest::of(name.as_bytes()),
        };
        let all =
            [package("libc6", "2.41-12"), package("python3", "3.13.5-1"), package("python3.13", "3.13.5-2+deb13u1")];
        let python = Python { minor: 13, full: "3.13.5".into(), glibc: 41 };
        assert_eq!(Python::of(&all), Some(python.clone()));
        assert_eq!(Python::of(&all[..2]), Some(python));
        assert_eq!(Python::of(&all[..1]), None);
        assert_eq!(Python::of(&[all[0].clone(), package("python3", "4.0-1")]), None);
        assert_eq!(Python::of(&all[1..]), None, "no C library to choose by");
    }
}
