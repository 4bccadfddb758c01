//! `make corpus`: every package of tests/corpus/packages.toml, locked and built on top of `base` as far as its sealed tree.
//!
//! A group is first built as one set; one that fails is halved until the packages are known that cannot be built, so a fault of
//! one hides no other, and sets that share hundreds of packages are unpacked together. Writes docs/measurements/DATE-corpus.md and
//! ends with 1 when a package fails. `ONLY="mail vpn"` runs these alone. Run from the repository, with ./diorite built.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// What packages.toml says of one group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CorpusGroup {
    why: String,
    packages: Vec<String>,
    #[serde(default)]
    units: BTreeMap<String, String>,
}

/// What became of one set of packages.
struct SetOutcome {
    packages: Vec<String>,
    seconds: f64,
    /// Lines of `public-secrets.txt`, or what the builder said.
    said: Result<usize, String>,
}

fn main() -> ExitCode {
    let text = fs::read_to_string("builder/cli/tests/corpus/packages.toml").expect("run it from the repository");
    let groups: BTreeMap<String, CorpusGroup> = toml::from_str(&text).expect("packages.toml");
    let only = std::env::var("ONLY").unwrap_or_default();
    let project = tempfile::tempdir().expect("a temporary directory");
    for name in ["profiles", "overlays"] {
        fs::create_dir(project.path().join(name)).expect("a directory");
    }
    fs::copy("profiles/base.toml", project.path().join("profiles/base.toml")).expect("base.toml");
    let diorite = fs::canonicalize("./diorite").expect("./diorite is built");
    let (mut page, mut failed, mut built) = (String::new(), 0, 0);
    for (name, group) in &groups {
        if !only.is_empty() && !only.split_whitespace().any(|o| o == name) {
            continue;
        }
        assert!(group.units.keys().all(|p| group.packages.contains(p)), "{name}: a unit of a package it does not have");
        let mut outcomes = Vec::new();
        judge(&diorite, project.path(), &group.packages, &mut outcomes);
        let _ = writeln!(
            page,
            "\n## {name}\n\n{}.\n\n| packages | result | s | public secrets |\n|---|---|---|---|",
            capital(&group.why)
        );
        for SetOutcome { packages, seconds, said } in &outcomes {
            let list = packages.join(", ");
            let _ = match said {
                Ok(passed) => {
                    built += packages.len();
                    writeln!(page, "| {list} | built | {seconds:.0} | {passed} |")
                }
                Err(why) => {
                    failed += 1;
                    writeln!(page, "| **{list}** | {} | {seconds:.0} | |", why.replace('|', "\\|"))
                }
            };
        }
    }
    let date = Command::new("date").arg("+%F").output().expect("date");
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    let file = format!("docs/measurements/{date}-corpus.md");
    let head = format!(
        "# Packages of Debian on top of `base`, {date}\n\n{built} of {} built as far as the sealed tree; {failed} could not be. \
         Packages of one row were built in one tree. `make corpus` makes this page.\n",
        built + failed
    );
    fs::write(&file, head + &page).expect("the page");
    eprintln!("{built} built, {failed} failed: {file}");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Builds a set, or its halves when it cannot be built.
fn judge(diorite: &Path, project: &Path, packages: &[String], outcomes: &mut Vec<SetOutcome>) {
    let started = Instant::now();
    let said = seal(diorite, project, packages);
    let seconds = started.elapsed().as_secs_f64();
    if said.is_err() && packages.len() > 1 {
        let (first, second) = packages.split_at(packages.len() / 2);
        judge(diorite, project, first, outcomes);
        judge(diorite, project, second, outcomes);
        return;
    }
    let short = packages.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
    eprintln!(
        "{} {seconds:.0} s: {} packages: {short} …",
        if said.is_ok() { "built" } else { "FAILED" },
        packages.len()
    );
    outcomes.push(SetOutcome { packages: packages.to_vec(), seconds, said });
}

/// How many public secrets were passed; else what the builder said, on one line.
fn seal(diorite: &Path, project: &Path, packages: &[String]) -> Result<usize, String> {
    let profile = format!(
        "extends = \"base\"\n[image]\nname = \"corpus\"\nversion = \"1\"\n[packages]\ninclude = {packages:?}\n"
    );
    fs::write(project.join("profiles/corpus.toml"), profile).expect("a profile");
    let mut command = Command::new(diorite);
    command.args(["--quiet", "test-seal", "corpus"]).current_dir(project).stdin(Stdio::null());
    let output = command.output().expect("the program starts");
    match output.status.success() {
        true => Ok(output.stdout.iter().filter(|&&b| b == b'\n').count()),
        false => {
            let lines = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(lines.lines().map(str::trim).collect::<Vec<_>>().join("; "))
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
