//! Versions of distributions: PEP 440.

use std::cmp::Ordering;
use std::fmt;

/// A version. Two that PEP 440 counts as the same are equal: `1.0` and `1.0.0`.
#[derive(Debug, Clone)]
pub struct Version {
    epoch: u64,
    release: Vec<u64>,
    pre: Option<(Phase, u64)>,
    post: Option<u64>,
    dev: Option<u64>,
    local: Vec<String>,
}

/// The phases before a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Alpha,
    Beta,
    Candidate,
}

/// How many numbers a version may have: more than any has.
const MOST: usize = 32;

impl Version {
    /// Reads one, in every spelling that PEP 440 allows. Error: a cause in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a version of PEP 440", text.escape_debug());
        let lower = text.trim().to_ascii_lowercase();
        let mut rest = Rest(lower.strip_prefix('v').unwrap_or(&lower));
        let mut version = Self { epoch: 0, release: Vec::new(), pre: None, post: None, dev: None, local: Vec::new() };
        let first = rest.number().ok_or_else(wrong)?;
        match rest.take("!") {
            true => {
                version.epoch = first;
                version.release.push(rest.number().ok_or_else(wrong)?);
            }
            false => version.release.push(first),
        }
        while rest.0.starts_with('.') && rest.0[1..].starts_with(|c: char| c.is_ascii_digit()) {
            rest.take(".");
            version.release.push(rest.number().ok_or_else(wrong)?);
            if version.release.len() > MOST {
                return Err(wrong());
            }
        }
        // The longer spellings first: `post` begins as `p…` does, `rev` as `r`.
        let phases = [
            ("alpha", Phase::Alpha),
            ("beta", Phase::Beta),
            ("preview", Phase::Candidate),
            ("pre", Phase::Candidate),
            ("rc", Phase::Candidate),
            ("a", Phase::Alpha),
            ("b", Phase::Beta),
            ("c", Phase::Candidate),
        ];
        version.pre = phases.iter().find_map(|(word, phase)| Some((*phase, rest.part(word)?)));
        version.post = ["post", "rev", "r"].iter().find_map(|word| rest.part(word));
        if version.post.is_none() && rest.0.starts_with('-') && rest.0[1..].starts_with(|c: char| c.is_ascii_digit()) {
            rest.take("-");
            version.post = Some(rest.number().ok_or_else(wrong)?);
        }
        version.dev = rest.part("dev");
        if rest.take("+") {
            let parts = rest.0.split(['.', '-', '_']);
            version.local = parts.map(str::to_owned).collect();
            let plain = |part: &String| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
            if version.local.len() > MOST || !version.local.iter().all(plain) {
                return Err(wrong());
            }
            rest = Rest("");
        }
        if rest.0.is_empty() { Ok(version) } else { Err(wrong()) }
    }

    /// The numbers of the release.
    pub(super) fn release(&self) -> &[u64] {
        &self.release
    }

    /// Epoch and release alone.
    pub(super) fn base(&self) -> Self {
        Self { pre: None, post: None, dev: None, local: Vec::new(), ..self.clone() }
    }

    /// Without what somebody built into it locally (`+…`).
    pub(super) fn public(&self) -> Self {
        Self { local: Vec::new(), ..self.clone() }
    }

    /// The version that this is a later edition (`.post1`) of.
    pub(super) fn before_post(&self) -> Self {
        Self { post: None, dev: None, local: Vec::new(), ..self.clone() }
    }

    /// The first numbers of the release, with the epoch.
    pub(super) fn first(&self, numbers: usize) -> Self {
        let release = self.release.iter().copied().chain(std::iter::repeat(0)).take(numbers).collect();
        Self { release, ..self.base() }
    }

    pub(super) fn is_local(&self) -> bool {
        !self.local.is_empty()
    }

    pub(super) fn is_post(&self) -> bool {
        self.post.is_some()
    }

    pub(super) fn is_before_release(&self) -> bool {
        self.pre.is_some() || self.dev.is_some()
    }

    /// What orders versions: PEP 440, "Summary of permitted suffixes and relative ordering".
    fn key(&self) -> impl Ord {
        let zeros = self.release.iter().rev().take_while(|n| **n == 0).count();
        let release = self.release[..self.release.len() - zeros].to_vec();
        let pre = match (self.pre, self.post, self.dev) {
            (Some((phase, number)), ..) => (phase as u8 + 1, number),
            // 1.0.dev1 comes before 1.0a1.
            (None, None, Some(_)) => (0, 0),
            (None, ..) => (4, 0),
        };
        let post = self.post.map_or((0, 0), |n| (1, n));
        let dev = self.dev.map_or((1, 0), |n| (0, n));
        let local: Vec<(bool, u64, String)> = self
            .local
            .iter()
            .map(|part| part.parse::<u64>().map_or_else(|_| (false, 0, part.clone()), |n| (true, n, String::new())))
            .collect();
        (self.epoch, release, pre, post, dev, local)
    }
}

