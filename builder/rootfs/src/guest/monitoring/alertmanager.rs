//! Alertmanager: alertmanager.yml and the unit. Passwords and tokens are read from systemd's credentials.

use super::{SERVER, credential_file, listen};
use crate::guest::ini::Ini;
use crate::guest::{Guest, sandbox, yaml};
use diorite_model::recipe::{Alertmanager, Delivery, Receiver, Severity};
use diorite_model::{Recipe, Result};
use serde_json::{Value, json};

const CONFIG: &str = "etc/prometheus/alertmanager.yml";
/// Below /var/lib: what was told, and what is silenced.
const DATA: &str = "prometheus/alertmanager";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let Some(manager) = &recipe.monitoring.alertmanager else { return Ok(()) };
    guest.file(CONFIG, 0o644, yaml::document(&config(manager, &recipe.image.hostname))?)?;
    guest.drop_in(Alertmanager::UNIT, &unit(recipe, manager))?;
    guest.enable(Alertmanager::UNIT)
}

fn unit(recipe: &Recipe, manager: &Alertmanager) -> Ini {
    let address = listen(Alertmanager::PORT, !manager.from.is_empty());
    let ini = Ini::new().section("Service").set("ExecStart", "").set(
        "ExecStart",
        // Without an address for its peers it is alone: else it would listen on port 9094 for others.
        format!(
            "/usr/bin/prometheus-alertmanager --config.file=/{CONFIG} --storage.path=/var/lib/{DATA} \
             --web.listen-address={address} --cluster.listen-address="
        ),
    );
    let ini = ini.set("RestartSec", "5s").set("TimeoutStopSec", "60s").set("SendSIGKILL", "yes");
    let ini = ini.set("StateDirectory", DATA);
    sandbox::closed(super::credentials(ini, recipe, Alertmanager::UNIT), &SERVER)
}

/// alertmanager.yml, as the documentation of Alertmanager 0.28 has it (Configuration). Every receiver has a route of its
/// own, and each route is tried.
fn config(manager: &Alertmanager, hostname: &str) -> Value {
    // The top of the routes must name a receiver: what no route takes is told to nobody.
    let nobody = "nobody";
    let routes = manager.receivers.iter().map(|(name, receiver)| {
        let mut route = json!({ "receiver": format!("receiver/{name}"), "continue": true });
        if receiver.least_severity == Severity::Critical {
            route["matchers"] = json!(["severity=\"critical\""]);
        }
        route
    });
    let receivers = manager.receivers.iter().map(|(name, receiver)| told(name, receiver));
    json!({
        "global": { "smtp_hello": hostname },
        "route": {
            "receiver": nobody,
            "group_by": ["alertname"],
            "group_wait": format!("{}s", manager.group_wait),
            "group_interval": format!("{}s", manager.group_interval),
            "repeat_interval": format!("{}s", manager.repeat_interval),
            "routes": routes.collect::<Vec<_>>(),
        },
        "receivers": std::iter::once(json!({ "name": nobody })).chain(receivers).collect::<Vec<_>>(),
    })
}

/// Somebody who is told when it begins and when it is over.
fn told(name: &str, receiver: &Receiver) -> Value {
    let name = format!("receiver/{name}");
    match &receiver.by {
        Delivery::Mail { smarthost, from, to, starttls, user, credential } => {
            let mut mail = json!({
                "to": to.join(", "), "from": from, "smarthost": smarthost, "send_resolved": true,
                // Port 465 speaks TLS before the server could offer to (RFC 8314 3.3).
                "require_tls": *starttls && !smarthost.ends_with(":465"),
            });
            if let (Some(user), Some(credential)) = (user, credential) {
                mail["auth_username"] = json!(user);
                mail["auth_password_file"] = json!(credential_file(Alertmanager::UNIT, credential));
            }
            json!({ "name": name, "email_configs": [mail] })
        }
        Delivery::Webhook { url, credential } => {
            let mut webhook = json!({ "url": url, "send_resolved": true });
            if let Some(credential) = credential {
                let file = credential_file(Alertmanager::UNIT, credential);
                webhook["http_config"] = json!({ "authorization": { "credentials_file": file } });
            }
            json!({ "name": name, "webhook_configs": [webhook] })
        }
    }
}
