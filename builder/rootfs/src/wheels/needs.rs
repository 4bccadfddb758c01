//! What wheels require and is not there: distributions by their own metadata, against wheels and Debian's Python packages in
//! the tree, and shared libraries by their compiled modules.

use super::{directory, libraries, metadata};
use crate::tree::Tree;
use diorite_model::python::{Pinned, Python, Requirement, Version, normalized};
use std::collections::{BTreeMap, BTreeSet};

/// A distribution in a tree.
struct Distribution {
    version: String,
    requires: Vec<Requirement>,
}

/// Lines such as `flask 3.0.3 needs blinker>=1.9, which is not there`. `tree`: the container's whole tree; `wheels`: what wheels
/// brought into it; `wanted`: what the container asks for, with extras.
pub fn missing(tree: &Tree, wheels: &Tree, python: &Python, wanted: &[Pinned]) -> Vec<String> {
    let mut lines = distributions_missing(tree, python, wanted);
    lines.extend(libraries::missing(tree, wheels, &directory(python)));
    lines
}

fn distributions_missing(tree: &Tree, python: &Python, wanted: &[Pinned]) -> Vec<String> {
    let there = distributions(tree, python);
    let counts = |p: &&Pinned| p.marker.as_ref().is_none_or(|m| m.is_true(python, "") != Ok(false));
    let mut open: Vec<(String, String)> = Vec::new();
    for pinned in wanted.iter().filter(counts) {
        open.push((pinned.name.clone(), String::new()));
        open.extend(pinned.extras.iter().map(|extra| (pinned.name.clone(), extra.clone())));
    }
    let (mut seen, mut lines) = (BTreeSet::new(), BTreeSet::new());
    while let Some((name, extra)) = open.pop() {
        if !seen.insert((name.clone(), extra.clone())) {
            continue;
        }
        let Some(distribution) = there.get(&name) else { continue };
        for needed in &distribution.requires {
            let of_extra = needed.marker.as_ref().is_some_and(|marker| marker.asks_for("extra"));
            // Without an extra, what every one needs; with one, what that alone adds.
            let applies = match &needed.marker {
                Some(marker) => marker.is_true(python, &extra) == Ok(true) && of_extra != extra.is_empty(),
                None => extra.is_empty(),
            };
            if !applies {
                continue;
            }
            let who = match extra.as_str() {
                "" => format!("{name} {}", distribution.version),
                extra => format!("{name}[{extra}] {}", distribution.version),
            };
            match there.get(&needed.name) {
                None => drop(lines.insert(format!("{who} needs {}, which is not there", needed.words()))),
                Some(found) => {
                    let fits = Version::parse(&found.version).is_ok_and(|version| needed.versions.contain(&version));
                    if !fits {
                        lines.insert(format!("{who} needs {}, and {} is there", needed.words(), found.version));
                    }
                    open.extend(needed.extras.iter().map(|extra| (needed.name.clone(), extra.clone())));
                }
            }
        }
    }
    lines.into_iter().collect()
}

/// Every distribution by its name: those of wheels, then Debian's. The first is the one that Python finds.
fn distributions(tree: &Tree, python: &Python) -> BTreeMap<String, Distribution> {
    let mut all = BTreeMap::new();
    for place in [directory(python), "usr/lib/python3/dist-packages".to_owned()] {
        for (path, _) in tree.children(place.as_bytes()) {
            let files = match path {
                path if path.ends_with(b".dist-info") => vec![[path, b"/METADATA"].concat()],
                path if path.ends_with(b".egg-info") => vec![[path, b"/PKG-INFO"].concat(), path.to_vec()],
                _ => continue,
            };
            let text = files.iter().find_map(|file| tree.read(file));
            let Some(text) = text.map(String::from_utf8_lossy) else { continue };
            let Some(name) = metadata::header(&text, "Name").and_then(|name| normalized(&name).ok()) else { continue };
            let version = metadata::header(&text, "Version").unwrap_or_default();
            let requires = metadata::headers(&text, "Requires-Dist");
            // What cannot be read was never checked by anybody else either.
            let requires = requires.filter_map(|line| Requirement::parse(&line).ok()).collect();
            all.entry(name).or_insert(Distribution { version, requires });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Node;
    use diorite_model::Digest;

    #[test]
    fn what_is_missing_is_said() {
        let python = Python { minor: 13, full: "3.13.5".into(), glibc: 41 };
        let mut tree = Tree::new();
        let mut add =
            |place: &str, text: &str| tree.insert(place, Node::file(0o644, format!("{text}\n\nRequires-Dist: no\n")));
        let own = "usr/local/lib/python3.13/dist-packages";
        let debian = "usr/lib/python3/dist-packages";
        add(
            &format!("{own}/app-1.0.dist-info/METADATA"),
            "Name: App\nVersion: 1.0\nRequires-Dist: Click>=8\nRequires-Dist: blinker (>=1.9)\nRequires-Dist: gone\n\
             Requires-Dist: tzdata ; sys_platform == 'win32'\nRequires-Dist: server[Fast]>=2\nRequires-Dist: pytest ; extra == 'test'\n\
             Requires-Dist: lint ; extra == 'dev'\nRequires-Dist: odd ((",
        );
        add(
            &format!("{own}/server-2.1.dist-info/METADATA"),
            "Name: server\nVersion: 2.1\nRequires-Dist: loop ; extra == 'fast' and python_version < '4'\nRequires-Dist: app[test]",
        );
        add(
            &format!("{debian}/click-8.2.0.egg-info/PKG-INFO"),
            "Name: click\nVersion: 8.2.0\nRequires-Dist: of-debian",
        );
        add(&format!("{debian}/blinker-1.8.egg-info"), "Name: blinker\nVersion: 1.8");
        let wanted = |text: &str| Pinned::parse(&format!("{text} --hash=sha256:{}", Digest::of(b""))).unwrap();
        let said = distributions_missing(&tree, &python, &[wanted("app==1.0"), wanted("absent==1 ; os_name == 'nt'")]);
        insta::assert_snapshot!(said.join("\n"));
        assert_eq!(
            distributions_missing(&tree, &python, &[wanted("click==8.2.0")]),
            ["click 8.2.0 needs of-debian, which is not there"]
        );
    }
}
