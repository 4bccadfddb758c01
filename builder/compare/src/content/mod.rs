//! Two contents that differ → what differs in them, as far as the format is known: a header, a member, an order, a line.
//!
//! Well-known sources of difference have a file each; everything else is told by its first differing byte.

mod archive;
mod elf;
mod gzip;
mod python;
mod text;

use serde::Serialize;

/// Archives inside archives that are looked into.
const DEEPEST: usize = 3;
/// Most bytes that a compressed content is unpacked to.
const LARGEST: u64 = 256 << 20;

/// What differs inside a content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InnerDifference {
    /// Where: `gzip header, mtime`, `order of entries`, `line 7`, `section .text`, `byte 12`.
    pub what: String,
    /// On the first side.
    pub before: String,
    /// On the second side.
    pub after: String,
    /// Why contents differ in this way, most often.
    pub cause: Option<String>,
}

/// A difference whose cause is known.
fn inside(what: impl Into<String>, before: impl ToString, after: impl ToString, cause: &str) -> InnerDifference {
    let cause = (!cause.is_empty()).then(|| cause.to_owned());
    InnerDifference { what: what.into(), before: before.to_string(), after: after.to_string(), cause }
}

/// What differs between two contents, when both are of a format; the number is how many archives they are inside of.
type FormatDifference = fn(&[u8], &[u8], usize) -> Option<InnerDifference>;

/// What differs first.
pub fn difference(a: &[u8], b: &[u8]) -> InnerDifference {
    at_depth(a, b, 0)
}

fn at_depth(a: &[u8], b: &[u8], depth: usize) -> InnerDifference {
    let known: [FormatDifference; 6] =
        [gzip::difference, archive::ar, archive::tar, elf::difference, python::difference, text::difference];
    let found = known.iter().filter(|_| depth < DEEPEST).find_map(|difference| difference(a, b, depth));
    found.unwrap_or_else(|| bytes(a, b))
}

/// The first byte that differs.
fn bytes(a: &[u8], b: &[u8]) -> InnerDifference {
    let at = a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let near = |bytes: &[u8]| match bytes.get(at..) {
        Some(rest) if !rest.is_empty() => rest.iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
        _ => "the end".to_owned(),
    };
    inside(format!("byte {at}"), near(a), near(b), "")
}

/// The same with where it was found put in front.
fn within(place: &str, found: InnerDifference) -> InnerDifference {
    InnerDifference { what: format!("{place}, {}", found.what), ..found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_told_by_its_byte() {
        let said = difference(&[0, 1, 2, 0xff], &[0, 1, 3]);
        assert_eq!((said.what.as_str(), said.before.as_str(), said.after.as_str()), ("byte 2", "02ff", "03"));
        let said = difference(&[0, 1], &[0, 1, 3]);
        assert_eq!((said.what.as_str(), said.before.as_str()), ("byte 2", "the end"));
    }
}
