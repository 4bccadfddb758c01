//! A secret, from where somebody says it is: an environment variable, a file that nobody else may read, a program that
//! prints it. No error ever shows it.

use diorite_model::instance::SecretSource;
use diorite_model::{Error, Exit, Result};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct SecretRequest<'a> {
    /// In a word: `token`.
    pub noun: &'a str,
    /// Whose: `target `school``.
    pub of: &'a str,
    /// Where it is said where the secret is.
    pub place: &'a str,
    /// Most bytes that are taken.
    pub longest: usize,
    /// What of it is taken: `its first line`.
    pub taken: &'a str,
}

impl SecretRequest<'_> {
    /// Fetches it: all bytes of the file or of the program's answer.
    ///
    /// # Errors
    /// [`Exit::Input`]: it is not there; the file can be read by others or is too large; the program failed.
    pub fn read(&self, source: &SecretSource, environment: &dyn Fn(&str) -> Option<String>) -> Result<Vec<u8>> {
        let Self { noun, of, place, .. } = self;
        match source {
            SecretSource::Environment(name) => {
                let value = environment(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
                    Error::input(format!("the {noun} of {of} is not set"))
                        .at(source.words())
                        .because("it is not set, or empty")
                        .hint(format!("set it; {place} says that it holds the {noun}"))
                })?;
                Ok(value.into_bytes())
            }
            SecretSource::File(file) => self.of_file(file),
            SecretSource::Command(words) => self.of_program(words),
        }
    }

    fn of_file(&self, file: &Path) -> Result<Vec<u8>> {
        let Self { noun, of, .. } = self;
        let what = format!("the {noun} of {of} cannot be read");
        let failed = |e: std::io::Error| Error { exit: Exit::Input, ..Error::io(&what, file, e) };
        let about = fs::metadata(file).map_err(failed)?;
        let me = rustix::process::geteuid().as_raw();
        let open = || {
            Error::input(format!("the file with the {noun} of {of} can be read by others"))
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
        if about.len() > self.longest as u64 {
            return Err(Error::input(format!("the file with the {noun} of {of} is too large"))
                .at(file.display().to_string())
                .hint(format!("{} is the {noun}", self.taken)));
        }
        fs::read(file).map_err(failed)
    }

    fn of_program(&self, words: &[String]) -> Result<Vec<u8>> {
        let Self { noun, of, taken, .. } = self;
        let error = |why: String| {
            Error::input(format!("the {noun} of {of} cannot be fetched"))
                .at(format!("program `{}`", words.join(" ")))
                .because(why)
                .hint(format!("run it yourself: {taken} must be the {noun}"))
        };
        // It may ask the person for a passphrase: stdin and stderr are ours.
        let output = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| error(e.to_string()))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(error(format!("it ended with {}", output.status))),
        }
    }
}
