//! Prometheus, the probes and Alertmanager, asked in the machine: that they have read what the profile says, that what
//! they serve is there, and that nobody reaches them who is not to.

use crate::{
    answer::{AskResult, Judged, none_of, short, verdict},
    asker::Asker,
    check::Check,
    quote,
    scope::Scope,
    sweep::Family,
};
use diorite_lab::HttpReply;
use diorite_machine::Output;
use diorite_model::recipe::{Alertmanager, Condition, Monitoring, Probe, Prometheus, host_and_port};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// `$1`: a port of the machine's own; then paths. The answers one behind the other, RFC 1945, and a line behind each.
const GET: &str = "port=$1; shift; for path; do exec 3<>\"/dev/tcp/127.0.0.1/$port\" || exit 1; \
    printf \"GET %s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n\" \"$path\" >&3; \
    timeout 60 head -c 4194304 <&3; exec 3<&-; echo; echo end; done";

/// Everything that is asked of the servers.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let monitoring = &scope.recipe.monitoring;
    let Some(prometheus) = &monitoring.prometheus else { return Vec::new() };
    // Two scrapes, and two evaluations behind them.
    let intervals = monitoring.probes.values().map(|p| p.interval).chain([prometheus.interval]);
    let patience = Duration::from_secs(u64::from(intervals.max().unwrap_or_default()) * 4);
    let mut all = vec![config(), listening(monitoring)];
    all.push(known(monitoring, patience));
    if !monitoring.alerts.is_empty() {
        all.push(rules(monitoring, patience));
        all.extend(metrics(scope, patience));
        all.extend(raised::check(&monitoring.alerts));
    }
    if let Some(manager) = &monitoring.alertmanager {
        all.push(manager_config());
        all.push(receivers(manager, patience));
    }
    all
}

/// Whoever is admitted gets an answer on the wire: of Prometheus the page that an administrator opens.
pub fn pages(scope: &Scope<'_>, family: Family) -> Vec<Check> {
    let (monitoring, admitted) = (&scope.recipe.monitoring, scope.admitted(family));
    let alerts: Vec<String> = monitoring.alerts.keys().cloned().collect();
    let all = [
        (
            "prometheus",
            Prometheus::PORT,
            monitoring.prometheus.is_some(),
            "/classic/alerts",
            alerts,
            "shows every alert",
        ),
        ("alertmanager", Alertmanager::PORT, monitoring.alertmanager.is_some(), "/-/ready", Vec::new(), "is ready"),
    ];
    let open = all.into_iter().filter(|(_, port, there, ..)| *there && admitted.contains(port));
    let one = |(name, port, _, path, words, what): (&'static str, u16, bool, &'static str, Vec<String>, &str)| {
        let id = format!("{name}-{}{port}", if family == Family::V4 { "" } else { "ipv6-" });
        let check = Check::outside(id, format!("{name} answers on port {port} and {what}"), move |machine| {
            let address = machine.address(family)?;
            machine.retried(|m| Ok(shown(&m.lab().http_get(address, port, path)?, &words)))
        });
        check.over(family)
    };
    open.map(one).collect()
}

/// A page with these words in it.
fn shown(reply: &Result<HttpReply, String>, words: &[String]) -> Judged {
    let page = reply.as_ref().map_err(Clone::clone)?;
    let body = String::from_utf8_lossy(&page.body);
    let missing: Vec<String> =
        words.iter().filter(|w| !body.contains(w.as_str())).map(|w| format!("nothing of {w}")).collect();
    match page.status {
        200 => none_of(&missing, format!("status 200, {} bytes", page.body.len())),
        status => Err(format!("status {status}: {}", short(&body))),
    }
}

/// Asks again until the servers have scraped and evaluated what they must.
fn settled(machine: &mut Asker<'_>, more: Duration, script: &str, judge: impl Fn(&Output) -> Judged) -> AskResult {
    let patience = machine.patience() + more;
    Ok(machine.settled_in(patience, script, judge, |_| false)?)
}

fn asked(
    id: &str,
    what: &str,
    more: Duration,
    (port, paths): (u16, &[&str]),
    judge: impl Fn(&Output) -> Judged + Send + Sync + 'static,
) -> Check {
    let words: Vec<String> = std::iter::once(port.to_string()).chain(paths.iter().map(|p| (*p).to_owned())).collect();
    let script = quote::script(GET, &words);
    Check::inside(id, what, move |machine| settled(machine, more, &script, &judge))
}

