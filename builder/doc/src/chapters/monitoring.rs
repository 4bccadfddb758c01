//! Who watches the machine, what it watches, and who is told.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;
use crate::terms;
use diorite_model::recipe::{
    Alertmanager, Condition, Delivery, NodeExporter, Peer, Probe, ProbeKind, Prometheus, ScrapeTarget, Severity,
};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (monitoring, language) = (&c.recipe.monitoring, c.language);
    let mut blocks = vec![Block::Facts(daemons(c))];
    let tables = [
        (language.scraped(), targets(c)),
        (language.probes(), probes(c)),
        (language.alerts(), alerts(c)),
        (language.receivers(), receivers(c)),
    ];
    for (title, table) in tables {
        if !table.rows.is_empty() {
            blocks.extend([Block::Heading(title), Block::Table(table)]);
        }
    }
    if monitoring.prometheus.is_some() && monitoring.alertmanager.is_none() && !monitoring.alerts.is_empty() {
        blocks.push(Block::Remark(language.nobody_is_told().into()));
    }
    DocumentSection { id: "monitoring", title: language.monitoring(), blocks }
}

/// What runs, where it answers, and whom.
fn daemons(c: &DocumentContext) -> Vec<(String, Cell)> {
    let (monitoring, language) = (&c.recipe.monitoring, c.language);
    let mut all = Vec::new();
    let mut add = |name: &str, port: Option<u16>, from: &[Peer], extra: Vec<Cell>, proofs: &[&str]| {
        let Some(port) = port else { return all.push((name.to_owned(), language.no().into())) };
        let asked = match from.is_empty() {
            true => vec![language.only_from_the_machine().into()],
            false => vec![Cell::from(language.who_may_ask()), Cell::codes(from)],
        };
        let lines = [Cell::from(language.on_port(port))].into_iter().chain(asked).chain(extra);
        let proof = c.evidence.matching(|id| proofs.contains(&id));
        all.push((name.to_owned(), Cell::lines(lines.chain([proof]))));
    };
    let exporter = monitoring.node_exporter.as_ref();
    let from = exporter.map_or(&[][..], |e| &e.from);
    add("node-exporter", exporter.map(|_| NodeExporter::PORT), from, vec![], &["metrics-image", "metrics-9100"]);
    if let Some(prometheus) = &monitoring.prometheus {
        let kept = language.samples_kept(prometheus.retention_days, prometheus.retention_size >> 20);
        let proofs = ["prometheus-config", "monitoring-listens"];
        add("Prometheus", Some(Prometheus::PORT), &prometheus.from, vec![kept.into()], &proofs);
    }
    if let Some(manager) = &monitoring.alertmanager {
        let proofs = ["alertmanager-config", "monitoring-listens"];
        add("Alertmanager", Some(Alertmanager::PORT), &manager.from, vec![], &proofs);
    }
    if let Some(logs) = &monitoring.logs {
        let signed = logs.authority.as_ref().map(|name| Cell::from(language.signed_by(name)));
        let shown =
            logs.credential.as_ref().map(|name| Cell::lines([language.shows_credential().into(), Cell::code(&**name)]));
        let proof = c.evidence.matching(|id| id == "logs-sent");
        let lines = [Cell::code(logs.place().0)].into_iter().chain(signed).chain(shown).chain([proof]);
        all.push((language.journal_goes_to(), Cell::lines(lines)));
    }
    all
}

fn targets(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([language.name(), language.addresses(), language.shows_credential()]);
    for (name, target) in &c.recipe.monitoring.targets {
        let ScrapeTarget { hosts, port, path, https, credential, .. } = target;
        let scheme = if *https { "https" } else { "http" };
        let credential = credential.as_ref().map_or_else(|| language.no().into(), |name| Cell::code(&**name));
        let places = hosts.iter().map(|host| format!("{scheme}://{host}:{port}{path}"));
        table.row([Cell::code(&**name), Cell::codes(places), credential]);
    }
    table
}

fn probes(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table =
        DocumentTable::new([language.name(), language.kind(), language.what_is_tried(), language.how_often()]);
    for (name, probe) in &c.recipe.monitoring.probes {
        let kind = match probe.what {
            ProbeKind::Ping { .. } => "ping",
            ProbeKind::Tcp { .. } => "TCP",
            ProbeKind::Http { .. } => "HTTP",
            ProbeKind::Dns { .. } => "DNS",
        };
        table.row([Cell::code(&**name), kind.into(), Cell::code(tried(probe)), every(probe.interval, c)]);
    }
    table
}

fn tried(probe: &Probe) -> String {
    match &probe.what {
        ProbeKind::Dns { server, name, record } => format!("{name} {record} @{server}"),
        _ => probe.target(),
    }
}

fn every(seconds: u32, c: &DocumentContext) -> Cell {
    c.language.every(terms::seconds(seconds.into(), c.language)).into()
}

fn alerts(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([language.name(), language.when(), language.holds_for(), language.severity()]);
    for (name, alert) in &c.recipe.monitoring.alerts {
        let hold = terms::seconds(alert.hold.into(), language);
        table.row([Cell::code(&**name), condition(&alert.when, c), hold.into(), severity(alert.severity, c)]);
    }
    table
}

fn severity(severity: Severity, c: &DocumentContext) -> Cell {
    match severity {
        Severity::Warning => c.language.warning(),
        Severity::Critical => c.language.critical(),
    }
    .into()
}

fn condition(when: &Condition, c: &DocumentContext) -> Cell {
    let language = c.language;
    let of = |text: String, names: &[String]| {
        let names = (!names.is_empty()).then(|| Cell::codes(names));
        Cell::lines([Cell::from(text)].into_iter().chain(names))
    };
    match when {
        Condition::TargetDown { of: names } => of(language.target_down(), names),
        Condition::ProbeFailing { of: names } => of(language.probe_failing(), names),
        Condition::CertificateNearEnd { of: names, days } => of(language.certificate_near_end(days), names),
        Condition::CertificateNotRenewed { of: names, days } => of(language.certificate_not_renewed(days), names),
        Condition::CertificateNeverSigned { of: names, hours } => of(language.certificate_never_signed(hours), names),
        Condition::BackupTooOld { hours: Some(hours) } => language.backup_older_than(hours).into(),
        Condition::BackupTooOld { hours: None } => language.backup_too_old().into(),
        Condition::ContainerDown { of: names } => of(language.container_down(), names),
        Condition::DiskNearlyFull { path, percent } => language.disk_nearly_full(path, percent).into(),
        Condition::BootNotBlessed => language.boot_not_blessed().into(),
        Condition::ClockOff { seconds } => language.clock_off(seconds).into(),
        Condition::Expression(expression) => Cell::code(&**expression),
    }
}

fn receivers(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table =
        DocumentTable::new([language.name(), language.told_by(), language.severity(), language.shows_credential()]);
    let receivers = c.recipe.monitoring.alertmanager.iter().flat_map(|manager| &manager.receivers);
    for (name, receiver) in receivers {
        let (way, credential) = match &receiver.by {
            Delivery::Mail { smarthost, to, credential, .. } => {
                (Cell::lines([Cell::codes(to), Cell::from(language.through(smarthost))]), credential)
            }
            Delivery::Webhook { url, credential } => (Cell::code(&**url), credential),
        };
        let credential = credential.as_ref().map_or_else(|| language.no().into(), |name| Cell::code(&**name));
        table.row([Cell::code(&**name), way, severity(receiver.least_severity, c), credential]);
    }
    table
}
