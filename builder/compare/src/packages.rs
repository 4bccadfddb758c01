//! Two locks → packages that came, went, or have another version.

use crate::SizeChange;
use diorite_archive::version;
use diorite_model::python::Version;
use diorite_model::{Lock, LockedPackage};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// `machine`, `container NAME`, `wheels of NAME`, `tools`.
    pub place: String,
    /// Its name.
    pub name: String,
    /// `added`, `removed`, `raised`, `lowered`, `changed` (of the same version, or of none that has an order).
    pub how: &'static str,
    /// Version before.
    pub before: Option<String>,
    /// Version after.
    pub after: Option<String>,
    /// Bytes of its file before.
    pub bytes_before: u64,
    /// Bytes of its file after.
    pub bytes_after: u64,
}

/// The lists of a lock by the place that they are for. The tools tree counts where both sides have one: no image has.
pub(crate) fn lists(lock: &Lock, tools: bool) -> BTreeMap<String, &[LockedPackage]> {
    let mut all: BTreeMap<String, &[LockedPackage]> = BTreeMap::new();
    all.insert("machine".into(), &lock.image);
    all.extend(lock.container.iter().map(|(name, list)| (format!("container {name}"), list.as_slice())));
    all.extend(lock.wheels.iter().map(|(name, list)| (format!("wheels of {name}"), list.as_slice())));
    if tools {
        all.insert("tools".into(), &lock.tools);
    }
    all
}

/// The changes, by place and name, and what they weigh together.
pub(crate) fn compare(a: &Lock, b: &Lock) -> (Vec<PackageChange>, Vec<SizeChange>) {
    let tools = !a.tools.is_empty() && !b.tools.is_empty();
    let (before, after) = (lists(a, tools), lists(b, tools));
    let places: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let (mut packages, mut sizes) = (Vec::new(), Vec::new());
    for place in places {
        let list = |side: &BTreeMap<String, &[LockedPackage]>| {
            let list = side.get(place).copied().unwrap_or_default();
            list.iter().map(|p| (p.name.clone(), p.clone())).collect::<BTreeMap<_, _>>()
        };
        let (old, new) = (list(&before), list(&after));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        packages.extend(names.into_iter().filter_map(|name| change(place, name, old.get(name), new.get(name))));
        let weight = |list: &BTreeMap<String, LockedPackage>| list.values().map(|p| p.size).sum();
        let (before, after) = (weight(&old), weight(&new));
        if before != after {
            sizes.push(SizeChange { what: format!("packages of {place}"), before, after });
        }
    }
    (packages, sizes)
}

fn change(place: &str, name: &str, old: Option<&LockedPackage>, new: Option<&LockedPackage>) -> Option<PackageChange> {
    let how = match (old, new) {
        (Some(old), Some(new)) if old.sha256 == new.sha256 => return None,
        (Some(old), Some(new)) => match order(old, new) {
            Some(Ordering::Less) => "raised",
            Some(Ordering::Greater) => "lowered",
            _ => "changed",
        },
        (None, _) => "added",
        (_, None) => "removed",
    };
    Some(PackageChange {
        place: place.to_owned(),
        name: name.to_owned(),
        how,
        before: old.map(|p| p.version.clone()),
        after: new.map(|p| p.version.clone()),
        bytes_before: old.map_or(0, |p| p.size),
        bytes_after: new.map_or(0, |p| p.size),
    })
}

/// The order of two versions, each kind by its own rules. The beginning of a digest is neither older nor newer.
fn order(old: &LockedPackage, new: &LockedPackage) -> Option<Ordering> {
    match (old.is_image() || new.is_image(), old.is_wheel() && new.is_wheel()) {
        (true, _) => None,
        (_, true) => Version::parse(&old.version).ok().partial_cmp(&Version::parse(&new.version).ok()),
        _ => Some(version::compare(&old.version, &new.version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::Digest;

    pub(crate) fn package(name: &str, version: &str, size: u64) -> LockedPackage {
        LockedPackage {
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            release: "trixie".into(),
            path: format!("pool/{name}_{version}.deb"),
            size,
            sha256: Digest::of(format!("{name} {version}").as_bytes()),
        }
    }

    fn lock(image: Vec<LockedPackage>, tools: Vec<LockedPackage>) -> Lock {
        Lock {
            schema: 1,
            recipe: Digest::of(b"recipe"),
            release: BTreeMap::new(),
            image,
            container: BTreeMap::new(),
            wheels: BTreeMap::new(),
            tools,
        }
    }

    #[test]
    fn versions_are_ordered_as_debian_does() {
        let mut a = lock(
            vec![
                package("gone", "1", 10),
                package("nginx", "1.9-1", 10),
                package("same", "1", 1),
                package("back", "1", 7),
            ],
            vec![package("qemu", "1", 1)],
        );
        let mut b = lock(
            vec![
                package("new", "2", 5),
                package("nginx", "1.10~rc1-1", 30),
                package("same", "1", 1),
                package("back", "1~", 7),
            ],
            vec![],
        );
        a.container.insert("web".into(), vec![package("web", "1", 1)]);
        let (packages, sizes) = compare(&a, &b);
        let said: Vec<_> = packages.iter().map(|p| format!("{} {} {}", p.place, p.how, p.name)).collect();
        let expected = [
            "container web removed web",
            "machine lowered back",
            "machine removed gone",
            "machine added new",
            "machine raised nginx",
        ];
        assert_eq!(said, expected, "the tools tree of a lock is not compared with none");
        assert_eq!(sizes.iter().map(|s| (s.before, s.after)).collect::<Vec<_>>(), [(1, 0), (28, 43)]);
        b.tools = vec![package("qemu", "2", 1)];
        assert!(compare(&a, &b).0.iter().any(|p| p.place == "tools" && p.how == "raised"));
        assert_eq!(compare(&a, &a), (Vec::new(), Vec::new()));
    }
}
