//! Cargo.lock against the table of advisories: which crate, at the version that is locked, has a known fault.

pub mod table;

use semver::{Comparator, Op, Version, VersionReq};
use serde::Deserialize;
use std::collections::BTreeMap;
use table::{Advisory, Table};

/// A Cargo.lock, as far as it matters here.
#[derive(Deserialize)]
struct CargoLock {
    package: Vec<Package>,
}

/// A locked crate.
#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: Version,
    source: Option<String>,
}

/// The crates of a Cargo.lock that are not our own.
pub fn locked(text: &str) -> Vec<Package> {
    let lock: CargoLock = toml::from_str(text).expect("Cargo.lock is TOML");
    lock.package.into_iter().filter(|p| p.source.is_some()).collect()
}

/// The `[advisories] ignore` of deny.toml: id → reason.
pub fn excused(text: &str) -> BTreeMap<String, String> {
    let policy: toml::Table = toml::from_str(text).expect("deny.toml is TOML");
    let ignored = policy["advisories"]["ignore"].as_array().expect("a list").iter();
    let field = |entry: &toml::Value, name: &str| {
        entry.get(name).and_then(toml::Value::as_str).unwrap_or_else(|| panic!("{entry} has no {name}")).to_owned()
    };
    ignored.map(|entry| (field(entry, "id"), field(entry, "reason"))).collect()
}

/// Every (crate, advisory) that applies to these crates.
pub fn found<'a>(packages: &'a [Package], table: &'a Table) -> Vec<(&'a Package, &'a Advisory)> {
    let of = |p: &'a Package| table.advisories.iter().filter(|a| a.package == p.name && applies(a, &p.version));
    packages.iter().flat_map(|p| of(p).map(move |a| (p, a))).collect()
}

fn applies(advisory: &Advisory, version: &Version) -> bool {
    !advisory.patched.iter().chain(&advisory.unaffected).any(|requirement| meets(requirement, version))
}

/// Whether a version lies in a range. Cargo's own matching leaves pre-releases out unless they are named; here they
/// are versions like any other, in semver's order, as the database means them.
fn meets(requirement: &str, version: &Version) -> bool {
    let range = VersionReq::parse(requirement).unwrap_or_else(|e| panic!("`{requirement}`: {e}"));
    range.comparators.iter().all(|c| {
        let (low, next) = bounds(c);
        match c.op {
            Op::Greater if c.patch.is_none() => *version >= next,
            Op::Greater => *version > low,
            Op::GreaterEq => *version >= low,
            Op::Less => *version < low,
            Op::LessEq if c.patch.is_none() => *version < next,
            Op::LessEq => *version <= low,
            Op::Exact if c.patch.is_some() => *version == low,
            Op::Exact | Op::Tilde | Op::Caret | Op::Wildcard => (low..next).contains(version),
            other => panic!("`{requirement}`: an operator that this test does not know: {other:?}"),
        }
    })
}

/// The first version that a comparator names, and the first one after all it stands for.
fn bounds(c: &Comparator) -> (Version, Version) {
    let (minor, patch) = (c.minor.unwrap_or(0), c.patch.unwrap_or(0));
    let mut low = Version::new(c.major, minor, patch);
    low.pre = c.pre.clone();
    let fixed = match c.op {
        // What the left-most number that is not zero allows to change.
        Op::Caret if c.major > 0 || c.minor.is_none() => 1,
        Op::Caret if minor > 0 || c.patch.is_none() => 2,
        Op::Caret => 3,
        Op::Tilde if c.minor.is_some() => 2,
        _ => 1 + usize::from(c.minor.is_some()) + usize::from(c.patch.is_some()),
    };
    let next = match fixed {
        1 => Version::new(c.major + 1, 0, 0),
        2 => Version::new(c.major, minor + 1, 0),
        _ => Version::new(c.major, minor, patch + 1),
    };
    (low, next)
}

#[test]
fn ranges_as_the_database_means_them() {
    for (requirement, inside, outside) in [
        (">= 1.2.3", vec!["1.2.3", "2.0.0", "1.3.0-alpha.1"], vec!["1.2.2", "1.2.3-rc.1"]),
        ("> 0.8.2", vec!["0.8.3"], vec!["0.8.2", "0.8.2-rc.1"]),
        ("> 0.8", vec!["0.9.0"], vec!["0.8.0", "0.8.9"]),
        ("< 0.3.5", vec!["0.3.4", "0.3.5-rc.1"], vec!["0.3.5"]),
        ("<= 0.3", vec!["0.3.9"], vec!["0.4.0"]),
        (">= 0.4.38, < 0.5", vec!["0.4.38"], vec!["0.4.37", "0.5.0"]),
        ("^0.4.2", vec!["0.4.2", "0.4.9"], vec!["0.4.1", "0.5.0"]),
        ("^1.2", vec!["1.2.0", "1.9.0"], vec!["1.1.9", "2.0.0"]),
        ("^0.0.3", vec!["0.0.3"], vec!["0.0.4"]),
        ("=1.0.1", vec!["1.0.1"], vec!["1.0.2"]),
        ("~1.2", vec!["1.2.9"], vec!["1.3.0"]),
    ] {
        let version = |text: &str| Version::parse(text).expect("a version");
        inside.iter().for_each(|v| assert!(meets(requirement, &version(v)), "{v} is in {requirement}"));
        outside.iter().for_each(|v| assert!(!meets(requirement, &version(v)), "{v} is not in {requirement}"));
    }
}
