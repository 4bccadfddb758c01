//! `--json`: one value on stdout with the version of its form, and nothing else; and what `plan` says before and after.

mod common;
use common::{Project, reference, text};
use serde_json::Value;
use std::fs;

/// Step names with whether the store holds their results.
fn hits(plan: &Value) -> Vec<(String, bool)> {
    let steps = plan["steps"].as_array().expect("steps");
    let of = |s: &Value| (s["name"].as_str().expect("a name").to_owned(), s["hit"].as_bool().expect("hit"));
    steps.iter().map(of).collect()
}

fn expect(plan: &Value, hit: [bool; 4]) {
    let names = ["tree", "container web", "filesystem", "disk"];
    assert_eq!(hits(plan), names.map(str::to_owned).into_iter().zip(hit).collect::<Vec<_>>());
}

#[test]
fn recipe_and_host() {
    let project = Project::new();
    let shown = project.json(&["show", "server"]);
    assert_eq!(shown["recipe"]["image"]["name"], "server");
    assert_eq!(shown["digest"].as_str().map(str::len), Some(64));
    let output = project.diorite().args(["doctor", "--json"]).output().expect("the program starts");
    let doctor: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!(doctor["schema"], 1);
    assert_eq!(doctor["sandboxes"].as_array().map(Vec::len), Some(3));
    assert_eq!(output.status.code(), Some(if doctor["chosen"].is_null() { 5 } else { 0 }));
}

#[test]
fn errors() {
    let project = Project::new();
    fs::remove_file(project.path("profiles/base.lock")).expect("no lock");
    for (arguments, exit, what) in [
        (&["show", "sever"][..], 1, "the profile cannot be read"),
        (&["plan", "base"], 3, "profile `base` has no lock"),
        (&["lock", "base"], 6, "`dists/trixie/InRelease` cannot be read"),
        (&["build", "base"], 3, "profile `base` has no lock"),
    ] {
        let output = project.diorite().args(arguments).arg("--json").output().expect("the program starts");
        let error: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
        assert_eq!((&error["schema"], &error["error"]["exit"]), (&1.into(), &exit.into()), "{error}");
        assert_eq!(error["error"]["what"], what);
        assert!(error["error"]["hint"].is_string(), "{error}");
        assert_eq!(output.status.code(), Some(exit));
        assert!(text(&output.stderr).contains(&format!("error: {what}")), "people can read it too");
    }
}

#[test]
fn plan_before_and_after() {
    let project = Project::locked();
    expect(&project.json(&["plan", "server"]), [false; 4]);
    let built = project.json(&["build", "server", "--format", "raw"]);
    assert_eq!(built["disk_sha256"], reference().as_str());
    assert_eq!(
        built,
        serde_json::from_slice::<Value>(&fs::read(project.path("out/server/build.json")).unwrap()).unwrap()
    );
    expect(&project.json(&["plan", "server"]), [true; 4]);
    let again = project.json(&["build", "server", "--format", "raw"]);
    assert!(again["steps"].as_array().expect("steps").iter().all(|s| s["hit"] == true), "{again}");
    assert_eq!(again["disk_sha256"], built["disk_sha256"]);
    fs::write(project.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    expect(&project.json(&["plan", "server"]), [true, true, false, false]);
    // A disk that somebody has touched is no result any more.
    project.succeed(&["build", "server", "--format", "raw"]);
    expect(&project.json(&["plan", "server"]), [true; 4]);
    let disk = fs::File::options().append(true).open(project.path("out/server/disk.raw")).expect("the disk");
    std::io::Write::write_all(&mut &disk, &[0; 512]).expect("more bytes");
    expect(&project.json(&["plan", "server"]), [true, true, true, false]);
}
