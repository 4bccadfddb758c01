//! Compiled Python files (PEP 552): the header says of which source they are, by its time or its hash.

use super::{InnerDifference, bytes, inside, within};

/// What differs, when both are compiled Python.
pub(super) fn difference(a: &[u8], b: &[u8], _depth: usize) -> Option<InnerDifference> {
    let (x, y) = (header(a)?, header(b)?);
    if x[..4] != y[..4] {
        return Some(inside("compiled Python, version", hex(&x[..4]), hex(&y[..4]), "another Python compiled it"));
    }
    if x[4..8] != y[4..8] {
        return Some(inside("compiled Python, kind of check", hex(&x[4..8]), hex(&y[4..8]), ""));
    }
    let by_time = x[4] & 1 == 0;
    if by_time && x[8..12] != y[8..12] {
        let seconds = |header: &[u8]| u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let cause = "the header has the time of the source, and that was not clamped when it was compiled \
                     (SOURCE_DATE_EPOCH makes py_compile write a hash)";
        return Some(inside("compiled Python, time of the source", seconds(x), seconds(y), cause));
    }
    if x[8..] != y[8..] {
        return Some(inside(
            "compiled Python, size or hash of the source",
            hex(&x[8..]),
            hex(&y[8..]),
            "another source",
        ));
    }
    Some(within("compiled Python, code", bytes(&a[16..], &b[16..])))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sixteen bytes, of which the third and the fourth end every version's number.
fn header(file: &[u8]) -> Option<&[u8]> {
    let header = file.get(..16)?;
    (header[2..4] == *b"\r\n" && header[5..8] == [0, 0, 0]).then_some(header)
}

#[cfg(test)]
mod tests {
    use super::super::difference;

    fn compiled(flags: u8, time: u32, size: u32, code: &[u8]) -> Vec<u8> {
        let header = [&[0xf3, 0x0d, b'\r', b'\n', flags, 0, 0, 0][..], &time.to_le_bytes(), &size.to_le_bytes()];
        [&header.concat()[..], code].concat()
    }

    #[test]
    fn time_source_and_code_are_told_apart() {
        let good = compiled(0, 1_760_000_000, 7, b"\xe3code");
        let said = |other: Vec<u8>| difference(&good, &other).what;
        assert_eq!(said(compiled(0, 1_760_000_009, 7, b"\xe3code")), "compiled Python, time of the source");
        assert_eq!(said(compiled(0, 1_760_000_000, 8, b"\xe3code")), "compiled Python, size or hash of the source");
        assert_eq!(said(compiled(0, 1_760_000_000, 7, b"\xe3cade")), "compiled Python, code, byte 2");
        assert_eq!(said(compiled(1, 1_760_000_000, 7, b"\xe3code")), "compiled Python, kind of check");
    }
}
