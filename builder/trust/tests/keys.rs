//! Keys of attestations: as the specifications and OpenSSL have them, verified by another implementation (ring), and what is no
//! such key is named.
//!
//! Files in `keys/` are OpenSSL 3.0's: `openssl genpkey` and `openssl pkey -pubout`, for these tests alone.

use diorite_model::Digest;
use diorite_trust::keys::{
    AskSigner, AttestationAlgorithm, AttestationKey, AttestationPublicKey, AttestationSigner, OutsideSigner,
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};

const BOTH: [AttestationAlgorithm; 2] = [AttestationAlgorithm::Ed25519, AttestationAlgorithm::EcdsaP256];

/// A key that is the same each time.
fn key(algorithm: AttestationAlgorithm) -> AttestationKey {
    AttestationKey::generate(algorithm, &mut |bytes| {
        *bytes = Digest::of(algorithm.name().as_bytes()).0;
        Ok(())
    })
    .expect("a key")
}

/// What ring says of a signature: it takes the bare point, which is at the end of the public key.
fn ring_accepts(public: &AttestationPublicKey, bytes: &[u8], signature: &[u8]) -> bool {
    let (algorithm, length): (&'static dyn VerificationAlgorithm, _) = match public.algorithm() {
        AttestationAlgorithm::Ed25519 => (&ED25519, 32),
        AttestationAlgorithm::EcdsaP256 => (&ECDSA_P256_SHA256_ASN1, 65),
    };
    let der = public.der();
    UnparsedPublicKey::new(algorithm, &der[der.len() - length..]).verify(bytes, signature).is_ok()
}

#[test]
fn what_is_signed_is_verified_here_and_by_ring_and_nothing_else_is() {
    for algorithm in BOTH {
        let (key, bytes) = (key(algorithm), b"a statement".as_slice());
        let (public, signature) = (key.public(), key.sign(bytes));
        assert_eq!(signature, key.sign(bytes), "{algorithm:?}: the same each time");
        assert!(public.verifies(bytes, &signature) && ring_accepts(&public, bytes, &signature));
        let mut bent = signature.clone();
        for at in 0..signature.len() {
            bent[at] ^= 1;
            assert!(!public.verifies(bytes, &bent), "{algorithm:?}: byte {at}");
            bent[at] ^= 1;
        }
        assert!(!public.verifies(b"a statemenT", &signature));
        assert!(!public.verifies(bytes, &signature[1..]) && !public.verifies(bytes, &[]));
        let other = AttestationKey::generate(algorithm, &mut |bytes| {
            bytes.fill(7);
            Ok(())
        });
        assert!(!other.expect("a key").public().verifies(bytes, &signature));
    }
}

