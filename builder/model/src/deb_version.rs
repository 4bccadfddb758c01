//! Debian versions and their order, as deb-version(7) defines it: `[epoch:]upstream-version[-debian-revision]`.

use std::cmp::Ordering;

/// Orders two versions as dpkg does. A version that breaks the syntax still has a place in the order; nothing panics.
pub fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (a, b) = (Parts::of(a), Parts::of(b));
    a.epoch
        .cmp(&b.epoch)
        .then_with(|| compare_part(a.upstream.as_bytes(), b.upstream.as_bytes()))
        .then_with(|| compare_part(a.revision.as_bytes(), b.revision.as_bytes()))
}

struct Parts<'a> {
    epoch: u64,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) => (epoch.trim().parse().unwrap_or(0), rest),
            None => (0, version),
        };
        // An absent revision is the same as the revision `0`, which the comparison gives without a special case.
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch, upstream, revision }
    }
}

/// Weight of a byte in a run of non-digits: `~` before the end of the part, the end before letters, letters before the rest.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    }
}

fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        // A run of non-digits …
        while a.first().is_some_and(|c| !c.is_ascii_digit()) || b.first().is_some_and(|c| !c.is_ascii_digit()) {
            match weight(a.first()).cmp(&weight(b.first())) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
            a = a.get(1..).unwrap_or(&[]);
            b = b.get(1..).unwrap_or(&[]);
        }
        // … then a run of digits, compared as numbers of any length.
        let (x, y) = (digits(&mut a), digits(&mut b));
        match x.len().cmp(&y.len()).then_with(|| x.cmp(y)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// Takes the leading digits, without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    *text = rest;
    &number[number.iter().position(|&c| c != b'0').unwrap_or(number.len())..]
}

/// Whether this is a version by deb-version(7): characters, epoch a number, upstream version starting with a digit.
pub fn is_valid(version: &str) -> bool {
    let (epoch, rest) = version.split_once(':').map_or((None, version), |(e, r)| (Some(e), r));
    let upstream = rest.rsplit_once('-').map_or(rest, |(u, _)| u);
    epoch.is_none_or(|e| !e.is_empty() && e.parse::<u32>().is_ok_and(|n| n <= i32::MAX as u32))
        && upstream.starts_with(|c: char| c.is_ascii_digit())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-:~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In ascending order; the second line is the sorted sequence deb-version(7) gives as its example.
    #[test]
    fn the_order_of_deb_version() {
        let ladders: [&[&str]; 6] = [
            &["0~", "0", "0+", "1~~", "1~~a", "1~", "1", "1a", "1+", "1.0"],
            &["~~", "~~a", "~", "", "a"],
            &[
                "1.0~rc1-1",
                "1.0-1",
                "1.0-1+b1",
                "1.0-1.1",
                "1.0-2",
                "1.0+dfsg-1",
                "1.0.1-1",
                "1.9-1",
                "1.10-1",
                "1:0.1-1",
            ],
            &["2.36-9+deb12u1", "2.36-9+deb12u10", "2.41-1~bpo12+1", "2.41-1"],
            &["1.2-3", "1.2-3-4", "1.2.3"],
            &["9.99999999999999999999998", "9.99999999999999999999999", "10", "99999999999999999999:0"],
        ];
        for ladder in ladders {
            for (i, a) in ladder.iter().enumerate() {
                for (j, b) in ladder.iter().enumerate() {
                    // The last ladder's epoch is beyond any number dpkg takes: only that it does not panic matters.
                    if !b.starts_with("99999999999999999999:") && !a.starts_with("99999999999999999999:") {
                        assert_eq!(compare(a, b), i.cmp(&j), "`{a}` against `{b}`");
                    }
                }
            }
        }
    }

    #[test]
    fn equal_though_written_differently() {
        for (a, b) in
            [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.0-0", "1.0-"), ("1.00", "1.0"), ("1.01", "1.1"), ("0:0-0", "0")]
        {
            assert_eq!(compare(a, b), Ordering::Equal, "`{a}` against `{b}`");
        }
    }

    #[test]
    fn what_is_a_version() {
        for good in ["1", "1.0-1", "1:2.0~rc1+dfsg-3~deb12u1", "0:1-0", "1-2-3"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a", ":1", "x:1", "-1", "1_2", "1 2", "4294967295:1", "1/2"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_total_order(a in "[0-9a-b.+~:-]{0,8}", b in "[0-9a-b.+~:-]{0,8}", c in "[0-9a-b.+~:-]{0,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
