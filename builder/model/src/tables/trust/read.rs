//! `[trust]`: certificate authorities besides Debian's, for the machine and its containers.

use crate::Result;
use crate::profile::{
    section::Section,
    values::{Form, Look},
};
use crate::{base64, certificate};
use std::collections::BTreeMap;

/// A certificate in PEM, RFC 7468.
pub(crate) const CERTIFICATE: Form = Form {
    allowed: "one certificate of an authority in PEM, its first and last line included",
    longest: 16 << 10,
    look: Look::Certificate,
    check: |text| certificate::der(text).map(|_| ()),
};

/// Certificates (DER in base64, without line breaks) by the name of their authority.
pub(crate) fn trust(top: &Section) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (name, text) in top.mapping("trust")? {
        let bytes = certificate::der(&text.value).map_err(|cause| top.files.error(text.span, cause))?;
        let encoded = base64::encode(&bytes);
        if let Some((other, _)) = all.iter().find(|(_, there)| **there == encoded) {
            let error =
                top.files.error(text.span, format!("`trust.{name}` is the same certificate as `trust.{other}`"));
            return Err(error.hint("remove one of them"));
        }
        all.insert(name, encoded);
    }
    Ok(all)
}

/// What stands in the profile.
pub(crate) fn written(encoded: &str) -> String {
    certificate::pem(encoded).unwrap_or_default()
}
