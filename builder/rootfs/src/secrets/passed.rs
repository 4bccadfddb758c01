//! What looked like a secret and was passed, for people to look over.

use crate::tree::listing::shown;
use std::fmt::Write as _;

/// One secret that is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedSecret {
    /// Path in the image.
    pub path: Vec<u8>,
    /// What it looks like, with an article.
    pub what: &'static str,
    /// Why it is none.
    pub why: PassedReason,
}

/// Why what looks like a secret is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassedReason {
    /// The package ships the file at this path, with this content.
    Shipped {
        /// Its name.
        package: String,
        /// Where it ships it.
        path: Vec<u8>,
    },
    /// The same secret is in a file that a package ships.
    Derived,
    /// Python's byte code of a source that a package ships.
    Compiled {
        /// Its name.
        package: String,
        /// Where it ships the source.
        path: Vec<u8>,
    },
    /// A library's own test key, in the image of a container.
    Known,
    /// Its overlay declares it public.
    Declared,
}

/// One line each: path, what it looks like, and why it is public.
pub fn list(passed: &[PassedSecret]) -> String {
    let mut text = String::new();
    for PassedSecret { path, what, why } in passed {
        let why = match why {
            PassedReason::Shipped { package, path: at } if at == path => format!("as package {package} ships it"),
            PassedReason::Shipped { package, path: at } => format!("as package {package} ships /{}", shown(at)),
            PassedReason::Compiled { package, path } => {
                format!("byte code of /{}, which package {package} ships", shown(path))
            }
            PassedReason::Derived => "the same is in a file that a package ships".to_owned(),
            PassedReason::Known => "a key with which the library tests itself".to_owned(),
            PassedReason::Declared => "declared public".to_owned(),
        };
        let _ = writeln!(text, "/{}: {what}: {why}", shown(path));
    }
    text
}
