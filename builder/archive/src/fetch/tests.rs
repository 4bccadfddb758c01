//! Fetching from servers that misbehave: what arrives in the end, what was asked for, what stays behind, what is said.

use super::*;
use crate::http::server::{Server, ServerAction};
use crate::http::tests::{client, closed_port, impatient};
use crate::sources::{SourceConfig, Sources};
use diorite_model::lock::Release;
use std::path::Path;

/// Files on a server, the lock that names them, and an empty store.
pub(crate) struct World {
    pub server: Server,
    pub lock: Lock,
    pub directory: tempfile::TempDir,
    pub store: Store,
    pub wanted: SourceConfig,
}

/// A .deb that calls itself so, of about `size` bytes.
pub(crate) fn deb(name: &str, version: &str, size: usize) -> Vec<u8> {
    let control = format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n");
    let mut bytes = crate::deb::tests::package(&control, ".gz");
    bytes.extend((bytes.len()..size).map(|i| (i * 7 % 253) as u8));
    bytes
}

pub(crate) fn locked(name: &str, release: &str, bytes: &[u8]) -> LockedPackage {
    LockedPackage {
        name: name.into(),
        version: "1.0+b1".into(),
        architecture: "amd64".into(),
        release: release.into(),
        path: format!("pool/main/{name}_1.0+b1_amd64.deb"),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
    }
}

impl World {
    pub fn new() -> Self {
        let server = Server::start();
        let directory = tempfile::tempdir().unwrap();
        let release = Release {
            suite: "trixie".into(),
            date: "2026-11-14T09:00:00Z".into(),
            valid_until: None,
            sha256: Digest::of(b""),
            components: vec!["main".into()],
        };
        let lock = Lock {
            schema: 1,
            recipe: Digest::of(b""),
            release: [("trixie".to_owned(), release)].into(),
            image: vec![],
            container: BTreeMap::new(),
            wheels: BTreeMap::new(),
            tools: vec![],
        };
        let wanted = SourceConfig {
            mirrors: vec![format!("{}/debian", server.root)],
            directory: directory.path().join("profiles"),
            ..SourceConfig::default()
        };
        let store = Store::open(Some(&directory.path().join("store"))).unwrap();
        Self { server, lock, directory, store, wanted }
    }

    /// A package of 200 kB on the server, in the lock.
    pub fn package(&mut self, name: &str, acts: &[ServerAction]) -> Vec<u8> {
        let bytes = deb(name, "1.0+b1", 200_000);
        self.server.file(&format!("/debian/pool/main/{name}_1.0%2bb1_amd64.deb"), &*bytes, acts);
        self.lock.image.push(locked(name, "trixie", &bytes));
        bytes
    }

    /// The same package on a second mirror of the same server.
    fn second(&mut self, name: &str, acts: &[ServerAction]) {
        let mirror = format!("{}/second/debian", self.server.root);
        if !self.wanted.mirrors.contains(&mirror) {
            self.wanted.mirrors.push(mirror);
        }
        let bytes = deb(name, "1.0+b1", 200_000);
        self.server.file(&format!("/second/debian/pool/main/{name}_1.0%2bb1_amd64.deb"), bytes, acts);
    }

    pub fn archive(&self) -> Result<MirrorClient> {
        let sources = Sources::discover(&self.wanted, &|_| None, Path::new("/nonexistent"))?;
        Ok(MirrorClient { sources, http: client(impatient()) })
    }

    pub fn fetch(&self) -> Result<Pool> {
        let packages = self.lock.packages();
        fetch(&packages, &self.lock, || self.archive(), &self.store, &Progress::quiet())
    }

    /// Fetches and looks whether exactly these bytes are in the pool, and nothing unfinished.
    fn expect(&self, files: &[&Vec<u8>]) {
        let pool = self.fetch().unwrap_or_else(|e| panic!("{e}"));
        for (package, bytes) in self.lock.packages().iter().zip(files) {
            assert!(std::fs::read(pool.path(package)).unwrap() == **bytes, "other bytes of {}", package.name);
        }
        assert_eq!(self.parts(), [""; 0]);
    }

    /// Names of unfinished files.
    fn parts(&self) -> Vec<String> {
        let mut names = Vec::new();
        for directory in std::fs::read_dir(self.store.root().join("pool")).unwrap() {
            for file in std::fs::read_dir(directory.unwrap().path()).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                names.extend(Some(name).filter(|n| n.ends_with(".part")));
            }
        }
        names
    }

    /// Puts bytes where an earlier process would have left them.
    fn left_behind(&self, bytes: &[u8]) {
        let path = part::path(&self.store, &self.lock.image[0].sha256);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn ranges(&self) -> Vec<Option<u64>> {
        self.server.asked().iter().map(|a| a.range).collect()
    }
}

