//! A vault goes out and comes in again; every byte that is changed on the way is noticed.

use super::*;
use crate::fetch::tests::World;
use crate::fetch::{fetch, missing};
use crate::http::MirrorClient;
use crate::http::server::ServerAction;

/// A world with three packages in its pool, one of them also for the tools, and its lock written down.
fn full() -> (World, std::path::PathBuf, Pool) {
    let mut world = World::new();
    for name in ["one", "two", "three"] {
        world.package(name, &[ServerAction::Serve]);
    }
    world.lock.tools.push(world.lock.image[1].clone());
    let path = world.directory.path().join("server.lock");
    std::fs::write(&path, toml::to_string(&world.lock).unwrap()).unwrap();
    let pool = world.fetch().unwrap();
    (world, path, pool)
}

fn quiet() -> Progress {
    Progress::quiet()
}

#[test]
fn out_and_in_again_without_a_network() {
    let (world, lock_path, pool) = full();
    let vault = world.directory.path().join("server.vault");
    let digest = export(&lock_path, &world.lock, &pool, None, &vault, &quiet()).unwrap();
    let bytes = std::fs::read(&vault).unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    // The same lock gives the same bytes, wherever it lies and whenever.
    let again = world.directory.path().join("again.tar");
    assert_eq!(export(&lock_path, &world.lock, &pool, None, &again, &quiet()).unwrap(), digest);

    let store = Store::open(Some(&world.directory.path().join("empty"))).unwrap();
    let imported = import(&vault, None, &store, &quiet()).unwrap();
    assert_eq!((imported.packages, imported.new), (3, 3));
    assert_eq!((imported.lock_name.as_str(), &imported.lock), ("server.lock", &world.lock));
    assert_eq!(imported.lock_text, std::fs::read_to_string(&lock_path).unwrap());
    let packages = imported.lock.packages();
    let nobody = || -> Result<MirrorClient> { panic!("the mirrors were asked for") };
    let new_pool = fetch(&packages, &imported.lock, nobody, &store, &quiet()).unwrap();
    for package in &packages {
        assert!(std::fs::read(new_pool.path(package)).unwrap() == std::fs::read(pool.path(package)).unwrap());
    }
    assert_eq!(import(&vault, None, &store, &quiet()).unwrap().new, 0);
    assert!(
        std::fs::read_dir(world.directory.path()).unwrap().all(|f| !f
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .ends_with(".part"))
    );
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (world, lock_path, pool) = full();
    let vault = world.directory.path().join("server.vault");
    export(&lock_path, &world.lock, &pool, None, &vault, &quiet()).unwrap();
    let good = std::fs::read(&vault).unwrap();
    let damaged = world.directory.path().join("damaged.vault");
    let store = Store::open(Some(&world.directory.path().join("empty"))).unwrap();
    let full_store = &world.store;
    let mut unnoticed = Vec::new();
    // The last two records are the end mark of tar, which nothing depends on.
    for at in (0..good.len() - 1024).step_by(4099).chain((0..3000).step_by(37)) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&damaged, &bytes).unwrap();
        for store in [&store, full_store] {
            match import(&damaged, None, store, &quiet()) {
                Ok(imported) => {
                    assert_eq!(imported.lock, world.lock, "byte {at}");
                    unnoticed.push(at);
                }
                Err(error) => assert_eq!(error.exit, Exit::Input, "{error}"),
            }
        }
        Pool::complete(&[], &store).unwrap();
        for package in world.lock.packages() {
            let path = store.blob(&package.sha256);
            assert!(!path.exists() || Digest::of(&std::fs::read(&path).unwrap()) == package.sha256, "byte {at}");
        }
    }
    // Padding and the like carry nothing: what was imported all the same is what was exported.
    assert!(unnoticed.len() < 20, "{unnoticed:?}");
}

#[test]
fn every_cut_is_noticed() {
    let (world, lock_path, pool) = full();
    let vault = world.directory.path().join("server.vault");
    export(&lock_path, &world.lock, &pool, None, &vault, &quiet()).unwrap();
    let good = std::fs::read(&vault).unwrap();
    let store = Store::open(Some(&world.directory.path().join("empty"))).unwrap();
    let last = good.len() - 1024 - 600;
    for len in (0..last).step_by(20_011).chain([last]) {
        std::fs::write(&vault, &good[..len]).unwrap();
        let error = import(&vault, None, &store, &quiet()).unwrap_err();
        assert_eq!(error.exit, Exit::Input, "{error}");
    }
}

