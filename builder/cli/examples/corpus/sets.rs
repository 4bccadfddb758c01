//! Sets of packages that are built together, and who is to blame when one cannot be.

use super::Refused;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// What became of packages that were built in one tree.
pub struct SetOutcome {
    pub packages: Vec<String>,
    pub seconds: f64,
    /// Lines of `public-secrets.txt`, or what the builder said.
    pub said: Result<usize, String>,
    /// Files that a second build from the same lock makes otherwise.
    pub differs: Vec<String>,
}

/// A project of its own for the profiles.
pub struct Corpus {
    pub project: tempfile::TempDir,
    diorite: PathBuf,
}

impl Corpus {
    pub fn new() -> Self {
        let project = tempfile::tempdir().expect("a temporary directory");
        for name in ["profiles", "overlays/around"] {
            fs::create_dir_all(project.path().join(name)).expect("a directory");
        }
        fs::copy("profiles/base.toml", project.path().join("profiles/base.toml")).expect("base.toml");
        fs::write(project.path().join("overlays/around/overlay.toml"), "why = \"the corpus\"\n").expect("overlay.toml");
        Self { project, diorite: fs::canonicalize("./diorite").expect("./diorite is built") }
    }

    /// Builds those of the packages that can be installed together; returns the others.
    pub fn build(&self, packages: Vec<String>, outcomes: &mut Vec<SetOutcome>) -> Vec<String> {
        let (mut set, mut later) = (packages, Vec::new());
        while let Err(why) = self.lock(&set) {
            if set.len() == 1 {
                eprintln!("FAILED {}: {why}", set[0]);
                outcomes.push(SetOutcome { packages: set, seconds: 0.0, said: Err(why), differs: Vec::new() });
                return later;
            }
            later.push(match self.blamed(&why, &set) {
                Some(package) => set.remove(package),
                None => set.pop().expect("there are two at least"),
            });
        }
        self.judge(set, outcomes);
        later
    }

    /// Builds a set; of one that fails, the package to blame alone and the rest again.
    fn judge(&self, mut set: Vec<String>, outcomes: &mut Vec<SetOutcome>) {
        while !set.is_empty() {
            let started = Instant::now();
            let said = self.seal(&set, "", "");
            let seconds = started.elapsed().as_secs_f64();
            let (count, first) = (set.len(), set[0].clone());
            match said {
                Err(why) if count > 1 => {
                    eprintln!("{count} packages: {why}");
                    let alone = match self.blamed(&why, &set).or_else(|| self.brings(&why, &set)) {
                        Some(package) => vec![set.remove(package)],
                        None => set.split_off(count / 2),
                    };
                    self.judge(alone, outcomes);
                }
                said => {
                    let verdict = if said.is_ok() { "built" } else { "FAILED" };
                    eprintln!("{verdict} {seconds:.0} s: {count} packages: {first} …");
                    let differs = if said.is_ok() { self.differs() } else { Vec::new() };
                    if !differs.is_empty() {
                        eprintln!("DIFFERENT the second time: {}", differs.join(" "));
                    }
                    outcomes.push(SetOutcome { packages: std::mem::take(&mut set), seconds, said, differs });
                }
            }
        }
    }

