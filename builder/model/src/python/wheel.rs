//! Wheels by their file names: PEP 427, and which of them fit an interpreter, PEP 425 and 600.

use super::{Python, Version, normalized};
use std::cmp::Reverse;

/// What the name of a wheel's file says: `NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelName {
    /// The distribution's name in the normal form.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The build number, which orders wheels of one version.
    build: (u64, String),
    python: Vec<String>,
    abi: Vec<String>,
    platform: Vec<String>,
}

/// How well a wheel fits: the smaller the better. Compared only between wheels of one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WheelRank(u32, u32, u32, Reverse<(u64, String)>);

/// No file name is longer on any file system.
const LONGEST: usize = 255;

impl WheelName {
    /// Reads a file name. Error: a cause in words.
    pub fn parse(file: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not the file name of a wheel", file.escape_debug());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+!".contains(c);
        let stem = file.strip_suffix(".whl").ok_or_else(wrong)?;
        if file.len() > LONGEST || !file.chars().all(plain) || file.starts_with('.') {
            return Err(wrong());
        }
        let parts: Vec<&str> = stem.split('-').collect();
        let (name, version, build, tags) = match parts[..] {
            [name, version, python, abi, platform] => (name, version, "", [python, abi, platform]),
            [name, version, build, python, abi, platform] => (name, version, build, [python, abi, platform]),
            _ => return Err(wrong()),
        };
        let digits = build.find(|c: char| !c.is_ascii_digit()).unwrap_or(build.len());
        if parts.len() == 6 && digits == 0 {
            return Err(wrong());
        }
        let build = match build {
            "" => (0, String::new()),
            build => (build[..digits].parse().map_err(|_| wrong())?, build[digits..].to_owned()),
        };
        let list = |tags: &str| -> Result<Vec<String>, String> {
            let all: Vec<String> = tags.split('.').map(str::to_ascii_lowercase).collect();
            if all.iter().any(String::is_empty) { Err(wrong()) } else { Ok(all) }
        };
        Ok(Self {
            name: normalized(name).map_err(|_| wrong())?,
            version: Version::parse(version).map_err(|_| wrong())?,
            build,
            python: list(tags[0])?,
            abi: list(tags[1])?,
            platform: list(tags[2])?,
        })
    }

    /// Whether it runs on every processor.
    pub fn is_pure(&self) -> bool {
        self.platform.iter().any(|platform| platform == "any")
    }

    /// How well it fits this interpreter, as pip would order wheels; none where it does not run there.
    pub fn rank(&self, python: &Python) -> Option<WheelRank> {
        let mut best: Option<(u32, u32, u32)> = None;
        for interpreter in &self.python {
            for abi in &self.abi {
                for platform in &self.platform {
                    if let Some(rank) = rank(interpreter, abi, platform, python) {
                        best = Some(best.map_or(rank, |b| b.min(rank)));
                    }
                }
            }
        }
        best.map(|(group, sub, platform)| WheelRank(group, sub, platform, Reverse(self.build.clone())))
    }

    /// The tags, for people: `cp313-cp313-manylinux_2_17_x86_64`.
    pub fn tags(&self) -> String {
        [self.python.join("."), self.abi.join("."), self.platform.join(".")].join("-")
    }
}

/// Group, place in it, and place of the platform: the order of `packaging.tags.sys_tags`.
fn rank(interpreter: &str, abi: &str, platform: &str, python: &Python) -> Option<(u32, u32, u32)> {
    let own = format!("cp3{}", python.minor);
    // `cp3X`, with X of an interpreter that is not newer.
    let older = |prefix: &str| {
        let minor: u32 = interpreter.strip_prefix(prefix)?.parse().ok()?;
        (minor <= python.minor).then(|| python.minor - minor)
    };
    // py313, py3, py312, …
    let pure = || match interpreter {
        "py3" => Some(1),
        _ => older("py3").map(|back| if back == 0 { 0 } else { back + 1 }),
    };
    if platform == "any" {
        return match abi {
            "none" if interpreter == own => Some((5, 0, 0)),
            "none" => pure().map(|place| (6, place, 0)),
            _ => None,
        };
    }
    let platform = platform_rank(platform, python.glibc)?;
    match abi {
        abi if abi == own && interpreter == own => Some((0, 0, platform)),
        "abi3" if interpreter == own => Some((1, 0, platform)),
        "none" if interpreter == own => Some((2, 0, platform)),
        "abi3" => older("cp3").filter(|back| python.minor - back >= 2).map(|back| (3, back, platform)),
        "none" => pure().map(|place| (4, place, platform)),
        _ => None,
    }
}

