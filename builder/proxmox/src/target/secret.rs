//! A secret, from where the target says it is. No error and no `Debug` ever shows it.

use super::{LoginMethod, Target};
use diorite_host::secret::SecretRequest;
use diorite_model::{Error, Result};
use std::fmt;

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
    /// [`Exit::Input`](diorite_model::Exit::Input): it is not there, or not one; the file can be read by others; the program failed.
    pub fn credential(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Credential> {
        let (source, noun, of) = (self.login.source(), self.login.noun(), format!("target `{}`", self.name));
        let sought =
            SecretRequest { noun, of: &of, place: &self.location, longest: LONGEST * 4, taken: "its first line" };
        let text = String::from_utf8(sought.read(source, environment)?)
            .map_err(|_| Error::input(format!("the {noun} of {of} is not text")).at(source.words()))?;
        let line = text.lines().next().unwrap_or_default().trim();
        let wrong = |why: &str| {
            let hint = match &self.login {
                LoginMethod::Token(_) => "a token is USER@REALM!ID=SECRET, as Proxmox VE shows it once when it is made",
                LoginMethod::Password(..) => "the first line is the password",
            };
            Error::input(format!("the {noun} of target `{}` is not valid", self.name))
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
            LoginMethod::Password(user, _) => {
                Ok(Credential::Password { user: user.clone(), password: Secret::new(line) })
            }
            LoginMethod::Token(_) => {
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
}
