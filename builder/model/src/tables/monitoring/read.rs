//! `[monitoring]`: the table itself, node-exporter, Prometheus and what it scrapes.

use super::{alertmanager, alerts, logs, probes, span::span};
use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, amount, word},
};
use crate::recipe::*;
use crate::tables::firewall::parts::{peers, peers_written};

pub(crate) const MONITORING: &[Field] = &[
    table(
        "node_exporter",
        NODE_EXPORTER,
        "prometheus-node-exporter on port 9100, with figures of the image, its firewall and its containers",
    ),
    table(
        "prometheus",
        PROMETHEUS,
        "Prometheus on port 9090: it scrapes this machine and `targets`, tries `probes` and evaluates `alerts`",
    ),
    named("targets", &values::NAME, TARGET, "what Prometheus scrapes besides this machine, by name"),
    named(
        "probes",
        &values::NAME,
        probes::PROBE,
        "what is tried from this machine, by name: the monitoring of the network",
    ),
    named("alerts", &values::NAME, alerts::ALERT, "when somebody is to be told, by name"),
    table("alertmanager", alertmanager::ALERTMANAGER, "Alertmanager on port 9093: who is told of alerts, and how"),
    table("logs", logs::LOGS, "the journal goes to another machine, over TLS"),
];
const NODE_EXPORTER: &[Field] = &[texts(
    "from",
    &values::PEER,
    "who may ask: networks, and names of `firewall.sets`; the firewall admits them. An empty list: the machine itself",
)
.needed()];
const PROMETHEUS: &[Field] = &[
    texts(
        "from",
        &values::PEER,
        "who may read it: networks, and names of `firewall.sets`; the firewall admits them. An empty list: the machine \
         itself, and it listens on loopback only",
    ),
    text("interval", &values::SPAN, "time between two scrapes, and between two evaluations of the alerts").or_text("30s"),
    integer("retention_days", 1, 3650, "how many days samples are kept").or_number(30),
    text("retention_size", &values::SIZE, "how much of /var samples may take; the oldest go first")
        .or_said("half of `state.minimum`"),
    boolean(
        "standard_alerts",
        "whether each condition of `alerts` that has something to be about is an alert of that name, unless one is declared",
    )
    .or(true),
];
const TARGET: &[Field] = &[
    texts("hosts", &values::SERVER, "names or addresses of the hosts").needed(),
    port("port", "TCP port").needed(),
    text("path", &values::URI_PATH, "path of the metrics").or_text("/metrics"),
    boolean("https", "over TLS").or(false),
    boolean("verify_certificate", "with `https`: whether its certificate must be valid").or(true),
    text("credential", &values::CREDENTIAL, "the systemd credential with the token that Prometheus shows (RFC 6750)"),
    choice("serves", SERVES, "what serves there: some alerts need to know").or_text("other"),
];
const SERVES: &[(&str, &str)] = &[
    ("diorite", "node-exporter of an image of Diorite's, with the image's own metrics"),
    ("node-exporter", "node-exporter"),
    ("other", "anything else"),
];

pub(crate) fn monitoring(top: &Section) -> Result<Monitoring> {
    let t = top.table_or_empty("monitoring")?;
    let node_exporter = t.table("node_exporter")?.map(|e| Ok(NodeExporter { from: peers(&e, "from")? }));
    Ok(Monitoring {
        node_exporter: node_exporter.transpose()?,
        prometheus: t.table("prometheus")?.map(|p| prometheus(&p)).transpose()?,
        targets: t.each("targets", |_, t| target(t))?,
        probes: t.each("probes", |_, t| probes::probe(t))?,
        alerts: t.each("alerts", |_, t| alerts::alert(t))?,
        alertmanager: t.table("alertmanager")?.map(|a| alertmanager::alertmanager(&a)).transpose()?,
        logs: t.table("logs")?.map(|l| logs::logs(&l)).transpose()?,
    })
}

fn prometheus(t: &Section) -> Result<Prometheus> {
    let size = t.text("retention_size")?.map(|s| values::size(&s.value).expect("the form was checked"));
    Ok(Prometheus {
        from: peers(t, "from")?,
        interval: span(t, "interval")?,
        retention_days: t.needed_number("retention_days")?.value,
        // `0`: half of what state has at least, which another table says.
        retention_size: size.unwrap_or_default(),
        standard_alerts: t.flag("standard_alerts")?,
    })
}

