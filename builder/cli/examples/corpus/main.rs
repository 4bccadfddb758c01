//! `make corpus`: every package of tests/corpus/packages.toml, locked and built on top of `base` as far as its sealed tree.
//!
//! Packages that can be installed together are built in one tree. Those that exclude each other are set apart by locking, which
//! takes seconds; one that a build fails for is found by the name in the error and built alone, and the rest of its set again. So a
//! fault of one hides no other. Writes docs/measurements/DATE-corpus.md and ends with 1 when a package fails. `ONLY="mail vpn"` runs
//! these groups alone; `VERIFY=1` boots the machines of tests/corpus/daemons.toml instead. Run from the repository, with ./diorite
//! built.

mod daemons;
mod sets;

use serde::Deserialize;
use sets::{Corpus, SetOutcome};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode};

/// What packages.toml says of one group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CorpusGroup {
    why: String,
    packages: Vec<String>,
    #[serde(default)]
    refused: BTreeMap<String, Refused>,
}

/// A package that is rightly refused as it is, and how it is had all the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    /// Words of the error.
    says: String,
    /// What the profile then has in addition, as TOML.
    #[serde(default)]
    profile: String,
    /// The `configure` program of an overlay.
    #[serde(default)]
    configure: String,
    /// There is no way to have it yet: why.
    #[serde(default)]
    never: String,
}

fn main() -> ExitCode {
    if std::env::var_os("VERIFY").is_some() {
        return daemons::main();
    }
    let text = fs::read_to_string("builder/cli/tests/corpus/packages.toml").expect("run it from the repository");
    let groups: BTreeMap<String, CorpusGroup> = toml::from_str(&text).expect("packages.toml");
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.split_whitespace().any(|o| o == name);
    let groups: BTreeMap<_, _> = groups.into_iter().filter(|(name, _)| wanted(name)).collect();
    let corpus = Corpus::new();

    let mut outcomes: Vec<SetOutcome> = Vec::new();
    let mut later: Vec<String> = Vec::new();
    for (name, group) in &groups {
        eprintln!("{name}");
        let plain = group.packages.iter().filter(|p| !group.refused.contains_key(*p)).cloned().collect();
        later.extend(corpus.build(plain, &mut outcomes));
    }
    // What excludes another package of its group may stand beside those of other groups.
    eprintln!("packages that exclude others");
    while !later.is_empty() {
        later = corpus.build(later, &mut outcomes);
    }
    let mut ways = BTreeMap::new();
    for (package, refused) in groups.values().flat_map(|group| &group.refused) {
        ways.insert(package.clone(), corpus.way_around(package, refused));
    }
    let (page, failed) = page(&groups, &outcomes, &ways);
    let different = outcomes.iter().filter(|o| !o.differs.is_empty()).count();
    let file = format!("docs/measurements/{}-corpus.md", today());
    fs::write(&file, page).expect("the page");
    eprintln!("{failed} failed, {different} trees are another the second time: {file}");
    if failed == 0 && different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn today() -> String {
    let date = Command::new("date").arg("+%F").output().expect("date");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}

/// The results in Markdown, and how many packages failed.
fn page(
    groups: &BTreeMap<String, CorpusGroup>,
    outcomes: &[SetOutcome],
    ways: &BTreeMap<String, Result<(), String>>,
) -> (String, usize) {
    let by_package: BTreeMap<&str, &Result<usize, String>> =
        outcomes.iter().flat_map(|o| o.packages.iter().map(move |p| (p.as_str(), &o.said))).collect();
    let (mut built, mut failed, mut tables) = (0, 0, String::new());
    for (name, group) in groups {
        let _ = writeln!(tables, "\n## {name}\n\n{}.\n\n| package | result |\n|---|---|", capital(&group.why));
        let mut good = Vec::new();
        for package in &group.packages {
            match (by_package.get(package.as_str()), ways.get(package)) {
                (Some(Ok(_)), _) => good.push(package.as_str()),
                (Some(Err(why)), _) | (None, Some(Err(why))) => {
                    failed += 1;
                    let _ = writeln!(tables, "| **{package}** | failed: {} |", why.replace('|', "\\|"));
                }
                (None, Some(Ok(()))) => {
                    let refused = &group.refused[package];
                    let how = match refused.never.as_str() {
                        "" => "built with the way around",
                        why => why,
                    };
                    let _ = writeln!(tables, "| **{package}** | refused rightly: {}; {how} |", refused.says);
                }
                (None, None) => unreachable!("{package} was built or had a way around"),
            }
        }
        built += good.len();
        let _ = writeln!(tables, "| {} | built |", good.join(", "));
    }
    let mut sets =
        String::from("\n## Trees\n\n| packages asked for | s | public secrets | a second build |\n|---|---|---|---|\n");
    for outcome in outcomes {
        if let Ok(passed) = outcome.said {
            let again = if outcome.differs.is_empty() { "equal".to_owned() } else { outcome.differs.join(" ") };
            let _ = writeln!(sets, "| {} | {:.0} | {passed} | {again} |", outcome.packages.join(", "), outcome.seconds);
        }
    }
    let refused = ways.values().filter(|way| way.is_ok()).count();
    let head = format!(
        "# Packages of Debian on top of `base`, {}\n\n{built} of {} built as far as the sealed tree; {refused} are refused rightly, \
         and the guide says what to do (docs/guide/packages.md); {failed} failed. `make corpus` makes this page.\n",
        today(),
        built + failed + refused
    );
    (head + &tables + &sets, failed)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
