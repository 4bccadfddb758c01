//! Answers on stdout, for people and as JSON. JSON answers carry `schema`, the version of their format.

use diorite_archive::images;
use diorite_archive::vault::VaultImport;
use diorite_archive::wheels;
use diorite_checks::{Forwarded, SelectedCheck};
use diorite_host::progress;
use diorite_model::audit::AuditPolicy;
use diorite_model::plan::{Build, Step};
use diorite_model::profile::Settings;
use diorite_model::python::Python;
use diorite_model::report::{Evidence, Report, Verdict};
use diorite_model::{Digest, Error, Lock, Recipe};
use diorite_proxmox::check;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn line(value: serde_json::Value) -> String {
    format!("{value}\n")
}

/// An error as one JSON object.
pub fn error_json(error: &Error) -> String {
    json!({ "schema": 1, "error": error_value(error) }).to_string()
}

fn error_value(error: &Error) -> Value {
    let mut value = json!({
        "exit": error.exit as u8, "what": error.what, "place": error.place,
        "detail": error.detail, "cause": error.cause, "hint": error.hint,
    });
    if !error.further.is_empty() {
        value["further"] = error.further.iter().map(error_value).collect();
    }
    value
}

/// Where the documentation is, and how much of it was measured.
pub fn documentation(html: &Path, markdown: &Path, measured: Option<usize>, as_json: bool) -> String {
    if as_json {
        return line(json!({ "schema": 1, "html": html, "markdown": markdown, "measured": measured }));
    }
    format!("{}\n{}\n", html.display(), markdown.display())
}

/// The recipe with every default explicit, as TOML; and the settings that are not part of it: VM, instances, checks,
/// words for the documentation.
pub fn recipe(recipe: &Recipe, settings: &Settings, as_json: bool) -> String {
    let (own, machine, instances) = (&settings.checks, &settings.machine, &settings.instances);
    if as_json {
        let verify = json!({ "check": own });
        return line(json!({
            "schema": 1, "digest": recipe.digest(), "recipe": recipe, "machine": machine, "instances": instances,
            "verify": verify, "documentation": settings.purpose, "audit": settings.audit,
        }));
    }
    let text = toml::to_string_pretty(recipe).expect("a recipe is TOML");
    let mut text = format!("# recipe {}\n{text}", recipe.digest());
    let table = toml::to_string_pretty(&BTreeMap::from([("machine", machine)])).expect("a machine is TOML");
    text += &format!("\n# the VM that `deploy` creates; no byte of the image depends on it\n{table}");
    if !settings.purpose.is_empty() {
        let table = toml::to_string_pretty(&BTreeMap::from([("documentation", &settings.purpose)]));
        text += &format!("\n# what `doc` says of it\n{}", table.expect("words are TOML"));
    }
    if !instances.is_empty() {
        let table = toml::to_string_pretty(&BTreeMap::from([("instances", instances)])).expect("instances are TOML");
        text += &format!("\n# the values on each VM's config drive\n{table}");
    }
    if settings.audit != AuditPolicy::default() {
        let table = toml::to_string_pretty(&BTreeMap::from([("audit", &settings.audit)])).expect("a policy is TOML");
        text +=
            &format!("\n# what `audit` looks at and what is put up with; no byte of the image depends on it\n{table}");
    }
    if !own.is_empty() {
        let table = BTreeMap::from([("verify", BTreeMap::from([("check", own)]))]);
        let table = toml::to_string_pretty(&table).expect("checks are TOML");
        text += &format!("\n# checked on the booted machine; no byte of the image depends on it\n{table}");
    }
    text
}

/// What locking did.
pub fn locked(file: &Path, lock: &Lock, changes: Option<&str>, written: bool, as_json: bool) -> String {
    if as_json {
        return line(json!({
            "schema": 1, "lock": file, "written": written, "digest": lock.digest(), "packages": lock.packages().len(), "changes": changes,
        }));
    }
    let mut out = changes.map(|c| format!("{}\n", c.trim_end())).unwrap_or_default();
    for (name, files) in &lock.container {
        if let Some(words) = images::words(files) {
            out += &format!("container {name}: {words}\n");
        }
    }
    for (name, files) in &lock.wheels {
        let python = lock.container.get(name).and_then(|packages| Python::of(packages));
        let python = python.map(|python| format!(", for Python {}", python.short())).unwrap_or_default();
        out += &format!("container {name}: {}{python}\n", wheels::words(files));
    }
    let packages = lock.packages();
    out += &if written {
        format!(
            "{}: {} packages, {}\n",
            file.display(),
            packages.len(),
            progress::bytes(packages.iter().map(|p| p.size).sum())
        )
    } else {
        format!("{} is unchanged; `--update` writes the above\n", file.display())
    };
    out
}

/// Steps, keys, hits and misses.
pub fn plan(steps: &[Step], as_json: bool) -> String {
    if as_json {
        return line(json!({ "schema": 1, "steps": steps }));
    }
    let mut out = String::from("step                  key           result\n");
    for step in steps {
        out += &format!("{:<21} {}  {}\n", step.name, step.key.short(12), if step.hit { "cached" } else { "build" });
    }
    out
}

/// How much was downloaded.
pub fn fetched(packages: usize, bytes: u64, as_json: bool) -> String {
    if as_json {
        return json!({ "schema": 1, "packages": packages, "bytes": bytes }).to_string();
    }
    format!("{packages} packages, {}, verified and in the store", progress::bytes(bytes))
}

