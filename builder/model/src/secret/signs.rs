//! The signs: fixed strings that begin, or stand in, a secret, and what must stand around them.

use std::ops::Range;

/// A fixed string, and the judge of what it was found in: the secret's bytes when it is one.
pub(super) struct Sign {
    pub sign: &'static [u8],
    pub what: &'static str,
    pub judge: fn(&[u8], usize) -> Option<Range<usize>>,
}

const fn sign(sign: &'static [u8], what: &'static str, judge: fn(&[u8], usize) -> Option<Range<usize>>) -> Sign {
    Sign { sign, what, judge }
}

const PEM: &str = "a private key (PEM)";
const KEY64: &str = "a private key (Base64)";
const DER: &str = "a private key (DER)";
const HASH: &str = "the hash of a password";

/// At most 64, the longest list a packed searcher takes. RFC 7468 (PEM), 5208 and 8410 (PKCS #8), 8017 (PKCS #1), 5915 (EC);
/// OpenSSH's PROTOCOL.key; crypt(5); the rest are the forms their issuers publish so that scanners know them.
pub(super) const SIGNS: &[Sign] = &[
    sign(b"PRIVATE KEY-----", PEM, pem),
    sign(b"PRIVATE KEY BLOCK-----", "a private key (OpenPGP)", pem),
    sign(b"PuTTY-User-Key-File-", "a private key (PuTTY)", putty),
    sign(b"b3BlbnNzaC1rZXktdjE", "a private key (OpenSSH)", |b, at| base64(b, at, 100)),
    sign(b"openssh-key-v1\0\0\0\0", "a private key (OpenSSH)", |_, at| Some(at..at + 64)),
    // PKCS #8: version 0 and the algorithm's identifier behind the outer header
    sign(b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04", DER, |b, at| der(b, at, 4)),
    sign(b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06", DER, |b, at| der(b, at, 3)),
    sign(b"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", DER, |b, at| der(b, at, 2)),
    sign(b"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20", DER, |b, at| der(b, at, 2)),
    // PKCS #1: version 0 and a modulus of 2048 or 4096 bits
    sign(b"\x02\x01\x00\x02\x82\x01\x01\x00", DER, |b, at| der(b, at, 4)),
    sign(b"\x02\x01\x00\x02\x82\x02\x01\x00", DER, |b, at| der(b, at, 4)),
    // the same in Base64, where no label stands before them
    sign(b"IBADANBgkqhkiG9w0BAQEFAAS", KEY64, |b, at| after(b, at, b"MII", 6, 200)),
    sign(b"MIGHAgEAMBMGByqGSM49AgEG", KEY64, |b, at| base64(b, at, 100)),
    sign(b"MIG2AgEAMBAGByqGSM49AgEG", KEY64, |b, at| base64(b, at, 100)),
    sign(b"MC4CAQAwBQYDK2VwBCIEI", KEY64, |b, at| base64(b, at, 60)),
    sign(b"MC4CAQAwBQYDK2VuBCIEI", KEY64, |b, at| base64(b, at, 60)),
    sign(b"IBAAKCAQEA", KEY64, |b, at| after(b, at, b"MII", 6, 200)),
    sign(b"JKAIBAAKCAgEA", KEY64, |b, at| after(b, at, b"MI", 2, 200)),
    sign(b"MHcCAQEEI", KEY64, |b, at| base64(b, at, 120)),
    sign(b"AGE-SECRET-KEY-1", "a private key (age)", |b, at| run(b, at, 16, 58, 58, upper_digit)),
    // crypt(5)
    sign(b"$y$", HASH, |b, at| crypt(b, at, 3, 1..=16, 0..=86, 43)),
    sign(b"$gy$", HASH, |b, at| crypt(b, at, 4, 1..=16, 0..=86, 43)),
    sign(b"$7$", HASH, |b, at| crypt(b, at, 3, 0..=0, 11..=120, 43)),
    sign(b"$6$", HASH, |b, at| crypt(b, at, 3, 0..=0, 0..=40, 86)),
    sign(b"$5$", HASH, |b, at| crypt(b, at, 3, 0..=0, 0..=40, 43)),
    sign(b"$1$", HASH, |b, at| crypt(b, at, 3, 0..=0, 0..=8, 22)),
    sign(b"$apr1$", HASH, |b, at| crypt(b, at, 6, 0..=0, 0..=8, 22)),
    sign(b"$2a$", HASH, bcrypt),
    sign(b"$2b$", HASH, bcrypt),
    sign(b"$2y$", HASH, bcrypt),
    sign(b"$argon2", HASH, argon2),
    // tokens
    sign(b"AKIA", "an AWS access key", aws),
    sign(b"ASIA", "an AWS access key", aws),
    sign(b"ghp_", "a GitHub token", |b, at| run(b, at, 4, 36, 36, alnum)),
    sign(b"gho_", "a GitHub token", |b, at| run(b, at, 4, 36, 36, alnum)),
    sign(b"ghu_", "a GitHub token", |b, at| run(b, at, 4, 36, 36, alnum)),
    sign(b"ghs_", "a GitHub token", |b, at| run(b, at, 4, 36, 36, alnum)),
    sign(b"ghr_", "a GitHub token", |b, at| run(b, at, 4, 36, 76, alnum)),
    sign(b"github_pat_", "a GitHub token", |b, at| run(b, at, 11, 82, 82, word)),
    sign(b"glpat-", "a GitLab token", |b, at| run(b, at, 6, 20, 300, url)),
    sign(b"glrt-", "a GitLab token", |b, at| run(b, at, 5, 20, 300, url)),
    sign(b"xoxb-", "a Slack token", |b, at| run(b, at, 5, 24, 200, url)),
    sign(b"xoxp-", "a Slack token", |b, at| run(b, at, 5, 24, 200, url)),
    sign(b"xapp-", "a Slack token", |b, at| run(b, at, 5, 24, 200, url)),
    sign(b"AIza", "a Google API key", |b, at| run(b, at, 4, 35, 35, url)),
    sign(b"sk_live_", "a Stripe key", |b, at| run(b, at, 8, 24, 200, alnum)),
    sign(b"rk_live_", "a Stripe key", |b, at| run(b, at, 8, 24, 200, alnum)),
    sign(b"npm_", "an npm token", |b, at| run(b, at, 4, 36, 36, alnum)),
    sign(b"pypi-AgEIcHlwaS5vcmc", "a PyPI token", |b, at| run(b, at, 5, 80, 400, url)),
    sign(b"sk-ant-", "an API key", |b, at| run(b, at, 7, 40, 200, url)),
    sign(b"sk-proj-", "an API key", |b, at| run(b, at, 8, 40, 300, url)),
    sign(b"dckr_pat_", "a Docker token", |b, at| run(b, at, 9, 27, 60, url)),
    sign(b"hvs.", "a Vault token", |b, at| run(b, at, 4, 24, 300, url)),
    sign(b"dop_v1_", "a DigitalOcean token", |b, at| run(b, at, 7, 64, 64, |c| c.is_ascii_hexdigit())),
    sign(b"tskey-", "a Tailscale key", |b, at| run(b, at, 6, 20, 100, url)),
    sign(b"PVEAPIToken=", "a Proxmox token", proxmox),
    sign(b"AccountKey=", "an Azure key", |b, at| run(b, at, 11, 86, 88, digit64)),
    sign(b"eyJ", "a JSON web token", jwt),
];

fn alnum(c: u8) -> bool {
    c.is_ascii_alphanumeric()
}
fn word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}
fn url(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'-'
}
fn upper_digit(c: u8) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}
fn digit64(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"+/=".contains(&c)
}
fn crypt_digit(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'.' || c == b'/'
}

