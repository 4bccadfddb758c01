//! `[monitoring.alerts.NAME]`, and the alerts that nobody has to declare.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;

pub(crate) const ALERT: &[Field] = &[
    choice("when", WHEN, "the condition"),
    text(
        "expr",
        &values::EXPRESSION,
        "or any other condition, as an expression in PromQL: it holds where this has a result",
    ),
    texts("of", &values::NAME, "names of the targets, probes, certificates or containers it is about")
        .or_said("all of them"),
    text("path", &values::DIRECTORY, "with `disk-nearly-full`: where the file system is mounted").or_said("`/var`"),
    integer("percent", 1, 99, "with `disk-nearly-full`: how much is taken").or_said("`90`"),
    integer("days", 1, 365, "with `certificate-near-end` and `certificate-not-renewed`: how many days are left")
        .or_said("`14`"),
    integer(
        "hours",
        1,
        8784,
        "with `backup-too-old`: how old the last one is; with `certificate-never-signed`: how long an authority is asked",
    )
    .or_said("one and a half times the longest time between two backups; `6`"),
    integer("seconds", 1, 3600, "with `clock-off`: by how much").or_said("`5`"),
    text("for", &values::SPAN, "how long the condition must hold")
        .or_said("`2m` for what does not work, `10m` for everything else"),
    choice("severity", SEVERITY, "how bad it is")
        .or_said("`critical` with `target-down`, `probe-failing` and `container-down`, else `warning`"),
    text("summary", &values::SENTENCE, "what a person reads")
        .or_said("what the condition means, with names and figures"),
];
const WHEN: &[(&str, &str)] = &[
    ("target-down", "a target, or a server of this table on this machine, cannot be scraped"),
    ("probe-failing", "a probe fails"),
    ("certificate-near-end", "a certificate that a probe was shown ends soon"),
    (
        "certificate-not-renewed",
        "a certificate of `[certificates]` has not been renewed; needs the metrics of its image",
    ),
    (
        "certificate-never-signed",
        "an authority is asked for a certificate of `[certificates]` and does not sign it; needs the metrics of its image",
    ),
    ("backup-too-old", "the last backup of `[backup]` is too old, or there was none; needs the metrics of its image"),
    ("container-down", "the unit of a container is not active; needs the metrics of its image"),
    ("disk-nearly-full", "a file system is nearly full; needs node-exporter"),
    ("boot-not-blessed", "a new image has not been found good; needs the metrics of the image"),
    ("clock-off", "a clock is not synchronised, or differs from this machine's; needs node-exporter"),
];
pub(super) const SEVERITY: &[(&str, &str)] =
    &[("warning", "something will not work some day"), ("critical", "something does not work")];

/// Which keys belong to which condition.
const BELONG: &[(&str, &[&str])] = &[
    (
        "of",
        &[
            "target-down",
            "probe-failing",
            "certificate-near-end",
            "certificate-not-renewed",
            "certificate-never-signed",
            "container-down",
        ],
    ),
    ("path", &["disk-nearly-full"]),
    ("percent", &["disk-nearly-full"]),
    ("days", &["certificate-near-end", "certificate-not-renewed"]),
    ("hours", &["backup-too-old", "certificate-never-signed"]),
    ("seconds", &["clock-off"]),
];

pub(super) fn alert(t: &Section) -> Result<Alert> {
    let when = condition(t)?;
    let hold = match t.text("for")? {
        Some(at) => values::seconds(&at.value).expect("the form was checked"),
        None if when.is_outage() => 120,
        None => 600,
    };
    let severity = match t.text("severity")?.as_ref().map(|s| s.value.as_str()) {
        Some("critical") => Severity::Critical,
        None if when.is_outage() => Severity::Critical,
        _ => Severity::Warning,
    };
    Ok(Alert { when, hold, severity, summary: t.text("summary")?.map(|s| s.value) })
}

fn condition(t: &Section) -> Result<Condition> {
    let (when, expr) = (t.text("when")?, t.text("expr")?);
    let word = match (&when, expr) {
        (Some(_), Some(expr)) => {
            let error = t.files.error(expr.span, format!("`{}` has two conditions: `when` and `expr`", t.path));
            return Err(error.hint("an alert has one: remove the other"));
        }
        (None, None) => {
            let error = t.files.error(t.span, format!("`{}` has no condition", t.path));
            return Err(error.hint("write `when = …`, or `expr = …` with an expression in PromQL"));
        }
        (None, Some(expr)) => {
            foreign(t, "expr")?;
            return Ok(Condition::Expression(expr.value));
        }
        (Some(when), None) => when.value.as_str(),
    };
    foreign(t, word)?;
    let number = |key: &str, usual: u32| -> Result<u32> { Ok(t.number(key)?.map_or(usual, |n| n.value)) };
    let of = t.plain("of")?;
    Ok(match word {
        "target-down" => Condition::TargetDown { of },
        "probe-failing" => Condition::ProbeFailing { of },
        "certificate-near-end" => Condition::CertificateNearEnd { of, days: number("days", 14)? },
        "certificate-not-renewed" => Condition::CertificateNotRenewed { of, days: number("days", 14)? },
        "certificate-never-signed" => Condition::CertificateNeverSigned { of, hours: number("hours", 6)? },
        "backup-too-old" => Condition::BackupTooOld { hours: t.number("hours")?.map(|n| n.value) },
        "container-down" => Condition::ContainerDown { of },
        "disk-nearly-full" => Condition::DiskNearlyFull {
            path: t.text("path")?.map_or_else(|| "/var".to_owned(), |p| p.value),
            percent: number("percent", 90)?,
        },
        "boot-not-blessed" => Condition::BootNotBlessed,
        _ => Condition::ClockOff { seconds: number("seconds", 5)? },
    })
}

