//! Answers about scenarios on stdout.

use diorite_model::report::{ScenarioReport, Verdict};
use diorite_model::scenario::Scenario;
use serde_json::json;
use std::path::Path;

/// What each scenario proves, and its steps.
pub fn list(scenarios: &[Scenario], as_json: bool) -> String {
    if as_json {
        return format!("{}\n", json!({ "schema": 1, "scenarios": scenarios }));
    }
    let mut text = String::new();
    for scenario in scenarios {
        let machine = |m: &diorite_model::scenario::Machine| match m.count {
            1 => m.name.clone(),
            count => format!("{} × {count}", m.name),
        };
        let machines: Vec<String> = scenario.machines.iter().map(machine).collect();
        text += &format!("{}: {}\n    machines: {}\n", scenario.name, scenario.about, machines.join(", "));
        for (n, step) in scenario.steps.iter().enumerate() {
            text += &format!("    {:>2}  {}\n", n + 1, step.name);
        }
    }
    text
}

/// A report, step by step.
pub fn report(report: &ScenarioReport, out: &Path) -> String {
    let mut text = format!(
        "{}: {}\naccelerator: {} ({})\n",
        report.name, report.about, report.accelerator, report.accelerator_reason
    );
    for step in &report.steps {
        let times = match report.runs {
            1 => format!("{:>6.1} s", step.at),
            runs => format!("{:>8}", format!("{}/{runs}", step.passes)),
        };
        text += &format!("{}  {times}  {}\n", word(step.verdict), step.what);
        if step.verdict != Verdict::Pass {
            let class = step.class.map(|c| format!("{c:?}: ").to_uppercase()).unwrap_or_default();
            text += &format!("                {class}{}\n", step.seen.replace('\n', "\n                "));
        }
    }
    if let Some(ended) = &report.ended {
        let class = format!("{:?}", ended.class).to_uppercase();
        text += &format!("ended after {:.0} s: {class}: {}\n", ended.at, ended.what);
    }
    for ended in &report.retried {
        text += &format!("retried because of the host: {}\n", ended.what);
    }
    let runs = if report.runs > 1 { format!(" in {} runs", report.runs) } else { String::new() };
    text + &format!(
        "{} passed, {} failed, {} skipped in {:.0} s{runs}\nresults in {}\n",
        report.count(Verdict::Pass),
        report.count(Verdict::Fail),
        report.count(Verdict::Skip),
        report.seconds,
        out.display()
    )
}

/// A line for each scenario; one without a report was ended by a fault of the host.
pub fn table(scenarios: &[Scenario], reports: &[ScenarioReport]) -> String {
    let width = scenarios.iter().map(|s| s.name.len()).max().unwrap_or(0);
    let mut text = String::from("\n");
    for scenario in scenarios {
        let line = match reports.iter().find(|r| r.name == scenario.name) {
            Some(report) => {
                let good = if report.passed() { "pass" } else { "FAIL" };
                let (passed, all) = (report.count(Verdict::Pass), report.steps.len());
                format!("{good}  {:<width$}  {passed:>2}/{all} steps  {:>6.0} s", scenario.name, report.seconds)
            }
            None => format!("HOST  {:<width$}  not run, because of the host", scenario.name),
        };
        text += &format!("{line}\n");
    }
    text
}

/// All reports as one JSON value.
pub fn reports(reports: &[ScenarioReport]) -> String {
    format!("{}\n", json!({ "schema": 1, "passed": reports.iter().all(ScenarioReport::passed), "reports": reports }))
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Skip => "skip",
    }
}
