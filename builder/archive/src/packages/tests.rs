//! Indexes from a repository in memory, signed here.

use super::*;
use crate::release::tests::{DAY, NOW, certificate, sign};
use diorite_model::Digest;
use openpgp::types::HashAlgorithm;
use sequoia_openpgp as openpgp;
use std::collections::BTreeMap;

mod vendor;

struct Memory(BTreeMap<String, Vec<u8>>);

impl Transport for Memory {
    fn find(&self, _: Repository<'_>, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).cloned())
    }
}

const INDEX: &str = "Package: aa\nVersion: 1\nArchitecture: amd64\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

fn read(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>, &str), component: &str, extra: &str) -> Result<SuiteIndex> {
    let packed = gzip(INDEX);
    let sha256 = Digest::of(&packed);
    let text = format!(
        "Suite: trixie\nDate: Wed, 31 Dec 2025 00:00:00 UTC\nArchitectures: amd64 all\nComponents: main\nAcquire-By-Hash: yes\n\
         {extra}SHA256:\n {sha256} {} main/binary-amd64/Packages.gz\n {} {} main/binary-amd64/Packages\n",
        packed.len(),
        Digest::of(INDEX.as_bytes()),
        INDEX.len()
    );
    let cert = certificate(NOW - 100 * DAY, None);
    let by_hash = format!("dists/trixie/main/binary-amd64/by-hash/SHA256/{sha256}");
    let mut files = BTreeMap::from([(by_hash.clone(), packed)]);
    files.insert("dists/trixie/InRelease".to_owned(), sign(&text, &cert, NOW - DAY, HashAlgorithm::SHA256));
    change(&mut files, &by_hash);
    let keyring = Keyring::of(vec![cert]);
    let components = [component.to_owned()];
    let (name, suite) = ("trixie".to_owned(), "trixie".to_owned());
    Suite { name, suite, components: &components, repository: Repository::Main, keyring: &keyring, priority: None }
        .read(&Memory(files), "amd64", NOW)
}

#[test]
fn an_index_by_its_hash() {
    let index = read(|_, _| {}, "main", "").unwrap();
    assert_eq!((&index.texts[..], index.priority), (&[INDEX.to_owned()][..], 500));
    assert_eq!(read(|_, _| {}, "main", "NotAutomatic: yes\n").unwrap().priority, 1);
    assert_eq!(read(|_, _| {}, "main", "NotAutomatic: yes\nButAutomaticUpgrades: yes\n").unwrap().priority, 100);
}

#[test]
fn what_is_not_vouched_for_is_refused() {
    let error = |result: Result<SuiteIndex>| result.err().expect("must be refused").to_string();
    let cases = [
        error(read(|files, path| files.get_mut(path).unwrap()[5] ^= 1, "main", "")),
        error(read(|files, path| files.get_mut(path).unwrap().truncate(20), "main", "")),
        error(read(|files, path| drop(files.remove(path)), "main", "")),
        error(read(|_, _| {}, "contrib", "")),
    ];
    let text = cases.join("\n\n");
    // Digests depend on the compressor; the words do not.
    let text: String =
        text.split_inclusive([' ', '\n', '/']).map(|w| if w.trim().len() >= 64 { "DIGEST " } else { w }).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn a_bomb_stops_at_the_size_vouched_for() {
    let zeros = "a".repeat(1 << 20);
    assert_eq!(unpack(gzip(&zeros), ".gz", 1 << 20).map(|t| t.len()), Ok(1 << 20));
    assert!(unpack(gzip(&zeros), ".gz", 1000).unwrap_err().contains("more than the 1000 bytes"));
    // An old repository's index may have names of people in Latin-1.
    assert_eq!(unpack(b"Maintainer: Zo\xeb\n".to_vec(), "", 100).as_deref(), Ok("Maintainer: Zo\u{fffd}\n"));
}