/// The documents of the answers to [`GET`].
fn documents(output: &Output) -> Result<Vec<Value>, String> {
    let one = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").or_else(|| answer.split_once("\n\n")).unwrap_or((answer, ""));
        let status = head.trim_start().lines().next().unwrap_or_default().trim().to_owned();
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!("the answer is `{status}` {}", short(body)));
        }
        serde_json::from_str(body.trim()).map_err(|e| format!("no JSON, {e}: {}", short(body)))
    };
    let all: Vec<&str> = output.text.split("\nend").map(str::trim_start).filter(|a| !a.trim().is_empty()).collect();
    if all.is_empty() { Err("no answer".into()) } else { all.into_iter().map(one).collect() }
}

/// Prometheus' own program reads the configuration and every rule.
fn config() -> Check {
    let script = "promtool check config --lint=all --lint-fatal /etc/prometheus/prometheus.yml 2>&1";
    Check::script("prometheus-config", "promtool finds the configuration and the rules right", script, judged_by_tool)
}

fn manager_config() -> Check {
    let script = "amtool check-config /etc/prometheus/alertmanager.yml 2>&1";
    Check::script("alertmanager-config", "amtool finds Alertmanager's configuration right", script, judged_by_tool)
}

/// promtool(1) and amtool(1) say `SUCCESS`, or what is wrong.
fn judged_by_tool(output: &Output) -> Judged {
    let said: Vec<&str> = output.text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let right = output.success() && said.iter().any(|l| l.contains("SUCCESS"));
    verdict(right, short(&said.join("\n")))
}

/// Ports of the servers, and whether others may reach them.
fn listening(monitoring: &Monitoring) -> Check {
    let mut ports: Vec<(u16, bool)> = Vec::new();
    ports.extend(monitoring.prometheus.iter().map(|p| (Prometheus::PORT, !p.from.is_empty())));
    ports.extend(monitoring.alertmanager.iter().map(|a| (Alertmanager::PORT, !a.from.is_empty())));
    ports.extend((!monitoring.probes.is_empty()).then_some((Probe::PORT, false)));
    let what = "Prometheus and the servers beside it listen where they are declared to, and nowhere else";
    Check::settling_script("monitoring-listens", what, "ss -Hltnp", move |said| listens(&said.text, &ports))
}

/// Lines of `ss -Hltnp`, ss(8).
fn listens(text: &str, ports: &[(u16, bool)]) -> Judged {
    let lines: Vec<(&str, u16, &str)> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (address, port) = words.get(3)?.rsplit_once(':')?;
            Some((address, port.parse().ok()?, *words.get(5).unwrap_or(&"")))
        })
        .collect();
    let mut wrong = Vec::new();
    for (port, public) in ports {
        let seen: Vec<&str> = lines.iter().filter(|(_, p, _)| p == port).map(|(address, ..)| *address).collect();
        let loopback = !seen.is_empty() && seen.iter().all(|a| *a == "127.0.0.1");
        match (seen.is_empty(), loopback == *public) {
            (true, _) => wrong.push(format!("nobody listens on port {port}")),
            (_, true) => wrong.push(format!("port {port} is listened to on {}", seen.join(" "))),
            _ => {}
        }
    }
    let own = |program: &str| ["prometheus", "alertmanager", "blackbox"].iter().any(|name| program.contains(name));
    let known = |port: u16| ports.iter().any(|(p, _)| *p == port);
    for (address, port, program) in lines.iter().filter(|(_, port, program)| own(program) && !known(*port)) {
        // node-exporter is judged on the wire.
        if !program.contains("prometheus-node") {
            wrong.push(format!("{program} listens on {address}:{port}"));
        }
    }
    let all: Vec<String> =
        ports.iter().map(|(port, public)| format!("{port}{}", if *public { "" } else { " on loopback" })).collect();
    none_of(&wrong, all.join(", "))
}

/// Every target and every probe is known to Prometheus; what is on this machine answers.
fn known(monitoring: &Monitoring, patience: Duration) -> Check {
    let mut expected: BTreeSet<(String, String)> = BTreeSet::new();
    let mut own: BTreeSet<String> = BTreeSet::new();
    for (job, _) in monitoring.own_jobs() {
        expected.insert((job.to_owned(), "localhost".to_owned()));
        own.insert(job.to_owned());
    }
    for (name, target) in &monitoring.targets {
        expected.extend(target.hosts.iter().map(|host| (name.clone(), host_and_port(host, target.port))));
    }
    for (name, probe) in &monitoring.probes {
        expected.insert((Monitoring::probe_job(name), probe.target()));
        own.insert(Monitoring::probe_job(name));
    }
    let what = "Prometheus knows every target and every probe, and what is on this machine has answered it";
    let paths = ["/api/v1/targets?state=active", "/api/v1/query?query=max_over_time(up%5B1h%5D)"];
    asked("prometheus-targets", what, patience, (Prometheus::PORT, &paths), move |said| targets(said, &expected, &own))
}

