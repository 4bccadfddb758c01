//! Keys that are in Debian's packages for everybody to read, each by the digest of its own bytes and the file that may
//! hold it. For the images of containers alone: their layers are files that nobody has locked by package, and most of
//! them have one of these libraries. Everywhere else the origin of a file is known.

use diorite_model::Digest;

const GNUTLS: &str = "usr/lib/x86_64-linux-gnu/libgnutls.so";
const OPENSSL: &str = "usr/bin/openssl";

/// The digest in hexadecimal, and how the path of the file begins. `cargo run --release -p diorite-rootfs --example secrets`
/// prints what a tree holds.
pub(super) const KNOWN: &[(&str, &str)] = &[
    // GnuTLS tests itself with them in FIPS mode: lib/crypto-selftests-pk.c of its source.
    ("ac115ee0c9acdd92c2ef02882023227cc3e5627cad527b12078976ce4503d754", GNUTLS),
    ("eb3a393a358bbb3f3891c21e759168588b391ba563a937a443d2f9033e53b3e9", GNUTLS),
    ("c41dc6cc1361b41b23dc261c959bed84bae2387ae3f196b1a60b0c61dd195d5b", GNUTLS),
    ("ac1e3b0c79d47689562ef8e864681b377afea59a786db073f647704adfcc82f4", GNUTLS),
    ("d1dc75186fa035add68642556d4cdf68b2a1b74b4b60761b17f08fca7c79a606", GNUTLS),
    ("348f40b8ca903c0a15dee92b03c8b9a59aee3a2296b5ff544a7d72d40c7d2a05", GNUTLS),
    ("e5c643c952857f233aa0efe512e0eee0053a0ce17c17a41214be05a1cf3e1317", GNUTLS),
    ("377b72ebaae43d90a40b89ddaac015ecad98431858312d11b4053b31eb9ccc11", GNUTLS),
    ("23d51a270cb0711301b27f8cb0b6355126c6d856e1ae7e2f46fefa60c8c51d42", GNUTLS),
    ("a3d8965527fc3e07ed347c6d68cc95cc5511ae90a6ed7b9e9d443eceb2f5eaff", GNUTLS),
    ("09cd48c2fbe44bf1e68565684f54c51299e75931ed42467cbc7be37c021e7ede", GNUTLS),
    ("7f173f65ea04836d5d5fab00afa67897e71dbc01662db9bcbe807b8507b20487", GNUTLS),
    // `openssl speed` signs with them: apps/testrsa.h of its source.
    ("bb6a6abd969e3ffb523c303fc951ee4ee56349d8f86f52d3386adae5cd4db004", OPENSSL),
    ("c069f7ebcd214901cd196cdfd4f785ffe3d646506217f790aee51576eef363de", OPENSSL),
];

/// Is this secret known, at this path in a layer?
pub(super) fn is_public(path: &[u8], digest: &Digest) -> bool {
    let hex = digest.to_string();
    let layer = path.starts_with(crate::paths::CONTAINER_STORE.as_bytes());
    let Some(diff) = path.windows(6).position(|w| layer && w == b"/diff/") else { return false };
    let inner = &path[diff + 6..];
    KNOWN.iter().any(|(known, place)| *known == hex && inner.starts_with(place.as_bytes()))
}
