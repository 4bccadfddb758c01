//! Alerts → alerting rules of Prometheus: one group, a rule for each, with a sentence for people.

use diorite_model::recipe::{Alert, Condition, Monitoring, Severity};
use serde_json::{Value, json};

/// The file of rules.
pub(super) fn rules(monitoring: &Monitoring) -> Value {
    let all: Vec<Value> = monitoring.alerts.iter().map(|(name, alert)| rule(name, alert)).collect();
    json!({ "groups": [{ "name": "diorite", "rules": all }] })
}

fn rule(name: &str, alert: &Alert) -> Value {
    let (expression, summary) = meaning(&alert.when);
    let severity = if alert.severity == Severity::Critical { "critical" } else { "warning" };
    let mut rule = json!({
        "alert": name,
        "expr": expression,
        "labels": { "severity": severity },
        "annotations": { "summary": alert.summary.clone().unwrap_or(summary) },
    });
    if alert.hold > 0 {
        rule["for"] = json!(format!("{}s", alert.hold));
    }
    rule
}

/// An alert's expression, and what a person reads: a template of Prometheus, Notification template reference.
fn meaning(when: &Condition) -> (String, String) {
    let (expression, summary) = match when {
        Condition::TargetDown { of } => {
            let jobs = among("job", of).unwrap_or_else(|| "job!~\"probe/.*\"".into());
            (format!("up{{{jobs}}} == 0"), "{{ $labels.job }} on {{ $labels.instance }} cannot be scraped")
        }
        Condition::ProbeFailing { of } => (
            format!("probe_success{} == 0", braces(among("probe", of))),
            "probe {{ $labels.probe }} of {{ $labels.instance }} fails",
        ),
        Condition::CertificateNearEnd { of, days } => (
            format!("probe_ssl_earliest_cert_expiry{} - time() < {days} * 86400", braces(among("probe", of))),
            "the certificate that {{ $labels.instance }} shows ends in {{ $value | humanizeDuration }}",
        ),
        Condition::CertificateNotRenewed { of, days } => {
            let of = braces(among("name", of));
            let end = format!("diorite_certificate_not_after_seconds{of}");
            (
                // One that lasts for a few days only is renewed when a third of them is left.
                format!(
                    "{end} - time() < {days} * 86400 and \
                     {end} - time() < ({end} - diorite_certificate_not_before_seconds{of}) / 4"
                ),
                "certificate {{ $labels.name }} of {{ $labels.instance }} has not been renewed: it ends in \
                 {{ $value | humanizeDuration }}",
            )
        }
        Condition::CertificateNeverSigned { of, hours } => (
            format!(
                "time() - diorite_certificate_unsigned_since_seconds{} > {hours} * 3600",
                braces(among("name", of))
            ),
            "no authority has signed certificate {{ $labels.name }} of {{ $labels.instance }}: it is asked for \
             {{ $value | humanizeDuration }}",
        ),
        Condition::BackupTooOld { hours } => (
            format!(
                "time() - (diorite_backup_last_success_seconds or diorite_backup_expected_since_seconds) > {}",
                hours.map_or_else(
                    || "1.5 * diorite_backup_interval_seconds".to_owned(),
                    |hours| format!("{hours} * 3600")
                )
            ),
            "there has been no backup of {{ $labels.instance }} for {{ $value | humanizeDuration }}",
        ),
        Condition::ContainerDown { of } => (
            format!("diorite_container_active{} == 0", braces(among("name", of))),
            "container {{ $labels.name }} on {{ $labels.instance }} is not active",
        ),
        Condition::DiskNearlyFull { path, percent } => (
            format!(
                "100 * (1 - node_filesystem_avail_bytes{{mountpoint=\"{path}\"}} / \
                 node_filesystem_size_bytes{{mountpoint=\"{path}\"}}) > {percent}"
            ),
            "{{ $labels.mountpoint }} on {{ $labels.instance }} is {{ $value | printf \"%.0f\" }} % full",
        ),
        Condition::BootNotBlessed => (
            "diorite_boot_blessed == 0".into(),
            "the image that runs on {{ $labels.instance }} has not been found good",
        ),
        Condition::ClockOff { seconds } => (
            // A machine's own clock as it was when it was scraped, against the clock of this one.
            format!(
                "node_timex_sync_status == 0 or abs(node_timex_offset_seconds) > {seconds} or \
                 abs(node_time_seconds - timestamp(node_time_seconds)) > {seconds}"
            ),
            "the clock of {{ $labels.instance }} is off",
        ),
        Condition::Expression(text) => (text.clone(), "{{ $labels.alertname }}: {{ $value }}"),
    };
    (expression, summary.to_owned())
}

/// A matcher for these names; none for all of them.
fn among(label: &str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{label}=~\"{}\"", names.join("|")))
}

fn braces(matcher: Option<String>) -> String {
    matcher.map_or_else(String::new, |m| format!("{{{m}}}"))
}
