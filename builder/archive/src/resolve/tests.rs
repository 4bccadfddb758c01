//! Small universes, one rule each, and the words of every error.

use super::list::{List, resolve, search};
use super::needs::{NeedReader, Recommends};
use crate::packages::SuiteIndex;
use crate::release::tests::release;
use crate::universe::{CandidateRules, Stanzas, Universe};
use diorite_model::lock::Release;
use diorite_model::{Digest, Lock, LockedPackage};
use std::collections::BTreeMap;

/// `name version; Field: value; …`, one package per line.
fn index(lines: &str) -> String {
    let line = |line: &str| {
        let mut parts = line.split(';').map(str::trim);
        let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
        let fields: String = parts.map(|f| format!("{f}\n")).collect();
        format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}\n")
    };
    lines.lines().map(str::trim).filter(|l| !l.is_empty()).map(line).collect()
}

fn suite(name: &str, priority: i32, lines: &str) -> (SuiteIndex, bool) {
    let text = index(lines);
    let name = name.to_owned();
    let index =
        SuiteIndex { suite: name.clone(), name, components: vec![], release: release(), priority, texts: vec![text] };
    (index, priority == 500)
}

struct Ask<'a> {
    essential: bool,
    recommends: Recommends<'a>,
    excluded: &'a [String],
    provided: &'a [&'a str],
}

const PLAIN: Ask<'_> = Ask { essential: false, recommends: Recommends::None, excluded: &[], provided: &[] };

fn solve_in(suites: &[(SuiteIndex, bool)], requests: &str, ask: &Ask<'_>) -> Result<String, String> {
    let stanzas = Stanzas::read(suites, &[], "amd64");
    let list = List {
        name: "packages.include",
        suite: "trixie",
        requests: requests.split(' ').filter(|r| !r.is_empty()).collect(),
        essential: ask.essential,
        recommends: ask.recommends,
        excluded: ask.excluded,
        provided: ask.provided,
        debian_only: false,
    };
    let resolved = resolve(&stanzas, &list).map_err(|e| e.to_string())?;
    let names: Vec<_> = resolved.ids.iter().map(|&id| resolved.universe.package(id)).collect();
    // The solver alone must find a set for the same roots as well.
    let reader = NeedReader::new(&resolved.universe, ask.provided, ask.recommends);
    search(&reader, &resolved.ids).expect("the set satisfies itself");
    Ok(names
        .iter()
        .map(|p| if p.version == "1" { p.name.to_owned() } else { format!("{}={}", p.name, p.version) })
        .collect::<Vec<_>>()
        .join(" "))
}

fn solve(lines: &str, requests: &str) -> String {
    solve_in(&[suite("trixie", 500, lines)], requests, &PLAIN).unwrap_or_else(|e| e)
}

