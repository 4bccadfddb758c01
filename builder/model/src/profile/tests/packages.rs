//! What is installed: packages that two tables speak for, and another kernel.

use super::*;

fn read(more: &str) -> Result<Recipe> {
    let text = format!("extends = \"base\"\n{more}\n");
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

#[test]
fn what_contradicts_itself_shows_both_lines() {
    let refused = [
        "[packages]\ninclude = [\"less\", \"nano=8.4-1\"]\nexclude = [\"nano\"]",
        "[packages]\nexclude = [\"systemd\"]",
        "[packages]\nexclude = [\"chrony\"]\n[time]\ndaemon = \"chrony\"",
        "[packages]\ninclude = [\"chrony\"]",
        "[packages]\ninclude = [\"ntpsec\"]\n[time]\ndaemon = \"chrony\"",
        "[packages]\ntranslations = [\"german\"]",
        "[packages.debconf]\nmailname = \"x\"",
        "[packages.debconf]\n\"app/admin_password\" = \"hunter2\"",
        "[kernel]\nflavour = \"cloud\"\npackage = \"linux-image-rt-amd64\"",
        "[containers.web]\npackages = [\"busybox\"]\ncommand = [\"busybox\"]\npublic = [\"/etc/x.key\"]",
    ];
    let errors = refused.map(|more| read(more).unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n\n"));
}

#[test]
fn one_kernel_and_one_clock_follow_from_the_tables() {
    let asked = |more: &str| read(more).unwrap().packages.include;
    let has = |list: &[String], name: &str| list.iter().any(|p| p == name);
    let plain = asked("");
    assert!(has(&plain, "linux-image-cloud-amd64") && has(&plain, "systemd-timesyncd"));
    let other = asked("[kernel]\npackage = \"linux-image-rt-amd64=6.12.9-1\"\n[time]\ndaemon = \"chrony\"");
    assert!(has(&other, "linux-image-rt-amd64=6.12.9-1") && has(&other, "chrony"));
    assert!(!other.iter().any(|p| p.contains("cloud") || p.contains("timesyncd")), "{other:?}");
    let own = asked("[packages]\ninclude = [\"ntpsec\"]\n[time]\ndaemon = \"none\"");
    assert!(has(&own, "ntpsec") && !has(&own, "systemd-timesyncd") && !has(&own, "chrony"));
    for hostile in ["x y", "-x", "$(id)", "", "X", "x;y"] {
        assert!(read(&format!("[kernel]\npackage = {hostile:?}")).is_err(), "{hostile}");
    }
}

fn with_repository(suite: &str, components: &str) -> Result<Recipe> {
    let text = format!(
        "[image]\nname = \"x\"\nversion = \"1\"\n[archive.extra.vendor]\nuri = \"https://vendor.example/core:/v1.30/deb/\"\n\
         suite = {suite:?}\n{components}keyring = \"vendor.asc\"\n"
    );
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

/// Suites as vendors' own lines for sources.list(5) have them.
#[test]
fn suites_of_other_repositories() {
    for suite in ["trixie-pgdg", "12.0", "bookworm/updates", "bookworm/vendor-org/7.0", "Debian_13", "any-version"] {
        let recipe = with_repository(suite, "").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(recipe.archive.extra["vendor"].components, ["main"], "{suite}");
    }
    for suite in ["./", "/", "stable/", "./a/Debian_13/", "binary/"] {
        let recipe = with_repository(suite, "").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(recipe.archive.extra["vendor"].components, [""; 0], "{suite}");
    }
    for suite in ["", "..", "../", "a/../b/", "/srv/", "a//b", "./stable", ".", "a/./", "a b/", "-x/", ".../"] {
        assert!(with_repository(suite, "").is_err(), "{suite:?} is accepted");
    }
    for component in ["multiverse", "17", "main/debug", "7.0"] {
        with_repository("stable", &format!("components = [{component:?}]\n")).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn a_flat_repository_has_no_components() {
    let error = with_repository("./", "components = [\"main\"]\n").expect_err("refused").to_string();
    insta::assert_snapshot!(error);
}
