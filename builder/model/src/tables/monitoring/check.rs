//! Monitoring against itself and against the rest of the profile: what nobody would scrape, names that mean nothing, and
//! alerts whose metrics nobody serves.

use super::alerts::Sources;
use super::{logs, outgoing};
use crate::profile::section::nearest;
use crate::recipe::*;
use crate::tables::places::Places;
use crate::{Error, Result};

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let monitoring = &recipe.monitoring;
    watched(monitoring, places)?;
    if let Some(name) = monitoring.targets.keys().find(|name| OWN_JOBS.contains(&name.as_str())) {
        let error =
            places.finding(&format!("monitoring.targets.{name}"), format!("a target cannot be called `{name}`"));
        return Err(error
            .because("Prometheus scrapes this machine itself under that name")
            .hint("give it another name"));
    }
    for (name, alert) in &monitoring.alerts {
        condition(recipe, &alert.when, &format!("monitoring.alerts.{name}"), places)?;
    }
    room(recipe, places)?;
    logs::check(recipe, places)?;
    outgoing::check(recipe, places)
}

/// All of it needs Prometheus.
fn watched(monitoring: &Monitoring, places: &Places) -> Result<()> {
    if monitoring.prometheus.is_some() {
        return Ok(());
    }
    let first = |key: &str, name: Option<&String>| name.map(|name| format!("monitoring.{key}.{name}"));
    let all = [
        (first("targets", monitoring.targets.keys().next()), "nobody scrapes this target"),
        (first("probes", monitoring.probes.keys().next()), "nobody tries this probe"),
        (first("alerts", monitoring.alerts.keys().next()), "nobody evaluates this alert"),
        (monitoring.alertmanager.as_ref().map(|_| "monitoring.alertmanager".to_owned()), "nobody sends it an alert"),
    ];
    match all.into_iter().find_map(|(path, what)| Some((path?, what))) {
        Some((path, what)) => Err(places.finding(&path, what).hint("add `[monitoring.prometheus]`")),
        None => Ok(()),
    }
}

/// Samples that /var has room for, besides what else must be there.
fn room(recipe: &Recipe, places: &Places) -> Result<()> {
    const LEFT: u64 = 128 << 20;
    let Some(prometheus) = &recipe.monitoring.prometheus else { return Ok(()) };
    let (size, minimum) = (prometheus.retention_size, recipe.state.minimum);
    if size > 0 && size + LEFT > minimum {
        let (size, minimum, needed) = (size >> 20, minimum >> 20, (size + LEFT) >> 20);
        let what = format!("{size}M of samples do not fit on /var, which may have {minimum}M");
        let path = "monitoring.prometheus.retention_size";
        let error = places.between(path, what, "state.minimum", "the smallest size of /var");
        return Err(error.hint(format!("write `minimum = \"{needed}M\"` or more under [state]")));
    }
    Ok(())
}

fn condition(recipe: &Recipe, when: &Condition, path: &str, places: &Places) -> Result<()> {
    let monitoring = &recipe.monitoring;
    let sources = Sources::of(monitoring);
    let (targets, probes) = (&monitoring.targets, &monitoring.probes);
    match when {
        Condition::TargetDown { of } => {
            let known: Vec<&str> = targets.keys().map(String::as_str).chain(OWN_JOBS).collect();
            known_names(of, &known, "target", path, places)
        }
        Condition::ProbeFailing { of } => {
            let known: Vec<&str> = probes.keys().map(String::as_str).collect();
            if known.is_empty() {
                return Err(without(path, "nothing is probed", "declare a probe: `[monitoring.probes.NAME]`", places));
            }
            known_names(of, &known, "probe", path, places)
        }
        Condition::CertificateNearEnd { of, .. } => {
            let shown = probes.iter().filter(|(_, p)| p.sees_certificate());
            let known: Vec<&str> = shown.map(|(name, _)| name.as_str()).collect();
            if known.is_empty() {
                let hint = "declare a probe with `http = { url = \"https://…\" }` or `tcp = { …, tls = true }`";
                return Err(without(path, "no probe is shown a certificate", hint, places));
            }
            known_names(of, &known, "probe that is shown a certificate", path, places)
        }
        Condition::ContainerDown { of } => {
            let known: Vec<&str> = recipe.containers.keys().map(String::as_str).collect();
            of_image(&sources, of, &known, "container", path, places)
        }
        Condition::CertificateNotRenewed { of, .. } => {
            let known: Vec<&str> = recipe.certificates.keys().map(String::as_str).collect();
            of_image(&sources, of, &known, "certificate", path, places)
        }
        Condition::CertificateNeverSigned { of, .. } => {
            let asked = recipe.certificates.iter().filter(|(_, certificate)| certificate.acme.is_some());
            let known: Vec<&str> = asked.map(|(name, _)| name.as_str()).collect();
            of_image(&sources, of, &known, "certificate that an authority signs", path, places)
        }
        Condition::BackupTooOld { .. } => {
            let known: Vec<&str> = recipe.backup.iter().map(|_| "backup").collect();
            of_image(&sources, &[], &known, "backup", path, places)
        }
        Condition::DiskNearlyFull { .. } | Condition::ClockOff { .. } if !sources.node => {
            let what = "nobody serves the metrics of a node-exporter";
            let hint = "add `[monitoring.node_exporter]` with `from = []`, or say of a target what it serves: \
                        `serves = \"node-exporter\"`";
            Err(without(path, what, hint, places))
        }
        Condition::BootNotBlessed if !sources.image => {
            Err(without(path, "nobody serves the metrics of an image", OWN_METRICS, places))
        }
        Condition::Expression(text) => expression(text, monitoring, &sources, path, places),
        Condition::DiskNearlyFull { .. } | Condition::ClockOff { .. } | Condition::BootNotBlessed => Ok(()),
    }
}

