//! From a requirement to a wheel in the store, with an index on the loopback: what is chosen, fetched and carried in a vault,
//! and what is said when it cannot be.

use super::*;
use crate::fetch::tests::World;
use crate::http::server::{Server, ServerAction};
use diorite_model::Digest;
use diorite_model::profile::{self, Loaded};

const WHEELS: [&str; 7] = [
    "flask-3.0.3-py3-none-any.whl",
    "fast-1.0-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "fast-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
    "fast-1.0-cp39-abi3-manylinux_2_17_x86_64.whl",
    "old-1.0-py2-none-any.whl",
    "old-2.0-py3-none-any.whl",
    "mine-1.0+x.1-py3-none-any.whl",
];

fn bytes_of(file: &str) -> Vec<u8> {
    file.repeat(50).into_bytes()
}

fn sha256(file: &str) -> Digest {
    Digest::of(&bytes_of(file))
}

/// An index in JSON with all of [`WHEELS`], and source code of two distributions.
fn index() -> World {
    let mut world = World::new();
    let server = world.server.clone();
    for name in ["flask", "fast", "old", "mine", "sources"] {
        page(&server, name, &[ServerAction::Serve]);
    }
    for file in WHEELS {
        server.file(&format!("/files/{}", file.replace('+', "%2b")), bytes_of(file), &[ServerAction::Serve]);
    }
    world.wanted.wheel_index = Some(format!("{}/simple/", server.root));
    let package = |name: &str, version: &str| LockedPackage {
        version: version.into(),
        ..crate::fetch::tests::locked(name, "trixie", name.as_bytes())
    };
    let python = vec![package("libc6", "2.41-12"), package("python3", "3.13.5-1")];
    world.lock.container.insert("app".into(), python);
    world
}

fn page(server: &Server, name: &str, acts: &[ServerAction]) {
    let mut files: Vec<String> = WHEELS
        .iter()
        .filter(|file| file.starts_with(&format!("{name}-")))
        .map(|file| {
            let python = if *file == "old-2.0-py3-none-any.whl" { ", \"requires-python\": \">=3.14\"" } else { "" };
            let url = format!("../../files/{}", file.replace('+', "%2b"));
            let (hash, size) = (sha256(file), bytes_of(file).len());
            format!("{{\"filename\": \"{file}\", \"url\": \"{url}\", \"hashes\": {{\"sha256\": \"{hash}\"}}, \"size\": {size}{python}}}")
        })
        .collect();
    files.push(format!("{{\"filename\": \"{name}-4.0.tar.gz\", \"url\": \"x\", \"hashes\": {{}}}}"));
    let text =
        format!("{{\"meta\": {{\"api-version\": \"1.1\"}}, \"name\": \"{name}\", \"files\": [{}]}}", files.join(","));
    server.file(&format!("/simple/{name}/"), text, acts);
}

