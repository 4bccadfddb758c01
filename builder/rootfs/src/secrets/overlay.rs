//! The look at what people lay over a tree: everything an image is searched for, and in text also passwords by the
//! names of their keys, with the line.

use diorite_model::secret;
use diorite_model::{Error, Result};

/// Largest text that is read line by line, in bytes: configuration is smaller.
const LARGEST: usize = 1 << 20;

/// Fails when a file of an overlay holds a secret. `file` is its name for people.
pub fn in_overlay(file: &str, bytes: &[u8]) -> Result<()> {
    let refused = |at: usize, what: &str| {
        let line = bytes[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        Err(Error::input(format!("an overlay holds what looks like {what}"))
            .at(format!("{file}:{line}"))
            .because("what is in an overlay is in the image, and in the history of its repository")
            .hint(
                "give it to the machine as a systemd credential, LoadCredential= or ImportCredential= in the unit that \
                 needs it; if everybody may know it, say why in overlay.toml: [files.\"PATH\"] public = \"…\"",
            ))
    };
    if let Some(found) = secret::find(bytes).first() {
        return refused(found.at.start, found.what);
    }
    if bytes.len() > LARGEST {
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(found) = secret::in_line(line.trim_end()) {
            return refused(at, found.what);
        }
        at += line.len();
    }
    Ok(())
}
