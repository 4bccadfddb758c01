//! Inside a crate imports run one way: no two files use each other, directly or round a corner, parent and child modules
//! apart; and few types have the name of another. Read from the sources as text, test code left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Module path to text: `["guest", "ini"]` for `src/guest/ini.rs` and `src/guest/ini/mod.rs`, `[]` for the crate's root.
type Modules = BTreeMap<Vec<String>, String>;
/// Who uses whom.
type Imports = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

fn sources(directory: &Path, path: &[String], modules: &mut Modules) {
    for entry in fs::read_dir(directory).expect("a directory of sources").map(|e| e.expect("an entry").path()) {
        let stem = entry.file_stem().expect("a name").to_string_lossy().into_owned();
        let below = || path.iter().cloned().chain([stem.clone()]).collect::<Vec<_>>();
        if stem == "tests" {
            continue;
        }
        if entry.is_dir() {
            sources(&entry, &below(), modules);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            let module = if ["mod", "lib", "main"].contains(&stem.as_str()) { path.to_vec() } else { below() };
            let text = fs::read_to_string(&entry).expect("text");
            modules.insert(module, product(&text));
        }
    }
}

/// A file's text without its tests and comments.
fn product(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `crate`, `self` or `super`, braces written out.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                expand(&text[at..], &mut Vec::new(), &mut all);
            }
        }
    }
    all
}

/// Reads one path, or one branch of braces; returns how many bytes it took.
fn expand(text: &str, prefix: &mut Vec<String>, all: &mut Vec<Vec<String>>) -> usize {
    let (mut at, depth) = (0, prefix.len());
    loop {
        let word: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if word.is_empty() {
            break;
        }
        at += word.len();
        prefix.push(word);
        if !text[at..].starts_with("::") {
            break;
        }
        at += 2;
    }
    if text[at..].starts_with('{') && depth < prefix.len() {
        at += 1;
        while at < text.len() && !text[at..].starts_with('}') {
            let blank = text[at..].len() - text[at..].trim_start_matches([',', ' ', '\n']).len();
            let taken = if blank == 0 { expand(&text[at..], prefix, all) } else { blank };
            // `*`, `as name` and the like: nothing to follow.
            at += taken.max(1);
        }
        at = (at + 1).min(text.len());
    } else {
        all.push(prefix.clone());
    }
    prefix.truncate(depth);
    at
}

/// The file that a path of this module leads to.
fn target(module: &[String], path: &[String], modules: &Modules) -> Option<Vec<String>> {
    let mut at: Vec<String> = module.to_vec();
    let mut words = path.iter();
    for word in words.by_ref() {
        match word.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => {
                at.push(word.clone());
                break;
            }
        }
    }
    at.extend(words.cloned());
    while !modules.contains_key(&at) {
        at.pop()?;
    }
    Some(at)
}

fn imports(modules: &Modules) -> Imports {
    let related = |a: &[String], b: &[String]| a.starts_with(b) || b.starts_with(a);
    let of = |(module, text): (&Vec<String>, &String)| {
        let used = paths(text).into_iter().filter_map(|path| target(module, &path, modules));
        (module.clone(), used.filter(|other| !related(other, module)).collect())
    };
    modules.iter().map(of).collect()
}

/// Files that can be reached from themselves, each with one that it uses on the way.
fn circles(imports: &Imports) -> Vec<String> {
    let reachable = |from: &Vec<String>| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(module) = open.pop() {
            open.extend(imports.get(module).into_iter().flatten().filter(|next| seen.insert((*next).clone())));
        }
        seen
    };
    let round = imports.keys().filter(|module| reachable(module).contains(*module));
    round
        .map(|module| {
            let back = imports[module].iter().find(|next| reachable(next).contains(module)).expect("one leads back");
            format!("{} uses {}, which leads back to it", module.join("::"), back.join("::"))
        })
        .collect()
}

/// The crates of the workspace, by directory.
fn crates() -> BTreeMap<String, Modules> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = fs::read_to_string(repository.join("Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let members = manifest["workspace"]["members"].as_array().expect("members");
    let modules = |member: &str| {
        let mut modules = Modules::new();
        sources(&repository.join(member).join("src"), &[], &mut modules);
        (member.to_owned(), modules)
    };
    members.iter().filter_map(|m| m.as_str()).map(modules).collect()
}

/// The name of the type that a line at the beginning of a file's margin declares.
fn declared(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub") {
        Some(rest) => rest.strip_prefix('(').and_then(|r| r.split_once(')')).map_or(rest, |(_, r)| r).trim_start(),
        None => line,
    };
    let (keyword, rest) = line.split_once(' ')?;
    let kinds = ["struct", "enum", "trait", "type", "union"];
    kinds.contains(&keyword).then(|| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
}

/// A reader who meets a name in one room should not have to ask which of several it is.
#[test]
fn few_type_names_are_declared_twice() {
    let mut declarations = BTreeMap::<String, usize>::new();
    for text in crates().values().flat_map(BTreeMap::values) {
        for name in text.lines().filter_map(declared) {
            *declarations.entry(name.to_owned()).or_default() += 1;
        }
    }
    assert!(declarations.len() > 800, "{} types are too few: they are not understood any more", declarations.len());
    let twice: Vec<_> = declarations.iter().filter(|(_, count)| **count > 1).map(|(name, _)| name).collect();
    assert!(twice.len() <= 40, "{} names: {twice:?}", twice.len());
    assert_eq!(
        ["pub(crate) struct A<'a> {", "    struct B;", "type C = D;"].map(declared),
        [Some("A"), None, Some("C")]
    );
}

#[test]
fn no_two_files_of_a_crate_use_each_other() {
    let (mut found, mut arrows) = (Vec::new(), 0);
    for (member, modules) in crates() {
        let imports = imports(&modules);
        arrows += imports.values().map(BTreeSet::len).sum::<usize>();
        found.extend(circles(&imports).into_iter().map(|circle| format!("{member}: {circle}")));
    }
    assert!(arrows > 500, "{arrows} imports are too few: they are not understood any more");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_in_each_way_of_writing_an_import() {
    let found = |a: &str, b: &str, c: &str| {
        let file = |name: &str, text: &str| (name.split("::").map(str::to_owned).collect(), product(text));
        let modules = Modules::from([
            (vec![], String::new()),
            file("a", a),
            file("b", b),
            file("b::inner", "use super::Thing; use crate::b::Other;"),
            file("c", c),
        ]);
        circles(&imports(&modules)).len()
    };
    assert_eq!(found("use crate::b::Thing;", "use crate::c;", ""), 0, "one way, and a child that uses its parent");
    assert_eq!(found("use crate::b::Thing;", "use super::a::X;", ""), 2);
    assert_eq!(
        found("use crate::{b::Thing, c};", "use crate::{\n    c::{self, X},\n};", "fn x() { crate::a::f() }"),
        3
    );
    assert_eq!(found("use crate::b::inner::Thing;", "", "use crate::a;"), 0);
    assert_eq!(
        found("use crate::c;", "", "// crate::a\n#[cfg(test)]\nmod tests { use crate::a; }"),
        0,
        "comment and test"
    );
}
