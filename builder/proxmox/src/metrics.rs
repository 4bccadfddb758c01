//! What a running image says of itself: its node-exporter's page (Prometheus' text format), where the profile has one and
//! this host is admitted.

use crate::health::page;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImageMetrics {
    /// IMAGE_ID.
    pub image: String,
    /// IMAGE_VERSION.
    pub version: String,
    /// Root hash of the verified root that it runs from, in hexadecimal.
    pub root_hash: String,
    /// Whether its boot entry is known to be good.
    pub blessed: Option<bool>,
    /// Containers, and whether each is active.
    pub containers: BTreeMap<String, bool>,
}

/// Asks the first of these addresses that answers.
///
/// # Errors
/// Why none of them does.
pub fn ask(addresses: &[IpAddr], port: u16) -> Result<ImageMetrics, String> {
    let mut why = "its network card has no address".to_owned();
    for address in addresses {
        match page(*address, port, "/metrics") {
            Ok((200, text)) => return of(&text).ok_or(format!("{address} port {port} does not say which image runs")),
            Ok((status, _)) => why = format!("{address} port {port}: status {status}"),
            Err(e) => why = format!("{address} port {port}: {e}"),
        }
    }
    Err(why)
}

fn of(text: &str) -> Option<ImageMetrics> {
    let mut said = ImageMetrics::default();
    for line in text.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let label = |desired: &str| {
            let all = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
            let found = all.into_iter().find(|(name, _)| *name == desired);
            found.map(|(_, value)| value.trim_matches('"').to_owned()).unwrap_or_default()
        };
        let yes = value == "1";
        match name {
            "diorite_image_info" if yes => {
                (said.image, said.version, said.root_hash) = (label("name"), label("version"), label("root_hash"));
            }
            "diorite_boot_blessed" => said.blessed = Some(yes),
            "diorite_container_active" => drop(said.containers.insert(label("name"), yes)),
            _ => {}
        }
    }
    (!said.root_hash.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let text = "# HELP diorite_image_info The image that runs, and its verity root hash.\n\
                    # TYPE diorite_image_info gauge\n\
                    diorite_image_info{name=\"server\",root_hash=\"ab12\",slot=\"a\",version=\"3\"} 1\n\
                    diorite_boot_blessed 0\n\
                    diorite_firewall_packets_total{rule=\"tcp_443\"} 7\n\
                    diorite_container_active{name=\"app\"} 1\n\
                    diorite_container_active{name=\"web\"} 0\n\
                    node_load1 0.2\n";
        let said = of(text).expect("it says what it is");
        assert_eq!((said.image.as_str(), said.version.as_str(), said.root_hash.as_str()), ("server", "3", "ab12"));
        assert_eq!((said.blessed, said.containers["app"], said.containers["web"]), (Some(false), true, false));
        assert_eq!(of("node_load1 0.2\n"), None);
    }
}