fn length(bytes: &[u8], at: usize, allowed: impl Fn(u8) -> bool) -> usize {
    bytes[at.min(bytes.len())..].iter().take_while(|&&c| allowed(c)).count()
}

/// Is the character before this one no part of the same word?
fn begins(bytes: &[u8], at: usize) -> bool {
    at == 0 || !alnum(bytes[at - 1])
}

/// A prefix at the beginning of a word, and so many characters behind it. Examples in documentation repeat themselves:
/// what has fewer different characters than chance would leave is none.
fn run(
    bytes: &[u8],
    at: usize,
    prefix: usize,
    least: usize,
    most: usize,
    allowed: fn(u8) -> bool,
) -> Option<Range<usize>> {
    let start = at + prefix;
    let count = length(bytes, start, allowed);
    let end = start + count;
    (begins(bytes, at) && (least..=most).contains(&count) && varied(&bytes[start..end])).then_some(at..end)
}

/// Random text of some length has at least a third as many different characters, up to eight.
fn varied(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    bytes.iter().for_each(|&b| seen[b as usize] = true);
    seen.iter().filter(|&&s| s).count() >= (bytes.len() / 3).min(8)
}

/// The label's end was found: it begins with `-----BEGIN `, and among the next lines is one of Base64.
fn pem(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let label = bytes[at.saturating_sub(40)..at].windows(11).rposition(|w| w == b"-----BEGIN ")?;
    let start = at.saturating_sub(40) + label;
    if bytes[start..at].contains(&b'\n') {
        return None;
    }
    let rest = &bytes[at..bytes.len().min(at + super::REACH / 2)];
    let line = |l: &[u8]| {
        // In a program's text the lines of a key may end in an escaped newline, JSON's, C's or Python's, each in its quotes.
        let l = l.trim_ascii();
        l.len() >= 40 && l.iter().all(|&b| digit64(b)) && varied(l)
    };
    let body = rest.iter().position(|&b| b == b'\n' || b == b'\\')?;
    let lines = rest[body..].split(|&b| matches!(b, b'\n' | b'\\' | b'"' | b'\''));
    lines.map(|l| l.strip_prefix(b"n").unwrap_or(l)).take(16).any(line).then_some(())?;
    let end = rest.windows(9).position(|w| w == b"-----END ").unwrap_or(rest.len());
    Some(start..at + end)
}

