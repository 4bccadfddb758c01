//! The table `[certificates]`: a service for each keeps certificate and key on state, before its container starts and twice a
//! day; when there is a new one, the container is told.

use super::Guest;
use super::acme;
use super::ini::{Ini, word};
use super::sandbox;
use diorite_model::recipe::{CERTIFICATES, ServerCertificate};
use diorite_model::{Error, Recipe, Result};

const SCRIPT: &str = "usr/lib/diorite/certificate";
/// Below /run; node-exporter's textfile collector reads it.
const METRICS: &str = "diorite-metrics";

/// Its key is given to the container's user, and read again to see whether the two belong together.
const KEEPER: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", "CAP_CHOWN CAP_DAC_READ_SEARCH"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@resources"),
    ("PrivateIPC", "yes"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("TasksMax", "64"),
];
/// PID 1 asks who wants a unit reloaded whether he administers the system.
const TELLER: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", "CAP_SYS_ADMIN"),
    ("SystemCallFilter", "@system-service"),
    ("ProtectProc", "invisible"),
    ("TasksMax", "64"),
];

/// Writes the units of a container's certificates. `owner` is the machine's number of the container's user and group.
pub(super) fn generate(guest: &mut Guest, recipe: &Recipe, container: &str, owner: (u32, u32)) -> Result<()> {
    for (name, certificate) in recipe.certificates_of(container) {
        let unit = ServerCertificate::unit(name);
        let base = unit.trim_end_matches(".service").to_owned();
        let signed = acme::generate(guest, name, certificate)?;
        guest.unit(&unit, &keeper(name, certificate, signed, owner, recipe.monitoring.node_exporter.is_some()))?;
        let timer = Ini::new()
            .section("Unit")
            .set("Description", format!("Certificate {name}, once the clock is right and twice a day"))
            .section("Timer")
            .set("OnBootSec", "5min")
            .set("OnUnitInactiveSec", "12h")
            .section("Install")
            .set("WantedBy", "timers.target");
        guest.unit(&format!("{base}.timer"), &timer)?;
        guest.enable(&format!("{base}.timer"))?;
        let changed = Ini::new()
            .section("Unit")
            .set("Description", format!("A new certificate {name}"))
            .section("Path")
            .set("PathChanged", format!("{CERTIFICATES}/{name}/certificate.pem"))
            .set("Unit", format!("{base}-reload.service"))
            .section("Install")
            .set("WantedBy", "paths.target");
        guest.unit(&format!("{base}.path"), &changed)?;
        guest.enable(&format!("{base}.path"))?;
        let verb = if certificate.reload.signal().is_some() { "reload" } else { "try-restart" };
        let reload = Ini::new()
            .section("Unit")
            .set("Description", format!("Container {container} uses the new certificate {name}"))
            .section("Service")
            .set("Type", "oneshot")
            // One that does not run reads it when it starts.
            .set("ExecCondition", format!("/usr/bin/systemctl --quiet is-active {container}.service"))
            .set("ExecStart", format!("/usr/bin/systemctl --no-block {verb} {container}.service"));
        guest.unit(&format!("{base}-reload.service"), &sandbox::closed(reload, TELLER))?;
    }
    Ok(())
}

/// The program that [`generate`]'s services run.
pub(super) fn script(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let missing = recipe.certificates.iter().find(|(_, c)| !recipe.containers.contains_key(&c.container));
    if let Some((name, _)) = missing {
        return Err(Error::bug(format!("certificate `{name}` has no container")));
    }
    acme::answers(guest, recipe)?;
    match recipe.certificates.is_empty() {
        true => Ok(()),
        false => guest.file(SCRIPT, 0o755, include_bytes!("certificate.sh").to_vec()),
    }
}

/// `signed` is the file that an authority's certificate comes in.
fn keeper(
    name: &str,
    certificate: &ServerCertificate,
    signed: Option<String>,
    owner: (u32, u32),
    metrics: bool,
) -> Ini {
    let address = |text: &String| text.parse::<std::net::IpAddr>().is_ok();
    let names = certificate.names.iter().map(|n| format!("{}:{n}", if address(n) { "IP" } else { "DNS" }));
    // A specifier of systemd.unit(5), and a name without special characters.
    let given = certificate.credential.as_ref().map(|c| format!("\"%d/{c}\""));
    let given = given.unwrap_or_else(|| word(&signed.unwrap_or_default()));
    let metrics_directory = if metrics { format!("/run/{METRICS}") } else { String::new() };
    let words: Vec<String> = [format!("{CERTIFICATES}/{name}"), format!("{}:{}", owner.0, owner.1)]
        .iter()
        .map(|text| word(text))
        .chain([given])
        .chain([certificate.days.to_string(), metrics_directory, name.to_owned()].iter().map(|text| word(text)))
        .chain(names.map(|name| word(&name)))
        .collect();
    let mut ini = Ini::new()
        .section("Unit")
        .set("Description", format!("Certificate {name}"))
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{SCRIPT} {}", words.join(" ")))
        .each("ImportCredential", &certificate.credential)
        .set("StateDirectory", format!("diorite/certificates/{name}"))
        // The container's user must get through.
        .set("StateDirectoryMode", "0755");
    if metrics {
        ini = ini.set("RuntimeDirectory", METRICS).set("RuntimeDirectoryPreserve", "yes");
    }
    sandbox::closed(ini, KEEPER)
}