#[test]
fn rules_of_dependencies() {
    for (universe, requests, expected, rule) in [
        (
            "aa 1; Depends: bb\nbb 1; Pre-Depends: cc\ncc 1\ndd 1",
            "aa",
            "aa bb cc",
            "Depends and Pre-Depends are followed",
        ),
        ("aa 1; Depends: bb | cc\nbb 1\ncc 1", "aa", "aa bb", "the first alternative"),
        ("aa 1; Depends: bb | cc\ncc 1", "aa", "aa cc", "the first that exists"),
        ("aa 1; Depends: bb | cc\nbb 1; Depends: zz\ncc 1", "aa", "aa cc", "the first that can be had"),
        ("aa 1; Depends: bb | cc\nbb 1\ncc 1", "cc aa", "aa cc", "one that is there anyway"),
        ("aa 1; Depends: vv\nbb 1; Provides: vv", "aa", "aa bb", "a virtual package"),
        ("aa 1; Depends: vv\nbb 1; Provides: vv\nvv 1", "aa", "aa vv", "the real package before a provider"),
        (
            "aa 1; Depends: vv (>= 2)\nbb 1; Provides: vv\ncc 1; Provides: vv (= 3)",
            "aa",
            "aa cc",
            "versioned needs versioned Provides",
        ),
        (
            "aa 1; Depends: vv\nbb 1; Provides: vv; Priority: optional\ncc 1; Provides: vv; Priority: standard",
            "aa",
            "aa cc",
            "the provider of higher Priority",
        ),
        ("aa 1; Depends: bb (>= 2) | cc\nbb 1\ncc 1", "aa", "aa cc", "a version that does not fit"),
        ("aa 1; Depends: bb:any\nbb 1; Multi-Arch: allowed", "aa", "aa bb", ":any with Multi-Arch: allowed"),
        ("aa 1; Depends: bb:any | cc\nbb 1\ncc 1", "aa", "aa cc", ":any without it"),
        ("aa 1; Depends: bb:i386 | cc:amd64\nbb 1\ncc 1", "aa", "aa cc", "another architecture"),
        ("aa 1; Recommends: bb\nbb 1", "aa", "aa", "Recommends are not followed unless asked for"),
        ("aa 1; Depends: bb\nbb 1; Depends: aa", "aa", "aa bb", "a circle"),
        ("vv 1; Provides: ww", "ww", "vv", "a request for what one package provides"),
        ("aa 1\naa 2\naa 10", "aa", "aa=10", "the highest version"),
        ("aa 1\naa 2", "aa=1", "aa", "the version asked for"),
    ] {
        assert_eq!(solve(universe, requests), expected, "{rule}");
    }
}

#[test]
fn rules_of_conflicts() {
    for (universe, requests, expected, rule) in [
        ("aa 1; Depends: bb | cc\nbb 1; Conflicts: dd\ncc 1\ndd 1", "aa dd", "aa cc dd", "Conflicts"),
        ("aa 1; Depends: bb | cc\nbb 1; Breaks: dd (<< 2)\ncc 1\ndd 1", "aa dd", "aa cc dd", "Breaks with a version"),
        (
            "aa 1; Depends: bb | cc\nbb 1; Breaks: dd (<< 2)\ncc 1\ndd 2",
            "aa dd",
            "aa bb dd=2",
            "Breaks of another version",
        ),
        ("aa 1; Provides: mm; Conflicts: mm\nbb 1", "aa bb", "aa bb", "no package conflicts with itself"),
        (
            "xx 1; Depends: aa | bb, cc\naa 1; Conflicts: cc\nbb 1\ncc 1",
            "xx",
            "bb cc xx",
            "a choice that must be revised",
        ),
        (
            "aa 1; Depends: bb | cc\nbb 1; Replaces: dd\ncc 1\ndd 1",
            "aa dd",
            "aa bb dd",
            "Replaces alone keeps nothing out",
        ),
    ] {
        assert_eq!(solve(universe, requests), expected, "{rule}");
    }
}

#[test]
fn essential_recommends_and_what_the_builder_provides() {
    let universe = [suite(
        "trixie",
        500,
        "aa 1; Depends: linux-initramfs-tool | ii; Recommends: rr\nee 1; Essential: yes; Depends: ff\nff 1\nii 1\nrr 1; Recommends: ss\nss 1; Conflicts: tt\ntt 1",
    )];
    let solve = |requests: &str, ask: Ask<'_>| solve_in(&universe, requests, &ask).unwrap();
    assert_eq!(solve("aa", Ask { essential: true, ..PLAIN }), "aa ee ff ii");
    assert_eq!(solve("aa", Ask { recommends: Recommends::All, ..PLAIN }), "aa ii rr ss");
    assert_eq!(solve("aa tt", Ask { recommends: Recommends::All, ..PLAIN }), "aa ii rr tt");
    assert_eq!(solve("aa linux-initramfs-tool", Ask { provided: &["linux-initramfs-tool"], ..PLAIN }), "aa");
}

