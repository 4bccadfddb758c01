//! gzip, RFC 1952: the header's time, name and system; else what is compressed, else the compressor.

use super::{InnerDifference, LARGEST, at_depth, inside, within};
use std::io::Read as _;

const CLOCK: &str = "whoever compressed it wrote the time of the build into the header (`gzip -n` does not)";

/// What differs, when both are gzip.
pub(super) fn difference(a: &[u8], b: &[u8], depth: usize) -> Option<InnerDifference> {
    let (x, y) = (header(a)?, header(b)?);
    for (field, at) in [("compression method", 2), ("flags", 3), ("extra flags", 8), ("system", 9)] {
        if a[at] != b[at] {
            return Some(inside(
                format!("gzip header, {field}"),
                a[at],
                b[at],
                "another program or level compressed it",
            ));
        }
    }
    if x.time != y.time {
        return Some(inside("gzip header, mtime", x.time, y.time, CLOCK));
    }
    if x.name != y.name {
        let shown = |name: &[u8]| name.escape_ascii().to_string();
        return Some(inside(
            "gzip header, name",
            shown(x.name),
            shown(y.name),
            "the name of the file it was made from",
        ));
    }
    let unpacked = |bytes: &[u8]| {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes).take(LARGEST).read_to_end(&mut out).ok().map(|_| out)
    };
    let (x, y) = (unpacked(a)?, unpacked(b)?);
    if x == y {
        let cause = "the same content, compressed by another version, level or number of threads";
        return Some(inside("gzip, compressed bytes", a.len(), b.len(), cause));
    }
    Some(within("gzip", at_depth(&x, &y, depth + 1)))
}

struct GzipHeader<'a> {
    time: u32,
    name: &'a [u8],
}

fn header(bytes: &[u8]) -> Option<GzipHeader<'_>> {
    let fixed = bytes.get(..10).filter(|fixed| fixed.starts_with(b"\x1f\x8b"))?;
    let time = u32::from_le_bytes(fixed[4..8].try_into().ok()?);
    // FNAME; where there is FEXTRA as well, the name counts as none.
    let named = fixed[3] & 0x0c == 0x08;
    let name = if named { bytes[10..].split(|&byte| byte == 0).next().unwrap_or_default() } else { b"" };
    Some(GzipHeader { time, name })
}

#[cfg(test)]
mod tests {
    use super::super::difference;
    use flate2::{Compression, GzBuilder};
    use std::io::Write as _;

    fn gzip(text: &str, time: u32, name: &str, level: u32) -> Vec<u8> {
        let builder = GzBuilder::new().mtime(time);
        let builder = if name.is_empty() { builder } else { builder.filename(name) };
        let mut encoder = builder.write(Vec::new(), Compression::new(level));
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn header_content_and_compressor_are_told_apart() {
        let good = gzip("a line\nanother\n", 5, "x", 6);
        let said = |other: Vec<u8>| difference(&good, &other);
        let time = said(gzip("a line\nanother\n", 7, "x", 6));
        assert_eq!((time.what.as_str(), time.before.as_str(), time.after.as_str()), ("gzip header, mtime", "5", "7"));
        assert!(time.cause.unwrap().contains("time of the build"));
        assert_eq!(said(gzip("a line\nanother\n", 5, "y", 6)).what, "gzip header, name");
        assert_eq!(said(gzip("a line\nother\n", 5, "x", 6)).what, "gzip, line 2");
        assert_eq!(said(gzip("a line\nanother\n", 5, "x", 9)).what, "gzip header, extra flags");
        let long: String = (0..900u32).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        assert_eq!(difference(&gzip(&long, 5, "", 3), &gzip(&long, 5, "", 6)).what, "gzip, compressed bytes");
    }
}