/// The rest of a Base64 text, lines joined, from `at`: so many digits at least.
fn base64(bytes: &[u8], at: usize, least: usize) -> Option<Range<usize>> {
    let fold = |c: u8| digit64(c) || matches!(c, b'\n' | b'\r');
    let count = length(&bytes[..bytes.len().min(at + super::REACH / 2)], at, fold);
    let digits = bytes[at..at + count].iter().filter(|&&c| digit64(c)).count();
    (digits >= least && varied(&bytes[at..at + count])).then_some(at..at + count)
}

/// The same for a sign that stands inside it, behind a fixed beginning.
fn after(bytes: &[u8], at: usize, begin: &[u8], before: usize, least: usize) -> Option<Range<usize>> {
    let start = at.checked_sub(before)?;
    if bytes[start..].starts_with(begin) { base64(bytes, start, least) } else { None }
}

/// ITU-T X.690: a SEQUENCE whose header of `header` bytes stands before, as long as it says, and inside these bytes.
fn der(bytes: &[u8], at: usize, header: usize) -> Option<Range<usize>> {
    // The length's form is not known before it is read: the smallest header that fits counts.
    [2, 3, 4].into_iter().filter(|&h| h >= 2 && (h == header || header == 3)).find_map(|h| {
        let start = at.checked_sub(h)?;
        let b = &bytes[start..];
        let length = match (h, b[1]) {
            (2, n @ 0x20..=0x7f) => usize::from(n),
            (3, 0x81) => usize::from(b[2]),
            (4, 0x82) => usize::from(b[2]) << 8 | usize::from(b[3]),
            _ => return None,
        };
        let end = start + h + length;
        (b[0] == 0x30 && length >= 0x20 && end <= bytes.len() && varied(&bytes[at..end])).then_some(start..end)
    })
}

fn putty(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &bytes[at..bytes.len().min(at + 4096)];
    let private = rest.windows(15).position(|w| w == b"Private-Lines: ")?;
    (rest[20].is_ascii_digit() && rest.get(private + 15)?.is_ascii_digit()).then_some(at..at + rest.len())
}

