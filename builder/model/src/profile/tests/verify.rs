//! `[[verify.check]]`: what is meant, and what is refused.

use super::*;
use crate::verify::{Ask, Level, OwnCheck};

fn checks(text: &str) -> Vec<OwnCheck> {
    let text = format!("extends = \"server\"\n{text}");
    parse(&text, "profiles/mine.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).1.checks
}

#[track_caller]
fn refused(text: &str) -> String {
    error(&format!("extends = \"server\"\n[[verify.check]]\n{text}\n"))
}

#[test]
fn a_full_list_is_meant_as_written() {
    let (_, settings) = parse(FULL, "profiles/full.toml", &mut shipped).unwrap();
    insta::assert_snapshot!("checks", serde_json::to_string_pretty(&settings.checks).unwrap());
}

#[test]
fn defaults_and_names() {
    let all = checks(
        "[[verify.check]]\nhttp = { port = 8080 }\n[[verify.check]]\nport = { port = 22 }\n\
         [[verify.check]]\ncommand = { exec = [\"true\"] }\n[[verify.check]]\ndns = { name = \"a.example\" }\nlevel = \"outside\"\n",
    );
    let names: Vec<_> = all.iter().map(|c| (c.name.as_str(), c.level, c.retry)).collect();
    assert_eq!(
        names,
        [
            ("http-8080", Level::Outside, 5),
            ("port-tcp-22-open", Level::Outside, 5),
            ("command-true", Level::Inside, 5),
            ("dns-a-example", Level::Outside, 5),
        ]
    );
    assert!(matches!(&all[0].ask, Ask::Http(h) if (h.status, h.path.as_str()) == (200, "/")));
}

#[test]
fn no_byte_of_the_image_depends_on_them() {
    let digest = |text: &str| parse(text, "profiles/mine.toml", &mut shipped).unwrap().0.digest();
    let plain = "extends = \"server\"\n";
    assert_eq!(digest(plain), digest(&format!("{plain}[[verify.check]]\nhttp = {{ port = 8080 }}\n")));
}

#[test]
fn lists_grow_along_extends() {
    let mut load = |name: &str| match name {
        "mine" => Ok(Loaded {
            file: "profiles/mine.toml".into(),
            text: "extends = \"base\"\n[[verify.check]]\nport = { port = 22 }\n".into(),
        }),
        other => shipped(other),
    };
    let text = "extends = \"mine\"\n[[verify.check]]\nunit = { name = \"ssh.service\" }\n";
    let (_, settings) = parse(text, "profiles/more.toml", &mut load).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(settings.checks.len(), 2);
}

#[test]
fn errors_show_the_line() {
    let all = [
        refused("retry = \"1s\""),
        refused("http = { port = 8080 }\nunit = { name = \"ssh.service\" }"),
        refused("htpp = { port = 8080 }"),
        refused("http = { prot = 8080 }"),
        refused("http = { port = 8080, path = \"health\" }"),
        refused("http = { port = 8080, status = 99 }"),
        refused("http = { port = 8080 }\nretry = \"soon\""),
        refused("unit = { name = \"ssh.service\" }\nlevel = \"outside\""),
        refused("port = { port = 22, state = \"silent\" }\nlevel = \"inside\""),
        refused("port = { port = 5353, protocol = \"udp\" }"),
        refused("port = { port = 5432 }"),
        refused("http = {}"),
        refused("metric = { name = \"up\", port = 9090 }"),
        refused("metric = { name = \"node_load1\", at_least = 3, at_most = 2 }"),
        refused("metric = { name = \"node load\" }"),
        refused("container = { name = \"wbe\" }"),
        refused("container = { name = \"web\", running = false, healthy = true }"),
        refused("command = { exec = [] }"),
        refused("command = { exec = [\"a b\"] }"),
        refused("command = { exec = [\"true\"], timeout = \"0s\" }"),
        refused("file = { path = \"etc/motd\" }"),
        refused("file = { path = \"/etc/motd\", exists = false, mode = \"0644\" }"),
        refused("file = { path = \"/etc/motd\", target = \"x\" }"),
        refused("file = { path = \"/etc\", kind = \"directory\", contains = [\"x\"] }"),
        refused("dns = { name = \"a.example\", resolvable = false, addresses = [\"192.0.2.1\"] }"),
        refused("process = { name = \"a-name-that-is-too-long\" }"),
        refused("process = { name = \"sshd\", running = false, user = \"root\" }"),
        refused("user = { name = \"anna\", exists = false, uid = 3 }"),
        refused("package = { name = \"less\", installed = false, version = \"1\" }"),
        refused(
            "unit = { name = \"ssh.service\" }\n[[verify.check]]\nunit = { name = \"ssh.service\", enabled = true }",
        ),
        refused("command = { exec = [\"login\", \"--password=hunter2hunter2\"] }"),
    ];
    insta::assert_snapshot!("verify", all.join("\n\n"));
}

#[test]
fn a_page_over_tls_is_asked_for_from_outside() {
    let all = checks("[[verify.check]]\nhttp = { port = 8080, tls = true }\n");
    assert!(matches!(&all[0].ask, Ask::Http(http) if http.tls));
    let said = refused("http = { port = 8080, tls = true }\nlevel = \"inside\"");
    assert!(said.contains("from outside only") && said.contains("full.toml:3"), "{said}");
}
