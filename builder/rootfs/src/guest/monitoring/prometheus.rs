//! Prometheus: prometheus.yml, the rules, and the unit.
//!
//! What the profile says is in the image, so that nothing of it can be changed on the machine; samples are on state.

use super::{SERVER, listen, rules};
use crate::guest::ini::Ini;
use crate::guest::{Guest, sandbox, yaml};
use diorite_model::recipe::{Alertmanager, Monitoring, Probe, Prometheus, ScrapeTarget, host_and_port};
use diorite_model::{Recipe, Result};
use serde_json::{Value, json};

const CONFIG: &str = "etc/prometheus/prometheus.yml";
const RULES: &str = "etc/prometheus/alerts.yml";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let Some(prometheus) = &recipe.monitoring.prometheus else { return Ok(()) };
    guest.file(CONFIG, 0o644, yaml::document(&config(&recipe.monitoring, prometheus))?)?;
    if !recipe.monitoring.alerts.is_empty() {
        guest.file(RULES, 0o644, yaml::document(&rules::rules(&recipe.monitoring))?)?;
    }
    guest.drop_in(Prometheus::UNIT, &unit(recipe, prometheus))?;
    guest.enable(Prometheus::UNIT)
}

fn unit(recipe: &Recipe, prometheus: &Prometheus) -> Ini {
    let address = listen(Prometheus::PORT, !prometheus.from.is_empty());
    let mebibytes = prometheus.retention_size >> 20;
    let data = Prometheus::DATA.trim_start_matches("/var/lib/");
    let ini = Ini::new().section("Service").set("ExecStart", "").set(
        "ExecStart",
        // Segments small enough for a small /var: one is reserved as a whole.
        format!(
            "/usr/bin/prometheus --config.file=/{CONFIG} --storage.tsdb.path={} \
             --storage.tsdb.retention.time={}d --storage.tsdb.retention.size={mebibytes}MB \
             --storage.tsdb.wal-segment-size=16MB --storage.tsdb.max-block-chunk-segment-size=32MB \
             --web.listen-address={address}",
            Prometheus::DATA,
            prometheus.retention_days
        ),
    );
    let ini = ini.set("Restart", "on-failure").set("RestartSec", "5s").set("TimeoutStopSec", "60s");
    // Its log is written so that it may be killed at any time.
    let ini = ini.set("SendSIGKILL", "yes").set("StateDirectory", data);
    sandbox::closed(super::credentials(ini, recipe, Prometheus::UNIT), &SERVER)
}

/// prometheus.yml, as the documentation of Prometheus 2.53 has it (Configuration).
fn config(monitoring: &Monitoring, prometheus: &Prometheus) -> Value {
    let interval = seconds(prometheus.interval);
    let own = monitoring.own_jobs().into_iter().map(|(job, port)| {
        let labels = json!({ "instance": "localhost" });
        json!({ "job_name": job, "static_configs": [{ "targets": [format!("127.0.0.1:{port}")], "labels": labels }] })
    });
    let targets = monitoring.targets.iter().map(|(name, t)| target(name, t));
    let probes = monitoring.probes.iter().map(|(name, p)| probe(name, p));
    let mut all = json!({
        "global": { "scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval },
        "scrape_configs": own.chain(targets).chain(probes).collect::<Vec<_>>(),
    });
    if !monitoring.alerts.is_empty() {
        all["rule_files"] = json!([format!("/{RULES}")]);
    }
    if monitoring.alertmanager.is_some() {
        let place = format!("127.0.0.1:{}", Alertmanager::PORT);
        all["alerting"] = json!({ "alertmanagers": [{ "static_configs": [{ "targets": [place] }] }] });
    }
    all
}

fn target(name: &str, target: &ScrapeTarget) -> Value {
    let hosts: Vec<String> = target.hosts.iter().map(|h| host_and_port(h, target.port)).collect();
    let mut job = json!({
        "job_name": name,
        "scheme": if target.https { "https" } else { "http" },
        "metrics_path": target.path,
        "static_configs": [{ "targets": hosts }],
    });
    if target.https {
        job["tls_config"] = json!({ "insecure_skip_verify": !target.verify_certificate });
    }
    if let Some(credential) = &target.credential {
        job["authorization"] = json!({ "credentials_file": super::credential_file(Prometheus::UNIT, credential) });
    }
    job
}

/// The blackbox exporter is scraped once for each probe, which is a module of its own there.
fn probe(name: &str, probe: &Probe) -> Value {
    let place = format!("127.0.0.1:{}", Probe::PORT);
    let labels = json!({ "instance": probe.target(), "probe": name });
    json!({
        "job_name": Monitoring::probe_job(name),
        "scrape_interval": seconds(probe.interval),
        // The exporter gives up half a second before its scraper would.
        "scrape_timeout": seconds(probe.interval),
        "metrics_path": "/probe",
        "params": { "module": [name], "target": [probe.target()] },
        "static_configs": [{ "targets": [place], "labels": labels }],
    })
}

fn seconds(number: u32) -> String {
    format!("{number}s")
}
