//! What a secret looks like: private keys, hashes of passwords, tokens. One detector for profiles, overlays and the
//! bytes of finished images, so that none of the three knows less than another.
//!
//! [`find`] looks for what is a secret wherever it stands: every sign is a fixed string, found by one pass over the bytes
//! (a packed search for all of them at once, gigabytes per second), and judged by what must follow it: lengths,
//! alphabets, structure. [`in_value`] and [`in_line`] add what only makes sense in a person's own text, where a random
//! word has no business: there is no fixed string in it.

mod crypt;
mod named;
mod signs;
mod text;

use aho_corasick::AhoCorasick;
use aho_corasick::packed::{self, Searcher};
use std::ops::Range;
use std::sync::LazyLock;

pub use crypt::Password;
pub use named::{hidden, holds_one};
pub use text::{in_line, in_value, names_one, userinfo};

/// Bytes behind a sign that its judge may look at; a scanner in pieces must let them overlap by this much.
pub const REACH: usize = 16 << 10;

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In words, with an article: `a private key (PEM)`.
    pub what: &'static str,
    /// Its bytes.
    pub at: Range<usize>,
}

struct Search {
    packed: Option<Searcher>,
    plain: AhoCorasick,
}

static SEARCH: LazyLock<Search> = LazyLock::new(|| {
    let signs = || signs::SIGNS.iter().map(|s| s.sign);
    let plain = AhoCorasick::new(signs()).expect("the signs are few and short");
    let packed = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder().extend(signs()).build();
    Search { packed, plain }
});

/// Every secret in these bytes, in their order. Compressed or encrypted content shows none.
pub fn find(bytes: &[u8]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((sign, start)) = next(bytes, at) {
        let sign = &signs::SIGNS[sign];
        match (sign.judge)(bytes, start) {
            Some(range) => {
                at = range.end.max(start + 1);
                found.push(Finding { what: sign.what, at: range });
            }
            None => at = start + 1,
        }
    }
    found
}

/// The next sign from here on: which, and where.
fn next(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let search = &*SEARCH;
    // The packed searcher wants a few dozen bytes to be faster than the other, and reads no fewer.
    if let Some(packed) = search.packed.as_ref().filter(|p| bytes.len() - at >= p.minimum_len()) {
        let span = aho_corasick::Span { start: at, end: bytes.len() };
        return packed.find_in(bytes, span).map(|m| (m.pattern().as_usize(), m.start()));
    }
    let input = aho_corasick::Input::new(bytes).range(at..);
    search.plain.find(input).map(|m| (m.pattern().as_usize(), m.start()))
}

#[cfg(test)]
mod tests;
