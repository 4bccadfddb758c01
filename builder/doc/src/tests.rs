//! A whole profile in both languages, and what a document must never do: take a profile's words for markup, or another
//! image's report for evidence.

use super::*;
use crate::tables::TABLES;
use diorite_model::lock::{PULLED, Release, WHEEL};
use diorite_model::profile::{self, Field, Holds, Loaded};
use diorite_model::report::{Boot, CheckResult, Class, Evidence, Selection, Start, Verdict, plan_digest};
use diorite_model::{Error, LockedPackage};
use std::collections::BTreeMap;

/// The profile that says everything the language has.
const FULL: &str = include_str!("../../model/src/profile/tests/full.toml");
const REQUIREMENTS: &str = include_str!("../../model/src/profile/tests/requirements.txt");
const BASE: &str = include_str!("../../../profiles/base.toml");
const LANGUAGES: [Language; 2] = [Language::English, Language::German];

fn parsed(text: &str) -> (Recipe, Settings) {
    let mut load = |name: &str| match name {
        "base" => Ok(Loaded { file: "profiles/base.toml".into(), text: BASE.into() }),
        "requirements.txt" => Ok(Loaded { file: "profiles/requirements.txt".into(), text: REQUIREMENTS.into() }),
        _ => Err(Error::input("no such profile")),
    };
    profile::parse(text, "profiles/full.toml", &mut load).unwrap_or_else(|e| panic!("{e}"))
}

/// A lock with a package from each place that packages come from.
fn lock(recipe: &Recipe) -> Lock {
    let package = |name: &str, version: &str, release: &str, path: &str| LockedPackage {
        name: name.into(),
        version: version.into(),
        architecture: "amd64".into(),
        release: release.into(),
        path: path.into(),
        size: 3 << 20,
        sha256: Digest::of(name.as_bytes()),
    };
    let release = |suite: &str| Release {
        suite: suite.into(),
        date: "2026-01-01T00:00:00Z".into(),
        valid_until: None,
        sha256: Digest::of(suite.as_bytes()),
        components: vec!["main".into(), "contrib".into()],
    };
    Lock {
        schema: 1,
        recipe: recipe.digest(),
        release: BTreeMap::from(["trixie", "trixie-security"].map(|name| (name.into(), release(name)))),
        image: vec![
            package("linux-image-cloud-amd64", "6.12.1-1", "trixie-security", "pool/updates/main/l/linux/l.deb"),
            package("nginx", "1.26.3-3+deb13u1", "trixie", "pool/main/n/nginx/nginx.deb"),
            package("thing", "1", "local", "local/thing_1_amd64.deb"),
        ],
        container: BTreeMap::from([
            (
                "hub".into(),
                vec![package("manifest", "0123456789ab", PULLED, "registry.example/team/hub/manifests/sha256:01")],
            ),
            ("web".into(), vec![package("busybox", "1:1.37.0-6", "trixie", "pool/main/b/busybox/b.deb")]),
        ]),
        wheels: BTreeMap::from([(
            "shop".into(),
            vec![package("flask", "3.0.3", WHEEL, "flask/flask-3.0.3-py3-none-any.whl")],
        )]),
        tools: vec![],
    }
}

fn build(recipe: &Recipe, lock: &Lock) -> Build {
    Build {
        signing: None,
        schema: Build::SCHEMA,
        name: recipe.image.name.clone(),
        version: recipe.image.version.clone(),
        disk_sha256: Digest::of(b"disk"),
        root_hash: Digest::of(b"root"),
        recipe_digest: recipe.digest(),
        lock_digest: lock.digest(),
        tools: vec![],
        steps: vec![],
    }
}

fn check(id: &str, verdict: Verdict, seen: &str) -> CheckResult {
    CheckResult {
        id: id.into(),
        what: format!("what {id} asks"),
        evidence: Evidence::Inside,
        needed: false,
        verdict,
        class: (verdict == Verdict::Fail).then_some(Class::Product),
        seen: seen.into(),
        at: 1.0,
        seconds: 1.0,
        passes: u32::from(verdict == Verdict::Pass),
    }
}

