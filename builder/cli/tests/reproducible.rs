//! Same profile and lock, same bytes: on empty stores, at other paths, with other numbers of threads, in every sandbox.

mod common;
use common::{Project, text};
use std::fs;

fn digest(project: &Project) -> String {
    project.built("disk_sha256").as_str().expect("a digest").to_owned()
}

fn built(environment: &[(&str, &str)]) -> (Project, String) {
    let project = Project::locked();
    let mut command = project.diorite();
    command.args(["build", "server", "--no-qcow2"]).envs(environment.iter().copied());
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{environment:?}\n{}", text(&output.stderr));
    let digest = digest(&project);
    (project, digest)
}

/// The digest of the build that `make test` prepared: its own store, path and threads.
fn reference() -> String {
    let file = common::material("DIORITE_TEST_OUT").join("build.json");
    let build: serde_json::Value = serde_json::from_slice(&fs::read(file).expect("build.json")).expect("JSON");
    build["disk_sha256"].as_str().expect("a digest").to_owned()
}

#[test]
fn an_empty_store_another_path_and_one_thread_give_the_same_disk() {
    let (project, digest) = built(&[("RAYON_NUM_THREADS", "1"), ("TZ", "Asia/Tokyo"), ("LANG", "de_DE.UTF-8")]);
    assert_eq!(digest, reference());
    // Positive control: the comparison notices one changed byte of one overlay.
    fs::write(project.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    project.succeed(&["build", "server", "--no-qcow2"]);
    let incremental = project.built("disk_sha256").as_str().expect("a digest").to_owned();
    assert_ne!(incremental, digest);
    // And what was made from the pieces of the image before is what a fresh build makes.
    let fresh = Project::locked();
    fs::write(fresh.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    fresh.succeed(&["build", "server", "--no-qcow2"]);
    assert_eq!(fresh.built("disk_sha256"), incremental);
}

#[test]
fn a_root_without_privileges_in_a_plain_container_gives_the_same_disk() {
    let (_project, digest) = built(&[("DIORITE_SIMULATE", "plain-container")]);
    assert_eq!(digest, reference());
}

#[test]
fn a_user_namespace_gives_the_same_disk() {
    let (_project, digest) = built(&[("DIORITE_SANDBOX", "userns")]);
    assert_eq!(digest, reference());
}
