//! One vulnerability of one source package in one release: which versions have it, and which one no longer does.

use diorite_model::deb_version::compare;
use std::cmp::Ordering;

/// A vulnerability of a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// `CVE-2025-1234`.
    pub id: String,
    /// What it is, in one line; empty where nothing is said.
    pub summary: String,
    /// How pressing it is, in the data's own words; empty where nothing is said.
    pub urgency: String,
    /// Whether it has been found out that the package has it at all.
    pub undetermined: bool,
    /// Versions that have it.
    pub affected: Vec<AffectedRange>,
    /// Further versions that have it, one by one.
    pub versions: Vec<String>,
}

/// Versions from one to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AffectedRange {
    /// The first that has it; none: all before.
    pub from: Option<String>,
    /// The first that no longer has it; none: nobody has mended it.
    pub fixed: Option<String>,
    /// The last that has it, where that is what is known.
    pub last: Option<String>,
    /// Whether the release offers a version that no longer has it.
    pub offered: bool,
}

/// What an advisory means for a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consequence {
    /// It does not have it, or no longer.
    None,
    /// It has it, and the release has no better one.
    Open,
    /// It has it; this version, which the release offers, does not.
    Fixable(String),
    /// Nobody knows.
    Undetermined,
}

impl AffectedRange {
    fn holds(&self, version: &str) -> bool {
        let at_least = |bound: &String| bound == "0" || compare(version, bound) != Ordering::Less;
        self.from.as_ref().is_none_or(at_least)
            && self.fixed.as_ref().is_none_or(|fixed| compare(version, fixed) == Ordering::Less)
            && self.last.as_ref().is_none_or(|last| compare(version, last) != Ordering::Greater)
    }
}

impl Advisory {
    /// What it means for this version of the source package.
    pub fn consequence(&self, version: &str) -> Consequence {
        if self.undetermined {
            return Consequence::Undetermined;
        }
        let holding: Vec<_> = self.affected.iter().filter(|range| range.holds(version)).collect();
        if holding.is_empty() && !self.versions.iter().any(|v| compare(v, version) == Ordering::Equal) {
            return Consequence::None;
        }
        if holding.iter().any(|range| range.fixed.is_none() || !range.offered) {
            return Consequence::Open;
        }
        // What holds two ranges is mended by the version that ends both; of a version that is only in the list, the next end counts.
        let order = |a: &&String, b: &&String| compare(a, b);
        let ends = self.affected.iter().filter(|range| range.offered).filter_map(|range| range.fixed.as_ref());
        let next = || ends.filter(|fixed| compare(fixed, version) == Ordering::Greater).min_by(order);
        match holding.iter().filter_map(|range| range.fixed.as_ref()).max_by(order).or_else(next) {
            Some(fixed) => Consequence::Fixable(fixed.clone()),
            None => Consequence::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advisory(affected: &[(Option<&str>, Option<&str>, bool)], versions: &[&str]) -> Advisory {
        let range = |(from, fixed, offered): &(Option<&str>, Option<&str>, bool)| AffectedRange {
            from: from.map(str::to_owned),
            fixed: fixed.map(str::to_owned),
            last: None,
            offered: *offered,
        };
        Advisory {
            id: "CVE-2025-1".into(),
            summary: String::new(),
            urgency: String::new(),
            undetermined: false,
            affected: affected.iter().map(range).collect(),
            versions: versions.iter().map(|v| (*v).to_owned()).collect(),
        }
    }

    #[test]
    fn versions_are_ordered_as_debian_does() {
        let fixed = |v: &str| Consequence::Fixable(v.to_owned());
        let one = advisory(&[(Some("0"), Some("1.10-1+deb13u1"), true)], &[]);
        assert_eq!(one.consequence("1.9-1"), fixed("1.10-1+deb13u1"));
        assert_eq!(one.consequence("1.10-1"), fixed("1.10-1+deb13u1"));
        assert_eq!(one.consequence("1.10-1+deb13u1~1"), fixed("1.10-1+deb13u1"));
        assert_eq!(one.consequence("1.10-1+deb13u1"), Consequence::None);
        assert_eq!(one.consequence("1:0"), Consequence::None);
        assert_eq!(advisory(&[(None, None, false)], &[]).consequence("9"), Consequence::Open);
        assert_eq!(advisory(&[(Some("2"), None, false)], &[]).consequence("1.9"), Consequence::None);
        assert_eq!(advisory(&[(None, Some("2"), false)], &[]).consequence("1"), Consequence::Open, "not offered here");
        let two = advisory(&[(None, Some("2"), true), (Some("3"), Some("5"), true)], &["7"]);
        assert_eq!(two.consequence("4"), fixed("5"));
        assert_eq!(two.consequence("2"), Consequence::None);
        assert_eq!(two.consequence("7"), Consequence::Open);
        let last = AffectedRange { last: Some("3".into()), ..AffectedRange::default() };
        let last = Advisory { affected: vec![last], ..two };
        assert_eq!((last.consequence("3"), last.consequence("3.1")), (Consequence::Open, Consequence::None));
    }
}