/// `$ID$[PARAMETERS$][SALT]$HASH` with a hash of an exact length.
fn crypt(
    bytes: &[u8],
    at: usize,
    prefix: usize,
    parameters: std::ops::RangeInclusive<usize>,
    salt: std::ops::RangeInclusive<usize>,
    hash: usize,
) -> Option<Range<usize>> {
    let mut next = at + prefix;
    if *parameters.end() > 0 {
        let count = length(bytes, next, crypt_digit);
        if !parameters.contains(&count) || bytes.get(next + count) != Some(&b'$') {
            return None;
        }
        next += count + 1;
    }
    if bytes[next.min(bytes.len())..].starts_with(b"rounds=") {
        next += 7;
        next += length(bytes, next, |c| c.is_ascii_digit()) + 1;
    }
    let count = length(bytes, next, crypt_digit);
    if !salt.contains(&count) || bytes.get(next + count) != Some(&b'$') {
        return None;
    }
    next += count + 1;
    let count = length(bytes, next, crypt_digit);
    (count == hash && varied(&bytes[next..next + count])).then_some(at..next + count)
}

fn bcrypt(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let cost = bytes.get(at + 4..at + 7)?;
    let count = length(bytes, at + 7, crypt_digit);
    let fine = cost[0].is_ascii_digit() && cost[1].is_ascii_digit() && cost[2] == b'$' && count == 53;
    (fine && varied(&bytes[at + 7..at + 60])).then_some(at..at + 60)
}

/// `$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH`, the reference implementation's encoding.
fn argon2(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let count = length(&bytes[..bytes.len().min(at + 400)], at, |c| c.is_ascii_graphic() && !b"\"'`:".contains(&c));
    let fields: Vec<&[u8]> = bytes[at..at + count].split(|&b| b == b'$').collect();
    let [_, _, .., salt, hash] = fields.as_slice() else { return None };
    let long = |f: &[u8], least| f.len() >= least && f.iter().all(|&c| digit64(c));
    (fields.len() >= 5 && long(salt, 11) && long(hash, 22) && varied(hash)).then_some(at..at + count)
}

fn aws(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let found = run(bytes, at, 4, 16, 16, upper_digit)?;
    // AWS's own examples end so.
    (!bytes[found.clone()].ends_with(b"EXAMPLE") && !bytes.get(found.end).is_some_and(|&c| alnum(c))).then_some(found)
}

/// `USER@REALM!NAME=UUID`, or the same with a colon in a program's own notation.
fn proxmox(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let count = length(&bytes[..bytes.len().min(at + 200)], at, |c| c.is_ascii_graphic() && !b"\"'`".contains(&c));
    let text = std::str::from_utf8(&bytes[at..at + count]).ok()?;
    let (who, uuid) = text.rsplit_once(['=', ':'])?;
    let hex = uuid.len() == 36 && uuid.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-') && varied(uuid.as_bytes());
    (hex && who.contains('@') && who.contains('!')).then_some(at..at + count)
}

/// RFC 7519 in the compact form of RFC 7515: three parts, the first `{"alg":…}` in Base64.
fn jwt(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let count = length(&bytes[..bytes.len().min(at + super::REACH / 2)], at, |c| url(c) || c == b'.');
    let parts: Vec<&[u8]> = bytes[at..at + count].split(|&b| b == b'.').collect();
    let [head, body, signature] = parts.as_slice() else { return None };
    let header = decode(head);
    let names = |wanted: &[u8]| header.windows(wanted.len()).any(|w| w == wanted);
    let fine = begins(bytes, at) && body.starts_with(b"eyJ") && signature.len() >= 40 && varied(signature);
    (fine && names(b"\"alg\"") && !names(b"\"none\"")).then_some(at..at + count)
}

/// Base64 of RFC 4648 §5, as far as it goes.
fn decode(text: &[u8]) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' | b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for four in text.chunks(4) {
        let n = four.iter().fold(0u32, |n, &c| n << 6 | u32::from(value(c))) << (6 * (4 - four.len()));
        out.extend_from_slice(&n.to_be_bytes()[1..four.len().max(1)]);
    }
    out
}