/// The recipe of a machine whose container has these requirements.
fn recipe(requirements: &[String]) -> Recipe {
    let list: Vec<String> = requirements.iter().map(|r| format!("{r:?}")).collect();
    let text = format!(
        "[image]\nname = \"a\"\nversion = \"1\"\n[containers.app]\npackages = [\"python3\"]\ncommand = [\"x\"]\n\
         requirements = [{}]\n",
        list.join(", ")
    );
    let mut none = |_: &str| -> Result<Loaded> { panic!("nothing is extended") };
    profile::parse(&text, "a.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0
}

fn hashed(requirement: &str, files: &[&str]) -> String {
    let hashes: Vec<String> = files.iter().map(|file| format!(" --hash=sha256:{}", sha256(file))).collect();
    format!("{requirement}{}", hashes.concat())
}

fn locked(world: &mut World, requirements: &[String]) -> Result<Vec<LockedPackage>> {
    let archive = world.archive()?;
    lock(&recipe(requirements), &mut world.lock, &archive, &Progress::quiet())?;
    Ok(world.lock.wheels["app"].clone())
}

#[test]
fn the_wheel_that_fits_best_is_locked_fetched_and_carried() {
    let mut world = index();
    let url = format!("{}/files/mine-1.0%2bx.1-py3-none-any.whl", world.server.root);
    let wheels = locked(
        &mut world,
        &[
            hashed("Flask==3.0.3", &WHEELS[..1]),
            hashed("fast==1.0", &WHEELS[1..4]),
            hashed("old==2.0 ; python_version < '3.10'", &WHEELS[5..6]),
            hashed(&format!("mine @ {url}"), &WHEELS[6..]),
        ],
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let said: Vec<(&str, &str, &str, &str)> =
        wheels.iter().map(|w| (w.name.as_str(), w.version.as_str(), w.architecture.as_str(), w.file_name())).collect();
    assert_eq!(
        said,
        [
            ("fast", "1.0", "amd64", WHEELS[1]),
            ("flask", "3.0.3", "all", WHEELS[0]),
            ("mine", "1.0+x.1", "all", "mine-1.0%2bx.1-py3-none-any.whl"),
        ]
    );
    assert_eq!(wheels[0].path, format!("fast/{}", WHEELS[1]), "no host, and nothing of its directories");
    // A lock is read as it was written.
    let text = crate::lockfile::text(&world.lock);
    assert_eq!(crate::lockfile::parse(&text, std::path::Path::new("x.lock")).unwrap(), world.lock);
    // With a hash of another file, another file is taken.
    let other = locked(&mut world, &[hashed("fast==1.0", &WHEELS[3..4])]).unwrap();
    assert_eq!(other[0].file_name(), WHEELS[3]);

    world.lock.container.clear();
    world.lock.wheels.insert("app".into(), wheels.clone());
    let pool = world.fetch().unwrap_or_else(|e| panic!("{e}"));
    for (wheel, file) in wheels.iter().zip([WHEELS[1], WHEELS[0], WHEELS[6]]) {
        assert_eq!(std::fs::read(pool.path(wheel)).unwrap(), bytes_of(file));
    }
    let asked = world.server.asked().len();
    world.fetch().unwrap();
    assert_eq!(world.server.asked().len(), asked, "what is in the store is not asked for again");

    let lock_file = world.directory.path().join("a.lock");
    crate::lockfile::write(&world.lock, &lock_file).unwrap();
    let vault = world.directory.path().join("a.vault");
    crate::vault::export(&lock_file, &world.lock, &pool, None, &vault, &Progress::quiet()).unwrap();
    let other = diorite_host::store::Store::open(Some(&world.directory.path().join("other"))).unwrap();
    let imported = crate::vault::import(&vault, None, &other, &Progress::quiet()).unwrap();
    assert_eq!((imported.new, imported.lock.wheels), (3, world.lock.wheels.clone()));
}

#[test]
fn an_index_that_misbehaves_gives_no_other_bytes() {
    let mut world = index();
    let wheels = locked(&mut world, &[hashed("flask==3.0.3", &WHEELS[..1])]).unwrap();
    world.lock.container.clear();
    let path = format!("/files/{}", WHEELS[0]);
    let fetched = |world: &World, acts: &[ServerAction]| {
        world.server.file(&path, bytes_of(WHEELS[0]), acts);
        world.fetch().map(|pool| std::fs::read(pool.path(&wheels[0])).unwrap())
    };
    let hide = |e: Error| e.to_string().replace(&world.server.root, "http://index");
    let mut said = Vec::new();
    for acts in
        [&[ServerAction::Wrong][..], &[ServerAction::TooMany], &[ServerAction::Status(403)], &[ServerAction::Portal]]
    {
        said.push(hide(fetched(&world, acts).unwrap_err()));
    }
    page(&world.server, "flask", &[ServerAction::Status(404)]);
    said.push(hide(world.fetch().map(drop).unwrap_err()));
    page(&world.server, "flask", &[ServerAction::Portal]);
    said.push(hide(world.fetch().map(drop).unwrap_err()));
    insta::assert_snapshot!(said.join("\n\n"));
    // Cut off and busy, it comes in the end.
    page(&world.server, "flask", &[ServerAction::Status(503), ServerAction::Serve]);
    let acts = [ServerAction::Cut(100), ServerAction::Status(503), ServerAction::Serve];
    assert_eq!(fetched(&world, &acts).unwrap_or_else(|e| panic!("{e}")), bytes_of(WHEELS[0]));
}

#[test]
fn what_cannot_be_locked_is_said() {
    let mut world = index();
    let root = world.server.root.clone();
    let url = |file: &str| format!("{} @ {root}/files/{file}", file.split('-').next().unwrap());
    let requirements = [
        vec![hashed("flask==3.0.4", &WHEELS[..1])],
        vec![hashed("sources==4.0", &WHEELS[..1])],
        vec![hashed("sources==5.0", &WHEELS[..1])],
        vec![hashed("old==1.0", &WHEELS[4..5])],
        vec![hashed("old==2.0", &WHEELS[5..6])],
        vec![hashed("fast==1.0", &WHEELS[2..3])],
        vec![hashed("absent==1.0", &WHEELS[..1])],
        vec![hashed("flask==3.0.3 ; platform_release > '6'", &WHEELS[..1])],
        vec![
            hashed("flask==3.0.3 ; os_name == 'posix'", &WHEELS[..1]),
            hashed("flask==3.0.2 ; python_version > '3'", &WHEELS[..1]),
        ],
        vec![hashed(&url(WHEELS[4]), &WHEELS[4..5])],
        vec![hashed(&url(WHEELS[0]), &WHEELS[..2])],
        vec![hashed(&url("gone-1.0-py3-none-any.whl"), &WHEELS[..1])],
    ];
    let mut said: Vec<String> =
        requirements.iter().map(|r| locked(&mut world, r).map(|w| format!("{w:?}")).unwrap_err().to_string()).collect();
    page(&world.server, "flask", &[ServerAction::Status(401)]);
    said.push(
        locked(&mut world, &[hashed("flask==3.0.3", &WHEELS[..1])]).map(|w| format!("{w:?}")).unwrap_err().to_string(),
    );
    world.lock.container.get_mut("app").unwrap().pop();
    said.push(
        locked(&mut world, &[hashed("flask==3.0.3", &WHEELS[..1])]).map(|w| format!("{w:?}")).unwrap_err().to_string(),
    );
    insta::assert_snapshot!(said.join("\n\n").replace(&root, "http://index"));
    // No index is asked for where nobody needs one.
    let mut world = World::new();
    let archive = world.archive().unwrap();
    assert!(lock(&recipe(&[]), &mut world.lock, &archive, &Progress::quiet()).is_ok());
}

#[test]
fn html_without_sizes_will_do() {
    let mut world = index();
    let html = format!("<a href=\"../../files/{0}#sha256={1}\">{0}</a>", WHEELS[0], sha256(WHEELS[0]));
    world.server.file("/simple/flask/", html, &[ServerAction::Serve]);
    let wheels = locked(&mut world, &[hashed("flask==3.0.3", &WHEELS[..1])]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(wheels[0].size, bytes_of(WHEELS[0]).len() as u64);
}

#[test]
fn a_lock_has_the_wheels_that_are_asked_for() {
    let mut world = index();
    let requirements = [
        hashed("flask==3.0.3", &WHEELS[..1]),
        hashed("fast==1.0", &WHEELS[1..4]),
        hashed("old==2.0 ; python_version < '3.10'", &WHEELS[5..6]),
    ];
    locked(&mut world, &requirements).unwrap();
    let asked = recipe(&requirements);
    agree(&asked, &world.lock).unwrap_or_else(|e| panic!("{e}"));
    let changed = |change: &dyn Fn(&mut Lock)| {
        let mut lock = world.lock.clone();
        change(&mut lock);
        agree(&asked, &lock).unwrap_err().to_string()
    };
    let app = |lock: &mut Lock| std::mem::take(lock.wheels.get_mut("app").unwrap());
    let said = [
        changed(&|lock| lock.wheels.clear()),
        changed(&|lock| drop(lock.wheels.get_mut("app").unwrap().pop())),
        changed(&|lock| lock.wheels.get_mut("app").unwrap()[0].sha256 = Digest::of(b"other")),
        changed(&|lock| {
            let mut all = app(lock);
            all[1].path = "flask/flask-3.0.4-py3-none-any.whl".into();
            lock.wheels.insert("app".into(), all);
        }),
        changed(&|lock| {
            let mut all = app(lock);
            all.push(LockedPackage { name: "more".into(), ..all[0].clone() });
            lock.wheels.insert("app".into(), all);
        }),
        changed(&|lock| drop(lock.wheels.insert("web".into(), Vec::new()))),
        changed(&|lock| lock.container.clear()),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
    assert!(agree(&recipe(&[]), &World::new().lock).is_ok());
}

/// A directory of files, as `pip download` fills one, with a page beside: no server is needed.
#[test]
fn an_index_may_be_a_directory() {
    let mut world = index();
    let directory = world.directory.path().join("simple/flask");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(WHEELS[0]), bytes_of(WHEELS[0])).unwrap();
    let html = format!("<a href=\"{0}#sha256={1}\">{0}</a>", WHEELS[0], sha256(WHEELS[0]));
    std::fs::write(directory.join("index.html"), html).unwrap();
    world.wanted.wheel_index = Some(format!("file://{}/simple", world.directory.path().display()));
    let wheels = locked(&mut world, &[hashed("flask==3.0.3", &WHEELS[..1])]).unwrap_or_else(|e| panic!("{e}"));
    world.lock.container.clear();
    let pool = world.fetch().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(std::fs::read(pool.path(&wheels[0])).unwrap(), bytes_of(WHEELS[0]));
}
