//! A build twice, step by step: what each step left in the store beside what the step of the same key leaves in other surroundings.
//!
//! ```text
//! BuiltImage ──► rebuild::again, far surroundings ──► ParanoidBuild: a digest of each step's output, twice
//! ```
//! A step of the second build gets what the second build has made before it. So the first step that differs is the one to look at.

use crate::built::BuiltImage;
use crate::context::Context;
use crate::rebuild::{self, Rebuilt};
use crate::results::Results;
use diorite_compare::explain::RebuildFinding;
use diorite_host::file::sha256;
use diorite_host::store::{self, Store};
use diorite_host::surroundings::Distance;
use diorite_model::plan::Step;
use diorite_model::{Digest, Error, Hasher, Result};
use diorite_rootfs::pack;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of what differs that are shown of one step.
const SHOWN: usize = 5;

/// A step that was run twice.
#[derive(Debug, Serialize)]
pub struct TwiceRun {
    /// As it stands in a plan.
    pub step: String,
    /// Of both runs.
    pub key: Digest,
    /// Digest of the first run's output.
    pub first: Digest,
    /// Digest of the second run's output.
    pub again: Digest,
    /// Files of the output that differ, and how.
    pub differs: Vec<String>,
}

impl TwiceRun {
    /// Both runs gave the same.
    pub fn equal(&self) -> bool {
        self.first == self.again
    }
}

/// A build whose steps were all run twice.
pub struct ParanoidBuild {
    /// The second build.
    pub rebuilt: Rebuilt,
    /// Its steps beside those of the first.
    pub steps: Vec<TwiceRun>,
    /// Where the two images differ, and why.
    pub findings: Vec<RebuildFinding>,
}

impl ParanoidBuild {
    /// Every step gave the same twice.
    pub fn equal(&self) -> bool {
        self.steps.iter().all(TwiceRun::equal)
    }
}

/// Runs every step of a finished build once more and compares what came out.
///
/// # Errors
/// As a build's. That a step gave something else is no error, but the answer.
pub fn twice(built: &BuiltImage, context: &Context) -> Result<ParanoidBuild> {
    let rebuilt = rebuild::again(&built.project, &built.lock, Distance::Far, context)?;
    let (here, there) = (context.store()?, Store::open(Some(&rebuilt.store_root()))?);
    let mut steps = Vec::new();
    for result in &built.build.steps {
        let Step { name, key, .. } = &result.step;
        let differs_and_digests = match name.as_str() {
            "disk" => of_results(&built.project.results, built.build.disk_sha256, &rebuilt)?,
            name => of_store(directory(name, key, &here)?, directory(name, key, &there)?)?,
        };
        let (first, again, differs) = differs_and_digests;
        steps.push(TwiceRun { step: name.clone(), key: *key, first, again, differs });
    }
    let same_disk = built.build.disk_sha256 == rebuilt.build.disk_sha256;
    let findings = if same_disk { Vec::new() } else { rebuilt.explain(&built.project.results.raw())? };
    let whole = ParanoidBuild { rebuilt, steps, findings };
    if whole.equal() {
        let _ = fs::remove_dir_all(whole.rebuilt.results.directory());
    }
    Ok(whole)
}

/// Where a step's output is in a store.
fn directory(step: &str, key: &Digest, store: &Store) -> Result<PathBuf> {
    // Trees of containers lie beside that of the machine.
    let kind = match step.split(' ').next().unwrap_or_default() {
        "container" => "tree",
        kind => kind,
    };
    store.get(kind, key).ok_or_else(|| {
        Error::host(format!("the output of step `{step}` has gone from the store"))
            .at(store.root().display().to_string())
            .hint("build again")
    })
}

/// Digests of both outputs, and what differs.
type Comparison = (Digest, Digest, Vec<String>);

fn of_store(first: PathBuf, again: PathBuf) -> Result<Comparison> {
    let (a, b) = (store::digest(&first)?, store::digest(&again)?);
    let differs = match (a == b, pack::open(&first), pack::open(&again)) {
        (true, ..) => Vec::new(),
        (false, Ok(x), Ok(y)) => lines(&x.listing(), &y.listing()),
        _ => Vec::new(),
    };
    // Times are in no listing.
    let differs = if a == b || !differs.is_empty() { differs } else { files(&first, &again)? };
    Ok((a, b, differs))
}

/// The disk and the texts beside it.
fn of_results(first: &Results, disk: Digest, rebuilt: &Rebuilt) -> Result<Comparison> {
    let of = |disk: Digest, results: &Results| -> Result<(Digest, Vec<(String, Digest)>)> {
        let mut all = vec![("disk.raw".to_owned(), disk)];
        for file in results.texts() {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            all.push((name, sha256(&file, "a result")?.0));
        }
        let mut hasher = Hasher::new();
        for (name, digest) in &all {
            hasher.field(name.as_bytes());
            hasher.field(&digest.0);
        }
        Ok((hasher.finish(), all))
    };
    let ((a, first), (b, again)) = (of(disk, first)?, of(rebuilt.build.disk_sha256, &rebuilt.results)?);
    let names = first.iter().zip(&again).filter(|(x, y)| x != y).map(|((name, _), _)| name.clone());
    Ok((a, b, names.collect()))
}

/// Lines that only one of two listings has, the first of them.
fn lines(first: &str, again: &str) -> Vec<String> {
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (first.lines().collect(), again.lines().collect());
    let gone = a.difference(&b).map(|line| format!("first:  {line}"));
    let come = b.difference(&a).map(|line| format!("second: {line}"));
    gone.take(SHOWN).chain(come.take(SHOWN)).collect()
}

/// Files of two directories that are not the same.
fn files(first: &Path, again: &Path) -> Result<Vec<String>> {
    let names = |directory: &Path| -> BTreeSet<_> {
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
    };
    let mut differs = Vec::new();
    for name in names(first).union(&names(again)) {
        let digest = |directory: &Path| sha256(&directory.join(name), "a result").ok();
        if digest(first) != digest(again) {
            differs.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_one_listing_alone_are_told() {
        let found = lines("a\nb\nc\n", "a\nB\nc\n");
        assert_eq!(found, ["first:  b", "second: B"]);
        assert_eq!(lines("a\n", "a\n"), [""; 0]);
    }

    #[test]
    fn the_digest_of_a_directory_is_that_of_names_and_contents() {
        let (one, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        for directory in [one.path(), other.path()] {
            fs::create_dir(directory.join("d")).expect("a directory");
            diorite_host::file::write_scratch(directory.join("d/f"), "text").expect("a file");
        }
        let same = of_store(one.path().to_owned(), other.path().to_owned()).expect("they can be read");
        assert_eq!((same.0, same.2.len()), (same.1, 0));
        diorite_host::file::write_scratch(other.path().join("e"), "").expect("a file");
        let differ = of_store(one.path().to_owned(), other.path().to_owned()).expect("they can be read");
        assert_ne!(differ.0, differ.1);
        assert_eq!(differ.2, ["e"]);
    }
}
