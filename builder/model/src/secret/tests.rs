//! Positive controls for every sign, and what must pass. The secrets are put together here, so that no file of ours
//! holds one.

use super::*;

/// Text that looks random and is the same every time.
pub(super) fn random(length: usize, alphabet: &str) -> String {
    let alphabet = alphabet.as_bytes();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alphabet[(state >> 33) as usize % alphabet.len()] as char
    };
    (0..length).map(|_| draw()).collect()
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const HEX: &str = "0123456789abcdef";

fn what(text: impl AsRef<[u8]>) -> Option<&'static str> {
    find(text.as_ref()).first().map(|f| f.what)
}

/// One of every kind.
pub(super) fn every() -> Vec<(&'static str, Vec<u8>)> {
    let (r, a) = (|n| random(n, ALNUM), "-----");
    let lines = |n: usize| (0..n).map(|_| r(64) + "\n").collect::<String>();
    let mut all: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let mut text = |what, text: String| all.push((what, text.into_bytes()));
    for label in ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "] {
        text(
            "a private key (PEM)",
            format!("{a}BEGIN {label}PRIVATE KEY{a}\n{}{a}END {label}PRIVATE KEY{a}\n", lines(5)),
        );
    }
    text("a private key (PEM)", format!("{{\"key\": \"{a}BEGIN PRIVATE KEY{a}\\n{}\\n{a}END\"}}", r(64)));
    text("a private key (PEM)", format!("{a}BEGIN RSA PRIVATE KEY{a}\r\nProc-Type: 4,ENCRYPTED\r\n\r\n{}\r\n", r(64)));
    text("a private key (OpenPGP)", format!("{a}BEGIN PGP PRIVATE KEY BLOCK{a}\n\n{}", lines(3)));
    text("a private key (PuTTY)", format!("PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{}\n", r(48)));
    text("a private key (OpenSSH)", format!("key = b3BlbnNzaC1rZXktdjE{}", r(200)));
    text("a private key (Base64)", format!("MIIEv{}IBADANBgkqhkiG9w0BAQEFAAS{}", "Q", r(400)));
    text("a private key (Base64)", format!("MIIEowIBAAKCAQEA{}", r(400)));
    text("a private key (Base64)", format!("MC4CAQAwBQYDK2VwBCIEI{}", r(43)));
    text("a private key (Base64)", format!("MHcCAQEEI{}", r(150)));
    text("a private key (age)", format!("AGE-SECRET-KEY-1{}", random(58, UPPER)));
    for (id, salt, hash) in
        [("y$j9T", 22, 43), ("gy$j9T", 22, 43), ("6", 16, 86), ("5", 16, 43), ("1", 8, 22), ("6$rounds=5000", 8, 86)]
    {
        text("the hash of a password", format!("root:${id}${}${}:1:", r(salt), r(hash)));
    }
    text("the hash of a password", format!("admin:$2b$12${}", r(53)));
    text("the hash of a password", format!("$argon2id$v=19$m=65536,t=3,p=4${}${}", r(22), r(43)));
    text("an AWS access key", format!("AKIA{}", random(16, UPPER)));
    text("a GitHub token", format!("token ghp_{}", r(36)));
    text("a GitHub token", format!("github_pat_{}", r(82)));
    text("a GitLab token", format!("glpat-{}", r(20)));
    text("a Slack token", format!("xoxb-{}", r(40)));
    text("a Google API key", format!("AIza{}", r(35)));
    text("a Stripe key", format!("sk_live_{}", r(24)));
    text("an npm token", format!("npm_{}", r(36)));
    text("a PyPI token", format!("pypi-AgEIcHlwaS5vcmc{}", r(120)));
    text("an API key", format!("sk-ant-{}", r(80)));
    text("a Docker token", format!("dckr_pat_{}", r(27)));
    text("a Vault token", format!("hvs.{}", r(90)));
    text("a DigitalOcean token", format!("dop_v1_{}", random(64, HEX)));
    text("a Proxmox token", format!("PVEAPIToken=root@pam!ci={}", "0f3c9a52-77d1-4e0b-9c6e-2b8d5a4f1e67"));
    text("a JSON web token", format!("Bearer eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", r(40), r(43)));
    let der = |head: &[u8], inner: &[u8], length: usize| [head, inner, r(length - inner.len()).as_bytes()].concat();
    let mut bytes = |inner: &[u8], length: usize| {
        let header = match length {
            n if n < 0x80 => vec![0x30, n as u8],
            n => vec![0x30, 0x82, (n >> 8) as u8, n as u8],
        };
        all.push(("a private key (DER)", [b"ELF\0", &der(&header, inner, length)[..], b"\0\0"].concat()));
    };
    bytes(b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04", 1213);
    bytes(b"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", 46);
    bytes(b"\x02\x01\x00\x02\x82\x01\x01\x00", 1187);
    all.push(("a private key (OpenSSH)", [&b"openssh-key-v1\0\0\0\0\x04none"[..], &[7; 80]].concat()));
    all
}

