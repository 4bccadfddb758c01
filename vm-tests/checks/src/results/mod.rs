//! Report → report.json, report.html and junit.xml.

mod html;
mod junit;
mod scenario;

pub use html::html;
pub use junit::junit;
pub(crate) use scenario::write as write_scenario;

use diorite_model::{Error, Result, report::Report};
use std::path::Path;

/// Writes every form of the report into `directory`, each file whole or not at all.
pub fn write(report: &Report, directory: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report).map_err(|e| Error::bug("the report is no JSON").because(e))?;
    replace(&directory.join("report.json"), &(json + "\n"))?;
    replace(&directory.join("junit.xml"), &junit(report))?;
    // The page names the others.
    replace(&directory.join("report.html"), &html(report, directory))
}

fn replace(path: &Path, text: &str) -> Result<()> {
    diorite_host::file::write_whole(path, text.as_bytes(), 0o666)
        .map_err(|e| Error::io("the report cannot be written", path, e))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use diorite_model::{
        Digest,
        report::{Boot, CheckResult, Class, Evidence, Selection, Start, Verdict},
    };

    pub(crate) fn check(id: &str, verdict: Verdict) -> CheckResult {
        CheckResult {
            id: id.to_owned(),
            what: "a < b".to_owned(),
            evidence: Evidence::Outside,
            needed: false,
            verdict,
            class: (verdict == Verdict::Fail).then_some(Class::Product),
            seen: "never asked".to_owned(),
            at: 1.5,
            seconds: 1.5,
            passes: u32::from(verdict == Verdict::Pass),
        }
    }

    pub(crate) fn report(checks: Vec<CheckResult>) -> Report {
        Report {
            schema: Report::SCHEMA,
            name: "server".to_owned(),
            version: "1".to_owned(),
            disk_sha256: Digest::of(b""),
            recipe_digest: Digest::of(b"recipe"),
            accelerator: "tcg".to_owned(),
            accelerator_reason: "because".to_owned(),
            start: Start::default(),
            begun: 1_760_000_000,
            seconds: 2.0,
            selection: Selection { of: checks.len(), ..Selection::default() },
            ended: None,
            retried: vec![],
            runs: 1,
            checks,
            boot: Boot::default(),
        }
    }
}
