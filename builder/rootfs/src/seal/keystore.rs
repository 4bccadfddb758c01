//! Java's key store of certificate authorities, which a script of ca-certificates-java makes: every entry has the time when it was
//! added. They become the image's own, so that every build has the same bytes.
//!
//! Source: OpenJDK, sun.security.provider.JavaKeyStore ("JKS", version 2): magic, version, count; for each entry of kind 2 (a
//! trusted certificate) its alias, milliseconds since 1970, kind and bytes of the certificate; at the end a SHA-1 of the
//! password in UTF-16, the words "Mighty Aphrodite", and all before it. Numbers are big-endian.

use crate::tree::{Node, NodeKind, Tree};
use sha1::{Digest as _, Sha1};

const STORE: &str = "etc/ssl/certs/java/cacerts";
/// The password that every installation of Java has for this file.
const PASSWORD: &str = "changeit";
const TRUSTED: u32 = 2;

/// Sets the times, where the tree has such a store. One of another kind stays as it is.
pub(super) fn clamp(tree: &mut Tree, epoch: i64) {
    let Some(node) = tree.get(STORE) else { return };
    let NodeKind::File(content) = &node.kind else { return };
    let millis = u64::try_from(epoch).unwrap_or_default() * 1000;
    if let Some(bytes) = clamped(content.bytes(), millis) {
        let node = Node { kind: Node::file(0, bytes).kind, ..node.clone() };
        tree.insert(STORE, node);
    }
}

/// The store with this time in every entry.
fn clamped(store: &[u8], millis: u64) -> Option<Vec<u8>> {
    let (body, digest) = store.split_at_checked(store.len().checked_sub(20)?)?;
    if sealed(body) != digest {
        return None;
    }
    let mut all = body.to_vec();
    let number = |at: usize| Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?));
    let text = |at: usize| Some(at + 2 + usize::from(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?)));
    if (number(0)?, number(4)?) != (0xfeed_feed, 2) {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(8)? {
        if number(at)? != TRUSTED {
            return None;
        }
        let time = text(at + 4)?;
        all.get_mut(time..time + 8)?.copy_from_slice(&millis.to_be_bytes());
        let length = text(time + 8)?;
        at = length + 4 + number(length)? as usize;
    }
    if at != body.len() {
        return None;
    }
    let digest = sealed(&all);
    all.extend(digest);
    Some(all)
}

fn sealed(body: &[u8]) -> [u8; 20] {
    let password = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes);
    let mut hash = Sha1::new();
    hash.update(password.collect::<Vec<_>>());
    hash.update(b"Mighty Aphrodite");
    hash.update(body);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one certificate, added at this time.
    fn store(millis: u64) -> Vec<u8> {
        let mut all = [0xfeed_feed_u32, 2, 1, TRUSTED].into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>();
        let text = |words: &str| [&(words.len() as u16).to_be_bytes(), words.as_bytes()].concat();
        all.extend(text("debian:authority.pem"));
        all.extend(millis.to_be_bytes());
        all.extend(text("X.509"));
        all.extend(4_u32.to_be_bytes());
        all.extend(b"cert");
        let digest = sealed(&all);
        all.extend(digest);
        all
    }

    #[test]
    fn two_builds_have_the_same_store() {
        assert_ne!(store(1), store(2));
        assert_eq!(clamped(&store(1), 7), clamped(&store(2), 7));
        assert_eq!(clamped(&store(1), 7).unwrap(), store(7));
        let mut damaged = store(1);
        damaged[30] ^= 1;
        assert_eq!(clamped(&damaged, 7), None);
        assert_eq!(clamped(b"PKCS#12", 7), None);
    }
}
