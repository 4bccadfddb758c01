//! What a verification leaves, judged by a parser that is not ours, Expat: well-formed whatever the machine said, and
//! saying what the report says. No machine is booted.

mod common;
use common::{Project, material, text};
use diorite_checks::{html, junit};
use diorite_host::tools::{Tool, ToolsTree};
use diorite_model::Digest;
use diorite_model::report::{Boot, CheckResult, Class, Ended, Evidence, Report, Selection, Start, Verdict};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Everything that could end a string, an element, a line, a page or a sentence.
const HOSTILE: &str =
    "]]>--></script></pre>\"'&amp;&#0;<b onload=x>\u{0}\u{1}\u{1b}[2J\u{7f}\u{85}\u{fffe}\u{ffff}\u{202e}\r\n\tä𝄞";

fn check(id: &str, verdict: Verdict, seen: &str) -> CheckResult {
    CheckResult {
        id: id.into(),
        what: seen.into(),
        evidence: Evidence::Inside,
        needed: false,
        verdict,
        class: (verdict == Verdict::Fail).then_some(Class::Product),
        seen: seen.into(),
        at: 2.0,
        seconds: 1.0,
        passes: 0,
    }
}

fn report() -> Report {
    let ended = Ended { class: Class::Infra, what: HOSTILE.into(), cause: Some(HOSTILE.into()), at: 3.0 };
    let checks = vec![
        check("good", Verdict::Pass, "fine"),
        check("bad", Verdict::Fail, HOSTILE),
        check("open", Verdict::Skip, HOSTILE),
    ];
    Report {
        schema: Report::SCHEMA,
        name: "server".into(),
        version: "1".into(),
        disk_sha256: Digest::of(b"disk"),
        recipe_digest: Digest::of(b"recipe"),
        accelerator: "tcg".into(),
        accelerator_reason: HOSTILE.into(),
        start: Start { restored: None, why_booted: Some(HOSTILE.into()) },
        begun: 1_760_000_000,
        seconds: 3.0,
        selection: Selection { of: 9, only: vec![HOSTILE.into()], ..Selection::default() },
        ended: Some(ended.clone()),
        retried: vec![ended],
        runs: 1,
        checks,
        boot: Boot {
            console: vec![HOSTILE.into()],
            journal: vec![HOSTILE.into()],
            analyze: HOSTILE.into(),
            ..Boot::default()
        },
    }
}

/// Elements with their attributes, in order, as Expat saw them, and the text between.
const SCRIPT: &str = "import json,sys,xml.parsers.expat as e
p=e.ParserCreate(); seen=[]; text=[]
p.StartElementHandler=lambda name,a: seen.append([name,a])
p.CharacterDataHandler=text.append
p.Parse(open(sys.argv[1],'rb').read(),True)
json.dump({'elements':seen,'text':''.join(text)},sys.stdout)
";

fn parsed(directory: &Path, name: &str, content: &str) -> Value {
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let file = directory.join(name);
    fs::write(&file, content).expect("a file");
    let output = tools.command(Tool::Python).args(["-I", "-c", SCRIPT]).arg(&file).input(&file).run().expect("python3");
    assert!(output.status.success(), "{name}: {}\n{content}", text(&output.log));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn elements<'a>(parsed: &'a Value, name: &str) -> Vec<&'a Value> {
    let all = parsed["elements"].as_array().expect("elements").iter();
    all.filter(|e| e[0] == name).map(|e| &e[1]).collect()
}

#[test]
fn a_foreign_parser_reads_junit() {
    let directory = tempfile::tempdir().expect("a directory");
    let seen = parsed(directory.path(), "junit.xml", &junit(&report()));
    let suite = elements(&seen, "testsuite")[0];
    let of = |key: &str| suite[key].as_str().expect("an attribute").to_owned();
    assert_eq!([of("tests"), of("failures"), of("errors"), of("skipped")], ["4", "1", "1", "1"]);
    assert_eq!(elements(&seen, "testcase").len(), 4);
    assert_eq!(elements(&seen, "failure")[0]["type"], "PRODUCT");
    assert_eq!(elements(&seen, "error")[0]["type"], "INFRA");
    let message = elements(&seen, "failure")[0]["message"].as_str().expect("a message");
    assert!(
        message.contains("]]>--></script>") && message.contains("<b onload=x>") && message.ends_with("ä𝄞"),
        "{message}"
    );
}

#[test]
fn a_foreign_parser_reads_the_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let seen = parsed(directory.path(), "report.html", &html(&report(), directory.path()));
    let names: BTreeSet<&str> =
        seen["elements"].as_array().expect("elements").iter().filter_map(|e| e[0].as_str()).collect();
    for name in ["script", "b", "img", "link", "iframe", "object", "form"] {
        assert!(!names.contains(name), "{name}");
    }
    for element in seen["elements"].as_array().expect("elements") {
        let attributes = element[1].as_object().expect("attributes");
        assert!(attributes.keys().all(|k| !k.starts_with("on") && k != "src" && k != "style"), "{element}");
        let link = attributes.get("href").and_then(Value::as_str).unwrap_or("#");
        assert!(link.starts_with('#') || !link.contains(':'), "{link}");
    }
    let words = seen["text"].as_str().expect("text");
    for word in
        ["ENDED EARLY", "server 1", "INFRA", "the host is at fault", "<b onload=x>", "does not count as verified"]
    {
        assert!(words.contains(word), "{word}");
    }
}

