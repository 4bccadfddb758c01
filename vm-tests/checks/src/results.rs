//! Report → report.json and junit.xml.

use diorite_model::{
    Error, Result,
    report::{CheckResult, Evidence, Report, Verdict},
};
use std::{fmt::Write, path::Path};

/// Writes both files into `folder`, each whole or not at all.
pub fn write(report: &Report, name: &str, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report).map_err(|e| Error::bug("the report is no JSON").because(e))?;
    replace(&folder.join("report.json"), &(json + "\n"))?;
    replace(&folder.join("junit.xml"), &junit(report, name))
}

fn replace(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    written.map_err(|e| Error::io("the report cannot be written", path, e))
}

/// The report as JUnit's XML, as CI systems read it.
pub fn junit(report: &Report, name: &str) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures, skipped) = (report.checks.len(), report.count(Verdict::Fail), report.count(Verdict::Skip));
    let seconds = report.seconds;
    let name = escaped(name);
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "<testsuite name=\"diorite {name}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{seconds:.3}\">"
    );
    let properties = [
        ("accelerator", report.accelerator.clone()),
        ("accelerator_reason", report.accelerator_reason.clone()),
        ("disk_sha256", report.disk_sha256.to_string()),
    ];
    xml.push_str("  <properties>\n");
    for (key, value) in properties {
        let _ = writeln!(xml, "    <property name=\"{key}\" value=\"{}\"/>", escaped(&value));
    }
    xml.push_str("  </properties>\n");
    let mut before = 0.0;
    for check in &report.checks {
        case(&mut xml, &name, check, (check.at - before).max(0.0));
        before = check.at;
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn case(xml: &mut String, name: &str, check: &CheckResult, seconds: f64) {
    let evidence = match check.evidence {
        Evidence::Outside => "outside",
        Evidence::Inside => "inside",
        Evidence::Console => "console",
    };
    let (id, seen) = (escaped(&check.id), escaped(&format!("{}: {}", check.what, check.seen)));
    let _ = write!(xml, "  <testcase classname=\"{name}.{evidence}\" name=\"{id}\" time=\"{seconds:.3}\"");
    let _ = match check.verdict {
        Verdict::Pass => writeln!(xml, "/>"),
        Verdict::Fail => writeln!(xml, "><failure message=\"{seen}\"/></testcase>"),
        Verdict::Skip => writeln!(xml, "><skipped message=\"{seen}\"/></testcase>"),
    };
}

/// For an XML attribute; characters that XML 1.0 §2.2 forbids are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => out.push(' '),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::Digest;

    #[test]
    fn junit_counts_and_escapes() {
        let check = |id: &str, verdict, seen: &str| CheckResult {
            id: id.to_owned(),
            what: "a < b".to_owned(),
            evidence: Evidence::Outside,
            verdict,
            seen: seen.to_owned(),
            at: 1.5,
        };
        let report = Report {
            schema: 1,
            disk_sha256: Digest::of(b""),
            accelerator: "tcg".to_owned(),
            accelerator_reason: "because".to_owned(),
            seconds: 2.0,
            checks: vec![
                check("good", Verdict::Pass, "fine"),
                check("bad", Verdict::Fail, "said \"no\" & \u{1b}[1m"),
                check("open", Verdict::Skip, "never asked"),
            ],
        };
        let xml = junit(&report, "server");
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\" time=\"2.000\""), "{xml}");
        assert!(xml.contains("<failure message=\"a &lt; b: said &quot;no&quot; &amp; \u{fffd}[1m\"/>"), "{xml}");
        assert!(xml.contains("<skipped message=\"a &lt; b: never asked\"/>"), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 3);
        assert!(xml.contains("name=\"good\" time=\"1.500\"/>"), "{xml}");
    }
}
