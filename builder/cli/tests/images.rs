//! A container made of an image that others made: fetched, built into the machine, carried by a vault.

mod common;
use common::{Project, text};
use diorite_archive::lockfile;
use diorite_model::lock::ARCHIVED;
use diorite_model::{Digest, LockedPackage};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const APP: &str = "\n[containers.app]\narchive = \"images/app.tar\"\ncommand = [\"hello\"]\nwritable = [\"/tmp\"]\n";

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, *bytes).expect("in memory");
    }
    tar.into_inner().expect("in memory")
}

/// As `docker save` writes it: two layers, of which the upper one takes a file of the lower one away.
fn image(hello: &str) -> Vec<u8> {
    let lower = tar(&[("usr/bin/hello", hello.as_bytes()), ("usr/bin/gone", b"x"), ("etc/app.conf", b"a=1\n")]);
    let upper = tar(&[("usr/bin/.wh.gone", b""), ("etc/more.conf", b"b=2\n")]);
    let ids = [&lower, &upper].map(|l| format!("sha256:{}", Digest::of(l)));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": ids },
        "config": { "User": "7", "Entrypoint": ["/usr/bin/hello"], "Env": null },
    });
    let manifest = br#"[{"Config":"config.json","RepoTags":null,"Layers":["lower.tar","upper.tar"]}]"#;
    let config = config.to_string();
    tar(&[
        ("lower.tar", &lower),
        ("upper.tar", &upper),
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest),
    ])
}

/// `server` with one more container, and the lock that belongs to it. The pool is the project's own.
fn with_an_image() -> Project {
    let project = Project::locked();
    let shared = fs::read_link(project.path("store/pool")).expect("a link to the pool");
    fs::remove_file(project.path("store/pool")).expect("the link goes");
    for folder in fs::read_dir(&shared).expect("the pool").flatten() {
        let own = project.path("store/pool").join(folder.file_name());
        fs::create_dir_all(&own).expect("a folder of the pool");
        for file in fs::read_dir(folder.path()).expect("packages").flatten() {
            symlink(file.path(), own.join(file.file_name())).expect("a link to a package");
        }
    }
    fs::write(project.path("profiles/server.toml"), {
        fs::read_to_string(project.path("profiles/server.toml")).expect("the profile") + APP
    })
    .expect("the profile");
    put(&project, "one");
    let bytes = fs::read(project.path("profiles/images/app.tar")).expect("the image");
    let file = project.path("profiles/server.lock");
    let mut lock = lockfile::read(&file).expect("a lock");
    let sha256 = Digest::of(&bytes);
    let app = LockedPackage {
        name: "archive".into(),
        version: sha256.short(12),
        architecture: "amd64".into(),
        release: ARCHIVED.into(),
        path: "images/app.tar".into(),
        size: bytes.len() as u64,
        sha256,
    };
    lock.container.insert("app".into(), vec![app]);
    lock.recipe = serde_json::from_value(project.json(&["show", "server"])["digest"].clone()).expect("a digest");
    lockfile::write(&lock, &file).expect("the lock");
    project
}

fn put(project: &Project, hello: &str) {
    fs::create_dir_all(project.path("profiles/images")).expect("a folder");
    fs::write(project.path("profiles/images/app.tar"), image(hello)).expect("an image");
}

fn manifest(project: &Project) -> String {
    fs::read_to_string(project.path("out/server/tree.manifest")).expect("a manifest")
}

fn hit(project: &Project) -> bool {
    let plan = project.json(&["plan", "server"]);
    let steps = plan["steps"].as_array().expect("steps");
    let step = steps.iter().find(|s| s["name"] == "container app").expect("a step for the image");
    step["hit"].as_bool().expect("a hit or none")
}

#[test]
fn an_image_in_a_file_becomes_part_of_the_machine() {
    let project = with_an_image();
    assert!(!hit(&project));
    project.succeed(&["fetch", "server"]);
    // From here on everything is in the store.
    fs::remove_file(project.path("profiles/images/app.tar")).expect("the image goes");
    project.succeed(&["build", "server", "--no-qcow2"]);
    assert!(hit(&project));
    let manifest = manifest(&project);
    for path in ["/diff/usr/bin/hello", "/diff/etc/app.conf", "/diff/etc/more.conf", "/diff/etc/resolv.conf"] {
        assert!(manifest.contains(path), "{path} is in the image");
    }
    assert!(!manifest.contains("/diff/usr/bin/gone"), "a whiteout takes a file away");
    assert!(!manifest.contains(".wh."), "and leaves nothing itself");
    assert!(manifest.contains("etc/containers/systemd/app.container"));

    let vault = project.path("server.vault");
    let name = vault.to_str().expect("a plain path");
    project.succeed(&["vault", "export", "server", name]);
    let there = Project::empty();
    fs::remove_file(there.path("profiles/server.lock")).expect("no lock");
    fs::copy(project.path("profiles/server.toml"), there.path("profiles/server.toml")).expect("the profile");
    there.succeed(&["vault", "import", name]);
    there.succeed(&["build", "server", "--no-qcow2"]);
    assert_eq!(there.disk(), project.disk());
}

#[test]
fn another_file_than_the_locked_one_is_refused() {
    let project = with_an_image();
    let refused = |project: &Project| {
        let output = project.diorite().args(["-q", "fetch", "server"]).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        common::errors::stderr(project, &output)
    };
    put(&project, "two");
    let said = refused(&project);
    insta::assert_snapshot!(said);
    assert!(!Path::new(&project.path("out/server/disk.raw")).exists());
}
