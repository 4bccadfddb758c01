//! Wheels of a container, as its own Python sees them: each distribution that is asked for is found in the pinned version,
//! before Debian's of the same name, with every file that it lists.

use crate::{
    answer::{Judged, none_of, short},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::python::{Pinned, Python, Version};
use diorite_model::recipe::Container;

/// One check for each container that has wheels.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let with = scope.recipe.containers.iter().filter(|(_, container)| !container.wheels.is_empty());
    let one = |(name, container): (&String, &Container)| {
        let what = format!("Python in container {name} finds the pinned distributions with all their files");
        let wheels = container.wheels.clone();
        let judge = move |said: &Output| judge(said, &wheels);
        Check::script(format!("container-{name}-wheels"), what, script(name, &container.wheels), judge)
    };
    with.map(one).collect()
}

/// Prints `python VERSION`, and for each argument `NAME VERSION FILES MISSING`, or `NAME none`. It runs as the container's
/// user, without what the environment or the current directory would add to Python's path.
const ASK: &str = "import sys, platform, importlib.metadata as m
print('python', platform.python_version())
for name in sys.argv[1:]:
    try:
        d = m.distribution(name)
    except m.PackageNotFoundError:
        print(name, 'none')
        continue
    files = d.files or []
    print(name, d.version, len(files), sum(not f.locate().exists() for f in files))";

fn script(container: &str, wheels: &[Pinned]) -> String {
    let mut names: Vec<String> = wheels.iter().map(|pinned| pinned.name.clone()).collect();
    names.dedup();
    let (container, ask, names) = (quote::word(container), quote::word(ASK), quote::words(&names));
    format!("podman exec {container} /usr/bin/python3 -I -c {ask} {names} 2>&1")
}

fn judge(output: &Output, wheels: &[Pinned]) -> Judged {
    let lines: Vec<Vec<&str>> = output.text.lines().map(|line| line.split_whitespace().collect()).collect();
    let full = lines.iter().find_map(|line| match line[..] {
        ["python", full] => Some(full),
        _ => None,
    });
    let minor = full.and_then(|full| full.strip_prefix("3.")?.split('.').next()?.parse().ok());
    let (Some(full), Some(minor), true) = (full, minor, output.success()) else {
        return Err(format!("Python does not answer: {}", short(&output.text)));
    };
    let python = Python { minor, full: full.to_owned(), glibc: 0 };
    let (mut wrong, mut found) = (Vec::new(), 0);
    for pinned in wheels {
        if pinned.marker.as_ref().is_some_and(|marker| marker.is_true(&python, "") == Ok(false)) {
            continue;
        }
        let line = lines.iter().find(|line| line.first() == Some(&&*pinned.name));
        match line.map(|line| &line[1..]) {
            Some([version, files, missing]) => {
                let right = Version::parse(version).is_ok_and(|version| version == pinned.version);
                if !right {
                    wrong.push(format!("{} is {version}, not {}", pinned.name, pinned.version));
                } else if *missing != "0" || *files == "0" {
                    wrong.push(format!("{} lacks {missing} of its {files} files", pinned.words()));
                }
            }
            _ => wrong.push(format!("{} is not there", pinned.words())),
        }
        found += 1;
    }
    none_of(&wrong, format!("Python {full}, {found} distributions"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::Digest;
    use std::process::Command;

    fn pinned(text: &str) -> Pinned {
        Pinned::parse(&format!("{text} --hash=sha256:{}", Digest::of(b""))).expect("a requirement")
    }

    fn wanted() -> Vec<Pinned> {
        ["click==8.1.7", "flask==3.0", "old==1 ; python_version < '3.10'", "new==2 ; python_version >= '3.10'"]
            .map(pinned)
            .into()
    }

    fn seen(text: &str) -> Judged {
        judge(&Output { status: 0, text: text.to_owned() }, &wanted())
    }

    const GOOD: &str = "python 3.13.5\nclick 8.1.7 20 0\nflask 3.0.0 30 0\nold none\nnew 2 4 0\n";

    #[test]
    fn what_python_finds_is_judged() {
        assert_eq!(seen(GOOD), Ok("Python 3.13.5, 3 distributions".into()));
        for (from, to, said) in [
            ("click 8.1.7", "click 8.1.8", "click is 8.1.8, not 8.1.7"),
            ("click 8.1.7 20 0", "click none", "click 8.1.7 is not there"),
            ("flask 3.0.0 30 0", "flask 3.0.0 30 2", "flask 3.0 lacks 2 of its 30 files"),
            ("flask 3.0.0 30 0", "flask 3.0.0 0 0", "lacks 0 of its 0 files"),
            ("new 2 4 0\n", "", "new 2 is not there"),
            ("python 3.13.5", "python 3.9.2", "old 1 is not there"),
            ("python 3.13.5", "bash: python3: not found", "does not answer"),
        ] {
            let wrong = seen(&GOOD.replace(from, to)).expect_err(to);
            assert!(wrong.contains(said), "{wrong}");
        }
        assert!(seen("").is_err(), "an empty answer proves nothing");
        let failed = Output { status: 125, text: GOOD.to_owned() };
        assert!(judge(&failed, &wanted()).is_err());
    }

    /// The question itself, asked of this host's Python where it has one: what it prints is what is judged.
    #[test]
    fn python_understands_the_question() {
        let said = Command::new("python3").args(["-I", "-c", ASK, "a-name-that-nobody-has"]).output();
        let Ok(said) = said else { return };
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(text.starts_with("python 3.") && text.ends_with("a-name-that-nobody-has none\n"), "{text}");
    }

    #[test]
    fn names_are_words() {
        quote::tests::harmless(|hostile| {
            let mut one = pinned("x==1");
            one.name = hostile.to_owned();
            script(hostile, &[one])
        });
    }
}