/// What is left to read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn take(&mut self, word: &str) -> bool {
        match self.0.strip_prefix(word) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let number = self.0[..end].parse().ok()?;
        self.0 = &self.0[end..];
        Some(number)
    }

    /// A separator, the word, a separator, a number; the number and the separators may be missing.
    fn part(&mut self, word: &str) -> Option<u64> {
        let separated = |text: &str| text.starts_with(['.', '-', '_']);
        let after = if separated(self.0) { &self.0[1..] } else { self.0 };
        let mut inner = Rest(after.strip_prefix(word)?);
        if separated(inner.0) {
            inner.0 = &inner.0[1..];
        }
        let number = if inner.0.starts_with(|c: char| c.is_ascii_digit()) { inner.number()? } else { 0 };
        self.0 = inner.0;
        Some(number)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Version {}
impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// The normal form, PEP 440 "Normalization".
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch > 0 {
            write!(f, "{}!", self.epoch)?;
        }
        let release: Vec<String> = self.release.iter().map(u64::to_string).collect();
        f.write_str(&release.join("."))?;
        if let Some((phase, number)) = self.pre {
            let word = match phase {
                Phase::Alpha => "a",
                Phase::Beta => "b",
                Phase::Candidate => "rc",
            };
            write!(f, "{word}{number}")?;
        }
        if let Some(number) = self.post {
            write!(f, ".post{number}")?;
        }
        if let Some(number) = self.dev {
            write!(f, ".dev{number}")?;
        }
        if !self.local.is_empty() {
            let parts: Vec<String> =
                self.local.iter().map(|p| p.parse::<u64>().map_or_else(|_| p.clone(), |n| n.to_string())).collect();
            write!(f, "+{}", parts.join("."))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn every_spelling_has_one_normal_form() {
        for (text, normal) in [
            ("1.0", "1.0"),
            ("v1.0", "1.0"),
            (" 1.0 ", "1.0"),
            ("1.1RC1", "1.1rc1"),
            ("1.1-alpha.2", "1.1a2"),
            ("1.1_beta", "1.1b0"),
            ("1.1c3", "1.1rc3"),
            ("1.1pre4", "1.1rc4"),
            ("1.0-1", "1.0.post1"),
            ("1.0.r4", "1.0.post4"),
            ("1.0.rev", "1.0.post0"),
            ("1.0post", "1.0.post0"),
            ("1.2dev", "1.2.dev0"),
            ("1.2rc1.post2.dev3", "1.2rc1.post2.dev3"),
            ("1.0rcdev1", "1.0rc0.dev1"),
            ("1.0.a--dev3", "1.0a0.dev3"),
            ("2!1.0", "2!1.0"),
            ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
            ("1.0+008", "1.0+8"),
            ("2011k", ""),
            ("1.0ab1", ""),
            ("1.0candidate", ""),
            ("1.0.", ""),
            ("", ""),
            ("1..0", ""),
            ("1.0+", ""),
            ("1.0+a..b", ""),
            ("1!", ""),
            ("99999999999999999999999", ""),
            ("1.0 2", ""),
            ("a1", ""),
            ("1.*", ""),
        ] {
            match normal {
                "" => assert!(Version::parse(text).is_err(), "{text}"),
                normal => assert_eq!(version(text).to_string(), normal),
            }
        }
    }

    /// The order that PEP 440 gives as an example, and a little more.
    #[test]
    fn versions_are_ordered_as_the_specification_says() {
        let ordered = [
            "1.dev0",
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.0.15",
            "1.1.dev1",
            "1!0.1",
        ];
        for (i, one) in ordered.iter().enumerate() {
            for (j, other) in ordered.iter().enumerate() {
                assert_eq!(version(one).cmp(&version(other)), i.cmp(&j), "{one} and {other}");
            }
        }
        assert_eq!(version("1.0"), version("1.0.0"));
        assert_eq!(version("1.0a"), version("1.0alpha0"));
        assert_ne!(version("1.0"), version("1.0+1"));
    }
}
