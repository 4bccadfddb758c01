//! The one error a person sees: the thing, where, the cause, what to do, and the exit code.

use std::fmt;

/// The result of everything that can fail for a reason a user can act on.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit codes. They are an interface: scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The user's input is wrong: a profile, an overlay, a package name, a damaged file.
    Input = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The lock does not belong to the profile, or has outlived its mirror.
    LockOutdated = 3,
    /// Verification failed.
    VerificationFailed = 4,
    /// The host lacks something: namespaces, space, a writable directory, a mirror's name.
    Host = 5,
    /// A remote refused or could not be reached.
    Remote = 6,
    /// The same inputs gave different bytes.
    NotReproducible = 7,
    /// Our bug.
    Bug = 70,
    /// Ended by SIGINT (128 + 2).
    Interrupted = 130,
    /// stdout was closed, as by `diorite show NAME | head` (128 + 13, SIGPIPE). Nothing is printed.
    OutputClosed = 141,
}

/// An error that names the thing, the place, the cause and the remedy.
///
/// ```text
/// error: package `ngnix` does not exist in trixie        (what)
///   at profiles/server.toml:7                            (place)
///   because no index lists it                            (cause)
///   try `nginx`                                          (hint)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Decides the exit code.
    pub exit: Exit,
    /// What is wrong, naming the thing.
    pub what: String,
    /// File, line, package, URL or step.
    pub place: Option<String>,
    /// Lines of the user's own file, already laid out, or other detail of several lines.
    pub detail: Option<String>,
    /// The cause, where it is known.
    pub cause: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Further mistakes of the same input, in the order of their places.
    pub further: Vec<Error>,
}

impl Error {
    /// An error of the given class that says what is wrong.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), place: None, detail: None, cause: None, hint: None, further: Vec::new() }
    }
    /// The user's input is wrong.
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(Exit::Input, what)
    }
    /// The host lacks something.
    pub fn host(what: impl Into<String>) -> Self {
        Self::new(Exit::Host, what)
    }
    /// A remote refused or is not there.
    pub fn remote(what: impl Into<String>) -> Self {
        Self::new(Exit::Remote, what)
    }
    /// Our own mistake.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Exit::Bug, what)
    }
    /// A failed system call on a path. Full disk, read-only directory and missing file get the hint that helps.
    pub fn io(doing: impl Into<String>, path: impl AsRef<std::path::Path>, error: std::io::Error) -> Self {
        use std::io::ErrorKind::*;
        let path = path.as_ref().display().to_string();
        let (exit, hint) = match error.kind() {
            StorageFull | QuotaExceeded => (
                Exit::Host,
                Some(
                    "free some space there, or name another directory (DIORITE_STORE for the store, --out for results)",
                ),
            ),
            ReadOnlyFilesystem | PermissionDenied => {
                (Exit::Host, Some("make the directory writable for this user, or name another one"))
            }
            NotFound => (Exit::Input, None),
            _ => (Exit::Host, None),
        };
        let mut e = Self::new(exit, doing).at(path).because(error.to_string());
        e.hint = hint.map(str::to_owned);
        e
    }
    /// Says where.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }
    /// Says why.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Several mistakes as one error, the first one in front; `None` when there is none.
    pub fn all(mistakes: Vec<Self>) -> Option<Self> {
        let mut mistakes = mistakes.into_iter();
        let mut first = mistakes.next()?;
        first.further.extend(mistakes);
        Some(first)
    }
    /// The mistakes of [`Error::all`] again.
    pub fn apart(mut self) -> Vec<Self> {
        let further = std::mem::take(&mut self.further);
        [self].into_iter().chain(further.into_iter().flat_map(Self::apart)).collect()
    }
    /// Adds text that is already laid out in lines.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if let Some(place) = &self.place {
            write!(f, "\n  at {place}")?;
        }
        if let Some(detail) = &self.detail {
            for line in detail.lines() {
                write!(f, "\n  {line}")?;
            }
        }
        if let Some(cause) = &self.cause {
            write!(f, "\n  because {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  help: {hint}")?;
        }
        for error in &self.further {
            write!(f, "\n\n{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
