//! Monitoring: the exporter's metrics on the wire, and that what the image says of itself is so. Prometheus and what
//! belongs to it are in [`servers`].

use crate::{
    answer::{Judged, short},
    check::Check,
    gpt,
    scope::Scope,
    sweep::Family,
};
use diorite_lab::HttpReply;
use diorite_machine::Output;
use diorite_model::recipe::NodeExporter;
use std::time::Duration;

pub mod logs;
pub mod servers;

/// How often an image writes down what it says of itself.
const EVERY: Duration = Duration::from_secs(30);

/// The exporter answers the lab, where it is admitted.
pub fn metrics(scope: &Scope<'_>, family: Family) -> Option<Check> {
    let port = scope.recipe.monitoring.node_exporter.as_ref().map(|_| NodeExporter::PORT)?;
    (family == Family::V4 && scope.admitted(family).contains(&port)).then(|| {
        let what = format!("port {port} serves Prometheus metrics, including the image's own");
        let check = Check::outside(format!("metrics-{port}"), what, move |machine| {
            let address = machine.address(family)?;
            machine.retried(|m| Ok(samples(&m.lab().http_get(address, port, "/metrics")?)))
        });
        check.over(family)
    })
}

/// What an image says of itself, as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claims {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// Counters of the packet filter.
    counters: Vec<String>,
    /// Names of its containers.
    containers: Vec<String>,
}

/// The image's own metrics, in the machine. `counters` are those of the packet filter.
pub fn image(scope: &Scope<'_>, counters: Vec<String>) -> Option<Check> {
    let recipe = scope.recipe;
    recipe.monitoring.node_exporter.as_ref()?;
    let image = Claims {
        name: recipe.image.name.clone(),
        version: recipe.image.version.clone(),
        counters,
        containers: recipe.containers.keys().cloned().collect(),
    };
    let what = "the image's metrics report its name, version, root hash, firewall rules and containers";
    Some(Check::inside("metrics-image", what, move |machine| {
        let hash = gpt::root_hash(machine.disk())?;
        // What was written before the boot was blessed is written anew half a minute later; who it is stays.
        let patience = machine.patience() + EVERY * 2;
        let judge = |said: &_| image_metrics(said, &image, &hash);
        let firm = |said: &_| image_info(said, &image, &hash) == Some(false);
        Ok(machine.settled_in(patience, "cat /run/diorite-metrics/diorite.prom", judge, firm)?)
    }))
}

/// Prometheus' text format, with what node-exporter always has and what the image says of itself.
fn samples(reply: &Result<HttpReply, String>) -> Judged {
    let page = reply.as_ref().map_err(Clone::clone)?;
    let text = String::from_utf8_lossy(&page.body);
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    let says = |start: &str| text.lines().any(|line| line.starts_with(start));
    let seen = format!("status {}, {samples} samples", page.status);
    let missing = ["node_uname_info{", "diorite_image_info{"].into_iter().find(|start| !says(start));
    match (page.status == 200 && samples > 0, missing) {
        (true, None) => Ok(seen),
        (true, Some(start)) => Err(format!("{seen}, but no {}", start.trim_end_matches('{'))),
        _ => Err(seen),
    }
}

/// The line that says which image runs.
fn info(image: &Claims, root_hash: &str) -> String {
    let (name, version) = (&image.name, &image.version);
    format!("diorite_image_info{{name=\"{name}\",version=\"{version}\",root_hash=\"{root_hash}\",slot=\"a\"}} 1")
}

/// Whether the image says of itself that it is this one; `None`: it says nothing yet.
fn image_info(output: &Output, image: &Claims, root_hash: &str) -> Option<bool> {
    let said = output.text.lines().find(|l| l.starts_with("diorite_image_info"))?;
    Some(said == info(image, root_hash))
}

/// What the image says of itself in Prometheus' text format. The hash was read from the disk, not from the machine.
fn image_metrics(output: &Output, image: &Claims, root_hash: &str) -> Judged {
    let (name, version) = (&image.name, &image.version);
    let has = |line: &str| output.text.lines().any(|l| l == line);
    let value =
        |start: String| output.text.lines().any(|l| l.strip_prefix(&start).is_some_and(|n| n.parse::<u64>().is_ok()));
    let info = info(image, root_hash);
    if image_info(output, image, root_hash) != Some(true) {
        let said = output.text.lines().find(|l| l.starts_with("diorite_image_info")).unwrap_or(&output.text);
        return Err(format!("not {info}: {}", short(said)));
    }
    if !has("diorite_boot_blessed 1") {
        return Err("the boot entry is not said to be good".to_owned());
    }
    let counted = |c: &&String| {
        ["packets", "bytes"].iter().all(|what| value(format!("diorite_firewall_{what}_total{{rule=\"{c}\"}} ")))
    };
    if let Some(missing) = image.counters.iter().find(|c| !counted(c)) {
        return Err(format!("nothing is said of the rule {missing}"));
    }
    let active = |c: &&String| has(&format!("diorite_container_active{{name=\"{c}\"}} 1"));
    if let Some(idle) = image.containers.iter().find(|c| !active(c)) {
        return Err(format!("container {idle} is not said to be active"));
    }
    Ok(format!("{name} {version}, root hash {}…, {} rules", &root_hash[..8.min(root_hash.len())], image.counters.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    #[test]
    fn a_page_without_metrics_is_seen() {
        let page = |status, body: &str| Ok(HttpReply { status, head: String::new(), body: body.as_bytes().to_vec() });
        let good = "# HELP x\nnode_uname_info{release=\"6\"} 1\ndiorite_image_info{version=\"1\"} 1\n";
        assert_eq!(samples(&page(200, good)), Ok("status 200, 2 samples".to_owned()));
        let silent = good.replace("diorite_image_info", "up");
        for bad in [
            page(500, good),
            page(200, &silent),
            page(200, "<html>"),
            page(200, "# only comments\n"),
            Err("reset".into()),
        ] {
            assert!(samples(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn another_image_is_not_this_one() {
        let image = Claims {
            name: "server".into(),
            version: "1".into(),
            counters: vec!["input_tcp_22".into()],
            containers: vec!["web".into()],
        };
        let good = "diorite_image_info{name=\"server\",version=\"1\",root_hash=\"abcd\",slot=\"a\"} 1\n\
                    diorite_boot_blessed 1\ndiorite_firewall_packets_total{rule=\"input_tcp_22\"} 3\n\
                    diorite_firewall_bytes_total{rule=\"input_tcp_22\"} 180\n\
                    diorite_container_active{name=\"web\"} 1\n";
        assert_eq!(image_metrics(&out(good), &image, "abcd"), Ok("server 1, root hash abcd…, 1 rules".into()));
        assert!(image_metrics(&out(good), &image, "abce").is_err());
        let known = [good, "cat: no such file"].map(|said| image_info(&out(said), &image, "abcd"));
        assert_eq!((known, image_info(&out(good), &image, "abce")), ([Some(true), None], Some(false)));
        for (from, to) in
            [("blessed 1", "blessed 0"), ("tcp_22\"} 180", "tcp_22\"} x"), ("web\"} 1", "web\"} 0"), ("\"a\"", "\"b\"")]
        {
            assert!(image_metrics(&out(&good.replace(from, to)), &image, "abcd").is_err(), "{to}");
        }
    }
}