#[test]
fn everything_arrives_once() {
    let mut world = World::new();
    let names: Vec<_> = (0..20).map(|i| format!("p{i}")).collect();
    let files: Vec<_> = names.iter().map(|name| world.package(name, &[ServerAction::Serve])).collect();
    world.lock.tools = world.lock.image[..3].to_vec();
    world.expect(&files.iter().collect::<Vec<_>>());
    assert_eq!(world.server.asked().len(), 20);
    // A full pool needs no mirror, so nobody is asked for one.
    let packages = world.lock.packages();
    let nobody = || -> Result<MirrorClient> { panic!("the mirrors were asked for") };
    fetch(&packages, &world.lock, nobody, &world.store, &Progress::quiet()).unwrap();
    Pool::complete(&packages, &world.store).unwrap().verify(&packages, &Progress::quiet()).unwrap();
}

#[test]
fn what_passes_is_tried_again_and_continued() {
    for (act, second_range) in [
        (ServerAction::Cut(70_000), Some(70_000)),
        (ServerAction::CutSilently(70_000), Some(70_000)),
        (ServerAction::Stall(70_000), Some(70_000)),
        (ServerAction::Cut(0), None),
        (ServerAction::Stall(0), None),
        (ServerAction::Status(503), None),
        (ServerAction::RetryAfter(429, 1000), None),
    ] {
        let mut world = World::new();
        let bytes = world.package("hello", &[act, ServerAction::Serve]);
        world.expect(&[&bytes]);
        assert_eq!(world.ranges(), [None, second_range], "{act:?}");
    }
}

#[test]
fn a_line_that_keeps_breaking_gets_there_as_long_as_it_gets_on() {
    let mut world = World::new();
    let bytes = world.package("hello", &[ServerAction::Cut(9_000)]);
    world.expect(&[&bytes]);
    assert_eq!(world.ranges().len(), 200_000 / 9_000 + 1);
}

#[test]
fn what_an_earlier_process_left_is_continued() {
    for (act, asked) in [
        (ServerAction::Serve, vec![Some(60_000)]),
        (ServerAction::WithoutRange, vec![Some(60_000)]),
        (ServerAction::OtherRange, vec![Some(60_000), None]),
    ] {
        let mut world = World::new();
        let bytes = world.package("hello", &[act, ServerAction::Serve]);
        world.left_behind(&bytes[..60_000]);
        world.expect(&[&bytes]);
        assert_eq!(world.ranges(), asked, "{act:?}");
    }
}

#[test]
fn what_an_earlier_process_left_is_not_believed() {
    for (left, asked) in
        [(vec![7; 60_000], vec![Some(60_000), None]), (vec![7; 200_000], vec![None]), (vec![7; 300_000], vec![None])]
    {
        let mut world = World::new();
        let bytes = world.package("hello", &[ServerAction::Serve]);
        world.left_behind(&left);
        world.expect(&[&bytes]);
        assert_eq!(world.ranges(), asked, "{} bytes", left.len());
    }
    // Complete and right, only the rename was missing.
    let mut world = World::new();
    let bytes = world.package("hello", &[ServerAction::Status(500)]);
    world.left_behind(&bytes);
    world.expect(&[&bytes]);
    assert_eq!(world.ranges(), []);
}

#[test]
fn a_failure_keeps_what_has_arrived_for_the_next_process() {
    let mut world = World::new();
    let bytes = world.package(
        "hello",
        &[
            ServerAction::Cut(70_000),
            ServerAction::Status(503),
            ServerAction::Status(503),
            ServerAction::Status(503),
            ServerAction::Serve,
        ],
    );
    assert_eq!(world.fetch().unwrap_err().exit, Exit::Remote);
    assert_eq!(world.parts().len(), 1);
    world.expect(&[&bytes]);
    assert_eq!(world.ranges().last(), Some(&Some(70_000)));
}

#[test]
fn another_mirror_helps() {
    for act in [
        ServerAction::Wrong,
        ServerAction::Status(404),
        ServerAction::Status(403),
        ServerAction::Status(500),
        ServerAction::TooMany,
        ServerAction::Portal,
        ServerAction::Cut(5),
        ServerAction::Stall(5),
    ] {
        let mut world = World::new();
        let bytes = world.package("hello", &[act]);
        world.second("hello", &[ServerAction::Serve]);
        world.expect(&[&bytes]);
    }
}

