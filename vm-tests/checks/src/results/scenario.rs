//! A scenario's report → report.json and junit.xml.

use super::{
    junit::{case, escaped, over},
    replace,
};
use diorite_model::{
    Error, Result,
    report::{ScenarioReport, Verdict},
};
use std::{fmt::Write as _, path::Path};

/// Writes both forms into `directory`, each file whole or not at all.
pub fn write(report: &ScenarioReport, directory: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report).map_err(|e| Error::bug("the report is no JSON").because(e))?;
    replace(&directory.join("report.json"), &(json + "\n"))?;
    replace(&directory.join("junit.xml"), &junit(report))
}

fn junit(report: &ScenarioReport) -> String {
    let name = escaped(&report.name);
    let (failures, skipped) = (report.count(Verdict::Fail), report.count(Verdict::Skip));
    let errors = usize::from(report.ended.is_some());
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "<testsuite name=\"diorite scenario {name}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"{skipped}\" time=\"{:.3}\">\n  <properties>",
        report.steps.len() + errors,
        report.seconds
    );
    let mut properties = vec![
        ("schema".to_owned(), report.schema.to_string()),
        ("about".to_owned(), report.about.clone()),
        ("seed".to_owned(), report.seed.to_string()),
        ("accelerator".to_owned(), report.accelerator.clone()),
        ("accelerator_reason".to_owned(), report.accelerator_reason.clone()),
        ("runs".to_owned(), report.runs.to_string()),
        ("retried".to_owned(), report.retried.len().to_string()),
    ];
    properties.extend(report.machines.iter().map(|m| (format!("disk_sha256.{}", m.name), m.disk_sha256.to_string())));
    for (key, value) in properties {
        let _ = writeln!(xml, "    <property name=\"{key}\" value=\"{}\"/>", escaped(&value));
    }
    xml.push_str("  </properties>\n");
    report.steps.iter().for_each(|step| case(&mut xml, &name, step));
    over(&mut xml, &name, report.ended.as_ref());
    xml.push_str("</testsuite>\n");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::check;

    #[test]
    fn junit_has_a_case_for_each_step() {
        let report = ScenarioReport {
            schema: ScenarioReport::SCHEMA,
            name: "switch".into(),
            about: "a < b".into(),
            seed: 1,
            machines: vec![],
            accelerator: "tcg".into(),
            accelerator_reason: "a test".into(),
            begun: 0,
            seconds: 2.5,
            ended: None,
            retried: vec![],
            runs: 1,
            steps: vec![check("01-boot", Verdict::Pass), check("02-port", Verdict::Fail), check("03-x", Verdict::Skip)],
        };
        let xml = junit(&report);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"2.500\""), "{xml}");
        assert!(xml.contains("value=\"a &lt; b\"") && xml.matches("<testcase ").count() == 3, "{xml}");
        assert!(!report.passed());
    }
}
