//! Compose files of the shapes that people have, and hostile ones.

use super::*;

/// A proxy, an application and a database: short forms, variables with defaults, a health check, an internal network.
const WEB: &str = include_str!("tests/web.yaml");
/// Long forms everywhere, anchors, merge keys, limits for a swarm, things that have no counterpart.
const LONG: &str = include_str!("tests/long.yaml");
/// What is found on people's own servers: host directories, the Docker socket, no networks, `latest`.
const HOME: &str = include_str!("tests/home.yaml");

fn shown(text: &str) -> String {
    let imported = compose(text, "compose.yaml").unwrap_or_else(|e| panic!("{e}"));
    let notes: Vec<String> = imported.notes.iter().map(|n| format!("{}: {}: {}", n.line, n.key, n.what)).collect();
    format!("{}\n---\n{}", imported.profile, notes.join("\n"))
}

#[test]
fn a_web_stack() {
    insta::assert_snapshot!("web", shown(WEB));
}

#[test]
fn long_forms() {
    insta::assert_snapshot!("long", shown(LONG));
}

#[test]
fn a_home_server() {
    let said = shown(HOME);
    assert!(!said.contains("correct1horse") && !said.contains("hunter2"), "a secret is repeated: {said}");
    insta::assert_snapshot!("home", said);
}

#[test]
fn what_is_no_compose_file_is_refused() {
    let refused = |text: &str| compose(text, "compose.yaml").map(|i| i.profile).unwrap_err().to_string();
    let all = [refused(""), refused("services: {}"), refused("a: [1\nb: 2"), refused("[1, 2]"), refused("? [a]\n: b")];
    insta::assert_snapshot!("refused", all.join("\n\n"));
}

/// No value of a compose file gets out of its quotes: what is printed is TOML with the tables that are meant.
#[test]
fn hostile_values_stay_in_their_quotes() {
    let hostile = [r#"x\"\n[hardening]\nlevel = 1"#, r"\u001b[2J", r"a]}\u0000", "${", "$(id)", "'''", r"\\"];
    let places =
        ["image", "command", "hostname", "user", "ports", "volumes", "environment", "networks", "depends_on", "tmpfs"];
    for (value, place) in hostile.iter().flat_map(|value| places.iter().map(move |place| (value, place))) {
        let text = format!("services:\n  web:\n    {place}: [\"{value}\"]\n  \"{value}\":\n    image: \"{value}\"\n");
        let Ok(imported) = compose(&text, "f") else { continue };
        let table: toml::Table = imported.profile.parse().unwrap_or_else(|e| panic!("{place} {value}: {e}"));
        let known = ["containers", "container_networks", "firewall"];
        assert!(table.keys().all(|key| known.contains(&key.as_str())), "{place} {value}: {table:?}");
    }
}