fn plan() -> Digest {
    plan_digest(["a"], &[])
}

fn report(build: &Build) -> Report {
    let checks = vec![
        check("hostname", Verdict::Pass, "full.example"),
        check("port-ipv4-tcp-443-admitted", Verdict::Pass, "rejected"),
        check("port-ipv6-tcp-443-limited", Verdict::Fail, "answered <b>20</b> times"),
        check("port-ipv4-tcp-4430-open", Verdict::Pass, "another port"),
        check("exposure", Verdict::Pass, "web.service 7.8, ssh.service 7.0, sync.service 1.2"),
        check("container-web-running", Verdict::Pass, "running"),
        check("container-web-2-running", Verdict::Pass, "another container"),
        check("own-site-ipv4", Verdict::Skip, "nobody to ask"),
        check("mount-team", Verdict::Pass, "mounted"),
    ];
    Report {
        schema: Report::SCHEMA,
        name: build.name.clone(),
        version: build.version.clone(),
        disk_sha256: build.disk_sha256,
        recipe_digest: build.recipe_digest,
        accelerator: "tcg".into(),
        accelerator_reason: "a test".into(),
        start: Start::default(),
        begun: 1_760_000_000,
        seconds: 2.0,
        selection: Selection { of: checks.len(), plan_digest: Some(plan()), ..Selection::default() },
        ended: None,
        retried: vec![],
        runs: 1,
        checks,
        boot: Boot::default(),
    }
}

/// Everything that the documents of a test are made from.
struct Case {
    recipe: Recipe,
    settings: Settings,
    lock: Lock,
    build: Build,
    report: Report,
}

impl Case {
    fn new(text: &str) -> Self {
        let (recipe, settings) = parsed(text);
        let lock = lock(&recipe);
        let build = build(&recipe, &lock);
        let report = report(&build);
        Self { recipe, settings, lock, build, report }
    }
    fn input(&self) -> Input<'_> {
        Input {
            profile: "full",
            recipe: &self.recipe,
            settings: &self.settings,
            lock: Some(&self.lock),
            build: Some(&self.build),
            report: Some(&self.report),
            plan_digest: plan(),
        }
    }
    fn document(&self, language: Language) -> Documentation {
        document(&self.input(), language)
    }
}

#[test]
fn a_full_profile_in_both_languages() {
    let case = Case::new(FULL);
    for language in LANGUAGES {
        let made = case.document(language);
        assert_eq!(made.measured, Some(9));
        insta::assert_snapshot!(format!("full_{}", language.tag()), made.markdown);
        assert!(made.html.len() < 1 << 20, "{} bytes", made.html.len());
    }
}

/// What the hypervisor is to give a virtual machine, a physical one has or has not.
#[test]
fn virtual_hardware_is_said_of_a_virtual_machine() {
    let platform = "kind = \"metal\"\nfirmware = [\"firmware-realtek\"]\nmicrocode = true\ninstaller = { serial = \"S5-1\", overwrite = true }";
    assert!(FULL.contains(platform));
    let made = Case::new(&FULL.replace(platform, "kind = \"vm\"")).document(Language::English).markdown;
    for said in ["### Virtual hardware", "- **Processors:** 4", "- **VLAN tag at the hypervisor:** 7"] {
        assert!(made.contains(said), "{said}");
    }
    assert!(!made.contains("physical machine"), "{made}");
}

/// Where nothing has been locked, built or verified, the document says so and everything that is declared.
#[test]
fn a_profile_alone_is_enough() {
    let case = Case::new(FULL);
    let input = Input { lock: None, build: None, report: None, ..case.input() };
    let made = document(&input, Language::English);
    assert_eq!(made.measured, None);
    assert!(made.markdown.contains("the image has not been built"), "{}", made.markdown);
    assert!(made.markdown.contains("there is no lock for this state of the profile"));
    assert!(!made.markdown.contains("passed: "));
    for declared in ["192.0.2.10/24", "443–444/tcp", "nginx=1.26.3-3+deb13u1", "sync-key", "/var/lib/archive"] {
        assert!(made.markdown.contains(declared), "{declared}");
    }
}

