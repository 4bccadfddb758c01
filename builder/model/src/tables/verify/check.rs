//! Checks of the profile's own that could never pass: about a container that is not there, or from outside about a port
//! that the firewall drops for everybody.

use crate::Result;
use crate::profile::section::nearest;
use crate::recipe::{Protocol, Recipe};
use crate::tables::places::Places;
use crate::verify::{Ask, Level, OwnCheck, PortState};

pub(crate) fn check(checks: &[OwnCheck], recipe: &Recipe, places: &Places) -> Result<()> {
    for (i, check) in checks.iter().enumerate() {
        let path = |key: &str| format!("verify.check.{i}.{}.{key}", check.ask.kind());
        match &check.ask {
            Ask::Container(container) if !recipe.containers.contains_key(&container.name) => {
                let what =
                    format!("check `{}` asks for container `{}`, which is not there", check.name, container.name);
                let names: Vec<&str> = recipe.containers.keys().map(String::as_str).collect();
                let near =
                    nearest(&container.name, &names).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                let hint = match names.as_slice() {
                    [] => "the profile has no containers".to_owned(),
                    names => format!("{near}there is {}", names.join(", ")),
                };
                return Err(places.finding(&path("name"), what).hint(hint));
            }
            Ask::Port(port)
                if check.level == Level::Outside && matches!(port.state, PortState::Open | PortState::Closed) =>
            {
                admitted(check, port.port, port.protocol, &path("port"), recipe, places)?;
            }
            Ask::Http(http) if check.level == Level::Outside => {
                admitted(check, http.port, Protocol::Tcp, &path("port"), recipe, places)?;
            }
            Ask::Metric(metric) if check.level == Level::Outside => {
                admitted(check, metric.port, Protocol::Tcp, &path("port"), recipe, places)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a question from outside that the firewall lets nobody ask.
fn admitted(
    check: &OwnCheck,
    port: u16,
    protocol: Protocol,
    path: &str,
    recipe: &Recipe,
    places: &Places,
) -> Result<()> {
    let rule = recipe.firewall.allow.iter().any(|a| a.what.is_port(protocol, port));
    // Who watches gets a rule without saying so.
    let watcher = recipe.monitoring.watched().iter().any(|w| w.port == port && !w.from.is_empty());
    if rule || protocol == Protocol::Tcp && watcher {
        return Ok(());
    }
    let who = recipe.listeners().into_iter().find(|l| (l.port, l.protocol) == (port, protocol));
    let known = who.map(|l| format!(", where {} listens", l.owner)).unwrap_or_default();
    let what =
        format!("check `{}` asks {} port {port} from outside, and the firewall drops it", check.name, protocol.name());
    let error = places.finding(path, what).because(format!("no entry of `firewall.allow` admits it{known}"));
    Err(error.hint("admit the port, or write `level = \"inside\"`"))
}