#[test]
fn a_dead_mirror_is_asked_last_from_then_on() {
    let mut world = World::new();
    let names: Vec<_> = (0..30).map(|i| format!("p{i}")).collect();
    let files: Vec<_> = names.iter().map(|name| world.package(name, &[ServerAction::Status(500)])).collect();
    names.iter().for_each(|name| world.second(name, &[ServerAction::Serve]));
    world.expect(&files.iter().collect::<Vec<_>>());
    let first = world.server.asked().iter().filter(|a| a.target.starts_with("/debian")).count();
    // Each of the eight threads may find out for itself: three attempts each.
    assert!(first <= THREADS * 3, "{first} requests to the dead mirror");
}

#[test]
fn what_has_gone_comes_from_the_snapshot_archive() {
    let mut world = World::new();
    let old = world.package("old", &[ServerAction::Status(404)]);
    let new = world.package("new", &[ServerAction::Serve]);
    let at = "/snapshot/debian/20261114T090000Z/pool/main/old_1.0%2bb1_amd64.deb";
    world.server.file(at, &*old, &[ServerAction::Serve]);
    let error = world.fetch().unwrap_err();
    assert_eq!(error.exit, Exit::LockOutdated);
    assert_eq!(missing(&world.lock.packages(), &world.store).len(), 1, "the others arrive all the same");
    world.wanted.snapshot = Some(format!("{}/snapshot/{{archive}}/{{timestamp}}", world.server.root));
    world.expect(&[&old, &new]);
}

#[test]
fn local_packages_are_copied() {
    let mut world = World::new();
    let bytes = deb("own", "1.0+b1", 5_000);
    let path = world.wanted.directory.join("debs/own.deb");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    world.lock.image.push(LockedPackage { path: "debs/own.deb".into(), ..locked("own", "local", &bytes) });
    world.expect(&[&bytes]);
    assert_eq!(world.server.asked(), []);
    assert!(path.exists());
}

#[test]
fn a_mirror_may_be_a_directory() {
    let mut world = World::new();
    let bytes = world.package("hello", &[ServerAction::Status(404)]);
    let mirror = world.directory.path().join("mirror/pool/main");
    std::fs::create_dir_all(&mirror).unwrap();
    std::fs::write(mirror.join("hello_1.0+b1_amd64.deb"), &bytes).unwrap();
    world.wanted.mirrors = vec![format!("file://{}/mirror", world.directory.path().display())];
    world.expect(&[&bytes]);
}

#[test]
fn two_processes_may_fetch_the_same() {
    let mut world = World::new();
    let names: Vec<_> = (0..10).map(|i| format!("p{i}")).collect();
    let files: Vec<_> = names.iter().map(|name| world.package(name, &[ServerAction::Serve])).collect();
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(|| world.fetch().map(|_| ()))).collect();
        others.into_iter().for_each(|other| other.join().unwrap().unwrap_or_else(|e| panic!("{e}")));
    });
    world.expect(&files.iter().collect::<Vec<_>>());
    assert_eq!(world.server.asked().len(), 10, "each file is fetched by one of them");
}