/// A report counts for one disk, one recipe and one list of checks.
#[test]
fn a_report_about_anything_else_is_no_evidence() {
    let case = Case::new(FULL);
    let refused = |input: Input<'_>, why: &str| {
        let made = document(&input, Language::English);
        assert_eq!(made.measured, None, "{why}");
        assert!(made.markdown.contains(why), "{why}");
        assert!(!made.markdown.contains("✓") && !made.html.contains("✓"), "{why}");
        assert!(!made.markdown.contains("ssh.service` | 7.0"), "{why}");
    };
    let (recipe, build, report) = (&case.recipe, &case.build, &case.report);
    let disk = Report { disk_sha256: Digest::of(b"another"), ..report.clone() };
    refused(Input { report: Some(&disk), ..case.input() }, "the report is about another disk image");
    let older = Report { recipe_digest: Digest::of(b"another"), ..report.clone() };
    refused(Input { report: Some(&older), ..case.input() }, "the report is about an earlier state of the profile");
    refused(Input { plan_digest: Digest::of(b"another"), ..case.input() }, "the checks have changed since");
    let rebuilt = Build { disk_sha256: Digest::of(b"another"), ..build.clone() };
    refused(Input { build: Some(&rebuilt), ..case.input() }, "the report is about another disk image");
    let stale = Build { recipe_digest: Digest::of(b"another"), ..build.clone() };
    refused(Input { build: Some(&stale), ..case.input() }, "from an earlier state of the profile");
    refused(Input { build: None, ..case.input() }, "the image has not been built");
    refused(Input { report: None, ..case.input() }, "the image has not been verified");
    // Positive control.
    assert_eq!(recipe.digest(), build.recipe_digest);
    assert!(case.document(Language::English).markdown.contains("✓ passed: `hostname`"));
}

/// A check stands beside its own claim, and what has failed is said to have failed.
#[test]
fn evidence_stands_beside_what_it_is_about() {
    let made = Case::new(FULL).document(Language::German);
    let row =
        |start: &str| made.markdown.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}"));
    let site = row("| 443–444/tcp |");
    assert!(site.contains("✓ bestanden: `port-ipv4-tcp-443-admitted`"), "{site}");
    assert!(site.contains("✗ nicht bestanden: `port-ipv6-tcp-443-limited`"), "{site}");
    assert!(!site.contains("4430"), "{site}");
    assert!(row("| 22/tcp |").ends_with("| nicht gemessen |"));
    let web = made.markdown.lines().find(|line| line.contains("`container-web-running`")).expect("its evidence");
    assert!(!web.contains("container-web-2-running"), "{web}");
    assert!(made.markdown.contains("7 Prüfungen bestanden, 1 nicht bestanden, 1 nicht durchführbar"));
    assert!(made.html.contains("class=\"standing bad\""));
    assert!(made.markdown.contains("| `sync.service` | 1.2 |"));
}

/// Words of a profile, a lock and a report are shown, and are never markup, in either form.
#[test]
fn hostile_words_are_words() {
    let evil = "</p><script>alert(1)</script><img src=x onerror=alert(1)>";
    let link = "[click](javascript:alert(2)) `|` *x* \\\\";
    let text = FULL
        .replace("The <b>ledger</b> & its site: *all* of it | 'here'", evil)
        .replace("The ledger's team", link)
        .replace("why = \"the public site\"", &format!("why = \"{evil}\""))
        .replace("why = \"a test\"", &format!("why = \"{evil}\""))
        .replace("httpd\", \"-f\"", &format!("httpd\", \"{evil}\""));
    let mut case = Case::new(&text);
    case.report.checks[0].seen = evil.into();
    case.report.checks[0].what = evil.into();
    case.report.checks[0].id = format!("a\" onclick=\"x{evil}");
    case.lock.image[1].version = evil.into();
    case.report.checks[4].seen = format!("{evil} 7.0");
    for language in LANGUAGES {
        let Documentation { html, markdown, .. } = case.document(language);
        assert!(html.matches("alert(1)").count() >= 8, "everything is shown");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("onclick=\"x"));
        assert!(html.contains("[click](javascript:alert(2))"), "text");
        // Nothing is fetched, nothing leads away.
        let plain = html.replace("http://www.w3.org/1999/xhtml", "");
        assert!(!plain.contains("=\"http") && !plain.contains("url(") && !plain.contains("@import"));
        for attribute in plain.split("href=\"").skip(1) {
            assert!(attribute.starts_with('#'), "{}", &attribute[..40]);
        }
        for (at, _) in markdown.match_indices("<script").chain(markdown.match_indices("<img")) {
            assert_eq!(&markdown[at - 1..at], "\\", "{}", &markdown[at..at + 20]);
        }
        assert!(
            markdown.contains("\\[click\\](javascript:alert(2)) \\`\\|\\` \\*x\\*"),
            "no link, no code, no emphasis"
        );
        assert!(!markdown.contains("[click]"));
    }
}

