//! The answer of `build --paranoid`, for people and as JSON.

use crate::paranoid::ParanoidBuild;
use crate::print_rebuild::{changed, listed};
use diorite_model::plan::Build;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What `build` answers in JSON, and beside it what the second run of each step gave.
pub fn json(build: &Build, twice: &ParanoidBuild) -> String {
    let rebuilt = (!twice.equal()).then(|| twice.rebuilt.results.raw());
    let mut value = serde_json::to_value(build).expect("a build is JSON");
    if let Value::Object(fields) = &mut value {
        let answer = json!({
            "equal": twice.equal(), "steps": twice.steps, "rebuilt_sha256": twice.rebuilt.build.disk_sha256,
            "changed": twice.rebuilt.changed, "seconds": twice.rebuilt.time.as_secs_f64(), "rebuilt": rebuilt,
            "findings": twice.findings,
        });
        fields.insert("paranoid".into(), answer);
    }
    value.to_string() + "\n"
}

/// A line for each step, and where the two differ, why.
pub fn table(twice: &ParanoidBuild) -> String {
    let mut text = changed(&twice.rebuilt);
    for run in &twice.steps {
        let verdict = if run.equal() { "equal" } else { "DIFFERENT" };
        let _ = writeln!(text, "{:<21} {verdict:<9}  {}", run.step, run.first.short(12));
        if let Some(first) = twice.steps.iter().find(|run| !run.equal()).filter(|first| first.step == run.step) {
            let _ = writeln!(text, "{:<31}  {}  the second time", "", run.again.short(12));
            first.differs.iter().for_each(|line| text += &format!("  {line}\n"));
        }
    }
    if let Some(first) = twice.steps.iter().find(|run| !run.equal()) {
        let (step, raw) = (&first.step, twice.rebuilt.results.raw());
        let _ = writeln!(text, "step `{step}` is the first that gave something else; its image is {}", raw.display());
    }
    text + &listed(&twice.findings)
}