/// `/api/v1/targets` of Prometheus' HTTP API, and `/api/v1/query` for the best that each job has been: on a slow host a
/// scrape may be late now and then.
fn targets(output: &Output, expected: &BTreeSet<(String, String)>, own: &BTreeSet<String>) -> Judged {
    let answers = documents(output)?;
    let [list, best] = &answers[..] else { return Err(format!("{} answers of two", answers.len())) };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = list["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
    let best = best["data"]["result"].as_array().cloned().unwrap_or_default();
    let seen: BTreeSet<(String, String)> =
        list.iter().map(|t| (text(&t["labels"]["job"]), text(&t["labels"]["instance"]))).collect();
    let words = |what: &str, (job, instance): &(String, String)| format!("{what}: {job} {instance}");
    let mut wrong: Vec<String> = expected.difference(&seen).map(|t| words("not known", t)).collect();
    wrong.extend(seen.difference(expected).map(|t| words("not declared", t)));
    let answered = |job: &str| best.iter().any(|b| b["metric"]["job"] == job && b["value"][1] == "1");
    for target in list.iter().filter(|t| own.contains(&text(&t["labels"]["job"]))) {
        let (job, error) = (text(&target["labels"]["job"]), text(&target["lastError"]));
        if !answered(&job) {
            wrong.push(format!("{job} has not answered: {error}"));
        }
    }
    none_of(&wrong, format!("{} targets", seen.len()))
}

/// Prometheus evaluates every alert, without an error.
fn rules(monitoring: &Monitoring, patience: Duration) -> Check {
    let names: BTreeSet<String> = monitoring.alerts.keys().cloned().collect();
    let what = "Prometheus evaluates every alert without an error";
    let paths = ["/api/v1/rules?type=alert"];
    asked("prometheus-rules", what, patience, (Prometheus::PORT, &paths), move |said| evaluated(said, &names))
}

/// `/api/v1/rules` of Prometheus' HTTP API.
fn evaluated(output: &Output, names: &BTreeSet<String>) -> Judged {
    let answer = documents(output)?;
    let groups = answer[0]["data"]["groups"].as_array().cloned().unwrap_or_default();
    let rules: Vec<&Value> = groups.iter().filter_map(|g| g["rules"].as_array()).flatten().collect();
    let name = |rule: &Value| rule["name"].as_str().unwrap_or_default().to_owned();
    let seen: BTreeSet<String> = rules.iter().map(|r| name(r)).collect();
    let mut wrong: Vec<String> = names.difference(&seen).map(|n| format!("not evaluated: {n}")).collect();
    wrong.extend(seen.difference(names).map(|n| format!("not declared: {n}")));
    let unwell = rules.iter().filter(|r| r["health"] != "ok");
    wrong.extend(
        unwell.map(|r| format!("{} is {} {}", name(r), r["health"], r["lastError"].as_str().unwrap_or_default())),
    );
    none_of(&wrong, format!("{} alerts", seen.len()))
}

/// What each alert looks at on this machine is there: without its metric it could never be raised.
fn metrics(scope: &Scope<'_>, patience: Duration) -> Option<Check> {
    let expected = looked_at(scope);
    if expected.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = expected.iter().map(|(metric, _)| metric.as_str()).collect();
    let matches: Vec<String> = names.iter().map(|name| format!("match%5B%5D={name}")).collect();
    let paths = [format!("/api/v1/series?{}", matches.join("&"))];
    let what = "every alert about this machine has the metric that it looks at";
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let check = asked("alert-metrics", what, patience, (Prometheus::PORT, &paths), move |said| series(said, &expected));
    Some(check)
}

/// A metric, and labels of it with their values.
type Looked = (String, Vec<(&'static str, String)>);

fn looked_at(scope: &Scope<'_>) -> Vec<Looked> {
    let (recipe, monitoring) = (scope.recipe, &scope.recipe.monitoring);
    let node = monitoring.node_exporter.is_some();
    let own = || ("job", "node-exporter".to_owned());
    let mut all: Vec<Looked> = Vec::new();
    for alert in monitoring.alerts.values() {
        match &alert.when {
            Condition::ProbeFailing { .. } => {
                let probes = monitoring.probes.keys();
                all.extend(probes.map(|name| ("probe_success".to_owned(), vec![("probe", name.clone())])));
            }
            Condition::ContainerDown { .. } if node => {
                let containers = recipe.containers.keys();
                all.extend(
                    containers.map(|c| ("diorite_container_active".to_owned(), vec![own(), ("name", c.clone())])),
                );
            }
            Condition::CertificateNotRenewed { .. } if node => {
                let metrics = ["diorite_certificate_not_before_seconds", "diorite_certificate_not_after_seconds"];
                let of = |metric: &str, name: &String| (metric.to_owned(), vec![own(), ("name", name.clone())]);
                all.extend(recipe.certificates.keys().flat_map(|name| metrics.map(|metric| of(metric, name))));
            }
            Condition::CertificateNeverSigned { .. } if node => {
                let of = |name: &String| vec![own(), ("name", name.clone())];
                let asked = recipe.certificates.iter().filter(|(_, certificate)| certificate.acme.is_some());
                all.extend(asked.map(|(name, _)| ("diorite_certificate_unsigned_since_seconds".to_owned(), of(name))));
            }
            Condition::BackupTooOld { .. } if node && recipe.backup.is_some() => {
                let metrics = ["diorite_backup_expected_since_seconds", "diorite_backup_interval_seconds"];
                all.extend(metrics.map(|metric| (metric.to_owned(), vec![own()])));
            }
            Condition::DiskNearlyFull { path, .. } if node => {
                let place = |metric: &str| (metric.to_owned(), vec![own(), ("mountpoint", path.clone())]);
                all.extend(["node_filesystem_avail_bytes", "node_filesystem_size_bytes"].map(place));
            }
            Condition::BootNotBlessed if node => all.push(("diorite_boot_blessed".to_owned(), vec![own()])),
            Condition::ClockOff { .. } if node => {
                all.extend(["node_timex_sync_status", "node_time_seconds"].map(|m| (m.to_owned(), vec![own()])));
            }
            _ => {}
        }
    }
    all.sort();
    all.dedup();
    all
}

/// `/api/v1/series` of Prometheus' HTTP API.
fn series(output: &Output, expected: &[Looked]) -> Judged {
    let answer = documents(output)?;
    let list = answer[0]["data"].as_array().cloned().unwrap_or_default();
    let there = |(metric, labels): &&Looked| {
        list.iter().any(|s| s["__name__"] == metric.as_str() && labels.iter().all(|(l, v)| s[*l] == v.as_str()))
    };
    let words = |(metric, labels): &Looked| {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        format!("no {metric} with {}", labels.join(", "))
    };
    let wrong: Vec<String> = expected.iter().filter(|e| !there(e)).map(words).collect();
    none_of(&wrong, format!("{} series", expected.len()))
}

/// Alertmanager has the receivers, and is alone; Prometheus sends to it.
fn receivers(manager: &Alertmanager, patience: Duration) -> Check {
    let names: BTreeSet<String> = manager.receivers.keys().map(|n| format!("receiver/{n}")).collect();
    let own =
        quote::script(GET, &[Alertmanager::PORT.to_string(), "/api/v2/receivers".into(), "/api/v2/status".into()]);
    let sender = quote::script(GET, &[Prometheus::PORT.to_string(), "/api/v1/alertmanagers".into()]);
    let script = format!("{own}; {sender}");
    let what = "Alertmanager has every receiver, and Prometheus sends alerts to it";
    Check::inside("alertmanager-receivers", what, move |machine| {
        settled(machine, patience, &script, |said| told(said, &names))
    })
}

/// `/api/v2/receivers` and `/api/v2/status` of Alertmanager's API, and `/api/v1/alertmanagers` of Prometheus'.
fn told(output: &Output, names: &BTreeSet<String>) -> Judged {
    let answers = documents(output)?;
    let [list, status, senders] = &answers[..] else { return Err(format!("{} answers of three", answers.len())) };
    let all = list.as_array().cloned().unwrap_or_default();
    let seen: BTreeSet<String> =
        all.iter().filter_map(|r| r["name"].as_str()).filter(|n| *n != "nobody").map(str::to_owned).collect();
    let mut wrong: Vec<String> = names.difference(&seen).map(|n| format!("no {n}")).collect();
    wrong.extend(seen.difference(names).map(|n| format!("not declared: {n}")));
    if status["cluster"]["status"] != "disabled" {
        wrong.push(format!("it looks for others of its kind: {}", status["cluster"]["status"]));
    }
    let active = senders["data"]["activeAlertmanagers"].as_array().map_or(0, Vec::len);
    if active != 1 {
        wrong.push(format!("Prometheus sends to {active}"));
    }
    none_of(&wrong, seen.into_iter().collect::<Vec<_>>().join(", "))
}

mod raised;
#[cfg(test)]
mod tests;
