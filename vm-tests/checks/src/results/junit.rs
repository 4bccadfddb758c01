//! Report → junit.xml, as CI systems read it: <https://github.com/testmoapp/junitxml>. A failure of a check is a
//! `failure`, and a run that ended early an `error`; the `type` of both is the class.

use diorite_model::report::{CheckResult, Class, Ended, Evidence, Report, Verdict};
use std::fmt::Write;

/// The report as JUnit's XML.
pub fn junit(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (failures, skipped) = (report.count(Verdict::Fail), report.count(Verdict::Skip));
    let errors = usize::from(report.ended.is_some());
    let (tests, seconds, name) = (report.checks.len() + errors, report.seconds, escaped(&report.name));
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "<testsuite name=\"diorite {name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"{skipped}\" time=\"{seconds:.3}\">"
    );
    let selection = match (&report.selection.shard, report.partial()) {
        (Some(shard), _) => format!("part {} of {}", shard.index, shard.count),
        (None, true) => report.selection.words(),
        (None, false) => "whole".to_owned(),
    };
    let properties = [
        ("schema", report.schema.to_string()),
        ("version", report.version.clone()),
        ("accelerator", report.accelerator.clone()),
        ("accelerator_reason", report.accelerator_reason.clone()),
        ("machine", report.start.to_string()),
        ("disk_sha256", report.disk_sha256.to_string()),
        ("recipe_digest", report.recipe_digest.to_string()),
        ("selection", selection),
        ("runs", report.runs.to_string()),
        ("retried", report.retried.len().to_string()),
    ];
    xml.push_str("  <properties>\n");
    for (key, value) in properties {
        let _ = writeln!(xml, "    <property name=\"{key}\" value=\"{}\"/>", escaped(&value));
    }
    xml.push_str("  </properties>\n");
    for check in &report.checks {
        case(&mut xml, &name, check);
    }
    over(&mut xml, &name, report.ended.as_ref());
    xml.push_str("</testsuite>\n");
    xml
}

/// A run that ended early.
pub(super) fn over(xml: &mut String, name: &str, ended: Option<&Ended>) {
    let Some(ended) = ended else { return };
    let said = escaped(
        &[Some(ended.what.as_str()), ended.cause.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": "),
    );
    let class = word(ended.class);
    let _ = write!(xml, "  <testcase classname=\"{name}.run\" name=\"the-run-came-to-its-end\" time=\"0.000\">");
    let _ = writeln!(xml, "<error type=\"{class}\" message=\"{said}\"/></testcase>");
}

/// A class as it is written.
pub(super) fn word(class: Class) -> &'static str {
    match class {
        Class::Product => "PRODUCT",
        Class::Test => "TEST",
        Class::Infra => "INFRA",
    }
}

pub(super) fn case(xml: &mut String, name: &str, check: &CheckResult) {
    let evidence = match check.evidence {
        Evidence::Outside => "outside",
        Evidence::Inside => "inside",
        Evidence::Console => "console",
    };
    let (id, seen) = (escaped(&check.id), escaped(&format!("{}: {}", check.what, check.seen)));
    let seconds = check.seconds.max(0.0);
    let _ = write!(xml, "  <testcase classname=\"{name}.{evidence}\" name=\"{id}\" time=\"{seconds:.3}\"");
    let class = word(check.class.unwrap_or(Class::Product));
    let _ = match check.verdict {
        Verdict::Pass => writeln!(xml, "/>"),
        Verdict::Fail => writeln!(xml, "><failure type=\"{class}\" message=\"{seen}\"/></testcase>"),
        Verdict::Skip => writeln!(xml, "><skipped message=\"{seen}\"/></testcase>"),
    };
}

/// For an XML attribute; characters that XML 1.0 §2.2 forbids are replaced.
pub(super) fn escaped(text: &str) -> String {
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
    use super::super::tests::{check, report};
    use super::*;

    #[test]
    fn junit_counts_and_escapes() {
        let mut report =
            report(vec![check("good", Verdict::Pass), check("bad", Verdict::Fail), check("open", Verdict::Skip)]);
        report.checks[1].seen = "said \"no\" & \u{1b}[1m".to_owned();
        let xml = junit(&report);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"2.000\""), "{xml}");
        assert!(
            xml.contains("<failure type=\"PRODUCT\" message=\"a &lt; b: said &quot;no&quot; &amp; \u{fffd}[1m\"/>"),
            "{xml}"
        );
        assert!(xml.contains("<skipped message=\"a &lt; b: never asked\"/>"), "{xml}");
        assert_eq!(xml.matches("<testcase").count(), 3);
        assert!(xml.contains("name=\"good\" time=\"1.500\"/>"), "{xml}");
        report.ended = Some(Ended { class: Class::Infra, what: "QEMU has ended".into(), cause: None, at: 1.0 });
        let xml = junit(&report);
        assert!(xml.contains("tests=\"4\" failures=\"1\" errors=\"1\""), "{xml}");
        assert!(xml.contains("<error type=\"INFRA\" message=\"QEMU has ended\"/>"), "{xml}");
    }
}
