//! X.509 certificates of authorities, RFC 5280, as text in PEM and as bytes in DER: enough of them to tell one from anything
//! else before an image is built. Whether it is valid is OpenSSL's to say, in the machine.

use crate::base64;
use crate::{Error, Result};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificate as a file, RFC 7468: 64 characters a line.
///
/// # Errors
/// Of what is not base64 of a certificate, a bug: nothing else enters a recipe.
pub fn pem(encoded: &str) -> Result<String> {
    let bytes = base64::decode(encoded).ok_or_else(|| Error::bug("a trusted certificate is not base64"))?;
    let text = base64::encode(&bytes);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    Ok(format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")))
}

/// The bytes of the one certificate in `text`, which is an authority's.
///
/// # Errors
/// Says what it is instead.
pub fn der(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let inner = text
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or_else(|| format!("it does not begin with `{BEGIN}` and end with `{END}`"))?;
    if inner.contains("-----") {
        return Err("it holds more than one certificate: give each a name of its own".into());
    }
    let plain: String = inner.split_ascii_whitespace().collect();
    let bytes = base64::decode(&plain).ok_or("what stands between its first and last line is not base64")?;
    match authority(&bytes) {
        None => Err("it is not an X.509 certificate".into()),
        Some(false) => Err("it is the certificate of a server or a person, not of an authority (CA:FALSE)".into()),
        Some(true) => Ok(bytes),
    }
}

/// Whether this certificate (RFC 5280 §4.1) may sign others: `basicConstraints` says so. Certificates older than version 3
/// have no extensions, and those that stand in a list of authorities count as such. `None`: not a certificate.
fn authority(der: &[u8]) -> Option<bool> {
    /// Object identifier 2.5.29.19, `basicConstraints`.
    const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    let (SEQUENCE, certificate, []) = element(der)? else { return None };
    let (SEQUENCE, mut fields, signature) = element(certificate)? else { return None };
    let (SEQUENCE, _, value) = element(signature)? else { return None };
    let (BIT_STRING, _, []) = element(value)? else { return None };
    let mut version_3 = false;
    while !fields.is_empty() {
        let (tag, content, rest) = element(fields)?;
        fields = rest;
        if tag == VERSION {
            version_3 = element(content)? == (INTEGER, &[2], &[]);
        }
        if tag != EXTENSIONS {
            continue;
        }
        let (SEQUENCE, mut extensions, []) = element(content)? else { return None };
        while !extensions.is_empty() {
            let (SEQUENCE, extension, rest) = element(extensions)? else { return None };
            extensions = rest;
            let (_, name, mut value) = element(extension)?;
            if name != BASIC_CONSTRAINTS {
                continue;
            }
            if let (BOOLEAN, _, rest) = element(value)? {
                value = rest;
            }
            let (_, constraints, _) = element(value)?;
            let (SEQUENCE, constraints, _) = element(constraints)? else { return None };
            return Some(matches!(element(constraints), Some((BOOLEAN, [0xff], _))));
        }
    }
    Some(!version_3)
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// One element of DER, ITU-T X.690: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