/// What a vault holds; people who carry it compare the digest. `source`: files and crates of the program's own source.
pub fn exported(
    file: &Path,
    packages: usize,
    source: Option<(usize, usize)>,
    digest: &Digest,
    as_json: bool,
) -> String {
    if as_json {
        let source = source.map(counted);
        return line(json!({ "schema": 1, "vault": file, "packages": packages, "source": source, "sha256": digest }));
    }
    let source = source.map(|(files, crates)| format!(", {files} files and {crates} crates of the program's source"));
    format!("{}: {packages} packages{}, sha256 {digest}\n", file.display(), source.unwrap_or_default())
}

fn counted((files, crates): (usize, usize)) -> serde_json::Value {
    json!({ "files": files, "crates": crates })
}

/// What was in a vault, and where its lock is now.
pub fn imported(imported: &VaultImport, lock: Option<&Path>, as_json: bool) -> String {
    let VaultImport { lock_name, new, packages, source, .. } = imported;
    if as_json {
        let source = source.map(counted);
        return line(json!({ "schema": 1, "packages": packages, "new": new, "source": source, "lock": lock }));
    }
    let lock = match lock {
        Some(file) => format!("lock: {}\n", file.display()),
        None => {
            format!(
                "its lock `{lock_name}` was not kept: there is no profiles/ here; run it in the project's directory\n"
            )
        }
    };
    let source = source.map(|(files, crates)| format!("source: {files} files and {crates} crates verified\n"));
    format!("{packages} packages verified, {new} of them new in the store\n{lock}{}", source.unwrap_or_default())
}

/// The stage table and where the result is.
pub fn built(build: &Build, out: &Path, as_json: bool) -> String {
    if as_json {
        return line(serde_json::to_value(build).expect("a build is JSON"));
    }
    let mut text = String::from("step                  result   seconds        size  key\n");
    for r in &build.steps {
        let (result, seconds) =
            if r.step.hit { ("cached", String::new()) } else { ("built", format!("{:.2}", r.seconds)) };
        text += &format!(
            "{:<21} {result:<6} {seconds:>9} {:>11}  {}\n",
            r.step.name,
            progress::bytes(r.bytes),
            r.step.key.short(12)
        );
    }
    text + &format!(
        "root hash  {}\ndisk       {}  sha256 {}\n",
        build.root_hash,
        out.join("disk.raw").display(),
        build.disk_sha256
    )
}

/// What a target offers, and its problems.
pub fn checked(report: &check::TargetReport, as_json: bool) -> String {
    if as_json {
        return line(serde_json::to_value(report).expect("a report is JSON"));
    }
    report.to_string()
}

/// The checks that would be run: id, where it is run from, what it checks.
pub fn checks(checks: &[SelectedCheck], as_json: bool) -> String {
    if as_json {
        let one = |w: &SelectedCheck| json!({ "id": w.check.id, "level": w.check.evidence, "what": w.check.what, "needed": w.needed });
        return line(json!({ "schema": 1, "checks": checks.iter().map(one).collect::<Vec<_>>() }));
    }
    let width = checks.iter().map(|w| w.check.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for SelectedCheck { check, needed } in checks {
        let why = if *needed { " (needed by another)" } else { "" };
        text += &format!("{:<width$}  {:<7}  {}{why}\n", check.id, level(check.evidence), check.what);
    }
    text
}

fn level(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Outside => "outside",
        Evidence::Inside => "inside",
        Evidence::Console => "console",
    }
}

/// The forwarded ports.
pub fn forwarded(table: &[Forwarded], as_json: bool) -> String {
    if as_json {
        let one = |f: &Forwarded| json!({ "host": f.host, "port": f.guest, "what": f.what });
        return line(json!({ "schema": 1, "forwards": table.iter().map(one).collect::<Vec<_>>() }));
    }
    if table.is_empty() {
        return "no TCP port is admitted, and none is forwarded".to_owned();
    }
    let row = |f: &Forwarded| format!("{} → {:<5} {}", f.host, f.guest, f.what);
    table.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// The report, check by check.
pub fn report(report: &Report, out: &Path, as_json: bool) -> String {
    if as_json {
        return line(serde_json::to_value(report).expect("a report is JSON"));
    }
    let mut text = format!("accelerator: {} ({})\n", report.accelerator, report.accelerator_reason);
    text += &format!("machine: {}\n", report.start);
    for check in &report.checks {
        let word = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "skip",
        };
        let times = match report.runs {
            1 => format!("{:>6.1} s", check.at),
            runs => format!("{:>8}", format!("{}/{runs}", check.passes)),
        };
        text += &format!("{word}  {times}  {}\n", check.what);
        if check.verdict != Verdict::Pass {
            let class = check.class.map(|c| format!("{c:?}: ").to_uppercase()).unwrap_or_default();
            text += &format!("                {class}{}\n", check.seen.replace('\n', "\n                "));
        }
    }
    if let Some(ended) = &report.ended {
        let class = format!("{:?}", ended.class).to_uppercase();
        text += &format!("ended after {:.0} s: {class}: {}\n", ended.at, ended.what);
    }
    for ended in &report.retried {
        text += &format!("retried because of the host: {}\n", ended.what);
    }
    let flaky = report.flaky().count();
    if flaky > 0 {
        text += &format!("{flaky} flaky: passed in some of {} runs and not in others\n", report.runs);
    }
    if report.partial() {
        let asked = report.checks.len();
        text += &format!(
            "partial: {asked} of {} checks were run; the image does not count as verified\n",
            report.selection.of
        );
    }
    let (passed, failed, skipped) =
        (report.count(Verdict::Pass), report.count(Verdict::Fail), report.count(Verdict::Skip));
    let runs = if report.runs > 1 { format!(" in {} runs", report.runs) } else { String::new() };
    text + &format!(
        "{passed} passed, {failed} failed, {skipped} skipped in {:.0} s{runs}\nresults in {}\n",
        report.seconds,
        out.display()
    )
}