/// Refuses keys that say nothing about this condition.
fn foreign(t: &Section, word: &str) -> Result<()> {
    for (key, belong) in BELONG {
        if let Some(span) = t.key(key).filter(|_| !belong.contains(&word)) {
            let error = t.files.error(span, format!("`{}.{key}` says nothing about `{word}`", t.path));
            let all = belong.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
            return Err(error.hint(format!("remove it: it belongs to {all}")));
        }
    }
    Ok(())
}

impl Condition {
    /// Whether something does not work that is there to work.
    fn is_outage(&self) -> bool {
        matches!(self, Self::TargetDown { .. } | Self::ProbeFailing { .. } | Self::ContainerDown { .. })
    }

    /// Its word in a profile; none for an expression.
    pub fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::TargetDown { .. } => "target-down",
            Self::ProbeFailing { .. } => "probe-failing",
            Self::CertificateNearEnd { .. } => "certificate-near-end",
            Self::CertificateNotRenewed { .. } => "certificate-not-renewed",
            Self::CertificateNeverSigned { .. } => "certificate-never-signed",
            Self::BackupTooOld { .. } => "backup-too-old",
            Self::ContainerDown { .. } => "container-down",
            Self::DiskNearlyFull { .. } => "disk-nearly-full",
            Self::BootNotBlessed => "boot-not-blessed",
            Self::ClockOff { .. } => "clock-off",
            Self::Expression(_) => return None,
        })
    }
}

/// Where metrics come from.
pub(super) struct Sources {
    /// Any node-exporter.
    pub node: bool,
    /// Any image of Diorite's.
    pub image: bool,
    /// Any image of Diorite's that is another machine.
    pub other_image: bool,
}

impl Sources {
    pub(super) fn of(monitoring: &Monitoring) -> Self {
        let any = |serving: Serving| monitoring.targets.values().any(|t| t.serves == serving);
        let (own, other_image) = (monitoring.node_exporter.is_some(), any(Serving::Diorite));
        let node = own || other_image || any(Serving::NodeExporter);
        Self { node, image: own || other_image, other_image }
    }
}

/// Adds the alerts that have something to be about, each named like its condition.
pub(super) fn standard(recipe: &mut Recipe) {
    let monitoring = &recipe.monitoring;
    if !monitoring.prometheus.as_ref().is_some_and(|p| p.standard_alerts) {
        return;
    }
    let sources = Sources::of(monitoring);
    let (all, certificates) = (Vec::new, monitoring.probes.values().any(Probe::sees_certificate));
    let kept = |here: bool| sources.other_image || sources.image && here;
    let wanted = [
        (true, Condition::TargetDown { of: all() }),
        (!monitoring.probes.is_empty(), Condition::ProbeFailing { of: all() }),
        (certificates, Condition::CertificateNearEnd { of: all(), days: 14 }),
        (kept(!recipe.certificates.is_empty()), Condition::CertificateNotRenewed { of: all(), days: 14 }),
        (kept(recipe.asks_authorities()), Condition::CertificateNeverSigned { of: all(), hours: 6 }),
        (kept(recipe.backup.is_some()), Condition::BackupTooOld { hours: None }),
        (kept(!recipe.containers.is_empty()), Condition::ContainerDown { of: all() }),
        (sources.node, Condition::DiskNearlyFull { path: "/var".into(), percent: 90 }),
        (sources.image, Condition::BootNotBlessed),
        (sources.node, Condition::ClockOff { seconds: 5 }),
    ];
    for (_, when) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
        let name = when.word().expect("none of them is an expression");
        let outage = when.is_outage();
        let (hold, severity) = if outage { (120, Severity::Critical) } else { (600, Severity::Warning) };
        let alert = Alert { when, hold, severity, summary: None };
        recipe.monitoring.alerts.entry(name.to_owned()).or_insert(alert);
    }
}

/// The table that says this.
pub(super) fn written(alert: &Alert) -> Written {
    let t = Written::default();
    let t = match (&alert.when, alert.when.word()) {
        (Condition::Expression(expr), _) => t.with("expr", &**expr),
        (_, word) => t.with("when", word.expect("only an expression has none")),
    };
    let t = match &alert.when {
        Condition::TargetDown { of } | Condition::ProbeFailing { of } | Condition::ContainerDown { of } => {
            t.list("of", of)
        }
        Condition::CertificateNearEnd { of, days } | Condition::CertificateNotRenewed { of, days } => {
            t.list("of", of).with("days", i64::from(*days))
        }
        Condition::CertificateNeverSigned { of, hours } => t.list("of", of).with("hours", i64::from(*hours)),
        Condition::BackupTooOld { hours } => t.maybe("hours", *hours),
        Condition::DiskNearlyFull { path, percent } => t.with("path", &**path).with("percent", i64::from(*percent)),
        Condition::ClockOff { seconds } => t.with("seconds", i64::from(*seconds)),
        Condition::BootNotBlessed | Condition::Expression(_) => t,
    };
    t.with("for", format!("{}s", alert.hold))
        .with("severity", crate::profile::written::word(&alert.severity))
        .maybe("summary", alert.summary.as_deref())
}
