//! `rebuild`: the same bytes in an empty store and other surroundings; and a difference that was made here is told with its file,
//! its field, its step, and exit 7.

mod common;
use common::{Project, reference, text};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

fn rebuild(project: &Project, arguments: &[&str]) -> (i32, Value, String) {
    let output =
        project.diorite().args(["-q", "--json", "rebuild"]).args(arguments).output().expect("the program starts");
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().expect("it ends by itself"), value, text(&output.stderr))
}

/// The pack of the machine's tree in the project's store.
fn pack(project: &Project) -> PathBuf {
    let plan = project.json(&["plan", "server"]);
    let key = plan["steps"][0]["key"].as_str().expect("a key").to_owned();
    project.path("store/steps/tree").join(key)
}

/// Changes bytes of a stored tree, as a step would that writes something else each time: of `/etc/issue`, which a package ships.
fn seed(project: &Project) {
    let contents = pack(project).join("contents");
    let bytes = fs::read(&contents).expect("the pack");
    let words = "Debian GNU/Linux 13 \\n \\l";
    // The search of a string is fast, that of bytes is not.
    let parts = bytes.chunks(1 << 20).enumerate();
    let found = parts.filter_map(|(n, part)| {
        let text: String = part.iter().map(|&byte| if byte.is_ascii() { byte as char } else { '?' }).collect();
        text.find(words).map(|at| (n << 20) + at)
    });
    let found: Vec<usize> = found.collect();
    let file = File::options().write(true).open(&contents).expect("the pack");
    file.write_all_at(b"Dabian", *found.first().expect("/etc/issue is in the pack") as u64).expect("other bytes");
    fs::remove_dir_all(project.path("store/steps/filesystem")).expect("it was made of the good one");
    fs::remove_dir_all(project.path("out")).expect("so was the disk");
}

#[test]
fn the_same_bytes_come_again_and_a_difference_is_explained() {
    let project = Project::locked();
    let (code, answer, said) = rebuild(&project, &["server"]);
    assert_eq!((code, &answer["equal"]), (0, &true.into()), "{answer} {said}");
    assert_eq!(answer["disk_sha256"], reference().as_str());
    let changed = answer["changed"].as_array().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    for word in ["directory", "umask 0077", "time zone", "language", "threads", "clock"] {
        assert!(changed.iter().any(|line| line.contains(word)), "{word}: {changed:?}");
    }
    assert!(!project.path("out/server/rebuild").exists(), "what is equal is not kept twice");
    // The image by itself: out of another directory, with nothing but this project's overlays and packages.
    fs::create_dir(project.path("elsewhere")).expect("a directory");
    fs::rename(project.path("out/server/disk.raw"), project.path("elsewhere/disk.raw")).expect("the image");
    fs::remove_file(project.path("profiles/server.lock")).expect("no lock");
    fs::remove_file(project.path("profiles/server.toml")).expect("no profile");
    let (code, answer, said) = rebuild(&project, &["elsewhere/disk.raw"]);
    assert_eq!((code, &answer["equal"]), (0, &true.into()), "{answer} {said}");
    let scratch: Vec<_> =
        fs::read_dir(project.path("store/scratch")).expect("the store").flatten().map(|e| e.path()).collect();
    assert!(scratch.is_empty(), "the store of the rebuild is gone: {scratch:?}");

    // An overlay that is not the image's is told before anything is built.
    let page = project.path("overlays/web/tree/srv/www/index.html");
    let before = fs::read_to_string(&page).expect("the page");
    fs::write(&page, "another page\n").expect("the overlay changes");
    let (code, answer, _) = rebuild(&project, &["elsewhere/disk.raw"]);
    assert_eq!(
        (code, &answer["error"]["what"]),
        (1, &"overlay `web` is not the one that the image was built from".into())
    );
    fs::write(&page, before).expect("the overlay is as it was");
}

