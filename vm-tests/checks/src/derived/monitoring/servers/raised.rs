//! Alerts whose time comes late: promtool(1) moves a clock of its own, on the machine and with the machine's own rules, and
//! says which of them are raised by a machine that needs it, and by one that does not.

use crate::{answer::Judged, check::Check, quote};
use diorite_machine::Output;
use diorite_model::recipe::{Alert, Condition};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The alerts of which it is tried; none where there are none.
pub(super) fn check(alerts: &BTreeMap<String, Alert>) -> Option<Check> {
    let tests: Vec<Value> = alerts.iter().filter_map(|(name, alert)| test(name, alert)).collect();
    let tried = tests.len();
    if tests.is_empty() {
        return None;
    }
    let document = json!({ "rule_files": ["/etc/prometheus/alerts.yml"], "evaluation_interval": "1m", "tests": tests });
    let script = format!(
        "f=$(mktemp) && printf %s {} >\"$f\" && promtool test rules \"$f\" 2>&1; r=$?; rm -f \"$f\"; exit $r",
        quote::word(&document.to_string())
    );
    let what = "overdue certificates and backups raise their alert, and others do not";
    Some(Check::script("alerts-raised", what, format!("( {script} )"), move |said| raised(said, tried)))
}

/// One unit test of promtool's: machines `late` and `never` need the alert, `fine` and `new` do not.
fn test(name: &str, alert: &Alert) -> Option<Value> {
    const DAY: i64 = 86_400;
    let minutes = alert.hold.div_ceil(60) + 10;
    let series = |metric: &str, instance: &str, of: &str, first: i64, each_minute: u32| {
        let labels = if of.is_empty() { String::new() } else { format!(",name=\"{of}\"") };
        json!({
            "series": format!("{metric}{{instance=\"{instance}\"{labels}}}"),
            "values": format!("{first}+{each_minute}x{}", minutes + 1),
        })
    };
    let (input, late): (Vec<Value>, &[&str]) = match &alert.when {
        Condition::CertificateNotRenewed { of, days } => {
            let name = of.first().map_or("any", String::as_str);
            let end = i64::from(*days) * DAY - 1;
            let certificate = |instance, first: i64, last: i64| {
                [("not_before", first), ("not_after", last)]
                    .map(|(what, time)| series(&format!("diorite_certificate_{what}_seconds"), instance, name, time, 0))
            };
            ([certificate("late", -7 * end, end), certificate("fine", -7 * end, end + 365 * DAY)].concat(), &["late"])
        }
        Condition::CertificateNeverSigned { of, hours } => {
            let name = of.first().map_or("any", String::as_str);
            let limit = i64::from(*hours) * 3600;
            let asked =
                |instance, since| series("diorite_certificate_unsigned_since_seconds", instance, name, since, 0);
            // Of one that is signed there is no such series.
            let signed = series("diorite_certificate_not_after_seconds", "fine", name, 0, 0);
            (vec![asked("late", -limit - 1), asked("new", i64::from(minutes) * 60 - limit), signed], &["late"])
        }
        Condition::BackupTooOld { hours } => {
            let limit = hours.map_or(DAY * 3 / 2, |hours| i64::from(hours) * 3600);
            let machine = |instance, made: Option<i64>, each_minute| {
                let mut all = vec![
                    series("diorite_backup_interval_seconds", instance, "", DAY, 0),
                    series("diorite_backup_expected_since_seconds", instance, "", -2 * limit, 0),
                ];
                all.extend(made.map(|at| series("diorite_backup_last_success_seconds", instance, "", at, each_minute)));
                all
            };
            let late = machine("late", Some(-limit - 1), 0);
            ([late, machine("never", None, 0), machine("fine", Some(0), 60)].concat(), &["late", "never"])
        }
        _ => return None,
    };
    let raised = late
        .iter()
        .map(|instance| json!({ "labels": format!("{{alertname=\"{name}\",instance=\"{instance}\"}}"), "value": 1 }));
    Some(json!({
        "interval": "1m",
        "input_series": input,
        "promql_expr_test": [{
            "expr": format!("count by (alertname, instance) (ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}})"),
            "eval_time": format!("{minutes}m"),
            "exp_samples": raised.collect::<Vec<_>>(),
        }],
    }))
}

fn raised(output: &Output, tried: usize) -> Judged {
    let right = output.success() && output.text.lines().any(|line| line.trim() == "SUCCESS");
    if right { Ok(format!("{tried} alerts")) } else { Err(crate::answer::short(output.text.trim())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::recipe_of;

    #[test]
    fn what_promtool_says_is_read() {
        let said = |status, text: &str| Output { status, text: text.to_owned() };
        assert_eq!(raised(&said(0, "Unit Testing:  /tmp/x\n  SUCCESS\n"), 2), Ok("2 alerts".to_owned()));
        for wrong in [said(1, "Unit Testing:  /tmp/x\n  FAILED:\n    exp: 1"), said(0, ""), said(127, "not found")] {
            assert!(raised(&wrong, 2).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_alerts_that_come_late_are_tried() {
        let text = "[monitoring.prometheus]\n[monitoring.targets.other]\nhosts = [\"a.example\"]\nport = 9100\n\
            serves = \"diorite\"\n";
        let alerts = |more: &str| recipe_of(&format!("{text}{more}")).monitoring.alerts;
        let tried = |alerts: &BTreeMap<String, Alert>| alerts.iter().filter_map(|(n, a)| test(n, a)).count();
        assert_eq!(tried(&alerts("")), 3);
        assert!(check(&recipe_of("[monitoring.prometheus]\n").monitoring.alerts).is_none());
        let long = alerts("[monitoring.alerts.backup-too-old]\nwhen = \"backup-too-old\"\nhours = 2\nfor = \"3h\"\n");
        let written = test("backup-too-old", &long["backup-too-old"]).expect("a test").to_string();
        assert!(written.contains("\"eval_time\":\"190m\"") && written.contains("-7201+0x191"), "{written}");
    }
}
