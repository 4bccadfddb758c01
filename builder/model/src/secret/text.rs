//! Secrets in text that a person wrote: random words, and values of keys that are named for what they hold.

use super::Finding;
use std::ops::Range;

/// Shortest random word that is taken for a secret: 24 random bytes in Base64, the least that key generators give.
const SHORTEST: usize = 32;

/// A secret in the value of a field, which asks for a name, a path, a sentence: also a word that only chance could have
/// written. Public keys, digests, addresses and identifiers pass.
pub fn in_value(text: &str) -> Option<Finding> {
    let url = || url_passwords(text).next().map(|at| Finding { what: URL, at });
    super::find(text.as_bytes()).into_iter().next().or_else(url).or_else(|| {
        let at = words(text).find(|word| random(&text[word.clone()]) && !public(text, word.start))?;
        Some(Finding { what: "a random text, like a key or a token", at })
    })
}

const URL: &str = "a password in a URL";

/// A secret in one line of a configuration file: the value of a key whose name says so, or a password in a URL.
pub fn in_line(line: &str) -> Option<Finding> {
    named(line).or_else(|| in_url(line))
}

/// Words of Base64 digits, both alphabets.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let digit = |c: u8| c.is_ascii_alphanumeric() || b"+/=-_".contains(&c);
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().position(|&c| digit(c))?;
        let start = at;
        at += bytes[at..].iter().take_while(|&&c| digit(c)).count();
        Some(start..at)
    })
    .filter(|word| word.len() >= SHORTEST)
}

/// Chance changes between upper case, lower case and digits at more than every second character and seldom repeats one;
/// names, paths and sentences do neither.
fn random(word: &str) -> bool {
    // A UUID, or a digest's beginning, is a name.
    let hex = |part: &&str| part.len() >= 4 && part.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    let word = word.trim_end_matches('=').split('-').filter(|part| !hex(part)).collect::<Vec<_>>().join("-");
    if word.len() < SHORTEST {
        return false;
    }
    let class = |c: u8| match c {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let classes: Vec<u8> = word.bytes().map(class).collect();
    let all = [0, 1, 2].iter().all(|c| classes.contains(c));
    let changes = classes.windows(2).filter(|w| w[0] != w[1]).count();
    let mut count = [0usize; 256];
    word.bytes().for_each(|b| count[b as usize] += 1);
    let share = |n: usize| n as f64 / word.len() as f64;
    let bits: f64 = count.iter().filter(|&&n| n > 0).map(|&n| -share(n) * share(n).log2()).sum();
    // Many short words in one name change case as often, but hold few digits.
    let digits = classes.iter().filter(|&&c| c == 2).count();
    let changing = changes * 2 >= word.len() || (changes * 5 >= word.len() * 2 && digits >= 4);
    all && changing && bits >= 4.2
}

/// What stands before a word can say that it is public: a digest's name. SSH's public keys begin with the length of
/// their type, three zero bytes.
fn public(text: &str, start: usize) -> bool {
    let digest = ["sha1", "sha256", "sha384", "sha512", "md5"];
    let word = &text[start..];
    let before = text[..start].trim_end_matches([':', '-', '=']).to_ascii_lowercase();
    let named = digest.iter().any(|d| before.ends_with(d) || word.to_ascii_lowercase().starts_with(&format!("{d}-")));
    named || word.starts_with("AAAA")
}

/// Ends of names that only a secret has.
const NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secret_key",
    "secretkey",
    "secret_access_key",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "privatekey",
    "presharedkey",
];

/// Is this the name of something that holds a secret?
pub fn names_one(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    NAMES.iter().any(|n| name.ends_with(n))
}

/// `NAME = VALUE`, `NAME: VALUE`, `"NAME": "VALUE"`: a value of eight characters or more with letters and digits, that is
/// no path, no placeholder and no other name.
fn named(line: &str) -> Option<Finding> {
    let trimmed = line.trim_start();
    if trimmed.starts_with(['#', ';']) || trimmed.starts_with("//") {
        return None;
    }
    let split = line.find(['=', ':'])?;
    if !names_one(line[..split].trim().trim_matches(['"', '\''])) {
        return None;
    }
    let rest = &line[split + 1..];
    let value = rest.trim().trim_end_matches([',', ';']).trim_matches(['"', '\'']);
    let placeholder = value.starts_with(['/', '.', '$', '%', '<', '{', '@', '!']) || value.contains("${");
    let kinds = [char::is_alphabetic as fn(char) -> bool, |c| c.is_ascii_digit()];
    let fine = value.chars().count() >= 8 && kinds.iter().all(|k| value.contains(*k)) && !value.contains(' ');
    // A number with a unit, a duration, is a setting of tokens, not one.
    let amount =
        value.starts_with(|c: char| c.is_ascii_digit()) && value.len() < 12 && value.ends_with(char::is_alphabetic);
    let start = split + 1 + rest.find(value).unwrap_or(0);
    (fine && !placeholder && !amount)
        .then_some(Finding { what: "a password or key, by its name", at: start..start + value.len() })
}

/// In an overlay's file, which may be an example: `user:password@` is one.
fn in_url(line: &str) -> Option<Finding> {
    let example = |password: &str| password.starts_with(['%', '*']) || password.len() < 3 || password == "password";
    let at = url_passwords(line).find(|at| !example(&line[at.clone()]))?;
    Some(Finding { what: URL, at })
}

/// The password of every `SCHEME://USER:PASSWORD@HOST`, RFC 3986 §3.2.1, but no placeholder.
fn url_passwords(text: &str) -> impl Iterator<Item = Range<usize>> {
    userinfo(text).filter_map(|at| {
        let (user, password) = text[at.clone()].split_once(':')?;
        let placeholder = password.is_empty() || password.starts_with(['$', '<', '{']);
        (!placeholder).then_some(at.start + user.len() + 1..at.end)
    })
}

/// What stands before the `@` of every URL.
pub fn userinfo(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, sign)| {
        let authority = &text[at + sign.len()..];
        let authority = &authority[..authority.find(['/', ' ', '"', '\'', '>']).unwrap_or(authority.len())];
        Some(at + sign.len()..at + sign.len() + authority.rfind('@')?)
    })
}