#[test]
fn a_step_that_made_something_else_is_named_with_its_file() {
    let project = Project::locked();
    project.succeed(&["build", "server", "--format", "raw"]);
    seed(&project);
    let (code, answer, said) = rebuild(&project, &["server"]);
    assert_eq!((code, &answer["equal"]), (7, &false.into()), "{answer} {said}");
    let findings = answer["findings"].as_array().expect("findings");
    let issue: Vec<_> = findings.iter().filter(|finding| finding["path"] == "/etc/issue").collect();
    assert_eq!(issue.len(), 1, "{answer}");
    assert_eq!(
        (&issue[0]["partition"], &issue[0]["field"], &issue[0]["step"]),
        (&"root".into(), &"content: line 1".into(), &"tree".into())
    );
    assert!(issue[0]["before"].as_str().is_some_and(|line| line.starts_with("Dabian GNU/Linux")), "{answer}");
    assert!(issue[0]["after"].as_str().is_some_and(|line| line.starts_with("Debian GNU/Linux")), "{answer}");
    assert!(issue[0]["source"].as_str().is_some_and(|source| source.starts_with("package base-files")), "{answer}");
    assert!(
        findings.iter().all(|finding| finding["partition"] == "root"),
        "what follows from the root is not told: {answer}"
    );
    assert!(project.path("out/server/rebuild/disk.raw").exists(), "the other image is kept");
    // For people, in words.
    let output = project.diorite().args(["-q", "rebuild", "server"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(7));
    let said = text(&output.stdout);
    assert!(said.contains("root /etc/issue: content: line 1") && said.contains("likely"), "{said}");
}

/// Each step with whether both runs gave the same, the findings, and what was changed.
fn paranoid(project: &Project) -> (i32, Value, String) {
    let arguments = ["-q", "--json", "build", "server", "--format", "raw", "--paranoid"];
    let output = project.diorite().args(arguments).output().expect("the program starts");
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().expect("it ends by itself"), value, text(&output.stderr))
}

#[test]
fn every_step_gives_the_same_twice_and_one_that_does_not_is_named() {
    let project = Project::locked();
    let (code, answer, said) = paranoid(&project);
    let twice = &answer["paranoid"];
    assert_eq!((code, &twice["equal"]), (0, &true.into()), "{answer} {said}");
    assert_eq!((&answer["disk_sha256"], &twice["rebuilt_sha256"]), (&reference().into(), &reference().into()));
    let steps = twice["steps"].as_array().expect("steps");
    let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(names, ["tree", "container web", "filesystem", "disk"]);
    assert!(
        steps.iter().all(|step| step["first"] == step["again"] && step["differs"] == serde_json::json!([])),
        "{twice}"
    );
    let changed = twice["changed"].as_array().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    for word in
        ["directory of the store", "umask", "kernel release", "trees on the disk", "time zone", "language", "threads"]
    {
        assert!(changed.iter().any(|line| line.contains(word)), "{word}: {changed:?}");
    }
    assert!(!project.path("out/server/rebuild").exists(), "what is equal is not kept twice");

    // A step that made something else: named, with the line of its output, and the file of the image.
    seed(&project);
    let (code, answer, said) = paranoid(&project);
    let twice = &answer["paranoid"];
    assert_eq!((code, &twice["equal"]), (7, &false.into()), "{answer} {said}");
    let differ = |name: &str| {
        let steps = twice["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["step"] == name).map(|step| step["first"] != step["again"])
    };
    assert_eq!(
        (differ("tree"), differ("container web"), differ("disk")),
        (Some(true), Some(false), Some(true)),
        "{twice}"
    );
    assert!(twice["findings"].to_string().contains("/etc/issue"), "{twice}");
    let output = project.diorite().args(["-q", "build", "server", "--format", "raw", "--paranoid"]).output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(7));
    let said = text(&output.stdout);
    assert!(said.contains("step `tree` is the first that gave something else"), "{said}");
    assert!(said.contains("root /etc/issue: content: line 1"), "{said}");
}