/// A vault with these members instead of the good ones.
fn made(path: &Path, members: &[(&str, &[u8])]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in members {
        append(&mut tar, name, bytes.len() as u64, *bytes).unwrap();
    }
    tar.into_inner().unwrap();
}

#[test]
fn what_is_wrong_is_said() {
    let (world, lock_path, pool) = full();
    let vault = world.directory.path().join("x.vault");
    let store = Store::open(Some(&world.directory.path().join("empty"))).unwrap();
    let text = std::fs::read(&lock_path).unwrap();
    let mut packages: Vec<_> = world.lock.packages().into_iter().cloned().collect();
    packages.sort();
    let index = |lock: &[u8], schema: u32, packages: &[LockedPackage]| {
        let index = Contents {
            schema,
            lock: "x.lock".into(),
            lock_sha256: Digest::of(lock),
            packages: packages.to_vec(),
            source: None,
        };
        serde_json::to_vec(&index).unwrap()
    };
    let good = index(&text, 1, &packages);
    let debs: Vec<_> = packages.iter().map(|p| (member(p), std::fs::read(pool.path(p)).unwrap())).collect();
    let mut other = debs[0].1.clone();
    other[100_000] ^= 1;
    let (future, bare, fewer) =
        (index(&text, 3, &packages), index(&text, 2, &packages), index(&text, 1, &packages[..2]));
    let deb_0 = (debs[0].0.as_str(), &debs[0].1[..]);
    let deb_1 = (debs[1].0.as_str(), &debs[1].1[..]);
    let deb_2 = (debs[2].0.as_str(), &debs[2].1[..]);
    let lock = ("x.lock", &text[..]);
    let cases: Vec<Vec<(&str, &[u8])>> = vec![
        vec![("readme", b"hello")],
        vec![(INDEX, b"{}")],
        vec![(INDEX, &future), lock],
        vec![(INDEX, &bare), lock],
        vec![(INDEX, &good), ("x.lock", b"schema = 1")],
        vec![(INDEX, &fewer), lock],
        vec![(INDEX, &good), lock, deb_0, deb_1],
        vec![(INDEX, &good), lock, deb_1, deb_0, deb_2],
        vec![(INDEX, &good), lock, (deb_0.0, &other)],
        vec![(INDEX, &good), lock, (deb_0.0, &other[..1000])],
        vec![(INDEX, &good), lock, deb_0, deb_1, deb_2, ("debs/more", b"more")],
    ];
    let mut texts = Vec::new();
    let mut say = |error: Error, exit: Exit| {
        assert_eq!(error.exit, exit, "{error}");
        texts.push(error.to_string().replace(&world.directory.path().display().to_string(), "DIRECTORY"));
    };
    for members in &cases {
        made(&vault, members);
        say(import(&vault, None, &store, &quiet()).unwrap_err(), Exit::Input);
    }
    std::fs::write(&vault, "this is no archive").unwrap();
    say(import(&vault, None, &store, &quiet()).unwrap_err(), Exit::Input);
    say(import(&world.directory.path().join("none"), None, &store, &quiet()).unwrap_err(), Exit::Input);

    // A lock that gives a package another version than it has.
    let mut lied = world.lock.clone();
    lied.image.truncate(1);
    lied.tools.clear();
    lied.image[0].version = "9".into();
    let text = toml::to_string(&lied).unwrap();
    let deb = std::fs::read(pool.path(&lied.image[0])).unwrap();
    let fresh = Store::open(Some(&world.directory.path().join("fresh"))).unwrap();
    made(
        &vault,
        &[
            (INDEX, &index(text.as_bytes(), 1, &lied.image)),
            ("x.lock", text.as_bytes()),
            (&member(&lied.image[0]), &deb),
        ],
    );
    say(import(&vault, None, &fresh, &quiet()).unwrap_err(), Exit::LockOutdated);
    assert_eq!(missing(&lied.packages(), &fresh).len(), 1);

    // Export from a pool that was damaged, into a directory that is none.
    say(export(&lock_path, &world.lock, &pool, None, &lock_path.join("out"), &quiet()).unwrap_err(), Exit::Host);
    std::fs::write(pool.path(&world.lock.image[0]), vec![0; world.lock.image[0].size as usize]).unwrap();
    let out = world.directory.path().join("out.vault");
    say(export(&lock_path, &world.lock, &pool, None, &out, &quiet()).unwrap_err(), Exit::Host);
    assert!(!out.exists());
    insta::assert_snapshot!(texts.join("\n\n"));
}

