//! The project's directory: the one that holds `profiles/`. It is the current directory or, as with git, the nearest one
//! above it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where profiles are in it.
pub const PROFILES: &str = "profiles";

/// Where overlays are in it.
pub const OVERLAYS: &str = "overlays";

/// The project's directory, empty when that is the current one; so it is where there is no project at all.
pub fn path() -> PathBuf {
    above().unwrap_or_default()
}

/// The project's directory, when it is above the current one.
pub fn above() -> Option<PathBuf> {
    if Path::new(PROFILES).is_dir() {
        return None;
    }
    find_above(&std::env::current_dir().ok()?)
}

/// `name` in this directory; what is not there, but in the project's directory `of`, is meant there. So profiles outside of
/// `profiles/`, a scenario's for one, build on those of the project.
pub fn beside_or(directory: &Path, of: &str, name: &str) -> PathBuf {
    let (beside, fallback) = (directory.join(name), path().join(of).join(name));
    if fs::symlink_metadata(&beside).is_err() && fs::symlink_metadata(&fallback).is_ok() { fallback } else { beside }
}

/// The nearest directory above this one that holds profiles. The search ends at the root of a git repository: what is
/// above is another project.
fn find_above(start: &Path) -> Option<PathBuf> {
    let trusted = [rustix::process::geteuid().as_raw(), 0, fs::metadata(start).ok()?.uid()];
    let repository = start.ancestors().position(|directory| directory.join(".git").exists());
    let searched = repository.map_or(usize::MAX, |levels| levels + 1);
    let found = start.ancestors().take(searched).skip(1).find(|directory| holds_profiles(directory, &trusted))?;
    Some(found.to_owned())
}

/// Whether `profiles/` is there with a profile in it, and belongs to one of these users. A profile names programs that run
/// on this host (`token_command`): one that somebody has put into /tmp is not meant.
fn holds_profiles(directory: &Path, trusted: &[u32]) -> bool {
    let profiles = directory.join(PROFILES);
    fs::symlink_metadata(&profiles).is_ok_and(|m| trusted.contains(&m.uid()))
        && fs::read_dir(&profiles)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| Path::new(&entry.file_name()).extension().is_some_and(|ending| ending == "toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_host::file::write_scratch;

    fn made(directories: &[&str], files: &[&str]) -> tempfile::TempDir {
        let top = tempfile::tempdir().expect("a directory");
        for directory in directories {
            fs::create_dir_all(top.path().join(directory)).expect("a directory");
        }
        for file in files {
            write_scratch(top.path().join(file), "").expect("a file");
        }
        top
    }

    #[test]
    fn the_nearest_directory_above_with_a_profile_is_the_project() {
        let top = made(&["a/profiles", "a/overlays/web/tree", "a/b/profiles"], &["a/profiles/x.toml"]);
        let at = |inside: &str| find_above(&top.path().join(inside));
        assert_eq!(at("a/overlays/web/tree"), Some(top.path().join("a")));
        assert_eq!(at("a/profiles"), Some(top.path().join("a")));
        assert_eq!(at("a/b/profiles"), Some(top.path().join("a")), "profiles/ without a profile is passed over");
        assert_eq!(at("a"), None, "only what is above");
    }

    #[test]
    fn a_git_repository_is_not_left() {
        let top = made(
            &["profiles", "inner/.git", "inner/deep", "own/.git", "own/profiles", "own/deep"],
            &["profiles/x.toml", "own/profiles/x.toml"],
        );
        let at = |inside: &str| find_above(&top.path().join(inside));
        assert_eq!(at("inner/deep"), None);
        assert_eq!(at("inner"), None);
        assert_eq!(at("own/deep"), Some(top.path().join("own")), "its own root is searched");
    }

    #[test]
    fn profiles_of_a_stranger_are_passed_over() {
        let top = made(&["profiles", "deep"], &["profiles/x.toml"]);
        let own = rustix::process::geteuid().as_raw();
        assert!(holds_profiles(top.path(), &[own]));
        assert!(!holds_profiles(top.path(), &[own.wrapping_add(1)]));
    }
}