#[test]
fn every_kind_is_found() {
    for (kind, bytes) in every() {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(what(&bytes), Some(kind), "{shown}");
        // Somewhere in a large file, at every alignment of the packed search.
        for shift in 0..40 {
            let mut large = vec![b'\n'; 100_000 + shift];
            large.extend_from_slice(&bytes);
            large.extend_from_slice(&[b'\n'; 64]);
            let found = find(&large);
            assert_eq!(found.first().map(|f| f.what), Some(kind), "{shown} shifted by {shift}");
            assert!(found[0].at.start >= 99_900 && found[0].at.end <= large.len());
        }
    }
    assert!(signs::SIGNS.len() <= 64, "a packed searcher takes no more than 64");
    assert!(SEARCH.packed.is_some() || !cfg!(target_feature = "sse2"), "the fast search is not used");
}

#[test]
fn what_is_public_passes() {
    let (r, a) = (|n| random(n, ALNUM), "-----");
    for text in [
        format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{} anna@example", r(44)),
        format!("{a}BEGIN CERTIFICATE{a}\nMIID{}\n{a}END CERTIFICATE{a}\n", r(60)),
        format!("{a}BEGIN PUBLIC KEY{a}\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA{}\n", r(300)),
        format!("{a}BEGIN RSA PRIVATE KEY{a}\n...\n"),
        format!("{a}BEGIN %s PRIVATE KEY{a}\0{a}END %s PRIVATE KEY{a}"),
        "$6$salt$hash and $1$2".into(),
        "$y$j9T$".into(),
        "AKIAIOSFODNN7EXAMPLE".into(),
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".into(),
        format!("sha256:{}", random(64, HEX)),
        "52:54:00:12:34:56 0f3c9a52-77d1-4e0b-9c6e-2b8d5a4f1e67".into(),
        "root:*:20370:0:99999:7:::".into(),
    ] {
        assert_eq!(what(&text), None, "{text}");
        if !text.contains('\n') {
            assert_eq!(in_value(&text), None, "{text}");
        }
    }
}

#[test]
fn a_random_word_has_no_business_in_a_value() {
    for length in [32, 40, 43, 44, 64] {
        let word = random(length, &format!("{ALNUM}+/"));
        assert!(in_value(&word).is_some() && in_value(&format!("key is {word} now")).is_some(), "{word}");
    }
    for fine in [
        "/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so",
        "systemd.verity_root_options=restart-on-corruption",
        "linux-image-6.12.117+deb13-cloud-amd64=6.12.117-1",
        "org.freedesktop.systemd1.manage-unit-files",
        "https://snapshot.example/archive/debian/20250101T000000Z/",
        "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        "OrganizationalUnitDistinguishedNameAttribute2",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334/64",
    ] {
        assert_eq!(in_value(fine), None, "{fine}");
    }
}

#[test]
fn values_named_for_what_they_hold() {
    for line in [
        "password = hunter2hunter2",
        "  DB_PASSWORD=\"correct1horse\"",
        "\"api_key\": \"a1b2c3d4e5\",",
        "PrivateKey = aB3dEfGhIjKlMnOpQrStUvWxYz0123456789+/aBcDe=",
        "url = postgres://app:s3cret@db.example/app",
    ] {
        assert!(in_line(line).is_some(), "{line}");
    }
    for line in [
        "password = ",
        "password_file = /run/credentials/db1/password",
        "PASSWORD=${DB_PASSWORD_1}",
        "token_lifetime = 3600",
        "token = 3600s",
        "PasswordAuthentication no",
        "password\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt",
        "# password = hunter2hunter2",
        "secret = %{credential:db1}",
        "url = https://www.example/a:b@c",
        "ftp://user:password@host/",
    ] {
        assert_eq!(in_line(line), None, "{line}");
    }
}
