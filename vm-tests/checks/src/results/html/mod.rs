//! Report → report.html: one file for people. Nothing in it is fetched, nothing in it runs, everything in it comes from the
//! report and from the files beside it.

mod ports;
mod timeline;

use super::junit::word;
use crate::packet_names;
use diorite_model::base64;
use diorite_model::report::{CheckResult, Class, Evidence, Report, Verdict, date};
use diorite_page::Page;
use std::path::Path;

/// Largest screenshot that is put into the page, in bytes.
const SCREENSHOT: u64 = 8 << 20;

/// The page of a report whose files are in `directory`.
pub fn html(report: &Report, directory: &Path) -> String {
    let (verdict, class) = verdict(report);
    let mut page = Page::begin("en", format!("{verdict}: {} {}", report.name, report.version));
    page.raw("<header>");
    page.raw("<p>").element("span", &[("class", &format!("verdict {class}"))], verdict).raw("</p>");
    page.element("h1", &[], format!("{} {}", report.name, report.version));
    page.element("p", &[("class", &"soft")], format!("What {} saw of this image.", "diorite verify"));
    head(&mut page, report);
    page.raw("<nav><a href=\"#boot\">boot</a><a href=\"#ports\">ports</a><a href=\"#checks\">checks</a>")
        .raw("<a href=\"#unsolicited\">unsolicited traffic</a><a href=\"#words\">console and journal</a><a href=\"#files\">files</a></nav></header>\n");
    failures(&mut page, report);
    page.raw("<h2 id=\"boot\">The boot</h2>\n<div class=\"scroll\">");
    timeline::draw(&mut page, report);
    page.raw("</div>\n");
    for line in report.boot.analyze.lines() {
        page.element("p", &[("class", &"soft mono")], line);
    }
    page.raw("<h2 id=\"ports\">Ports</h2>\n");
    ports::write(&mut page, report);
    checks(&mut page, report);
    unsolicited(&mut page, report);
    words(&mut page, report);
    screenshot(&mut page, directory);
    files(&mut page, directory);
    page.end()
}

/// The verdict in a word or two, and its colour.
fn verdict(report: &Report) -> (&'static str, &'static str) {
    match (&report.ended, report.passed(), report.partial()) {
        (Some(_), ..) => ("ENDED EARLY", "bad"),
        (None, false, _) => ("FAILED", "bad"),
        (None, true, true) => ("PASSED IN PART", "warn"),
        (None, true, false) => ("PASSED", "good"),
    }
}

fn head(page: &mut Page, report: &Report) {
    let (passed, failed, skipped) =
        (report.count(Verdict::Pass), report.count(Verdict::Fail), report.count(Verdict::Skip));
    page.raw("<dl>");
    let mut row = |name: &'static str, value: String, class: &'static str| {
        page.element("dt", &[], name).element("dd", &[("class", &class)], value);
    };
    row("checks", format!("{passed} passed, {failed} failed, {skipped} skipped"), "");
    if report.partial() {
        let part = report.selection.shard.map(|s| format!(", part {} of {}", s.index, s.count)).unwrap_or_default();
        let words = report.selection.words();
        let only = if words.is_empty() { words } else { format!(", {words}") };
        let said = format!(
            "{} of {} checks{part}{only}; the image does not count as verified",
            report.checks.len(),
            report.selection.of
        );
        row("partial", said, "warn");
    }
    if report.runs > 1 {
        let flaky = report.flaky().count();
        let class = if flaky > 0 { "bad" } else { "" };
        row("runs", format!("{}, {flaky} checks flaky", report.runs), class);
    }
    row("accelerator", format!("{}: {}", report.accelerator, report.accelerator_reason), "");
    row("machine", report.start.to_string(), "");
    row("begun", date(report.begun), "");
    row("took", format!("{:.0} s", report.seconds), "");
    row("disk", format!("sha256 {}", report.disk_sha256), "mono");
    row("recipe", report.recipe_digest.to_string(), "mono");
    for ended in &report.retried {
        row("tried again", format!("{} after {:.0} s: {}", word(ended.class), ended.at, ended.what), "warn");
    }
    page.raw("</dl>\n");
}

fn failures(page: &mut Page, report: &Report) {
    let failed: Vec<&CheckResult> = report.checks.iter().filter(|c| c.verdict == Verdict::Fail).collect();
    if failed.is_empty() && report.ended.is_none() {
        return;
    }
    page.raw("<h2 id=\"failed\">What failed</h2>\n");
    if let Some(ended) = &report.ended {
        page.raw("<div class=\"failure\">");
        page.element("strong", &[], format!("The run ended after {:.0} s: {}", ended.at, ended.what));
        page.element("p", &[], ended.cause.as_deref().unwrap_or_default());
        page.element("p", &[("class", &"soft")], format!("{}: {}", word(ended.class), blame(ended.class)));
        page.raw("</div>\n");
    }
    for check in failed {
        page.raw("<div class=\"failure\">");
        page.element("strong", &[], &check.what);
        page.element("p", &[], format!("Seen: {}", check.seen));
        let class = check.class.unwrap_or(Class::Product);
        let said = format!(
            "{}: {} · asked {} · {} · {:.1} s",
            word(class),
            blame(class),
            level(check.evidence),
            check.id,
            check.at
        );
        page.element("p", &[("class", &"soft")], said);
        page.raw("</div>\n");
    }
}

fn blame(class: Class) -> &'static str {
    match class {
        Class::Product => "the image is at fault",
        Class::Test => "the lab or the check itself is at fault",
        Class::Infra => "the host is at fault; it says nothing about the image",
    }
}

fn level(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Outside => "outside",
        Evidence::Inside => "inside",
        Evidence::Console => "console",
    }
}