#[test]
fn damage_in_the_pool_is_found_and_mended() {
    let mut world = World::new();
    let files = [world.package("one", &[ServerAction::Serve]), world.package("two", &[ServerAction::Serve])];
    let pool = world.fetch().unwrap();
    let packages = world.lock.packages();
    let path = pool.path(packages[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = pool.verify(&packages, &Progress::quiet()).unwrap_err();
    assert!(error.detail.as_ref().unwrap().starts_with("two 1.0+b1"), "{error}");
    assert_eq!(error.detail.as_ref().unwrap().lines().count(), 1, "{error}");
    // A wrong size needs no hashing to be seen.
    std::fs::write(pool.path(packages[0]), b"short").unwrap();
    assert_eq!(missing(&packages, &world.store).len(), 2);
    world.expect(&files.iter().collect::<Vec<_>>());
}

/// The text of the error of this fetch, with what differs from run to run taken out.
fn said(world: &World, exit: Exit) -> String {
    let error = world.fetch().unwrap_err();
    assert_eq!(error.exit, exit, "{error}");
    hide(world, &error)
}

fn hide(world: &World, error: &Error) -> String {
    let text = error.to_string().replace(&world.server.root, "http://SERVER");
    text.replace(&world.directory.path().display().to_string(), "DIRECTORY")
}

#[test]
fn what_is_wrong_is_said() {
    let mut texts = Vec::new();
    for (act, exit) in [
        (ServerAction::Wrong, Exit::Remote),
        (ServerAction::Portal, Exit::Remote),
        (ServerAction::TooMany, Exit::Remote),
        (ServerAction::Cut(9), Exit::Remote),
        (ServerAction::Stall(9), Exit::Remote),
        (ServerAction::Status(503), Exit::Remote),
        (ServerAction::Status(403), Exit::Remote),
        (ServerAction::Status(404), Exit::LockOutdated),
    ] {
        let mut world = World::new();
        // The second attempt brings nothing, so that the cut is the last word.
        world.package("hello", &[act, if act == ServerAction::Cut(9) { ServerAction::Cut(0) } else { act }]);
        texts.push(said(&world, exit));
        assert_eq!(missing(&world.lock.packages(), &world.store).len(), 1);
    }

    let mut world = World::new();
    world.package("hello", &[ServerAction::Wrong]);
    world.second("hello", &[ServerAction::Status(404)]);
    texts.push(said(&world, Exit::Remote));

    let mut world = World::new();
    for i in 0..12 {
        world.package(&format!("p{i:02}"), &[ServerAction::Status(404)]);
    }
    world.wanted.snapshot = Some(format!("{}/{{timestamp}}", world.server.root));
    texts.push(said(&world, Exit::LockOutdated));
    let error = Pool::complete(&world.lock.packages(), &world.store).unwrap_err();
    texts.push(hide(&world, &error));

    let mut world = World::new();
    world.package("hello", &[ServerAction::Serve]);
    let closed = closed_port();
    world.wanted.mirrors = vec![closed.clone()];
    texts.push(said(&world, Exit::Remote).replace(&closed, "http://CLOSED"));
    world.wanted.mirrors = vec!["file:///nonexistent/mirror".into()];
    texts.push(said(&world, Exit::Remote));

    // The lock says something else than the .deb says of itself.
    let mut world = World::new();
    world.package("hello", &[ServerAction::Serve]);
    world.lock.image[0].version = "2.0".into();
    texts.push(said(&world, Exit::LockOutdated));
    let mut world = World::new();
    let bytes = b"this is no package".repeat(100);
    world.lock.image.push(locked("hello", "trixie", &bytes));
    world.server.file("/debian/pool/main/hello_1.0%2bb1_amd64.deb", bytes, &[ServerAction::Serve]);
    texts.push(said(&world, Exit::LockOutdated));
    assert_eq!(world.parts(), [""; 0]);

    // A local package that is missing, then another one.
    let mut world = World::new();
    let bytes = deb("own", "1.0+b1", 5_000);
    world.lock.image.push(LockedPackage { path: "own.deb".into(), ..locked("own", "local", &bytes) });
    texts.push(said(&world, Exit::Input));
    std::fs::create_dir_all(&world.wanted.directory).unwrap();
    std::fs::write(world.wanted.directory.join("own.deb"), "other").unwrap();
    texts.push(said(&world, Exit::LockOutdated));

    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_store_that_cannot_be_written_is_said() {
    let mut world = World::new();
    world.package("hello", &[ServerAction::Serve]);
    // Every write to this device fails as on a full disk: null(4), full(4).
    let path = part::path(&world.store, &world.lock.image[0].sha256);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let mut texts = vec![said(&world, Exit::Host)];
    for errno in [rustix::io::Errno::ROFS, rustix::io::Errno::ACCESS, rustix::io::Errno::DQUOT] {
        let error = part::not_kept(&world.lock.image[0], None, Path::new("/store/pool/x.deb.part"), errno.into());
        assert_eq!(error.exit, Exit::Host);
        texts.push(error.to_string());
    }
    fits(Path::new("/store"), 1_000, 1_000).unwrap();
    texts.push(fits(Path::new("/store"), 213_000_000, 50_000_000).unwrap_err().to_string());
    let digest = world.lock.image[0].sha256.to_string();
    insta::assert_snapshot!(
        texts.join("\n\n").replace(&digest, "SHA256").replace(&format!("pool/{}", &digest[..2]), "pool/XX")
    );
}

#[test]
fn nothing_is_fetched_that_the_lock_does_not_name() {
    let mut world = World::new();
    world.package("hello", &[ServerAction::Serve]);
    let stranger = LockedPackage { path: "pool/other.deb".into(), ..world.lock.image[0].clone() };
    let error = fetch(&[&stranger], &world.lock, || world.archive(), &world.store, &Progress::quiet()).unwrap_err();
    assert_eq!(error.exit, Exit::Bug);
    assert_eq!(world.server.asked(), []);
}
