//! A profile with a secret in it: refused with the line, which is shown without the secret.

use super::*;

/// A GitHub token, put together here so that no file holds one.
fn token() -> String {
    let digits: String = "a1B2c3D4e5F6g7H8i9".chars().chain("J0kLmN1oPqR2sTuV3w".chars()).collect();
    format!("ghp_{digits}")
}

#[test]
fn a_secret_is_refused_and_not_repeated() {
    let token = token();
    let random = "q7Lx2Vb9Ks4Wd8Zt1Rm6Yp3Hc5Nf0JgTaUeBoEiX";
    let hash = format!("$6$Xy7aB2kQ${}", "aB3dE5gH7jK9".repeat(8).split_at(86).0);
    let all = [
        with("command = [\"busybox\", \"httpd\", \"-f\"]", &format!("command = [\"busybox\", \"{token}\"]")),
        with("command = [\"busybox\", \"httpd\", \"-f\"]", &format!("command = [\"busybox\", \"--key={random}\"]")),
        with("version = \"1.2\"", &format!("version = \"1.2\" # {token}")),
        with("uid = 21000", &format!("uid = 21000\npassword = \"{hash}\"")),
        with("uid = 21000", "uid = 21000\npassword = \"hunter2\""),
    ];
    for error in &all {
        assert!(!error.contains(&token) && !error.contains(random) && !error.contains("hunter2"), "{error}");
        assert!(!error.contains(&hash), "{error}");
    }
    insta::assert_snapshot!("secrets", all.join("\n\n"));
}

/// The full profile with this in its container's table, and in a service of its own.
fn environment(inside: &str) -> [String; 2] {
    let container = format!("[containers.web]\nenvironment = {{ {inside} }}");
    let full = FULL.replace("environment = { LOG_LEVEL = \"a b", "# ").replace("[containers.web]", &container);
    let unit = format!("[services.units.own]\nexec = [\"/usr/bin/true\"]\nenvironment = {{ {inside} }}\n");
    [full, format!("[image]\nname = \"x\"\nversion = \"1\"\n{unit}")]
}

#[test]
fn a_password_in_an_environment_is_refused_and_not_repeated() {
    for inside in [
        "POSTGRES_PASSWORD = \"hunter2\"",
        "SMTP_PASS = \"hunter2 \"",
        "API_TOKEN = \"hunter2\"",
        "URL = \"postgresql://app:hunter2@db/app\"",
        "API_TOKEN = \"hunter2\", \"BAD-KEY\" = \"x\"",
        "\"BAD-KEY\" = \"x\", API_TOKEN = \"hunter2\"",
        "\"BAD-KEY\" = \"x\", URL = \"redis://:hunter2@db\"",
        "LEVEL = 3, API_TOKEN = \"hunter2\"",
        "LEVEL = 3 4, API_TOKEN = \"hunter2\"",
    ] {
        for text in environment(inside) {
            let error = error(&text);
            assert!(!error.contains("hunter2") && error.contains("•••"), "{error}");
        }
    }
    let shown = ["POSTGRES_PASSWORD = \"hunter2\"", "URL = \"postgresql://app:hunter2@db/app\""];
    let all: Vec<String> = shown.iter().flat_map(|inside| environment(inside)).map(|text| error(&text)).collect();
    insta::assert_snapshot!("environment", all.join("\n\n"));
}

#[test]
fn what_is_no_password_may_stand_in_an_environment() {
    for inside in [
        "POSTGRES_PASSWORD_FILE = \"/run/secrets/db\"",
        "MYSQL_ALLOW_EMPTY_PASSWORD = \"yes\"",
        "URL = \"postgresql://app@db/app\"",
    ] {
        for text in environment(inside) {
            parse(&text, "profiles/x.toml", &mut shipped).unwrap_or_else(|e| panic!("{inside}: {e}"));
        }
    }
}

#[test]
fn a_mirror_names_no_user() {
    let mirror = |uri: &str| with("https://mirror.example/debian", uri);
    let all = [
        mirror("https://user:hunter2@mirror.example/debian"),
        mirror("https://hunter2@mirror.example/debian"),
        with("https://snapshot.example", "https://user:hunter2@snapshot.example"),
        with("architecture = \"amd64\"", "architecture = \"https://user:hunter2@x\""),
    ];
    for error in &all {
        assert!(!error.contains("hunter2"), "{error}");
    }
    insta::assert_snapshot!("mirrors", all.join("\n\n"));
}

#[test]
fn an_unknown_key_with_a_harmless_value_is_only_unknown() {
    let all =
        [with("uid = 21000", "uid = 21000\ntoken = \"::53\""), with("uid = 21000", "uid = 21000\npassword = true")];
    for error in &all {
        assert!(error.contains("it can have") && !error.contains("credential"), "{error}");
    }
    assert!(with("uid = 21000", "uid = 21000\npin_token = 4711").contains("••••"));
}
