//! A vault: a lock with all its packages in one file, and a build from it years later, when no mirror answers.

mod common;
use common::{Project, reference, text};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

/// In ten years neither a repository nor an index of crates answers: the source comes out of the vault, and cargo, which knows
/// nothing else and has no network, finds every crate it is compiled with. (docs/measurements has a whole compilation.)
#[test]
fn the_program_itself_comes_out_of_a_vault() {
    let here = Project::locked();
    let (vault, unpacked) = (here.path("server.vault"), here.path("source"));
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    // A compilation fetches the crates of its own platform; a vault is for every one, and says so where a crate is missing.
    let mut fetch = Command::new(env!("CARGO"));
    let fetched = fetch.args(["fetch", "--locked"]).current_dir(&repository).output().expect("cargo");
    assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    let arguments = ["vault", "export", "server", vault.to_str().expect("a path"), "--source"];
    let said = here.json(&[&arguments[..], &[repository.to_str().expect("a path")]].concat());
    let (files, crates) = (&said["source"]["files"], &said["source"]["crates"]);
    assert!(files.as_u64() > Some(500) && crates.as_u64() > Some(100), "{said}");
    let there = Project::empty();
    fs::remove_file(there.path("profiles/server.lock")).expect("no lock");
    let arguments =
        ["vault", "import", vault.to_str().expect("a path"), "--source", unpacked.to_str().expect("a path")];
    assert_eq!(there.json(&arguments)["source"], said["source"]);
    for file in ["Cargo.lock", "builder/cli/src/main.rs", ".cargo/config.toml"] {
        let read = |directory: &Path| fs::read(directory.join(file)).expect("a file of the source");
        assert!(read(&repository) == read(&unpacked.join("diorite")), "{file}");
    }
    assert!(!unpacked.join("diorite/.git").exists(), "no history");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--frozen", "--format-version", "1"]).current_dir(unpacked.join("diorite"));
    cargo.env("CARGO_HOME", here.path("nothing")).env("CARGO_NET_OFFLINE", "true");
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let places = metadata["packages"].as_array().expect("packages").iter().filter_map(|p| p["manifest_path"].as_str());
    let outside: Vec<_> = places.filter(|place| !place.starts_with(unpacked.to_str().expect("a path"))).collect();
    assert!(outside.is_empty(), "{outside:?}");
    // Positive control: without one crate it does not do.
    let vendor = fs::read_dir(unpacked.join("vendor")).expect("crates").flatten().map(|entry| entry.path());
    let one = vendor.into_iter().find(|path| path.to_string_lossy().contains("/serde_json-")).expect("serde_json");
    fs::remove_dir_all(one).expect("a crate");
    assert!(!cargo.output().expect("cargo").status.success(), "a crate is missing");
}

/// The packages in the store.
fn held(project: &Project) -> usize {
    let directories = fs::read_dir(project.path("store/pool")).into_iter().flatten().flatten();
    directories.flat_map(|directory| fs::read_dir(directory.path()).into_iter().flatten()).count()
}

/// Where the first package's bytes begin: blocks of ustar are 512 bytes, sizes stand in octal at 124.
fn first_package(vault: &File) -> u64 {
    let mut at = 0;
    loop {
        let mut header = [0; 512];
        vault.read_exact_at(&mut header, at).expect("a header");
        if header.starts_with(b"debs/") {
            return at + 512;
        }
        let size = u64::from_str_radix(text(&header[124..135]).trim(), 8).expect("a size");
        at += 512 + size.next_multiple_of(512);
    }
}

fn flip(vault: &Path, at: impl Fn(&File) -> u64) {
    let file = File::options().read(true).write(true).open(vault).expect("the vault");
    let (mut byte, at) = ([0], at(&file));
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], at).expect("another byte");
}

#[test]
fn a_build_from_a_vault_needs_no_mirror() {
    let here = Project::locked();
    let vault = here.path("server.vault");
    let name = vault.to_str().expect("a plain path");
    here.succeed(&["vault", "export", "server", name]);

    let there = Project::empty();
    fs::remove_file(there.path("profiles/server.lock")).expect("no lock");
    let said = text(&there.succeed(&["vault", "import", name]).stdout);
    assert!(said.contains("lock: profiles/server.lock"), "{said}");
    assert_eq!(
        fs::read(there.path("profiles/server.lock")).expect("the lock came along"),
        fs::read(here.path("profiles/server.lock")).expect("the lock"),
    );
    there.succeed(&["build", "server", "--format", "raw"]);
    assert_eq!(there.disk(), reference());

    // Again: nothing new, and the same lock is no obstacle. Another one is never overwritten.
    let again = there.json(&["vault", "import", name]);
    assert_eq!((&again["new"], &again["lock"]), (&0.into(), &"profiles/server.lock".into()));
    let mine = fs::read_to_string(there.path("profiles/base.lock")).expect("another lock");
    fs::write(there.path("profiles/server.lock"), &mine).expect("another lock");
    let output = there.diorite().args(["-q", "vault", "import", name]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(there.path("profiles/server.lock")).expect("still there"), mine);
    insta::assert_snapshot!(text(&output.stderr));

    // One flipped bit of a package, then one of the lock: refused, and nothing of it is kept.
    for what in ["package", "lock"] {
        flip(&vault, |file| if what == "package" { first_package(file) + 900 } else { 700 });
        let project = Project::empty();
        fs::remove_file(project.path("profiles/server.lock")).expect("no lock");
        let output = project.diorite().args(["-q", "vault", "import", name]).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{what}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("error: the vault cannot be used"), "{}", text(&output.stderr));
        assert_eq!(held(&project), 0, "{what}: nothing of a damaged vault is in the store");
        assert!(!project.path("profiles/server.lock").exists());
    }
}
