//! Containers: what cannot be meant, with the exact text.

use super::*;

const TWO: &str = r#"
[image]
name = "two"
version = "1"

[containers.web]
packages = ["busybox"]
command = ["busybox", "httpd"]
publish = [{ host = 8080, local = true }]
networks = ["front", "back"]
environment = { LOG_LEVEL = "info" }
volumes.data = { path = "/data" }
secrets.password = { file = "/run/secrets/db" }
requires = ["db"]

[containers.db]
packages = ["busybox"]
command = ["busybox", "nc"]
networks = ["back"]

[container_networks.front]

[container_networks.back]
internal = true
"#;

fn two(from: &str, to: &str) -> std::result::Result<Recipe, String> {
    assert!(TWO.contains(from), "`{from}` must stand in the profile");
    match parse(&TWO.replace(from, to), "profiles/two.toml", &mut shipped) {
        Ok((recipe, _)) => Ok(recipe),
        Err(e) => Err(e.to_string()),
    }
}

#[track_caller]
fn refused(from: &str, to: &str) -> String {
    two(from, to).map(|r| format!("{:?}", r.containers)).unwrap_err()
}

#[test]
fn defaults_are_explicit() {
    let recipe = two("host = 8080", "host = 8080").unwrap_or_else(|e| panic!("{e}"));
    insta::assert_snapshot!("containers", serde_json::to_string_pretty(&recipe.containers).unwrap());
    insta::assert_snapshot!("container_networks", serde_json::to_string_pretty(&recipe.container_networks).unwrap());
}

#[test]
fn an_image_says_what_the_profile_leaves_out() {
    let from = "packages = [\"busybox\"]\ncommand = [\"busybox\", \"nc\"]";
    let db = &two(from, "archive = \"images/db.tar\"").unwrap().containers["db"];
    assert_eq!(db.source, crate::recipe::ContainerSource::Archive("images/db.tar".into()));
    assert_eq!((&db.user, &db.workdir, db.command.len(), db.entrypoint.len()), (&None, &None, 0, 0));
    let db = &two(from, "archive = \"db.tar\"\ncommand = [\"-x\"]\nuser = \"7\"").unwrap().containers["db"];
    assert_eq!((db.user.as_deref(), &db.command), (Some("7"), &vec!["-x".to_owned()]));
}

#[test]
fn numbers_follow_from_the_name_alone() {
    let ids = |from: &str, to: &str| two(from, to).unwrap().containers["web"].ids;
    let web = ids("host = 8080", "host = 8080").unwrap();
    assert!(web >= 524_288 && web.is_multiple_of(65_536) && web <= 1_879_048_192 - 65_536);
    assert_eq!(
        ids("[containers.db]", "[containers.a]\npackages=[\"x1\"]\ncommand=[\"x\"]\n[containers.db]"),
        Some(web)
    );
    assert_eq!(ids("publish =", "user_namespace = false\npublish ="), None);
}

#[test]
fn what_cannot_be_meant_shows_the_lines() {
    let all = [
        refused("command = [\"busybox\", \"nc\"]", "command = [\"busybox\", \"nc\"]\nafter = [\"db\"]"),
        refused("command = [\"busybox\", \"nc\"]", "command = [\"busybox\", \"nc\"]\nafter = [\"web\"]"),
        refused("requires = [\"db\"]", "requires = [\"cache\"]"),
        refused("networks = [\"front\", \"back\"]", "networks = [\"forest\"]"),
        refused("networks = [\"front\", \"back\"]", "networks = [\"back\"]"),
        refused("[container_networks.front]", "[container_networks.host]"),
        refused("[container_networks.front]", "[container_networks.front]\nsubnet = \"10.89.0.0/16\""),
        refused("[container_networks.front]", "[container_networks.front]\nsubnet = \"10.88.7.0/24\""),
        refused("[container_networks.front]", "[container_networks.front]\nsubnet = \"fd00::/64\""),
        refused("path = \"/data\"", "path = \"/run/secrets/db\""),
        refused("path = \"/data\"", "path = \"/data\", mode = \"777\""),
        refused("path = \"/data\"", "path = \"/proc/1\""),
        refused("volumes.data", "writable = [\"/data\"]\nvolumes.data"),
        refused("file = \"/run/secrets/db\"", "environment = \"LOG_LEVEL\""),
        refused("file = \"/run/secrets/db\"", "file = \"/run/x\", environment = \"X\""),
        refused("secrets.password", "secrets.other = { file = \"/run/secrets/db\" }\nsecrets.password"),
        refused("{ LOG_LEVEL =", "{ \"LOG-LEVEL\" ="),
        refused("requires =", "capabilities = [\"SYS_ADMIN\"]\nrequires ="),
        refused("requires =", "limits = { cpus = \"0.001\" }\nrequires ="),
        refused("requires =", "health = { command = [\"none\"] }\nrequires ="),
        refused("requires =", "health = { command = [\"true\"], interval = \"0s\" }\nrequires ="),
        refused("requires =", "ids = 600000\nuser_namespace = false\nrequires ="),
        refused("networks =", "ids = 600000\nnetworks ="),
        refused("packages = [\"busybox\"]\ncommand = [\"busybox\", \"nc\"]", "oci = \"registry.example/web:latest\""),
        refused("packages = [\"busybox\"]\ncommand = [\"busybox\", \"nc\"]", "oci = \"web@sha256:00\""),
        refused("networks =", "archive = \"web.tar\"\nnetworks ="),
        refused("packages = [\"busybox\"]\ncommand = [\"busybox\", \"nc\"]", ""),
        refused("packages = [\"busybox\"]\ncommand = [\"busybox\", \"nc\"]", "archive = \"../web.tar\""),
    ];
    insta::assert_snapshot!("refused", all.join("\n\n"));
}