fn checks(page: &mut Page, report: &Report) {
    page.raw("<h2 id=\"checks\">Checks</h2>\n");
    page.raw("<div class=\"scroll\"><table><thead><tr><th></th><th>what must be true, and what was seen</th><th>asked</th><th class=\"number\">at</th>")
        .raw("<th class=\"number\">took</th></tr></thead><tbody>\n");
    for check in &report.checks {
        let (row, class, sign) = match check.verdict {
            Verdict::Pass => ("pass", "word good", "✓ pass"),
            Verdict::Fail => ("fail", "word bad", "✗ FAIL"),
            Verdict::Skip => ("skip", "word warn", "– skip"),
        };
        page.open("tr", &[("class", &row), ("id", &format!("check-{}", check.id))]);
        let runs = if report.runs > 1 { format!(" {}/{}", check.passes, report.runs) } else { String::new() };
        page.element("td", &[("class", &class)], format!("{sign}{runs}"));
        page.raw("<td>").text(&check.what).raw(" ").element("span", &[("class", &"id soft")], &check.id);
        let needed = if check.needed { " (asked because another needs it)" } else { "" };
        page.raw("<br/>").element("span", &[("class", &"soft")], format!("{}{needed}", check.seen)).raw("</td>");
        page.element("td", &[("class", &"level")], level(check.evidence));
        page.element("td", &[("class", &"number")], format!("{:.1} s", check.at));
        page.element("td", &[("class", &"number")], format!("{:.1} s", check.seconds.max(0.0)));
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></div>\n");
}

fn unsolicited(page: &mut Page, report: &Report) {
    page.raw("<h2 id=\"unsolicited\">Unsolicited traffic</h2>\n");
    if report.boot.said.is_empty() {
        page.element("p", &[("class", &"soft")], "Nothing was heard.");
        return;
    }
    page.raw("<div class=\"scroll\"><table><thead><tr><th>what</th><th>to</th><th class=\"number\">port</th><th class=\"number\">times</th>")
        .raw("<th class=\"number\">first</th><th class=\"number\">last</th></tr></thead><tbody>\n");
    for said in &report.boot.said {
        let port = if said.port == 0 { "–".to_owned() } else { said.port.to_string() };
        let name = packet_names::words(said).map(|w| format!(" {w}")).unwrap_or_default();
        page.raw("<tr><td>").element("span", &[("class", &"mono")], &said.kind).text(name).raw("</td>");
        page.element("td", &[("class", &"mono")], &said.to);
        for value in [port, said.count.to_string(), format!("{:.1} s", said.first), format!("{:.1} s", said.last)] {
            page.element("td", &[("class", &"number")], value);
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></div>\n");
    if !report.boot.names.is_empty() {
        page.element("p", &[], format!("Names it asked for: {}", report.boot.names.join(", ")));
    }
}

fn words(page: &mut Page, report: &Report) {
    page.raw("<h2 id=\"words\">Console and journal</h2>\n");
    for (title, lines, none) in [
        ("The last lines of the console", &report.boot.console, "The console said nothing."),
        ("The journal's warnings and errors", &report.boot.journal, "None, or nobody could be asked."),
    ] {
        page.element("p", &[], title);
        match lines.is_empty() {
            true => drop(page.element("p", &[("class", &"soft")], none)),
            false => drop(page.element("pre", &[], lines.join("\n"))),
        }
    }
}

/// The screen at the time of a failure, if there is a screenshot.
fn screenshot(page: &mut Page, directory: &Path) {
    let file = directory.join("evidence/screenshot.png");
    let small = std::fs::metadata(&file).is_ok_and(|m| m.len() <= SCREENSHOT);
    let Some(bytes) = small.then(|| std::fs::read(&file).ok()).flatten() else { return };
    // Other bytes under this name are no picture (PNG §5.2).
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        page.raw("<h2 id=\"screen\">The screen</h2>\n");
        let source = format!("data:image/png;base64,{}", base64::encode(&bytes));
        page.empty("img", &[("alt", &"the machine's screen when it failed"), ("src", &source)]);
    }
}

fn files(page: &mut Page, directory: &Path) {
    page.raw("<h2 id=\"files\">Files beside this page</h2>\n");
    let mut all: Vec<(String, u64)> = Vec::new();
    for below in ["", "evidence", "evidence-retried"] {
        let entries = std::fs::read_dir(directory.join(below)).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let wanted = !below.is_empty() || KEPT.contains(&name.as_str());
            if let (true, Ok(about)) = (wanted, entry.metadata()) {
                let path = if below.is_empty() { name } else { format!("{below}/{name}") };
                all.push((path, about.len()));
            }
        }
    }
    // Of several runs each has a page of its own.
    let runs = (1..).map(|n| format!("run-{n}/report.html"));
    let there = runs.map_while(|path| Some((std::fs::metadata(directory.join(&path)).ok()?.len(), path)));
    all.extend(there.map(|(bytes, path)| (path, bytes)));
    all.sort();
    page.raw("<ul>");
    for (path, bytes) in &all {
        page.raw("<li>").element("a", &[("href", &link(path))], path);
        page.text(format!(" {}", diorite_host::progress::bytes(*bytes))).raw("</li>\n");
    }
    page.raw("</ul>\n");
}

/// Results of a verification; what a build has left is not this page's matter.
const KEPT: [&str; 7] = [
    "console.log",
    "junit.xml",
    "report.json",
    "tampered-console.log",
    "untouched-console.log",
    "untouched-wire.pcapng",
    "wire.pcapng",
];

/// A relative reference, RFC 3986: what is no plain letter is escaped.
fn link(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests;
