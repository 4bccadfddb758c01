//! A container made of an image that others made: fetched, built into the machine, carried by a vault.

mod common;
#[path = "../../archive/src/images/tests/server.rs"]
mod registry;
use common::{Project, text};
use diorite_archive::lockfile;
use diorite_model::lock::{ARCHIVED, PULLED};
use diorite_model::{Digest, LockedPackage};
use registry::{Door, Server};
use std::fs;
use std::io::Write as _;
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

/// Two layers, of which the upper one takes a file of the lower one away, and their configuration.
fn parts(hello: &str) -> ([Vec<u8>; 2], String) {
    let lower = tar(&[("usr/bin/hello", hello.as_bytes()), ("usr/bin/gone", b"x"), ("etc/app.conf", b"a=1\n")]);
    let upper = tar(&[("usr/bin/.wh.gone", b""), ("etc/more.conf", b"b=2\n")]);
    let ids = [&lower, &upper].map(|l| format!("sha256:{}", Digest::of(l)));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": ids },
        "created": "2026-10-01T08:00:00Z",
        "config": { "User": "7", "Entrypoint": ["/usr/bin/hello"], "Env": null },
    });
    ([lower, upper], config.to_string())
}

/// As `docker save` writes it.
fn image(hello: &str) -> Vec<u8> {
    let ([lower, upper], config) = parts(hello);
    let manifest = br#"[{"Config":"config.json","RepoTags":null,"Layers":["lower.tar","upper.tar"]}]"#;
    tar(&[
        ("lower.tar", &lower),
        ("upper.tar", &upper),
        ("config.json", config.as_bytes()),
        ("manifest.json", manifest),
    ])
}

/// Puts the same image into a registry: one layer in gzip, one in zstd, below an index for two machines. Its reference.
fn pushed(server: &Server, hello: &str) -> String {
    let ([lower, upper], config) = parts(hello);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&lower).expect("in memory");
    let layers = [gzip.finish().expect("in memory"), zstd::encode_all(&upper[..], 0).expect("in memory")];
    let descriptor = |kind: &str, bytes: &[u8]| {
        let media = format!("application/vnd.oci.image.{kind}");
        serde_json::json!({ "mediaType": media, "digest": format!("sha256:{}", Digest::of(bytes)), "size": bytes.len() })
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2, "config": descriptor("config.v1+json", config.as_bytes()),
        "layers": [descriptor("layer.v1.tar+gzip", &layers[0]), descriptor("layer.v1.tar+zstd", &layers[1])],
    })
    .to_string();
    let mut entries = ["arm64", "amd64"].map(|architecture| {
        // The other machine's is nowhere, and nobody asks for it.
        let text = if architecture == "amd64" { manifest.as_bytes() } else { b"{}" };
        let mut entry = descriptor("manifest.v1+json", text);
        entry["platform"] = serde_json::json!({ "os": "linux", "architecture": architecture });
        entry
    });
    entries.reverse();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": entries }).to_string();
    for blob in [&layers[0][..], &layers[1], config.as_bytes()] {
        server.put("team/app", "blobs", blob);
    }
    for text in [&manifest, &index] {
        server.put("team/app", "manifests", text.as_bytes());
    }
    format!("{}/team/app:1.0@sha256:{}", server.host, Digest::of(index.as_bytes()))
}