/// A checkout with one program, one crate, and what no repository has; and cargo's home with that crate.
fn checkout(directory: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (source, cargo) = (directory.join("checkout"), directory.join("cargo"));
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in [("Cargo.toml", "[package]\nname = \"one\"\nversion = \"1.0.0\"\n"), ("src/lib.rs", "// one\n")]
    {
        append(&mut tar, &format!("one-1.0.0/{name}"), text.len() as u64, text.as_bytes()).unwrap();
    }
    let one = tar.into_inner().unwrap().finish().unwrap();
    let lock = format!(
        "version = 4\n[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"one\"\nversion = \"1.0.0\"\n\
         source = \"registry\"\nchecksum = \"{}\"\n",
        Digest::of(&one)
    );
    for (name, bytes) in [
        ("checkout/Cargo.lock", lock.as_bytes()),
        ("checkout/.cargo/config.toml", b"[build]\n"),
        ("checkout/.gitignore", b"/out\n*.log\n"),
        ("checkout/.git/HEAD", b"ref"),
        ("checkout/out/disk.raw", b"disk"),
        ("checkout/a.log", b"log"),
        ("checkout/cache/CACHEDIR.TAG", b""),
        ("checkout/cache/object", b"object"),
        ("checkout/src/main.rs", b"fn main() {}\n"),
        ("checkout/tool", b"#!/bin/sh\n"),
        ("cargo/registry/cache/index/one-1.0.0.crate", &one),
    ] {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(source.join("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    (source, cargo)
}

#[test]
fn the_programs_source_goes_along() {
    let (world, lock_path, pool) = full();
    let (directory, vault) = (world.directory.path(), world.directory.path().join("server.vault"));
    let (source, cargo) = checkout(directory);
    let read = Checkout::read(&source, &cargo).unwrap();
    let paths: Vec<_> = read.source.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, [".cargo/config.toml", ".gitignore", "Cargo.lock", "src/main.rs", "tool"]);
    let digest = export(&lock_path, &world.lock, &pool, Some(&read), &vault, &quiet()).unwrap();
    let again = directory.join("again.tar");
    assert_eq!(export(&lock_path, &world.lock, &pool, Some(&read), &again, &quiet()).unwrap(), digest);

    let store = Store::open(Some(&directory.join("empty"))).unwrap();
    let unpacked = directory.join("unpacked");
    let imported = import(&vault, Some(&unpacked), &store, &quiet()).unwrap();
    assert_eq!((imported.packages, imported.new, imported.source), (3, 3, Some((5, 1))));
    let text = |path: &str| std::fs::read_to_string(unpacked.join(path)).unwrap();
    assert_eq!(text("diorite/src/main.rs"), "fn main() {}\n");
    assert_eq!(text("vendor/one-1.0.0/src/lib.rs"), "// one\n");
    assert!(text("vendor/one-1.0.0/.cargo-checksum.json").contains(&read.source.crates[0].sha256.to_string()));
    assert!(text(".cargo/config.toml").contains("replace-with = \"vault\""));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(unpacked.join("diorite/tool")).unwrap());
    assert_eq!(mode & 0o777, 0o755);
    // Only looked at, it is unpacked nowhere.
    assert_eq!(import(&vault, None, &store, &quiet()).unwrap().source, Some((5, 1)));

    // Every byte of it counts, and nothing half-written stays.
    let good = std::fs::read(&vault).unwrap();
    let at = good.windows(12).position(|window| window == b"fn main() {}").unwrap();
    let crate_at = good.windows(16).position(|window| window == b"crates/one-1.0.0").unwrap() + 512;
    for at in [at, at + 3, crate_at, crate_at + 100] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&vault, &bytes).unwrap();
        let error = import(&vault, Some(&directory.join("bad")), &store, &quiet()).unwrap_err();
        assert_eq!(error.exit, Exit::Input, "{error}");
        assert!(!directory.join("bad").exists() && !directory.join("bad.part").exists());
    }
}

