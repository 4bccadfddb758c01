//! `make corpus VERIFY=1`: the machines of tests/corpus/daemons.toml, each built and booted, and every unit asked whether it is
//! active. Writes docs/measurements/DATE-daemons.md and ends with 1 when one is not. `ONLY="mail"` boots these alone.

use super::today;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Daemons {
    machine: Vec<Machine>,
}

/// One machine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    name: String,
    packages: Vec<String>,
    units: Vec<String>,
    /// What the profile has in addition, as TOML.
    #[serde(default)]
    profile: String,
    /// Files of an overlay, by path.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

pub fn main() -> ExitCode {
    let text = fs::read_to_string("builder/cli/tests/corpus/daemons.toml").expect("run it from the repository");
    let daemons: Daemons = toml::from_str(&text).expect("daemons.toml");
    let only = std::env::var("ONLY").unwrap_or_default();
    let diorite = fs::canonicalize("./diorite").expect("./diorite is built");
    let project = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(project.path().join("profiles")).expect("a directory");
    fs::copy("profiles/base.toml", project.path().join("profiles/base.toml")).expect("base.toml");
    let (mut rows, mut active, mut failed) = (String::new(), 0, 0);
    for machine in &daemons.machine {
        if !only.is_empty() && !only.split_whitespace().any(|o| o == machine.name) {
            continue;
        }
        let started = Instant::now();
        let said = machine.boot(&diorite, project.path());
        let seconds = started.elapsed().as_secs_f64();
        for unit in &machine.units {
            let state = said.get(unit).map_or("was not asked", String::as_str);
            if state == "active" {
                active += 1;
            } else {
                failed += 1;
            }
            let _ = writeln!(rows, "| {} | {unit} | {state} | {seconds:.0} |", machine.name);
        }
        eprintln!("{} {seconds:.0} s: {said:?}", machine.name);
    }
    let file = format!("docs/measurements/{}-daemons.md", today());
    let head = format!(
        "# Daemons of Debian on top of `base`, booted, {}\n\n{active} of {} are active. `make corpus VERIFY=1` makes this page; \
         seconds are those of the whole machine, its build included.\n\n| machine | unit | state | s |\n|---|---|---|---|\n",
        today(),
        active + failed
    );
    fs::write(&file, head + &rows).expect("the page");
    eprintln!("{active} active, {failed} not: {file}");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Machine {
    /// Builds and boots it; the state of each unit.
    fn boot(&self, diorite: &Path, project: &Path) -> BTreeMap<String, String> {
        let name = format!("corpus-{}", self.name);
        let mut overlays = String::new();
        if !self.files.is_empty() {
            overlays = format!("overlays = [\"{name}\"]\n");
            let overlay = project.join("overlays").join(&name);
            fs::create_dir_all(&overlay).expect("an overlay");
            fs::write(overlay.join("overlay.toml"), "why = \"the corpus\"\noverride = true\n").expect("overlay.toml");
            for (path, text) in &self.files {
                let file = overlay.join("tree").join(path.trim_start_matches('/'));
                fs::create_dir_all(file.parent().expect("a directory")).expect("directories");
                fs::write(file, text).expect("a file");
            }
        }
        let mut profile = format!(
            "extends = \"base\"\n{overlays}{}\n[image]\nname = \"{name}\"\nversion = \"1\"\n[packages]\ninclude = {:?}\n\
             [disk]\nroot = \"2G\"\nverity = \"17M\"\n",
            self.profile, self.packages
        );
        for unit in &self.units {
            let check = unit.replace(['.', '@', '_'], "-");
            let _ = write!(
                profile,
                "[[verify.check]]\nname = \"{check}\"\nretry = \"20s\"\nunit = {{ name = \"{unit}\", running = true }}\n"
            );
        }
        fs::write(project.join(format!("profiles/{name}.toml")), profile).expect("a profile");
        let run = |arguments: &[&str]| {
            let mut command = Command::new(diorite);
            command.args(arguments).current_dir(project).stdin(Stdio::null());
            command.status().expect("the program starts").success()
        };
        let results = project.join("out").join(&name);
        if !run(&["--quiet", "build", &name, "--relock", "--format", "raw"]) {
            return BTreeMap::new();
        }
        let checks: Vec<String> = self.units.iter().map(|u| format!("*{}", u.replace(['.', '@', '_'], "-"))).collect();
        let mut arguments = vec!["--quiet", "verify", &name, "--scratch-lock", "--only"];
        arguments.extend(checks.iter().map(String::as_str));
        run(&arguments);
        let states = self.states(&results);
        // Its disk need not lie about.
        let _ = fs::remove_file(results.join("disk.raw"));
        states
    }

    /// What report.json says of each unit.
    fn states(&self, results: &Path) -> BTreeMap<String, String> {
        let file: PathBuf = results.join("report.json");
        let report = fs::read(file).ok().and_then(|b| serde_json::from_slice::<serde_json::Value>(&b).ok());
        let checks = report.as_ref().and_then(|r| r["checks"].as_array()).cloned().unwrap_or_default();
        let state = |unit: &String| {
            let check = unit.replace(['.', '@', '_'], "-");
            let found = checks.iter().find(|c| c["id"].as_str().is_some_and(|id| id.ends_with(&check)))?;
            let said = match found["verdict"].as_str() {
                Some("pass") => "active".to_owned(),
                _ => format!("{} {}", found["verdict"], found["seen"]).replace('|', "/"),
            };
            Some((unit.clone(), said))
        };
        self.units.iter().filter_map(state).collect()
    }
}