/// What an image says of itself: another one's may be of anything, this one's must be here.
fn of_image(sources: &Sources, of: &[String], known: &[&str], kind: &str, path: &str, places: &Places) -> Result<()> {
    if !sources.image {
        return Err(without(path, "nobody serves the metrics of an image", OWN_METRICS, places));
    }
    if sources.other_image {
        return Ok(());
    }
    if known.is_empty() {
        return Err(without(path, &format!("this machine has no {kind}"), "remove the alert", places));
    }
    known_names(of, known, kind, path, places)
}

const OWN_METRICS: &str =
    "add `[monitoring.node_exporter]` with `from = []`, or say of a target what it serves: `serves = \"diorite\"`";

fn without(path: &str, why: &str, hint: &str, places: &Places) -> Error {
    let name = path.rsplit('.').next().unwrap_or_default();
    let error = places.finding(path, format!("the alert `{name}` could never be raised: nothing has its metric"));
    error.because(why).hint(hint)
}

fn known_names(of: &[String], known: &[&str], kind: &str, path: &str, places: &Places) -> Result<()> {
    let Some((at, name)) = of.iter().enumerate().find(|(_, name)| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let near = nearest(name, known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
    let error = places.finding(&format!("{path}.of.{at}"), format!("there is no {kind} `{name}`"));
    Err(error.hint(format!("{near}there are: {}", known.join(", "))))
}

/// Metrics whose names tell who serves them, where nobody does. Others may come from any target.
fn expression(text: &str, monitoring: &Monitoring, sources: &Sources, path: &str, places: &Places) -> Result<()> {
    if monitoring.targets.values().any(|t| t.serves == Serving::Other) {
        return Ok(());
    }
    let path = format!("{path}.expr");
    for metric in words(text) {
        let (there, who, hint) = match metric.split('_').next() {
            Some("node") => (sources.node, "node-exporter", "add `[monitoring.node_exporter]` with `from = []`"),
            Some("diorite") => (sources.image, "node-exporter", OWN_METRICS),
            Some("probe") => (!monitoring.probes.is_empty(), "a probe", "declare a probe: `[monitoring.probes.NAME]`"),
            _ => continue,
        };
        if !there {
            let error = places.finding(&path, format!("`{metric}` is a metric that nothing has"));
            return Err(error.because(format!("it comes from {who}, and there is none")).hint(hint));
        }
    }
    Ok(())
}

/// Names in an expression that are not in quotes, with an underscore in them.
fn words(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut quote = None;
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let part = quote.is_none() && (c.is_ascii_alphanumeric() || c == '_' || c == ':');
        match (start, part) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                all.push(&text[from..at]);
                start = None;
            }
            _ => {}
        }
        match quote {
            Some(end) if c == end => quote = None,
            None if "\"'`".contains(c) => quote = Some(c),
            _ => {}
        }
    }
    all.retain(|word| word.contains('_'));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_an_expression() {
        assert_eq!(words("rate(node_load5{a=\"node_x\"}[5m]) > 8 and up"), ["node_load5"]);
        assert_eq!(words("probe_success == 0 or diorite_boot_blessed"), ["probe_success", "diorite_boot_blessed"]);
    }
}
