//! A secret, from where the target says it is. No error and no `Debug` ever shows it.

use super::{Login, Source, Target};
use diorite_model::{Error, Exit, Result};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Longest secret that is taken, in bytes.
const LONGEST: usize = 1024;

/// Text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// What is to be kept quiet.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// For the request that carries it.
    pub fn show(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

/// What the API is asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An API token.
    Token {
        /// `USER@REALM!ID`.
        id: String,
        /// `USER@REALM!ID=UUID`.
        whole: Secret,
    },
    /// A user's password, for a ticket.
    Password {
        /// `USER@REALM`.
        user: String,
        /// His password.
        password: Secret,
    },
}

impl Credential {
    /// Who asks: `deploy@pve!ci`, `root@pam`.
    pub fn who(&self) -> &str {
        match self {
            Credential::Token { id, .. } => id,
            Credential::Password { user, .. } => user,
        }
    }
}

impl Target {
    /// Fetches the secret.
    ///
    /// # Errors
    /// [`Exit::Input`]: it is not there, or not one; the file can be read by others; the program failed.
    pub fn credential(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Credential> {
        let (source, noun) = (self.login.source(), self.login.noun());
        let text = match source {
            Source::Environment(name) => {
                environment(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
                    Error::input(format!("the {noun} of target `{}` is not there", self.name))
                        .at(format!("environment variable {name}"))
                        .because("it is not set, or empty")
                        .hint(format!("set it; {} says that it holds the {noun}", self.place))
                })?
            }
            Source::File(file) => self.of_file(file, noun)?,
            Source::Command(words) => self.of_program(words, noun)?,
        };
        let line = text.lines().next().unwrap_or_default().trim();
        let wrong = |why: &str| {
            let hint = match &self.login {
                Login::Token(_) => "a token is USER@REALM!ID=SECRET, as Proxmox VE shows it once when it is made",
                Login::Password(..) => "the first line is the password",
            };
            Error::input(format!("the {noun} of target `{}` is not one", self.name))
                .at(source.words())
                .because(why)
                .hint(hint)
        };
        if line.is_empty() {
            return Err(wrong("it is empty"));
        }
        if line.len() > LONGEST || line.chars().any(|c| c.is_control()) {
            return Err(wrong("it is too long, or not text"));
        }
        match &self.login {
            Login::Password(user, _) => Ok(Credential::Password { user: user.clone(), password: Secret::new(line) }),
            Login::Token(_) => {
                let whole = line.strip_prefix("PVEAPIToken=").unwrap_or(line);
                let (id, secret) = whole.split_once('=').ok_or_else(|| wrong("there is no `=` in it"))?;
                if !whole.is_ascii() || whole.contains(' ') {
                    return Err(wrong("it holds a character that no token has"));
                }
                let (user, token) = id.split_once('!').ok_or_else(|| wrong("there is no `!` before its `=`"))?;
                if !user.contains('@') {
                    return Err(wrong("there is no `@` before its `!`"));
                }
                if token.is_empty() || secret.is_empty() {
                    return Err(wrong("the token's name or its secret is missing"));
                }
                Ok(Credential::Token { id: id.to_owned(), whole: Secret::new(whole) })
            }
        }
    }

    fn of_file(&self, file: &Path, noun: &str) -> Result<String> {
        let what = format!("the {noun} of target `{}` cannot be read", self.name);
        let failed = |e: std::io::Error| Error { exit: Exit::Input, ..Error::io(&what, file, e) };
        let about = fs::metadata(file).map_err(failed)?;
        let me = rustix::process::geteuid().as_raw();
        let open = || {
            Error::input(format!("the file with the {noun} of target `{}` is open to others", self.name))
                .at(file.display().to_string())
        };
        if about.uid() != me && about.uid() != 0 {
            return Err(open().because("it belongs to another user").hint("make a copy that is yours, of mode 600"));
        }
        if about.mode() & 0o077 != 0 {
            return Err(open()
                .because(format!("its mode is {:03o}", about.mode() & 0o777))
                .hint(format!("chmod 600 {}; if others could read it, make a new {noun}", file.display())));
        }
        if about.len() > LONGEST as u64 * 4 {
            return Err(Error::input(format!("the file with the {noun} of target `{}` is too large", self.name))
                .at(file.display().to_string())
                .hint(format!("its first line is the {noun}")));
        }
        fs::read_to_string(file).map_err(failed)
    }

    fn of_program(&self, words: &[String], noun: &str) -> Result<String> {
        let what = format!("the {noun} of target `{}` cannot be had", self.name);
        let error = |why: String| {
            Error::input(&what)
                .at(format!("program `{}`", words.join(" ")))
                .because(why)
                .hint(format!("run it yourself: its first line must be the {noun}"))
        };
        // It may ask the person for a passphrase: stdin and stderr are ours.
        let output = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| error(e.to_string()))?;
        if !output.status.success() {
            return Err(error(format!("it ended with {}", output.status)));
        }
        String::from_utf8(output.stdout).map_err(|_| error("what it prints is not text".into()))
    }
}