/// The same of a server's documentation, of a profile that has a bit of everything.
#[test]
fn a_foreign_parser_reads_the_documentation() {
    let project = Project::new();
    for profile in ["example-router", "example-containers", "example-access", "example-verify"] {
        project.succeed(&["doc", profile, "--lang", "de", "--out", "papers"]);
        let page = fs::read_to_string(project.path("papers/server.html")).expect("a page");
        let seen = parsed(project.directory.path(), "page.html", &page);
        let ids: Vec<&str> =
            seen["elements"].as_array().expect("elements").iter().filter_map(|e| e[1]["id"].as_str()).collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len(), "{profile}: an id comes twice");
        for link in elements(&seen, "a").iter().filter_map(|a| a["href"].as_str()) {
            assert!(link.strip_prefix('#').is_some_and(|id| distinct.contains(id)), "{profile}: {link} leads nowhere");
        }
        assert_eq!(elements(&seen, "svg").len(), 1, "{profile}");
        let words = seen["text"].as_str().expect("text");
        assert!(
            words.contains("Serverdokumentation")
                && words.contains("Netzwerkschnittstellen")
                && words.contains("Paket"),
            "{words}"
        );
    }
}

/// The page about the report names every key there is.
#[test]
fn the_form_is_documented() {
    fn keys(value: &Value, all: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                all.insert(key.clone());
                keys(value, all);
            }),
            Value::Array(list) => list.iter().for_each(|v| keys(v, all)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    keys(&serde_json::to_value(report()).expect("JSON"), &mut all);
    for more in
        ["lane", "until", "family", "protocol", "port", "declared", "kind", "to", "count", "first", "last", "index"]
    {
        all.insert(more.into());
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/report.md");
    let page = fs::read_to_string(page).expect("docs/reference/report.md");
    let missing: Vec<&String> = all.iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/reference/report.md does not name {missing:?}");
    assert!(page.contains(&format!("version {}", Report::SCHEMA)));
}

fn listed(project: &Project, arguments: &[&str]) -> Vec<(String, bool)> {
    let answer = project.json(&[&["verify", "example-verify", "--list"], arguments].concat());
    let one = |c: &Value| (c["id"].as_str().expect("an id").to_owned(), c["needed"].as_bool().expect("needed"));
    answer["checks"].as_array().expect("checks").iter().map(one).collect()
}

#[test]
fn checks_are_listed_without_a_disk_or_a_lock() {
    let project = Project::new();
    let all = listed(&project, &[]);
    assert!(all.len() > 60 && all.iter().all(|(_, needed)| !needed));
    let own = listed(&project, &["--only", "own-*", "disk-unchanged"]);
    let chosen: Vec<&str> = own.iter().filter(|(_, needed)| !needed).map(|(id, _)| id.as_str()).collect();
    assert!(chosen.contains(&"own-no-such-file") && chosen.contains(&"own-front-page-ipv4"), "{chosen:?}");
    assert_eq!(chosen.iter().filter(|id| !id.starts_with("own-")).collect::<Vec<_>>(), [&"disk-unchanged"]);
    assert!(own.contains(&("lease".into(), true)));
    let mut parts: Vec<String> = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        parts.extend(listed(&project, &["--shard", part]).into_iter().filter(|(_, n)| !n).map(|(id, _)| id));
    }
    let mut expected: Vec<String> = all.into_iter().map(|(id, _)| id).collect();
    parts.sort();
    expected.sort();
    assert_eq!(parts, expected, "every check in exactly one part");
    for (arguments, exit, said) in [
        (&["--only", "no-such-*"][..], 1, "no check is called `no-such-*`"),
        (&["--only", "lease", "--shard", "2/2"], 1, "part 2 of 2 has no check"),
        (&["--shard", "4/3"], 2, "two numbers"),
        (&["--shard", "0/3"], 2, "two numbers"),
        (&["--repeat", "0"], 2, "is not in 1..=10000"),
    ] {
        let mut command = project.diorite();
        let output = command.args(["verify", "example-verify", "--list"]).args(arguments).output().expect("starts");
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_disk_from_somewhere_else_needs_a_recipe_and_tools() {
    let project = Project::locked();
    let run = |arguments: &[&str]| {
        let output = project.diorite().arg("verify").args(arguments).output().expect("starts");
        (output.status.code(), text(&output.stderr) + &text(&output.stdout))
    };
    fs::write(project.path("some.qcow2"), b"QFI\xfb and more").expect("a file");
    fs::write(project.path("recipe.json"), "{}").expect("a file");
    for (arguments, exit, said) in [
        (&["some.raw", "--recipe", "profiles/server.toml"][..], 1, "the disk cannot be read"),
        (&["some.qcow2", "--recipe", "profiles/server.toml"], 1, "this is a qcow2 image"),
        (&["some.qcow2", "--recipe", "recipe.json"], 1, "this is not a recipe of this version"),
        (&["some.qcow2", "--recipe", "nothing.json"], 1, "the recipe cannot be read"),
        (&["some.qcow2", "--recipe", "profiles/base.toml", "--lock", "none"], 3, "no lock to take the tools from"),
    ] {
        let (code, output) = run(arguments);
        assert!(code == Some(exit) && output.contains(said), "{arguments:?}: {code:?} {output}");
    }
    let shown: Value = serde_json::from_slice(&project.succeed(&["show", "server", "--json"]).stdout).expect("JSON");
    fs::write(project.path("recipe.json"), shown["recipe"].to_string()).expect("a file");
    let (code, output) = run(&["some.raw", "--recipe", "recipe.json", "--list"]);
    assert!(code == Some(0) && output.contains("http-8080"), "{output}");
}