#[test]
fn what_is_wrong_with_the_source_is_said() {
    let (world, lock_path, pool) = full();
    let directory = world.directory.path();
    let (source, cargo) = checkout(directory);
    let store = Store::open(Some(&directory.join("empty"))).unwrap();
    let mut texts = Vec::new();
    let mut say = |error: Error, exit: Exit| {
        assert_eq!(error.exit, exit, "{error}");
        let text = error.to_string().replace(&directory.display().to_string(), "DIRECTORY");
        texts.push(text);
    };
    let plain = directory.join("plain.vault");
    export(&lock_path, &world.lock, &pool, None, &plain, &quiet()).unwrap();
    say(import(&plain, Some(&directory.join("new")), &store, &quiet()).unwrap_err(), Exit::Input);
    let good = Checkout::read(&source, &cargo).unwrap();
    let vault = directory.join("good.vault");
    export(&lock_path, &world.lock, &pool, Some(&good), &vault, &quiet()).unwrap();
    say(import(&vault, Some(&source), &store, &quiet()).unwrap_err(), Exit::Input);
    // Lists that lead out of the directory, are in no order, have no lock, or other crates than their lock.
    let change = |change: &dyn Fn(&mut ProgramSource)| {
        let mut other = Checkout::read(&source, &cargo).unwrap();
        change(&mut other.source);
        let mut packages: Vec<_> = world.lock.packages().into_iter().cloned().collect();
        packages.sort();
        let text = std::fs::read(&lock_path).unwrap();
        let lock = "server.lock".to_owned();
        let contents =
            Contents { schema: 2, lock, lock_sha256: Digest::of(&text), packages, source: Some(other.source) };
        let json = serde_json::to_vec(&contents).unwrap();
        let debs: Vec<_> =
            contents.packages.iter().map(|p| (member(p), std::fs::read(pool.path(p)).unwrap())).collect();
        let files: Vec<_> = good.members().map(|(name, path, ..)| (name, std::fs::read(path).unwrap())).collect();
        let all = debs.iter().chain(&files).map(|(name, bytes)| (name.as_str(), &bytes[..]));
        let members: Vec<_> = [(INDEX, &json[..]), ("server.lock", &text[..])].into_iter().chain(all).collect();
        made(&vault, &members);
        import(&vault, Some(&directory.join("new")), &store, &quiet()).unwrap_err()
    };
    say(change(&|source| source.files[0].path = "../../etc/passwd".into()), Exit::Input);
    say(change(&|source| source.files.swap(0, 1)), Exit::Input);
    say(change(&|source| drop(source.files.remove(2))), Exit::Input);
    say(change(&|source| source.crates[0].version = "1.0.1".into()), Exit::Input);
    assert!(!directory.join("new").exists() && !directory.join("new.part").exists());

    say(Checkout::read(&directory.join("none"), &cargo).unwrap_err(), Exit::Input);
    std::os::unix::fs::symlink("/etc/passwd", source.join("link")).unwrap();
    say(Checkout::read(&source, &cargo).unwrap_err(), Exit::Input);
    std::fs::remove_file(source.join("link")).unwrap();
    let one = cargo.join("registry/cache/index/one-1.0.0.crate");
    std::fs::write(&one, "another crate").unwrap();
    say(Checkout::read(&source, &cargo).unwrap_err(), Exit::Host);
    std::fs::remove_file(&one).unwrap();
    say(Checkout::read(&source, &cargo).unwrap_err(), Exit::Host);
    std::fs::write(source.join("Cargo.lock"), "[[package]]\nname = \"../x\"\nversion = \"1\"\n").unwrap();
    say(Checkout::read(&source, &cargo).unwrap_err(), Exit::Input);
    // Somebody works in the checkout while it is packed.
    std::fs::write(source.join("src/main.rs"), "fn main() { }\n").unwrap();
    say(export(&lock_path, &world.lock, &pool, Some(&good), &vault, &quiet()).unwrap_err(), Exit::Host);
    insta::assert_snapshot!(texts.join("\n\n"));
}
