//! `diorite import`: a compose file becomes a profile that the program accepts, and every note has its line.

mod common;
use common::{Project, text};
use std::fs;

const COMPOSE: &str = "services:\n  web:\n    image: nginx:1.27\n    ports: ['8080:80']\n    environment:\n      \
    APP_PASSWORD: correct1horse2battery\n    labels: [x]\n";

#[test]
fn a_compose_file_becomes_a_profile() {
    let project = Project::new();
    fs::write(project.path("compose.yaml"), COMPOSE).expect("a file");
    let output = project.succeed(&["import", "compose", "compose.yaml"]);
    let (tables, notes) = (text(&output.stdout), text(&output.stderr));
    for expected in [
        "compose.yaml:3: services.web.image: ",
        "compose.yaml:7: services.web.labels: ",
        "credential `web.app-password`",
    ] {
        assert!(notes.contains(expected), "{expected} is not in {notes}");
    }
    assert!(!tables.contains("correct1horse") && !notes.contains("correct1horse"), "a secret is repeated");
    let digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let profile = format!("extends = \"base\"\n{}\n[image]\nname = \"web\"\n", tables.replace("DIGEST", digest));
    fs::write(project.path("profiles/web.toml"), profile).expect("a profile");
    let shown = project.json(&["show", "web"]);
    assert_eq!(shown["recipe"]["containers"]["web"]["publish"][0]["host"], 8080);
    let json = project.json(&["import", "compose", "compose.yaml"]);
    assert_eq!((json["schema"].as_u64(), json["notes"].as_array().map(Vec::len)), (Some(1), Some(3)));
}

#[test]
fn what_cannot_be_read_is_one_error() {
    let project = Project::new();
    let refused = |arguments: &[&str]| {
        let output = project.diorite().args(arguments).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        text(&output.stderr)
    };
    fs::write(project.path("broken.yaml"), "services: [\n").expect("a file");
    assert!(refused(&["import", "compose", "broken.yaml"]).contains("this is not YAML"));
    assert!(refused(&["import", "compose", "missing.yaml"]).contains("the compose file cannot be read"));
    assert!(refused(&["import", "compose", "profiles"]).contains("it is a directory"));
}