/// `server` with one more container, and the lock that belongs to it. The pool is the project's own.
fn with_an_image() -> Project {
    let project = Project::locked();
    let shared = fs::read_link(project.path("store/pool")).expect("a link to the pool");
    fs::remove_file(project.path("store/pool")).expect("the link goes");
    for directory in fs::read_dir(&shared).expect("the pool").flatten() {
        let own = project.path("store/pool").join(directory.file_name());
        fs::create_dir_all(&own).expect("a directory of the pool");
        for file in fs::read_dir(directory.path()).expect("packages").flatten() {
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
    fs::create_dir_all(project.path("profiles/images")).expect("a directory");
    fs::write(project.path("profiles/images/app.tar"), image(hello)).expect("an image");
}

fn manifest(project: &Project) -> String {
    fs::read_to_string(project.path("out/server/tree.manifest")).expect("a manifest")
}

/// A manifest without what the image carries of its recipe and lock, which name where the container's image came from.
fn without_inputs(manifest: &str) -> String {
    let kept: Vec<&str> = manifest.lines().filter(|line| !line.contains(" /usr/share/diorite/")).collect();
    assert_eq!(manifest.lines().count() - kept.len(), 4, "description, lock, provenance, recipe");
    kept.join("\n")
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
    project.succeed(&["build", "server", "--format", "raw"]);
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
    there.succeed(&["build", "server", "--format", "raw"]);
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

/// The program with the archive as this machine knows it, and the logins of one file.
fn online(project: &Project, logins: &Path) -> std::process::Command {
    let mut command = project.diorite();
    for name in ["DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR"] {
        match std::env::var_os(name) {
            Some(mirror) => command.env(name, mirror),
            None => command.env_remove(name),
        };
    }
    command.env("REGISTRY_AUTH_FILE", logins);
    command
}

/// Locked, fetched with the user's login, and built when the registry has it no more: the same bytes as out of a file.
#[test]
fn an_image_of_a_registry_is_the_same_as_in_a_file() {
    let project = with_an_image();
    project.succeed(&["fetch", "server"]);
    project.succeed(&["build", "server", "--format", "raw"]);
    let from_a_file = without_inputs(&manifest(&project));

    let server = Server::start();
    let reference = pushed(&server, "one");
    server.door(Door::Token("bWU6c2VjcmV0"));
    let logins = project.path("auth.json");
    let of_team = format!(r#"{{"auths": {{"{}/team": {{"auth": "bWU6c2VjcmV0"}}}}}}"#, server.host);
    fs::write(&logins, of_team).expect("a login");
    let profile = project.path("profiles/server.toml");
    let oci = fs::read_to_string(&profile).expect("the profile");
    let oci = oci.replace("archive = \"images/app.tar\"", &format!("oci = \"{reference}\""));
    fs::write(&profile, oci).expect("the profile");
    let file = project.path("profiles/server.lock");
    let mut lock = lockfile::read(&file).expect("a lock");
    fs::remove_file(&file).expect("the lock goes");

    let output = online(&project, &logins).args(["lock", "server"]).output().expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    let line = said.lines().find(|l| l.starts_with("container app: ")).expect("what the image is");
    assert!(line.contains(&format!("{}/team/app, manifest ", server.host)) && line.contains(", 2 layers, "), "{line}");
    assert!(told.contains("2 layers, ") && told.contains("made 2026-10-01, starts `/usr/bin/hello` as 7"), "{told}");
    // The archive may have moved on since the material was made: of the new lock, only what is new.
    let new = lockfile::read(&file).expect("a lock");
    let app = new.container["app"].clone();
    let names: Vec<&str> = app.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["config", "index", "layer-01", "layer-02", "manifest"]);
    assert!(app.iter().all(|f| f.release == PULLED));
    lock.container.insert("app".into(), app);
    lock.recipe = new.recipe;
    lockfile::write(&lock, &file).expect("the lock");

    let output = project.diorite().args(["fetch", "server"]).env("REGISTRY_AUTH_FILE", "/nowhere").output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("in /nowhere: log in (`podman login"), "{}", text(&output.stderr));
    let output = project.diorite().args(["fetch", "server"]).env("REGISTRY_AUTH_FILE", &logins).output();
    assert!(output.expect("the program starts").status.success());
    server.state.lock().expect("state").files.clear();
    let asked = server.asked().len();
    project.succeed(&["build", "server", "--format", "raw"]);
    assert_eq!(without_inputs(&manifest(&project)), from_a_file);

    let vault = project.path("server.vault");
    let name = vault.to_str().expect("a plain path");
    project.succeed(&["vault", "export", "server", name]);
    let there = Project::empty();
    fs::remove_file(there.path("profiles/server.lock")).expect("no lock");
    fs::copy(&profile, there.path("profiles/server.toml")).expect("the profile");
    there.succeed(&["vault", "import", name]);
    there.succeed(&["fetch", "server"]);
    assert_eq!(server.asked().len(), asked, "nobody asks the registry again");
}
