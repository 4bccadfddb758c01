//! The table `[trust]`: certificates as files that update-ca-certificates(8) would take, and in its bundle, which OpenSSL,
//! GnuTLS, curl, Python and Go read. Containers see the bundle as their own.

use super::Guest;
use diorite_model::certificate::pem;
use diorite_model::{Error, Recipe, Result};

/// Debian's authorities and those of the profile, in PEM.
pub(super) const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.trust.is_empty() {
        return Ok(());
    }
    let mut bundle = guest
        .read(BUNDLE)
        .ok_or_else(|| Error::bug("the tree has no bundle of certificates").at(format!("/{BUNDLE}")))?;
    for (name, certificate) in &recipe.trust {
        let text = pem(certificate)?;
        if guest.has(&format!("etc/ssl/certs/{name}.pem")) {
            return Err(Error::input(format!("an authority cannot be called `{name}`"))
                .at(format!("trust.{name}"))
                .because(format!("/etc/ssl/certs/{name}.pem is another one"))
                .hint("give it another name"));
        }
        let place = format!("usr/local/share/ca-certificates/{name}.crt");
        guest.file(&place, 0o644, text.clone())?;
        guest.link(&format!("etc/ssl/certs/{name}.pem"), &format!("/{place}"))?;
        bundle.extend_from_slice(text.as_bytes());
    }
    guest.file(BUNDLE, 0o644, bundle)
}
