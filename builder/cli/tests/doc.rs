//! `doc`: both files from a profile alone, in both languages, and what is refused.

mod common;
use common::{Project, text};
use std::fs;

#[test]
fn a_profile_is_enough() {
    let project = Project::new();
    fs::remove_file(project.path("profiles/server.lock")).expect("no lock");
    let said = text(&project.succeed(&["doc", "server"]).stdout);
    assert_eq!(said, "out/server/server.html\nout/server/server.md\n");
    let read = |name: &str| fs::read_to_string(project.path("out/server").join(name)).expect(name);
    assert!(read("server.html").contains("<html lang=\"en\""));
    assert!(read("server.md").contains("the image has not been built"));
    let answer = project.json(&["doc", "server", "--lang", "de", "--out", "papers"]);
    assert_eq!((&answer["html"], &answer["measured"]), (&"papers/server.html".into(), &serde_json::Value::Null));
    let german = fs::read_to_string(project.path("papers/server.md")).expect("the German text");
    assert!(german.starts_with("# server\n\nServerdokumentation\n"), "{german}");
}

#[test]
fn the_lock_of_this_recipe_says_versions_and_no_other_does() {
    let project = Project::new();
    let document = || {
        project.succeed(&["doc", "server"]);
        fs::read_to_string(project.path("out/server/server.md")).expect("the text")
    };
    let lock = fs::read_to_string(project.path("profiles/server.lock")).expect("a lock");
    let digest = text(&project.succeed(&["show", "server"]).stdout);
    let digest = digest.split_whitespace().nth(2).expect("the recipe's digest").to_owned();
    let line = lock.lines().find(|line| line.starts_with("recipe = ")).expect("its recipe").to_owned();
    fs::write(project.path("profiles/server.lock"), lock.replace(&line, &format!("recipe = \"{digest}\"")))
        .expect("a lock");
    let known = document();
    assert!(known.contains("| `openssh-server` | `") && known.contains("trixie-security, main"), "{known}");
    fs::write(project.path("profiles/server.lock"), lock.replace(&line, &format!("recipe = \"{}\"", "0".repeat(64))))
        .expect("a lock");
    let unknown = document();
    assert!(unknown.contains("Versions are not known") && !unknown.contains("| `openssh-server` |"), "{unknown}");
}

#[test]
fn what_is_damaged_is_an_error_that_names_the_file() {
    let project = Project::new();
    for (file, hint) in [("build.json", "`diorite build server`"), ("report.json", "`diorite verify server`")] {
        fs::create_dir_all(project.path("out/server")).expect("a directory");
        fs::write(project.path("out/server").join(file), "{").expect("a file");
        let output = project.diorite().args(["doc", "server"]).output().expect("starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("out/server/{file}")) && said.contains(hint), "{said}");
        assert!(!project.path("out/server/server.html").exists());
        fs::remove_file(project.path("out/server").join(file)).expect("gone");
    }
    let output = project.diorite().args(["doc", "server", "--lang", "fr"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("[possible values: en, de]"));
}