    /// Builds the set of the last [`Corpus::seal`] again, from its lock, in a store without results, in another time zone and
    /// language: the files that are not what they were.
    fn differs(&self) -> Vec<String> {
        let store = tempfile::tempdir_in(self.project.path()).expect("a temporary directory");
        let pool = std::env::home_dir().expect("a home").join(".cache/diorite/pool");
        let other = std::env::var_os("DIORITE_STORE").filter(|store| !store.is_empty());
        let pool = other.map_or(pool, |store| PathBuf::from(store).join("pool"));
        symlink(pool, store.path().join("pool")).expect("a link to the pool");
        let mut command = Command::new(&self.diorite);
        command.args(["--quiet", "test-seal", "corpus", "--listing", "second"]).current_dir(self.project.path());
        command.env("DIORITE_STORE", store.path()).env("TZ", "Asia/Tokyo").env("LANG", "de_DE.UTF-8");
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        if !output.status.success() {
            return vec![String::from_utf8_lossy(&output.stderr).into_owned()];
        }
        let [first, second] = ["first", "second"].map(|name| fs::read_to_string(self.project.path().join(name)));
        let (first, second) = (first.expect("a listing"), second.expect("a listing"));
        let there: BTreeSet<&str> = first.lines().collect();
        let mut paths: Vec<String> = second
            .lines()
            .filter(|line| !there.contains(line))
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned))
            .collect();
        // A file that is missing the second time.
        if first.lines().count() > second.lines().count() {
            paths.push("(files that are not there)".into());
        }
        paths
    }

    /// The last package of the set that an error names in its own words.
    fn blamed(&self, why: &str, set: &[String]) -> Option<usize> {
        let words: Vec<&str> = why.split_whitespace().collect();
        let asked = words.windows(5).filter(|w| w[2..] == ["is", "asked", "for"] || w[2..] == ["is", "asked", "for;"]);
        let mut named: BTreeSet<&str> = asked.map(|w| w[0]).collect();
        named.extend(quoted(why));
        set.iter().rposition(|p| named.contains(p.as_str()))
    }

    /// The first package that brings one which an error names.
    fn brings(&self, why: &str, set: &[String]) -> Option<usize> {
        let named: Vec<&str> = quoted(why).collect();
        let brings = |package: &String| {
            let locked = self.lock(std::slice::from_ref(package)).unwrap_or_default();
            named.iter().any(|n| locked.lines().any(|l| l == format!("name = \"{n}\"")))
        };
        let base = self.lock(&[]).unwrap_or_default();
        if named.iter().all(|n| base.contains(&format!("name = \"{n}\""))) {
            return None;
        }
        set.iter().position(brings)
    }

    /// A package that is refused rightly: it is, in the words that are written down, and the way around works.
    pub fn way_around(&self, package: &str, refused: &Refused) -> Result<(), String> {
        let set = [package.to_owned()];
        match self.seal(&set, "", "") {
            Ok(_) => return Err("is not refused any more".into()),
            Err(why) if !why.contains(&refused.says) => return Err(format!("is refused in other words: {why}")),
            Err(_) => {}
        }
        match refused.never.as_str() {
            "" => self.seal(&set, &refused.profile, &refused.configure).map(drop),
            _ => Ok(()),
        }
    }

    /// The text of the lock, or what the builder said, on one line.
    fn lock(&self, packages: &[String]) -> Result<String, String> {
        self.profile(packages, "", "");
        self.run(&["--quiet", "lock", "corpus", "--update"])?;
        Ok(fs::read_to_string(self.project.path().join("profiles/corpus.lock")).expect("the lock"))
    }

    /// How many public secrets were passed; else what the builder said, on one line.
    fn seal(&self, packages: &[String], more: &str, configure: &str) -> Result<usize, String> {
        self.profile(packages, more, configure);
        let output = self.run(&["--quiet", "test-seal", "corpus", "--listing", "first"])?;
        Ok(output.stdout.iter().filter(|&&b| b == b'\n').count())
    }

    fn profile(&self, packages: &[String], more: &str, configure: &str) {
        let overlays = if configure.is_empty() { "" } else { "overlays = [\"around\"]\n" };
        let profile = format!(
            "extends = \"base\"\n{overlays}image = {{ name = \"corpus\", version = \"1\" }}\npackages.include = {packages:?}\n\
             {more}\n"
        );
        let _ = fs::remove_file(self.project.path().join("profiles/corpus.lock"));
        fs::write(self.project.path().join("profiles/corpus.toml"), profile).expect("a profile");
        let program = self.project.path().join("overlays/around/configure");
        fs::write(&program, format!("#!/bin/sh\nset -e\n{configure}\n")).expect("configure");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, String> {
        let mut command = Command::new(&self.diorite);
        command.args(arguments).current_dir(self.project.path()).stdin(Stdio::null());
        let output = command.output().expect("the program starts");
        if output.status.success() {
            return Ok(output);
        }
        let lines = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(lines.lines().map(str::trim).collect::<Vec<_>>().join("; "))
    }
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
