//! Paths and attributes, which are any bytes, as text for JSON.

/// Bytes as ASCII text: everything but printable ASCII, and the percent sign, becomes `%XX`.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &b in bytes {
        if b == b'%' || !(b' '..=b'~').contains(&b) {
            text.push_str(&format!("%{b:02X}"));
        } else {
            text.push(b as char);
        }
    }
    text
}

/// The bytes again; `None` where a percent sign does not begin an escape sequence.
pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        if b != b'%' {
            bytes.push(b);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    Some(bytes)
}
