//! What `inspect`, `diff` and `whence` refuse: files that are no images, sides that have nothing to compare, and paths that are none.

mod common;
use common::Project;
use common::errors::{HEAD, deb, lock, profile, refused};
use std::fs;

#[test]
fn files_that_are_no_images() {
    let project = Project::new();
    fs::write(project.path("text.raw"), "no image").expect("a file");
    fs::write(project.path("disk.qcow2"), b"QFI\xfb\0\0\0\x03").expect("a file");
    profile(&project, HEAD);
    let said = [
        refused(&project, &["inspect", "nowhere/disk.raw"], 1),
        refused(&project, &["inspect", "text.raw"], 1),
        refused(&project, &["inspect", "disk.qcow2"], 1),
        refused(&project, &["inspect", "./overlays"], 1),
        refused(&project, &["inspect", "profiles/base.lock"], 1),
        refused(&project, &["inspect", "mine"], 1),
        refused(&project, &["whence", "/etc/hosts", "mine"], 1),
        refused(&project, &["whence", "etc/hosts", "mine"], 1),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn sides_that_cannot_be_compared() {
    let project = Project::new();
    profile(&project, HEAD);
    fs::write(project.path("recipe.json"), "{}").expect("a file");
    fs::write(project.path("broken.lock"), "schema = 1\n").expect("a file");
    let without_a_lock = refused(&project, &["diff", "mine", "profiles/base.lock"], 3);
    lock(&project, &deb(10));
    let recipe = project.succeed(&["show", "mine", "--json"]);
    let recipe: serde_json::Value = serde_json::from_slice(&recipe.stdout).expect("JSON");
    fs::write(project.path("good.json"), recipe["recipe"].to_string()).expect("a file");
    let nothing_in_common = refused(&project, &["diff", "good.json", "profiles/mine.lock"], 1);
    profile(&project, &format!("{HEAD}[packages]\ninclude = [\"nano\"]\n"));
    let said = [
        without_a_lock,
        nothing_in_common,
        refused(&project, &["diff", "mine", "good.json"], 3),
        refused(&project, &["diff", "recipe.json", "good.json"], 1),
        refused(&project, &["diff", "broken.lock", "profiles/mine.lock"], 3),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// Recipes and locks need no image: what they say is compared, in every form.
#[test]
fn recipes_and_locks_are_compared_without_images() {
    let project = Project::new();
    let recipe = |text: &str, file: &str| {
        profile(&project, text);
        let shown: serde_json::Value =
            serde_json::from_slice(&project.succeed(&["show", "mine", "--json"]).stdout).expect("JSON");
        fs::write(project.path(file), shown["recipe"].to_string()).expect("a file");
    };
    recipe(HEAD, "one.json");
    recipe(&format!("{HEAD}[firewall]\nallow = [{{ port = 8443, listener = \"own\" }}]\n"), "two.json");
    let equal = project.json(&["diff", "one.json", "one.json"]);
    assert_eq!(equal["equal"], true, "{equal}");
    let answer = project.json(&["diff", "one.json", "two.json"]);
    assert_eq!(answer["equal"], false);
    let rules = answer["firewall"].as_array().expect("a list");
    assert!(
        rules.iter().any(|rule| rule["after"].as_str().is_some_and(|line| line.contains("dport 8443"))),
        "{answer}"
    );
    assert_eq!(answer["not_compared"].as_array().map(Vec::len), Some(2), "packages and files: {answer}");
    let page = String::from_utf8(project.succeed(&["diff", "one.json", "two.json", "--html"]).stdout).expect("UTF-8");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("8443"));
    let markdown = project.succeed(&["diff", "one.json", "two.json", "--markdown"]);
    assert!(String::from_utf8(markdown.stdout).expect("UTF-8").contains("### Firewall"));
    let locks = project.json(&["diff", "profiles/base.lock", "profiles/server.lock"]);
    let packages = locks["packages"].as_array().expect("a list");
    assert!(packages.iter().any(|p| p["name"] == "less" && p["how"] == "added"), "{packages:?}");
}