fn target(t: &Section) -> Result<ScrapeTarget> {
    let hosts = t.plain("hosts")?;
    if hosts.is_empty() {
        let error = t.files.error(t.key("hosts").unwrap_or(t.span), format!("`{}.hosts` names no host", t.path));
        return Err(error.hint("name one host at least, or remove the target"));
    }
    let (https, verify_certificate) = (t.flag("https")?, t.flag("verify_certificate")?);
    let credential = t.text("credential")?;
    if let (false, Some(credential)) = (https, &credential) {
        let error = t.files.error(credential.span, format!("`{}` would send its token in clear", t.path));
        return Err(error.hint("say `https = true`, or remove `credential`"));
    }
    if let (false, Some(span)) = (https, t.key("verify_certificate")) {
        let error = t.files.error(span, format!("`{}` has no certificate to verify", t.path));
        return Err(error.hint("say `https = true`, or remove `verify_certificate`"));
    }
    Ok(ScrapeTarget {
        hosts,
        port: t.needed_number("port")?.value,
        path: t.needed("path")?.value,
        https,
        verify_certificate,
        credential: credential.map(|c| c.value),
        serves: match &*t.needed("serves")?.value {
            "diorite" => Serving::Diorite,
            "node-exporter" => Serving::NodeExporter,
            _ => Serving::Other,
        },
    })
}

/// What follows from other tables: who watches must get through the firewall, and nobody has to say it twice; where no
/// size is said, samples take half of state; and the standard alerts.
pub(crate) fn complete(recipe: &mut Recipe) {
    let admitted: Vec<Allow> = recipe.monitoring.watched().into_iter().filter_map(|w| admission(&w)).collect();
    recipe.firewall.allow.extend(admitted);
    if let Some(prometheus) = recipe.monitoring.prometheus.as_mut().filter(|p| p.retention_size == 0) {
        prometheus.retention_size = (recipe.state.minimum / 2) >> 20 << 20;
    }
    alerts::standard(recipe);
}

/// The rule that admits those who read one of the servers; none where nobody may.
fn admission(watched: &Watched) -> Option<Allow> {
    (!watched.from.is_empty()).then(|| Allow {
        name: Some(watched.rule.into()),
        from: watched.from.to_vec(),
        listener: Some(watched.rule.into()),
        ..Allow::port(watched.port, Protocol::Tcp)
    })
}

/// Takes the rules of [`complete`] out again.
pub(crate) fn unadmit(recipe: &mut Recipe) {
    let rules: Vec<Allow> = recipe.monitoring.watched().iter().rev().filter_map(admission).collect();
    for rule in rules {
        if recipe.firewall.allow.last() == Some(&rule) {
            recipe.firewall.allow.pop();
        }
    }
}

/// The table that says this.
pub(crate) fn written(monitoring: &Monitoring) -> Written {
    let exporter = monitoring.node_exporter.as_ref();
    let exporter = exporter.map(|e| Written::default().with("from", peers_written(&e.from)));
    Written::default()
        .maybe("node_exporter", exporter)
        .maybe("prometheus", monitoring.prometheus.as_ref().map(prometheus_written))
        .named("targets", &monitoring.targets, target_written)
        .named("probes", &monitoring.probes, probes::written)
        .named("alerts", &monitoring.alerts, alerts::written)
        .maybe("alertmanager", monitoring.alertmanager.as_ref().map(alertmanager::written))
        .maybe("logs", monitoring.logs.as_ref().map(logs::written))
}

fn prometheus_written(prometheus: &Prometheus) -> Written {
    Written::default()
        .with("from", peers_written(&prometheus.from))
        .with("interval", format!("{}s", prometheus.interval))
        .with("retention_days", i64::from(prometheus.retention_days))
        .with("retention_size", amount(prometheus.retention_size))
        .with("standard_alerts", prometheus.standard_alerts)
}

fn target_written(target: &ScrapeTarget) -> Written {
    Written::default()
        .list("hosts", &target.hosts)
        .with("port", i64::from(target.port))
        .with("path", &*target.path)
        .with("https", target.https)
        .maybe("verify_certificate", target.https.then_some(target.verify_certificate))
        .maybe("credential", target.credential.as_deref())
        .with("serves", word(&target.serves))
}