#[test]
fn recommends_of_one_package_alone() {
    let lines = "aa 1; Recommends: rr\nbb 1; Recommends: ss\nrr 1; Recommends: tt\nss 1\ntt 1";
    let of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        solve_in(&[suite("trixie", 500, lines)], "aa bb", &Ask { recommends: Recommends::Of(&names), ..PLAIN }).unwrap()
    };
    assert_eq!(of(&[]), "aa bb");
    assert_eq!(of(&["aa"]), "aa bb rr", "and not what that recommends");
    assert_eq!(of(&["aa", "rr"]), "aa bb rr tt");
}

#[test]
fn what_is_excluded_is_never_installed() {
    let lines =
        "base 1; Essential: yes\naa 1; Depends: xx | yy; Recommends: zz\nbb 1; Depends: aa, zz\nxx 1\nyy 1\nzz 1";
    let ask = |request: &str, names: &[&str]| {
        let excluded: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        let ask = Ask { essential: true, recommends: Recommends::All, excluded: &excluded, ..PLAIN };
        solve_in(&[suite("trixie", 500, lines)], request, &ask)
    };
    assert_eq!(ask("aa", &[]).unwrap(), "aa base xx zz");
    assert_eq!(ask("aa", &["xx"]).unwrap(), "aa base yy zz", "the next alternative");
    assert_eq!(ask("aa", &["zz"]).unwrap(), "aa base xx", "a recommended package");
    insta::assert_snapshot!(
        [("bb", "zz"), ("aa", "base"), ("aa", "nothing"), ("aa", "xxx")]
            .map(|(request, name)| ask(request, &[name]).unwrap_err())
            .join("\n\n")
    );
}

#[test]
fn recommends_by_the_solver_alone() {
    let suites = [suite("trixie", 500, "aa 1; Recommends: bb | cc\nbb 1; Conflicts: aa\ncc 1; Recommends: dd\ndd 1")];
    let stanzas = Stanzas::read(&suites, &[], "amd64");
    let universe =
        Universe::new(&stanzas, &CandidateRules { pins: &BTreeMap::new(), excluded: &[], debian_only: false });
    let reader = NeedReader::new(&universe, &[], Recommends::All);
    let names: Vec<_> = search(&reader, &[0]).unwrap().into_iter().map(|id| universe.package(id).name).collect();
    assert_eq!(names, ["aa", "cc", "dd"]);
}

#[test]
fn pin_priorities() {
    let debian = || suite("trixie", 500, "aa 1\nbb 1");
    let solve = |priority: i32, request: &str| {
        solve_in(&[debian(), suite("extra", priority, "aa 2\nbb 0\ncc 1")], request, &PLAIN)
    };
    assert_eq!(solve(501, "aa bb").unwrap(), "aa=2 bb=0");
    assert_eq!(solve(500, "aa bb").unwrap(), "aa=2 bb");
    assert_eq!(solve(100, "aa bb cc").unwrap(), "aa bb cc");
    assert!(solve(-1, "cc").unwrap_err().contains("may not be installed"));
    assert_eq!(solve(-1, "aa=2").unwrap(), "aa=2");
}

#[test]
fn the_words_of_every_error() {
    let cases = [
        ("nginx 1\nnginx-core 1", "ngnix"),
        ("nginx 1", "postgresql"),
        ("aa 1\naa 2", "aa=3"),
        ("aa 1\naa 2", "aa=1 aa=2"),
        ("pp 1; Provides: mta\nqq 1; Provides: mta", "mta"),
        ("aa 1", "A_b"),
        ("aa 1", "aa:i386"),
        ("aa 1", "aa=x"),
        ("aa 1; Depends: bb (>= 2)\nbb 1", "aa"),
        ("aa 1; Depends: bb\nbb 1; Depends: cc | dd", "aa"),
        ("aa 1; Depends: bb:any\nbb 1", "aa"),
        ("aa 1; Conflicts: bb\nbb 1", "aa bb"),
        (
            "aa 1; Depends: mta\nbb 1; Provides: mta; Conflicts: mta\ncc 1; Provides: mta; Breaks: dd (<< 2)\ndd 1",
            "bb cc",
        ),
        ("xx 1; Depends: aa\naa 1; Breaks: dd (<< 2)\nyy 1; Depends: vv\ndd 1; Provides: vv", "xx yy"),
    ];
    let text: Vec<String> =
        cases.iter().map(|(universe, requests)| format!("# {requests}\n{}\n", solve(universe, requests))).collect();
    insta::assert_snapshot!(text.join("\n"));
}

