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
    let digest = export(&lock_path, &world.lock, &pool, &vault, &quiet()).unwrap();
    let bytes = std::fs::read(&vault).unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    // The same lock gives the same bytes, wherever it lies and whenever.
    let again = world.directory.path().join("again.tar");
    assert_eq!(export(&lock_path, &world.lock, &pool, &again, &quiet()).unwrap(), digest);

    let store = Store::open(Some(&world.directory.path().join("empty"))).unwrap();
    let imported = import(&vault, &store, &quiet()).unwrap();
    assert_eq!((imported.packages, imported.new), (3, 3));
    assert_eq!((imported.lock_name.as_str(), &imported.lock), ("server.lock", &world.lock));
    assert_eq!(imported.lock_text, std::fs::read_to_string(&lock_path).unwrap());
    let packages = imported.lock.packages();
    let nobody = || -> Result<MirrorClient> { panic!("the mirrors were asked for") };
    let new_pool = fetch(&packages, &imported.lock, nobody, &store, &quiet()).unwrap();
    for package in &packages {
        assert!(std::fs::read(new_pool.path(package)).unwrap() == std::fs::read(pool.path(package)).unwrap());
    }
    assert_eq!(import(&vault, &store, &quiet()).unwrap().new, 0);
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
    export(&lock_path, &world.lock, &pool, &vault, &quiet()).unwrap();
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
            match import(&damaged, store, &quiet()) {
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
    export(&lock_path, &world.lock, &pool, &vault, &quiet()).unwrap();
    let good = std::fs::read(&vault).unwrap();
    let store = Store::open(Some(&world.directory.path().join("empty"))).unwrap();
    let last = good.len() - 1024 - 600;
    for len in (0..last).step_by(20_011).chain([last]) {
        std::fs::write(&vault, &good[..len]).unwrap();
        let error = import(&vault, &store, &quiet()).unwrap_err();
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
        let index =
            Contents { schema, lock: "x.lock".into(), lock_sha256: Digest::of(lock), packages: packages.to_vec() };
        serde_json::to_vec(&index).unwrap()
    };
    let good = index(&text, 1, &packages);
    let debs: Vec<_> = packages.iter().map(|p| (member(p), std::fs::read(pool.path(p)).unwrap())).collect();
    let mut other = debs[0].1.clone();
    other[100_000] ^= 1;
    let (future, fewer) = (index(&text, 2, &packages), index(&text, 1, &packages[..2]));
    let deb_0 = (debs[0].0.as_str(), &debs[0].1[..]);
    let deb_1 = (debs[1].0.as_str(), &debs[1].1[..]);
    let deb_2 = (debs[2].0.as_str(), &debs[2].1[..]);
    let lock = ("x.lock", &text[..]);
    let cases: Vec<Vec<(&str, &[u8])>> = vec![
        vec![("readme", b"hello")],
        vec![(INDEX, b"{}")],
        vec![(INDEX, &future), lock],
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
        say(import(&vault, &store, &quiet()).unwrap_err(), Exit::Input);
    }
    std::fs::write(&vault, "this is no archive").unwrap();
    say(import(&vault, &store, &quiet()).unwrap_err(), Exit::Input);
    say(import(&world.directory.path().join("none"), &store, &quiet()).unwrap_err(), Exit::Input);

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
    say(import(&vault, &fresh, &quiet()).unwrap_err(), Exit::LockOutdated);
    assert_eq!(missing(&lied.packages(), &fresh).len(), 1);

    // Export from a pool that was damaged, into a directory that is none.
    say(export(&lock_path, &world.lock, &pool, &lock_path.join("out"), &quiet()).unwrap_err(), Exit::Host);
    std::fs::write(pool.path(&world.lock.image[0]), vec![0; world.lock.image[0].size as usize]).unwrap();
    let out = world.directory.path().join("out.vault");
    say(export(&lock_path, &world.lock, &pool, &out, &quiet()).unwrap_err(), Exit::Host);
    assert!(!out.exists());
    insta::assert_snapshot!(texts.join("\n\n"));
}