/// RFC 8032 §7.1, test 2, and RFC 6979 §A.2.5, SHA-256 of "sample".
#[test]
fn signatures_are_those_of_the_specifications() {
    let hex = |text: &str| {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect::<Vec<u8>>()
    };
    let of = |algorithm, secret: &str| {
        AttestationKey::generate(algorithm, &mut |bytes| {
            bytes.copy_from_slice(&hex(secret));
            Ok(())
        })
        .expect("a key")
    };
    let edwards = of(AttestationAlgorithm::Ed25519, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    assert_eq!(edwards.sign(&[0x72]), hex(expected));
    let nist = of(AttestationAlgorithm::EcdsaP256, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let r = hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716");
    let s = hex("f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    let der = [&[0x30, 0x46, 0x02, 0x21, 0x00][..], &r, &[0x02, 0x21, 0x00], &s].concat();
    assert_eq!(nist.sign(b"sample"), der);
}

#[test]
fn keys_are_read_back_and_openssl_writes_the_same() {
    for algorithm in BOTH {
        let key = key(algorithm);
        let again = AttestationKey::read(key.pem().as_bytes(), "key").expect("its own file");
        assert_eq!(again.public(), key.public());
        let public = AttestationPublicKey::read(key.public().pem().as_bytes(), "key").expect("its own file");
        assert_eq!((public.id(), public.algorithm()), (key.public().id(), algorithm));
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
    for (private, public) in [
        (&include_bytes!("keys/ed25519.key")[..], include_str!("keys/ed25519.pub")),
        (include_bytes!("keys/p256.key"), include_str!("keys/p256.pub")),
    ] {
        let key = AttestationKey::read(private, "openssl's").expect("a key of OpenSSL");
        assert_eq!(key.public().pem(), public);
        assert_eq!(key.pem().as_bytes(), private, "and is written as OpenSSL writes it");
    }
}

/// A number that is none of the curve's is not taken: more is asked for.
#[test]
fn a_number_beyond_the_curve_is_drawn_again() {
    let mut drawn = 0;
    let key = AttestationKey::generate(AttestationAlgorithm::EcdsaP256, &mut |bytes| {
        bytes.fill([0xff, 0, 5][drawn]);
        drawn += 1;
        Ok(())
    });
    assert!(key.is_ok() && drawn == 3);
}

#[test]
fn what_is_no_key_is_named() {
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let own = key(AttestationAlgorithm::Ed25519);
    let cut = own.pem()[..60].to_owned();
    let garbled = own.pem().replace('M', "N");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let files = [
        String::new(),
        "not a key".into(),
        block("CERTIFICATE"),
        block("ENCRYPTED PRIVATE KEY"),
        block("ENCRYPTED SIGSTORE PRIVATE KEY"),
        block("EC PRIVATE KEY"),
        block("RSA PRIVATE KEY"),
        block("OPENSSH PRIVATE KEY"),
        block("PGP MESSAGE"),
        own.pem() + &own.pem(),
        cut,
        garbled,
        text(include_bytes!("keys/rsa-1024.key")),
        text(include_bytes!("keys/p384.key")),
        text(include_bytes!("keys/x25519.key")),
        "x".repeat(100_000),
        own.public().pem(),
    ];
    let mut said: Vec<_> = files
        .iter()
        .map(|file| AttestationKey::read(file.as_bytes(), "keys/ci.key").expect_err(file).to_string())
        .collect();
    let publics = [
        block("CERTIFICATE"),
        own.pem(),
        text(include_bytes!("keys/rsa-1024.pub")),
        text(include_bytes!("keys/p384.pub")),
        // A point of order one, for which every signature could be made.
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n".into(),
    ];
    said.extend(
        publics
            .iter()
            .map(|file| AttestationPublicKey::read(file.as_bytes(), "keys/ci.pub").expect_err(file).to_string()),
    );
    insta::assert_snapshot!(said.join("\n\n"));
}

/// A signer elsewhere: what it answers is believed only when the public key verifies it.
#[test]
fn a_signer_is_not_believed_before_its_answer_is_verified() {
    for algorithm in BOTH {
        let key = key(algorithm);
        let with = |ask: AskSigner| {
            let signer = OutsideSigner { public: key.public(), name: "sign-elsewhere --slot 1".into(), ask };
            signer.signature(b"a statement")
        };
        let pem = key.pem();
        let own = move || AttestationKey::read(pem.as_bytes(), "key").expect("a key");
        let good = own();
        assert_eq!(with(Box::new(move |bytes| Ok(good.sign(bytes)))).expect("a signature"), key.sign(b"a statement"));
        let (other_file, half) = (own(), own());
        let mut said = vec![
            with(Box::new(move |_| Ok(other_file.sign(b"another statement")))).expect_err("for another file"),
            with(Box::new(move |bytes| Ok(half.sign(bytes)[..30].to_vec()))).expect_err("half"),
            with(Box::new(|_| Ok(Vec::new()))).expect_err("nothing"),
        ];
        said.push(with(Box::new(|_| Err(diorite_model::Error::host("no smart card")))).expect_err("it failed"));
        let said: Vec<_> = said.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(format!("signer_{}", algorithm.name()), said.join("\n\n"));
    }
    // The two numbers of ECDSA side by side, as tools of PKCS#11 answer, become DER.
    let key = key(AttestationAlgorithm::EcdsaP256);
    let der = key.sign(b"a statement");
    let number = |at: usize| {
        let length = usize::from(der[at + 1]);
        let digits = &der[at + 2..at + 2 + length];
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        ([vec![0; 32 - digits.len()], digits.to_vec()].concat(), at + 2 + length)
    };
    let (r, next) = number(2);
    let plain = [r, number(next).0].concat();
    let signer = OutsideSigner { public: key.public(), name: "token".into(), ask: Box::new(|_| Ok(plain.clone())) };
    assert_eq!(signer.signature(b"a statement").expect("a signature"), der);
}