/// manylinux of a C library that is not newer, the newest first; then what was built for any Linux.
fn platform_rank(platform: &str, glibc: u32) -> Option<u32> {
    let older = |minor: u32, alias: u32| (minor <= glibc).then(|| (glibc - minor) * 2 + alias);
    match platform.strip_suffix("_x86_64")? {
        "manylinux2014" => older(17, 1),
        "manylinux2010" => older(12, 1),
        "manylinux1" => older(5, 1),
        "linux" => Some(u32::MAX),
        other => older(other.strip_prefix("manylinux_2_")?.parse().ok().filter(|minor| *minor >= 5)?, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python() -> Python {
        Python { minor: 13, full: "3.13.5".into(), glibc: 41 }
    }

    fn rank_of(tags: &str) -> Option<WheelRank> {
        WheelName::parse(&format!("a-1-{tags}.whl")).unwrap_or_else(|e| panic!("{e}")).rank(&python())
    }

    #[test]
    fn names_are_read() {
        let name = WheelName::parse("Markup_Safe-3.0.2-1b-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
            .unwrap();
        assert_eq!((name.name.as_str(), name.version.to_string().as_str()), ("markup-safe", "3.0.2"));
        assert_eq!(name.build, (1, "b".into()));
        assert_eq!(name.tags(), "cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64");
        assert!(!name.is_pure() && WheelName::parse("a-1-py2.py3-none-any.whl").unwrap().is_pure());
        for bad in [
            "a-1-py3-none-any.zip",
            "a-1.tar.gz",
            "a-1-none-any.whl",
            "a-1-x1-py3-none-any.whl",
            "a-1-2-3-py3-none-any.whl",
            "a-x-py3-none-any.whl",
            "../a-1-py3-none-any.whl",
            "a b-1-py3-none-any.whl",
            "a-1-py3--any.whl",
            "a-1-py3-none-any.whl\n",
            "-1-py3-none-any.whl",
        ] {
            assert!(WheelName::parse(bad).is_err(), "{bad}");
        }
    }

    /// The order of pip's own list, `pip debug --verbose` of CPython 3.13 on glibc 2.41, best first.
    #[test]
    fn wheels_are_ordered_as_pip_orders_them() {
        let ordered = [
            "cp313-cp313-manylinux_2_41_x86_64",
            "cp313-cp313-manylinux_2_28_x86_64",
            "cp313-cp313-manylinux_2_17_x86_64",
            "cp313-cp313-manylinux2014_x86_64",
            "cp313-cp313-manylinux_2_5_x86_64",
            "cp313-cp313-manylinux1_x86_64",
            "cp313-cp313-linux_x86_64",
            "cp313-abi3-manylinux_2_17_x86_64",
            "cp313-none-manylinux_2_17_x86_64",
            "cp312-abi3-manylinux_2_17_x86_64",
            "cp37-abi3-manylinux_2_34_x86_64",
            "cp32-abi3-linux_x86_64",
            "py313-none-manylinux_2_17_x86_64",
            "py3-none-manylinux_2_17_x86_64",
            "py312-none-manylinux_2_17_x86_64",
            "cp313-none-any",
            "py313-none-any",
            "py3-none-any",
            "py312-none-any",
            "py30-none-any",
        ];
        let ranks: Vec<_> = ordered.iter().map(|t| rank_of(t).unwrap_or_else(|| panic!("{t}"))).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(rank_of("py2.py3-none-any"), rank_of("py3-none-any"));
        assert_eq!(
            rank_of("cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64"),
            rank_of("cp39-abi3-manylinux_2_17_x86_64")
        );
        assert!(rank_of("2-py3-none-any") < rank_of("1-py3-none-any"), "a later build goes before");
        assert!(rank_of("1-py3-none-any") < rank_of("py3-none-any"));
    }

    #[test]
    fn what_does_not_run_there_is_not_taken() {
        for tags in [
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp314-cp314-manylinux_2_17_x86_64",
            "cp314-abi3-manylinux_2_17_x86_64",
            "cp313-cp313t-manylinux_2_17_x86_64",
            "cp313-cp313-manylinux_2_42_x86_64",
            "cp313-cp313-manylinux_2_17_aarch64",
            "cp313-cp313-musllinux_1_2_x86_64",
            "cp313-cp313-macosx_11_0_arm64",
            "cp313-cp313-win_amd64",
            "cp313-cp313-any",
            "py2-none-any",
            "py314-none-any",
            "pp310-pypy310_pp73-manylinux_2_17_x86_64",
            "cp31-abi3-linux_x86_64",
            "cp27-cp27mu-manylinux1_x86_64",
            "cp313-cp313-manylinux_2_4_x86_64",
        ] {
            assert_eq!(rank_of(tags), None, "{tags}");
        }
    }
}
