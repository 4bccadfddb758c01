//! `[containers.NAME]`.

use super::firewall::{protocol, protocol_of};
use super::*;
use std::collections::BTreeMap;

pub(super) const CONTAINER: &[Field] = &[
    texts("packages", &values::PACKAGE, "Debian packages its root file system is made from, one at least").needed(),
    words("command", &values::ARGUMENT, "the program and its arguments").needed(),
    tables("publish", PUBLISH, "published ports"),
    texts("overlays", &values::NAME, "folders of `overlays/` laid over its tree, in this order"),
    text("user", &values::CONTAINER_USER, "whom it runs as, in its own tree; `65534` is nobody").or_text("65534:65534"),
];
const PUBLISH: &[Field] = &[
    port("host", "port of the machine").needed(),
    port("container", "port inside").or_said("the same"),
    protocol("protocol"),
    boolean(
        "local",
        "only the machine itself may reach it; any other published port must be admitted by `firewall.allow`",
    )
    .or(false),
];

pub(super) fn containers(top: &Section) -> Result<BTreeMap<String, Container>> {
    let mut all = BTreeMap::new();
    for (name, t) in top.named("containers")? {
        all.insert(name, container(&t)?);
    }
    Ok(all)
}

fn container(t: &Section) -> Result<Container> {
    let packages = t.plain("packages")?;
    if packages.is_empty() {
        return Err(t.missing("packages"));
    }
    let command = t.texts("command")?;
    let program = command.first().ok_or_else(|| t.missing("command"))?;
    (values::PROGRAM.check)(&program.value).map_err(|cause| {
        let what = format!("`{}.command` cannot start this program", t.path);
        t.files.error(program.span, what).because(cause).hint(format!("allowed: {}", values::PROGRAM.allowed))
    })?;
    let mut publish = Vec::new();
    for p in t.tables("publish")? {
        let host = p.needed_number("host")?.value;
        let container = p.number("container")?.map_or(host, |c| c.value);
        publish.push(Publish { host, container, protocol: protocol_of(&p)?, local: p.flag("local")? });
    }
    Ok(Container {
        packages,
        command: command.into_iter().map(|c| c.value).collect(),
        publish,
        overlays: t.plain("overlays")?,
        user: t.needed("user")?.value,
    })
}