/// Every table and key at the top of the profile language, and every table in one of these.
fn tables(fields: &[Field], path: &str, all: &mut Vec<String>) {
    for field in fields {
        let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        match field.holds {
            Holds::Table(below) | Holds::Named(_, below) | Holds::Tables(below) => {
                all.push(path.clone());
                if !path.contains('.') {
                    tables(below, &path, all);
                }
            }
            _ if !path.contains('.') => all.push(path),
            _ => {}
        }
    }
}

/// Every table of the profile language is told in a chapter that exists, or is listed as told in none.
#[test]
fn no_table_is_forgotten() {
    let mut language = Vec::new();
    tables(profile::language(), "", &mut language);
    assert!(language.len() > 40, "{language:?}");
    let listed: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
    let missing: Vec<_> = language.iter().filter(|name| !listed.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "document these, and list them in tables.rs: {missing:?}");
    let gone: Vec<_> = listed.iter().filter(|name| !language.iter().any(|l| l == *name)).collect();
    assert!(gone.is_empty(), "tables.rs lists what no profile has: {gone:?}");
    let html = Case::new(FULL).document(Language::English).html;
    for (name, chapter) in TABLES.iter().filter_map(|(name, chapter)| Some((name, (*chapter)?))) {
        assert!(html.contains(&format!("<h2 id=\"{chapter}\">")), "{name} is said to be in {chapter}");
    }
    let untold: Vec<_> = TABLES.iter().filter(|(_, chapter)| chapter.is_none()).map(|(name, _)| *name).collect();
    // What is put up with says nothing of the machine.
    assert_eq!(untold, ["extends", "audit", "audit.waivers"]);
}

/// What people will look for by name is there.
#[test]
fn what_the_full_profile_names_is_in_the_document() {
    let text = Case::new(FULL).document(Language::English).markdown;
    let names = [
        "Europe/Vienna",
        "nf\\_conntrack",
        "52:54:00:12:34:56",
        "198.51.100.0/24",
        "VLAN 10",
        "active-backup",
        "VRF",
        "10.30.0.100",
        "fd00:31::/64",
        "corp.example",
        "ledger.example",
        "anna@example",
        "restart web.service",
        "web.password",
        "NET_BIND_SERVICE",
        "/dev/ttyUSB0",
        "registry.example/team/hub",
        "flask 3.0.3",
        "tzdata 2024.1",
        "images/app.tar",
        "10.90.0.0/24",
        "sync-key",
        "a.service",
        "b.socket",
        "fstrim.timer",
        "archive-1",
        "0fc63daf-8483-4772-8e79-3d69d8477de4",
        "nas.example",
        "files-login",
        "/var/lib/diorite/swap",
        "vendor.example",
        "postfix/main_mailer_type",
        "192.0.2.40/24",
        "drive@example",
        "ProtectClock",
        "/usr/bin/su",
        "usb-storage",
        "overlays/motd",
        "full.example",
        "30 min",
        "Everything is logged.",
    ];
    let missing: Vec<_> = names.iter().filter(|name| !text.contains(&name.replace("\\_", "_"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
