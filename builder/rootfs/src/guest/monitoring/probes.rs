//! Probes: the blackbox exporter, with a module for each of them. It listens on loopback only.

use super::{SERVER, listen};
use crate::guest::ini::Ini;
use crate::guest::{Guest, sandbox, yaml};
use diorite_model::recipe::{Probe, ProbeKind};
use diorite_model::{Recipe, Result};
use serde_json::{Map, Value, json};

const CONFIG: &str = "etc/prometheus/blackbox.yml";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let probes = &recipe.monitoring.probes;
    if probes.is_empty() {
        return Ok(());
    }
    let modules: Map<String, Value> = probes.iter().map(|(name, probe)| (name.clone(), module(probe))).collect();
    guest.file(CONFIG, 0o644, yaml::document(&json!({ "modules": modules }))?)?;
    guest.drop_in(Probe::UNIT, &unit(probes.values().any(|p| matches!(p.what, ProbeKind::Ping { .. }))))?;
    guest.enable(Probe::UNIT)
}

fn unit(pings: bool) -> Ini {
    let address = listen(Probe::PORT, false);
    let ini = Ini::new().section("Service").set("ExecStart", "").set(
        "ExecStart",
        format!("/usr/bin/prometheus-blackbox-exporter --config.file=/{CONFIG} --web.listen-address={address}"),
    );
    let ini = ini.set("RestartSec", "5s");
    // An echo request takes a raw socket.
    let raw = [("CapabilityBoundingSet", "CAP_NET_RAW"), ("AmbientCapabilities", "CAP_NET_RAW")];
    let open: Vec<_> = SERVER.into_iter().chain(raw.into_iter().filter(|_| pings)).collect();
    sandbox::closed(ini, &open)
}

/// A module, as the blackbox exporter 0.26 documents it (CONFIGURATION.md).
fn module(probe: &Probe) -> Value {
    let family = |mut settings: Value| {
        if let Some(four) = probe.ipv4 {
            settings["preferred_ip_protocol"] = json!(if four { "ip4" } else { "ip6" });
            settings["ip_protocol_fallback"] = json!(false);
        }
        settings
    };
    let (prober, settings) = match &probe.what {
        ProbeKind::Ping { .. } => ("icmp", family(json!({}))),
        ProbeKind::Tcp { tls, verify_certificate, expect, .. } => {
            let mut tcp = json!({ "tls": tls });
            if *tls {
                tcp["tls_config"] = json!({ "insecure_skip_verify": !verify_certificate });
            }
            if let Some(start) = expect {
                tcp["query_response"] = json!([{ "expect": format!("^{}", literal(start)) }]);
            }
            ("tcp", family(tcp))
        }
        ProbeKind::Http { url, status, contains, verify_certificate } => {
            let https = url.starts_with("https://");
            let mut http = json!({ "follow_redirects": false, "valid_status_codes": status });
            http[if https { "fail_if_not_ssl" } else { "fail_if_ssl" }] = json!(true);
            if https {
                http["tls_config"] = json!({ "insecure_skip_verify": !verify_certificate });
            }
            if let Some(text) = contains {
                http["fail_if_body_not_matches_regexp"] = json!([literal(text)]);
            }
            ("http", family(http))
        }
        ProbeKind::Dns { name, record, .. } => {
            // An answer without a record of the type is none.
            let answered = json!({ "fail_if_none_matches_regexp": [".*"] });
            ("dns", family(json!({ "query_name": name, "query_type": record, "validate_answer_rrs": answered })))
        }
    };
    let mut all = json!({ "prober": prober, "timeout": format!("{}s", probe.timeout) });
    if settings.as_object().is_some_and(|s| !s.is_empty()) {
        all[prober] = settings;
    }
    all
}

/// Text as a regular expression of RE2 that matches it and nothing else.
fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, c| {
        if c.is_ascii_punctuation() {
            all.push('\\');
        }
        all.push(c);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_matched_as_it_is() {
        assert_eq!(literal("SSH-2.0 <h1>"), r"SSH\-2\.0 \<h1\>");
    }
}
