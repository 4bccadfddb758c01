//! Text → the one key in it, as DER; what is not that is named. RFC 7468.

use diorite_model::{Error, Result};
use pkcs8::AlgorithmIdentifierRef;
use pkcs8::der::pem;

/// Longest text that is looked at, in bytes; a key has some hundred.
const LONGEST: usize = 64 << 10;

/// Which half of a key is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyHalf {
    /// `PRIVATE KEY`: PKCS#8.
    Private,
    /// `PUBLIC KEY`: SubjectPublicKeyInfo.
    Public,
}

impl KeyHalf {
    fn label(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE KEY",
            Self::Public => "PUBLIC KEY",
        }
    }
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Private => "private key of attestations",
            Self::Public => "public key of attestations",
        }
    }
}

/// Says what is wrong with the key at a place.
pub(super) fn refused(half: KeyHalf, place: &str, why: impl std::fmt::Display) -> Error {
    Error::input(format!("this is no {}", half.words())).at(place).because(why)
}

/// The DER of the key.
///
/// # Errors
/// It is no PEM, more than one block, or a block of another kind, which is named with the way out.
pub(super) fn der(half: KeyHalf, text: &[u8], place: &str) -> Result<Vec<u8>> {
    let fail = |why: String| refused(half, place, why);
    if text.len() > LONGEST {
        return Err(fail(format!("it has more than {LONGEST} bytes")));
    }
    let begins = |what: &[u8]| text.windows(what.len()).filter(|window| *window == what).count();
    match begins(b"-----BEGIN ") {
        0 => return Err(fail("it is not PEM".into()).hint(hint(half, ""))),
        1 => {}
        blocks => {
            return Err(fail(format!("it holds {blocks} PEM blocks")).hint("put each key into a file of its own"));
        }
    }
    let (label, der) = pem::decode_vec(text).map_err(|e| fail(format!("its PEM is damaged: {e}")))?;
    match label == half.label() {
        true => Ok(der),
        false => Err(fail(format!("it is {}", named(label))).hint(hint(half, label))),
    }
}

/// What a block of this label is, for people.
fn named(label: &str) -> String {
    match label {
        "CERTIFICATE" => "a certificate".into(),
        "ENCRYPTED PRIVATE KEY" => "an encrypted private key".into(),
        "PRIVATE KEY" => "a private key".into(),
        "PUBLIC KEY" => "a public key".into(),
        "EC PRIVATE KEY" => "an ECDSA key in the older format SEC 1".into(),
        "RSA PRIVATE KEY" | "RSA PUBLIC KEY" => "an RSA key".into(),
        "OPENSSH PRIVATE KEY" => "a key of OpenSSH".into(),
        "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => "an encrypted key of cosign".into(),
        other => format!("`{}`", other.escape_default()),
    }
}

/// What to do instead.
fn hint(half: KeyHalf, label: &str) -> String {
    match (half, label) {
        (_, "ENCRYPTED PRIVATE KEY") => {
            "decrypt it with `openssl pkcs8 -in FILE -out KEY`, or let a program sign that asks for the passphrase"
                .into()
        }
        (_, "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY") => {
            "let a program sign that asks for its password".into()
        }
        (KeyHalf::Private, "EC PRIVATE KEY") => {
            "convert it with `openssl pkcs8 -topk8 -nocrypt -in FILE -out KEY`".into()
        }
        (KeyHalf::Public, "CERTIFICATE") => "take the key out of it with `openssl x509 -in FILE -noout -pubkey`".into(),
        (KeyHalf::Public, "PRIVATE KEY") => {
            "never hand out that one; its public half is what `openssl pkey -in FILE -pubout` prints".into()
        }
        (KeyHalf::Private, _) => {
            "it has to be PKCS#8 in PEM (`-----BEGIN PRIVATE KEY-----`), ed25519 or ECDSA P-256".into()
        }
        (KeyHalf::Public, _) => "it has to be PEM (`-----BEGIN PUBLIC KEY-----`), ed25519 or ECDSA P-256".into(),
    }
}

/// Says which algorithm a key has that attestations do not take.
pub(super) fn other_algorithm(half: KeyHalf, place: &str, algorithm: &AlgorithmIdentifierRef) -> Error {
    let curve = algorithm.parameters_oid().map(|oid| oid.to_string()).unwrap_or_default();
    let named = match (algorithm.oid.to_string().as_str(), curve.as_str()) {
        ("1.2.840.113549.1.1.1", _) => "it is an RSA key".into(),
        ("1.2.840.113549.1.1.10", _) => "it is an RSA-PSS key".into(),
        ("1.2.840.10045.2.1", "1.3.132.0.34") => "its curve is P-384".into(),
        ("1.2.840.10045.2.1", "1.3.132.0.35") => "its curve is P-521".into(),
        ("1.2.840.10045.2.1", "1.3.132.0.10") => "its curve is secp256k1".into(),
        ("1.2.840.10045.2.1", other) => format!("its curve is {other}"),
        ("1.3.101.113", _) => "it is an Ed448 key".into(),
        ("1.3.101.110" | "1.3.101.111", _) => "it is a key for key exchange, which cannot sign".into(),
        (other, _) => format!("its algorithm is {other}"),
    };
    refused(half, place, named)
        .hint("attestations are signed with ed25519 or ECDSA P-256: `diorite keys new` makes one")
}
