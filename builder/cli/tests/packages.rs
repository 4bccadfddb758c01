//! A dozen ordinary packages on top of `base`, as far as the sealed tree: each has been refused once, or makes files that
//! look like secrets. In one tree, because the base they share costs more than they do.

mod common;
use common::{DIORITE, Project, material, text};
use std::fs;
use std::process::{Command, Output};

const DOZEN: [&str; 12] = [
    "mariadb-server",
    "certbot",
    "docker-compose",
    "prometheus",
    "incus",
    "fail2ban",
    "dovecot-imapd",
    "nginx",
    "postgresql",
    "samba",
    "rsyslog",
    "unbound",
];

/// `test-seal` with the store and the mirrors of the material: packages are locked and downloaded as a person's are.
fn sealed(more: &str, packages: &[&str]) -> Output {
    let project = Project::new();
    let profile = format!(
        "extends = \"base\"\nimage = {{ name = \"dozen\", version = \"1\" }}\npackages.include = {packages:?}\n{more}\n"
    );
    fs::write(project.path("profiles/dozen.toml"), profile).expect("a profile");
    let overlay = project.path("overlays/key");
    fs::create_dir_all(&overlay).expect("an overlay");
    fs::write(overlay.join("overlay.toml"), "why = \"a test\"\n").expect("overlay.toml");
    let program = "#!/bin/sh\nprintf '%s\\n' \"-----BEGIN PRIVATE\" | tr -d '\\n' >/etc/made.key\n\
                   { printf ' KEY-----\\n'; seq 1000 1040 | sha512sum | cut -c1-64; echo '-----END'; } >>/etc/made.key\n";
    fs::write(overlay.join("configure"), program).expect("configure");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(overlay.join("configure"), mode).expect("its mode");
    let mut command = Command::new(DIORITE);
    command.args(["--quiet", "test-seal", "dozen"]).current_dir(project.directory.path());
    command.env("DIORITE_STORE", material("DIORITE_TEST_STORE")).output().expect("the program starts")
}

#[test]
fn a_dozen_ordinary_packages_are_built() {
    let output = sealed("", &DOZEN);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let passed = text(&output.stdout);
    for package in ["certbot", "prometheus", "incus", "dovecot"] {
        assert!(passed.contains(package), "nothing of {package} was passed, so the look is no longer tried:\n{passed}");
    }
}

/// The look still sees what nobody ships.
#[test]
fn a_key_that_a_program_makes_is_refused() {
    let output = sealed("overlays = [\"key\"]", &[]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("/etc/made.key"), "{said}");
    assert!(said.contains("overlays/key/configure made it"), "{said}");
}

/// Debian's own template judges an answer, and a script that answers by itself is told of.
#[test]
fn an_answer_that_has_no_effect_is_refused() {
    for (answer, words) in [
        ("\"postfix/main_mailer_type\" = \"Somewhere\"", "allowed: `No configuration`, `Internet Site`"),
        ("\"postfix/main_type\" = \"Local only\"", "`postfix/main_mailer_type`"),
        ("\"postfix/mailname\" = \"mail.example.org\"", "a script of package `postfix` answered `localhost` instead"),
    ] {
        let output = sealed(&format!("[packages.debconf]\n{answer}"), &["postfix"]);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{answer}: {said}");
    }
}

#[test]
fn a_package_that_is_no_kernel_is_refused() {
    let output = sealed("[kernel]\npackage = \"less\"", &[]);
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("package `less` is no kernel"), "{said}");
}
