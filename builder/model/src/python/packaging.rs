//! The answers of `packaging`, the library that pip uses, and ours. `packaging/make.py` has written them with version 26.4 of
//! it, from versions and clauses by chance and the markers of eighty popular distributions.

use super::*;

const ANSWERS: &str = include_str!("packaging/answers.txt");

#[test]
fn packaging_gives_the_same_answers() {
    let python = Python { minor: 13, full: "3.13.5".into(), glibc: 41 };
    let version = |text: &str| Version::parse(text).unwrap_or_else(|e| panic!("{e}"));
    let (mut seen, mut last, mut other) = (0, None, Vec::new());
    for line in ANSWERS.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let (expected, ours) = match words[..] {
            ["version", text, normal] => (normal, Version::parse(text).map_or(String::new(), |v| v.to_string())),
            ["order", one, other, order] => (order, (version(one).cmp(&version(other)) as i8).to_string()),
            ["clause", clause, candidate, answer] => {
                let contains = |all: Specifiers| all.contain(&version(candidate)).to_string();
                (answer, Specifiers::parse(clause).map_or(String::new(), contains))
            }
            ["marker", marker, extra, answer] => {
                let ours = Marker::parse(marker).and_then(|marker| marker.is_true(&python, extra));
                (answer, ours.map_or_else(|e| e, |o| o.to_string()))
            }
            // Better ones first.
            ["tag", tags] => {
                let rank = WheelName::parse(&format!("a-1-{tags}.whl")).ok().and_then(|name| name.rank(&python));
                let behind = rank.is_some() && rank > last;
                last = rank;
                ("true", behind.to_string())
            }
            _ => panic!("{line}"),
        };
        seen += 1;
        if !ours.eq_ignore_ascii_case(expected) {
            other.push(format!("{line}: {ours}"));
        }
    }
    assert!(seen > 2500, "only {seen} answers");
    assert!(other.is_empty(), "{} of {seen}: {:#?}", other.len(), &other[..other.len().min(10)]);
}
