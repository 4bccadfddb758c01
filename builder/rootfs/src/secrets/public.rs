//! Secrets that are none, known by their own bytes.

use diorite_model::secret::{self, Finding};
use std::collections::{BTreeSet, HashSet};

/// What looks like a secret and is public: what packages ship, and what an overlay declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicSecrets {
    whole: BTreeSet<Vec<u8>>,
    /// As a person or a compiler may have written them otherwise.
    spelled: HashSet<Vec<u8>>,
    /// How each begins, and what can be taken for a secret inside it.
    beginnings: BTreeSet<Vec<u8>>,
}

/// A secret on the disk may be cut off, where a compressor left its beginning as it was: so much of it is enough to know
/// it by, less than any secret has and more than two have in common.
const BEGINNING: usize = 40;
/// No secret is shorter.
const SHORTEST: usize = 16;

impl PublicSecrets {
    /// What is in these bytes is public. Returns how much of it looks like a secret.
    pub fn declare(&mut self, bytes: &[u8]) -> usize {
        let found = secret::find(bytes);
        let count = found.len();
        found.into_iter().for_each(|found| self.insert(&bytes[found.at]));
        count
    }
    /// So is this secret.
    pub(super) fn insert(&mut self, secret: &[u8]) {
        if !self.whole.insert(secret.to_vec()) {
            return;
        }
        self.spelled.insert(spelling(secret));
        // Where its beginning is cut off, a sign further on is found: the Base64 inside a PEM, the PEM inside an armour.
        let mut at = 0;
        self.beginnings.insert(beginning(secret).to_vec());
        while let Some(inner) = secret::find(&secret[at..]).into_iter().next() {
            let start = at + inner.at.start;
            self.beginnings.insert(beginning(&secret[start..]).to_vec());
            at = start + 1;
        }
    }
    /// Both.
    pub fn extend(&mut self, other: &Self) {
        self.whole.extend(other.whole.iter().cloned());
        self.spelled.extend(other.spelled.iter().cloned());
        self.beginnings.extend(other.beginnings.iter().cloned());
    }
    /// Is it this very secret, whole, in whatever spelling?
    pub(super) fn is(&self, secret: &[u8]) -> bool {
        self.whole.contains(secret) || self.spelled.contains(&spelling(secret))
    }
    /// Is this one of them, whole or its beginning?
    fn holds(&self, found: &[u8]) -> bool {
        let begin = beginning(found);
        let longer = self.beginnings.range(begin.to_vec()..).next().is_some_and(|public| public.starts_with(begin));
        // A short one, with something behind it that could belong to it.
        longer || (SHORTEST..begin.len()).any(|length| self.whole.contains(&begin[..length]))
    }
    /// The first secret in bytes that come from somewhere on the disk and is not public.
    pub(super) fn first(&self, bytes: &[u8]) -> Option<Finding> {
        secret::find(bytes).into_iter().find(|found| !self.holds(&bytes[found.at.clone()]))
    }
}

fn beginning(secret: &[u8]) -> &[u8] {
    &secret[..secret.len().min(BEGINNING)]
}

/// A secret without what a programming language puts around and between its lines, so that the constant in a compiled file
/// is the one in its source: quotes, blanks, ends of lines, also escaped ones.
fn spelling(secret: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(secret.len());
    let mut rest = secret;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'\\' => rest = tail.strip_prefix(b"n").or_else(|| tail.strip_prefix(b"r")).unwrap_or(tail),
            b'"' | b'\'' => {}
            byte if byte.is_ascii_whitespace() => {}
            byte => plain.push(byte),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_in_another_spelling() {
        let source = b"-----BEGIN PRIVATE KEY-----\\n\"\n    \"MIIabc\\n\"\n    \"def";
        assert_eq!(spelling(source), spelling(b"-----BEGIN PRIVATE KEY-----\nMIIabc\ndef"));
        assert_ne!(spelling(source), spelling(b"-----BEGIN PRIVATE KEY-----\nMIIabc\ndeg"));
    }

    #[test]
    fn hundreds_of_them_are_looked_through_quickly() {
        let mut public = PublicSecrets::default();
        let token =
            |n: usize| format!("ghp_{:x}", (n as u128 + 1) * 0x1234_5678_9abc_def1_2345_6789_abcd)[..].to_owned();
        let token = |n: usize| format!("{:a<40.40}", format!("{}bcdefghijklmnopqrstuvwxyz0123456789", token(n)));
        let all: Vec<String> = (0..500).map(token).collect();
        assert_eq!(all.iter().map(|t| public.declare(t.as_bytes())).sum::<usize>(), 500);
        assert_eq!(public.whole.len(), 500);
        let text = all.join(" ");
        assert_eq!(public.first(text.as_bytes()), None);
        let other = format!("{text} {}", token(501));
        assert_eq!(public.first(other.as_bytes()).map(|f| f.at.start), Some(text.len() + 1));
    }
}