fn package(name: &str, version: &str, size: u64) -> LockedPackage {
    let path = format!("pool/{name}_{version}.deb");
    let (release, sha256) = ("trixie".to_owned(), Digest::of(path.as_bytes()));
    LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: "amd64".to_owned(),
        release,
        path,
        size,
        sha256,
    }
}

fn lock(date: &str, image: Vec<LockedPackage>, container: &[&str]) -> Lock {
    let release = Release {
        suite: "trixie".to_owned(),
        date: date.to_owned(),
        valid_until: None,
        sha256: Digest::of(date.as_bytes()),
        components: vec!["main".to_owned()],
    };
    let container = container.iter().map(|name| ((*name).to_owned(), vec![package("nginx", "1.26-1", 10)])).collect();
    let release = BTreeMap::from([("trixie".to_owned(), release)]);
    Lock {
        schema: 1,
        recipe: Digest::of(b"recipe"),
        release,
        image,
        container,
        wheels: BTreeMap::new(),
        tools: vec![package("qemu", "1:10", 10)],
    }
}

#[test]
fn an_update_in_words() {
    let old = lock(
        "2026-01-01T00:00:00Z",
        vec![
            package("gone", "1", 2_000_000),
            package("kept", "1", 5),
            package("ssl", "3.0.1", 10),
            package("back", "2", 1),
        ],
        &["old"],
    );
    let new = lock(
        "2026-02-01T00:00:00Z",
        vec![
            package("kept", "1", 5),
            package("ssl", "3.0.2", 450_000),
            package("back", "1", 1),
            package("fresh", "1", 1),
        ],
        &["web"],
    );
    insta::assert_snapshot!(super::explain_update(&old, &new));
    assert_eq!(super::explain_update(&old, &old), "");
}

/// The beginning of a digest is neither older nor newer than another one.
#[test]
fn another_image_is_neither_newer_nor_older() {
    let with = |manifest: &str| {
        let mut lock = lock("2026-01-01T00:00:00Z", vec![], &["web"]);
        let file = LockedPackage { release: diorite_model::lock::PULLED.into(), ..package("manifest", manifest, 5) };
        lock.container.insert("app".into(), vec![file]);
        lock
    };
    for (old, new) in [("1f", "a0"), ("a0", "1f")] {
        let said = super::explain_update(&with(old), &with(new));
        assert_eq!(said, format!("container app: changed manifest {old} → {new} (oci)\n"));
    }
}

#[test]
fn a_lock_file_and_back() {
    let lock = lock("2026-01-01T00:00:00Z", vec![package("zz", "1", 5), package("aa", "2~rc1+x", 5)], &["web"]);
    let text = crate::lockfile::text(&lock);
    insta::assert_snapshot!(text);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.lock");
    crate::lockfile::write(&lock, &path).unwrap();
    let read = crate::lockfile::read(&path).unwrap();
    assert_eq!(crate::lockfile::text(&read), text);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing temporary is left");
    let broken = [text.replace("schema = 1", "schema = 9"), text.replace("size = 5", "size = five"), String::new()];
    let errors: Vec<_> =
        broken.iter().map(|t| crate::lockfile::parse(t, "server.lock".as_ref()).unwrap_err().to_string()).collect();
    insta::assert_snapshot!("errors", errors.join("\n\n"));
}
