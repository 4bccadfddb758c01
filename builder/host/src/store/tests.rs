//! The store's promises, each broken on purpose once.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(Some(directory.path())).unwrap();
    (directory, store)
}

fn result(store: &Store, text: &str) -> Scratch {
    let scratch = store.scratch("test").unwrap();
    fs::create_dir(scratch.path().join("a")).unwrap();
    fs::write(scratch.path().join("a/file"), text).unwrap();
    std::os::unix::fs::symlink("file", scratch.path().join("a/link")).unwrap();
    scratch
}

#[test]
fn a_result_is_kept_and_found_again() {
    let (_directory, store) = store();
    let key = Digest::of(b"inputs");
    assert_eq!(store.get("tree", &key), None);
    let path = store.put("tree", &key, result(&store, "one")).unwrap();
    assert_eq!(fs::read(path.join("a/file")).unwrap(), b"one");
    assert_eq!(store.get("tree", &key), Some(path));
    assert_eq!(store.get("container web", &key), None);
    assert_eq!(fs::read_dir(store.root().join("scratch")).unwrap().count(), 0);
}

#[test]
fn the_same_bytes_again_are_no_error_and_others_are() {
    let (_directory, store) = store();
    let key = Digest::of(b"inputs");
    store.put("tree", &key, result(&store, "one")).unwrap();
    store.put("tree", &key, result(&store, "one")).unwrap();
    let error = store.put("tree", &key, result(&store, "owe")).unwrap_err();
    assert_eq!(error.exit, Exit::NotReproducible);
    assert!(error.place.unwrap().ends_with("a/file"));
    assert_eq!(error.cause.as_deref(), Some("byte 1 differs"));
    assert_eq!(fs::read(store.get("tree", &key).unwrap().join("a/file")).unwrap(), b"one");
}

#[test]
fn every_kind_of_difference_has_its_words() {
    let (_directory, store) = store();
    let key = Digest::of(b"inputs");
    store.put("tree", &key, result(&store, "one")).unwrap();
    let change = |change: &dyn Fn(&Path)| {
        let scratch = result(&store, "one");
        change(scratch.path());
        store.put("tree", &key, scratch).unwrap_err().cause.unwrap()
    };
    assert_eq!(change(&|p| fs::write(p.join("b"), "").unwrap()), "only the new result has it");
    assert_eq!(change(&|p| fs::remove_file(p.join("a/link")).unwrap()), "it is missing in the new result");
    assert_eq!(change(&|p| fs::write(p.join("a/file"), "three").unwrap()), "it had 3 bytes and now has 5");
    let mode = |p: &Path| fs::set_permissions(p.join("a/file"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(change(&mode), "its mode was 0644 and is now 0600");
    let other = |p: &Path| {
        fs::remove_file(p.join("a/link")).unwrap();
        std::os::unix::fs::symlink("other", p.join("a/link")).unwrap();
    };
    assert_eq!(change(&other), "it points elsewhere");
    let kind = |p: &Path| {
        fs::remove_file(p.join("a/link")).unwrap();
        fs::create_dir(p.join("a/link")).unwrap();
    };
    assert_eq!(change(&kind), "it is of another kind");
}

#[test]
fn a_scratch_directory_goes_when_dropped_and_when_its_maker_died() {
    let (directory, store) = store();
    let scratch = store.scratch("alive").unwrap();
    let path = scratch.path().to_owned();
    // As a killed process leaves it: a directory and a lock that nobody holds, and one directory without a lock.
    let parent = store.root().join("scratch");
    fs::create_dir_all(parent.join("dead-1-1/locked")).unwrap();
    fs::write(parent.join("dead-1-1/locked/file"), "").unwrap();
    fs::set_permissions(parent.join("dead-1-1/locked"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::write(parent.join("dead-1-1.lock"), "").unwrap();
    fs::create_dir_all(parent.join("dead-1-2")).unwrap();
    let _second = Store::open(Some(directory.path())).unwrap();
    assert!(path.is_dir(), "a living scratch directory must survive another process's sweep");
    assert!(!parent.join("dead-1-1").exists() && !parent.join("dead-1-1.lock").exists());
    assert!(!parent.join("dead-1-2").exists());
    drop(scratch);
    assert_eq!(fs::read_dir(parent).unwrap().count(), 0);
}

/// A store with four results of 3 bytes, the first used in the year 1970, and so on.
fn old_results() -> (tempfile::TempDir, Vec<Digest>) {
    let (directory, store) = store();
    let keys: Vec<Digest> = (0..4u8).map(|i| Digest::of(&[i])).collect();
    for (i, key) in keys.iter().enumerate() {
        let path = store.put(["tree", "tools"][i % 2], key, result(&store, "abc")).unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i as u64);
        File::open(path).unwrap().set_modified(time).unwrap();
    }
    (directory, keys)
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let (directory, keys) = old_results();
    let store = Store::open(Some(directory.path())).unwrap();
    assert!(store.get("tree", &keys[0]).is_some(), "use makes it young");
    assert_eq!(store.shrink(12).unwrap(), Some(Eviction::default()), "there is room for all");
    assert_eq!(store.shrink(6).unwrap(), Some(Eviction { results: 2, bytes: 6 }));
    let left: Vec<bool> = (0..4).map(|i| store.get(["tree", "tools"][i % 2], &keys[i]).is_some()).collect();
    assert_eq!(left, [true, false, false, true]);
    assert_eq!(store.shrink(0).unwrap(), Some(Eviction::default()), "what this run has used stays");
    assert_eq!(fs::read_dir(directory.path().join("scratch")).unwrap().count(), 0);
}

#[test]
fn a_store_that_others_use_is_left_alone() {
    let (directory, _) = old_results();
    let store = Store::open(Some(directory.path())).unwrap();
    let other = Store::open(Some(directory.path())).unwrap();
    assert_eq!(store.shrink(0).unwrap(), None);
    drop(other);
    assert_eq!(store.shrink(0).unwrap().unwrap().results, 4);
}

#[test]
fn blobs_lie_by_their_digest() {
    let (_directory, store) = store();
    let digest = Digest::of(b"package");
    let scratch = store.scratch("fetch").unwrap();
    fs::write(scratch.path().join("part"), "package").unwrap();
    let path = store.put_blob(&digest, &scratch.path().join("part")).unwrap();
    assert_eq!(path, store.blob(&digest));
    let name = digest.to_string();
    assert!(path.ends_with(format!("pool/{}/{name}.deb", &name[..2])));
}

#[test]
fn the_place_comes_from_the_environment() {
    let place = |pairs: &[(&str, &str)]| {
        location(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
            .map(|p| p.display().to_string())
            .map_err(|e| e.to_string())
    };
    assert_eq!(place(&[("DIORITE_STORE", "s"), ("HOME", "/h")]).unwrap(), "s");
    assert_eq!(place(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]).unwrap(), "/c/diorite");
    assert_eq!(place(&[("XDG_CACHE_HOME", "c"), ("HOME", "/h")]).unwrap(), "/h/.cache/diorite");
    insta::assert_snapshot!(place(&[]).unwrap_err(), @r"
    error: the store's directory is not known
      because neither DIORITE_STORE, XDG_CACHE_HOME nor HOME names a directory
      help: set DIORITE_STORE to a directory with some gigabytes of free space
    ");
}

#[test]
fn a_store_that_cannot_be_made_is_a_host_error_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let error = Store::open(Some(&directory.path().join("file/store"))).unwrap_err();
    assert_eq!(error.exit, Exit::Host);
    assert!(error.hint.unwrap().contains("DIORITE_STORE"));
}
