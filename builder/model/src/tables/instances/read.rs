//! `[instances.NAME]`: one image, several machines.

use crate::Result;
use crate::instance::{Instance, SecretSource};
use crate::machine::Machine;
use crate::profile::source::{Kind, Table, join};
use crate::profile::{field::*, section::Section, source::Value, values};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const INSTANCE: &[Field] = &[
    named("network", &values::NAME, LINK, "what is different on its links, by their names in `[network]`"),
    text("mac", &values::MAC, "hardware address of its network card")
        .or_said("the hypervisor chooses one, and it stays"),
    named("credentials", &values::CREDENTIAL, CREDENTIAL, "where its secrets are, by the names of the credentials"),
];
const LINK: &[Field] = &[
    texts("addresses", &values::ADDRESS, "static addresses with prefix length"),
    texts("gateways", &values::IP, "default gateways, at most one per family"),
    texts("dns", &values::NAME_SERVER, "name servers; `#NAME` is the name in the server's certificate"),
    texts("search", &values::DOMAIN, "domains in which names without a dot are looked up"),
];
const CREDENTIAL: &[Field] = &[
    text("env", &values::VARIABLE, "in this environment variable"),
    text("file", &values::SECRET_FILE, "in this file of mode 600, relative to `profiles/`"),
    words("command", &values::ARGUMENT, "in the output of this program, run without a shell"),
];

/// Names of credentials that Diorite gives itself.
const OURS: [&str; 2] = ["system.hostname", "network."];

/// Every instance. `network_of` reads a whole profile and checks it against itself: the links of each instance are read as
/// if the profile had been written for this machine alone.
pub(crate) fn instances(
    top: &Section,
    whole: &Value,
    machine: &Machine,
    network_of: &dyn Fn(&Value) -> Result<BTreeMap<String, Link>>,
) -> Result<BTreeMap<String, Instance>> {
    let mut all = BTreeMap::new();
    let sections = top.named("instances")?;
    let Some((first, section)) = sections.first() else { return Ok(all) };
    if crate::tables::config_drive::read::config_drive(top)?.is_none_or(|drive| drive.signers.is_empty()) {
        return Err(section
            .files
            .error(section.span, format!("the image would not accept a config drive for instance `{first}`"))
            .because("`[config_drive]` lists no signing key")
            .hint("write `[config_drive]` with `signers = [\"ssh-ed25519 …\"]`, the public key that signs"));
    }
    let links = network_of(whole)?;
    for (name, section) in &sections {
        let mut network = None;
        let changed = section.named("network")?;
        if !changed.is_empty() {
            for (link, l) in &changed {
                if !links.contains_key(link) {
                    let names: Vec<_> = links.keys().map(|n| format!("`{n}`")).collect();
                    return Err(l
                        .files
                        .error(l.span, format!("the image has no link `{link}`"))
                        .hint(format!("its links are {}", names.join(", "))));
                }
            }
            network = Some(network_of(&with_network(whole, name))?);
        }
        let mut credentials = BTreeMap::new();
        for (credential, c) in section.named("credentials")? {
            // Keys of tunnels are secrets like any other.
            if OURS.iter().any(|ours| credential.starts_with(ours)) && !credential.starts_with("network.wireguard.") {
                let what = format!("the credential `{credential}` follows from what the instance is");
                let hint = "write what it is in `[instances.NAME]` and `[instances.NAME.network.LINK]`";
                return Err(c.files.error(c.span, what).hint(hint));
            }
            credentials.insert(credential, source(&c)?);
        }
        let mac = section.text("mac")?.map(|m| m.value);
        if let Some(everybodys) = machine.mac.as_ref().filter(|_| mac.is_none()) {
            let what = format!("`machine.mac`, {everybodys}, would be the address of every instance");
            let error = section.files.error(section.span, what);
            return Err(error.hint("write `mac` in each `[instances.NAME]`"));
        }
        all.insert(name.clone(), Instance { network, mac, credentials });
    }
    Ok(all)
}

/// The profile with the links of one of its instances laid over its own.
fn with_network(whole: &Value, instance: &str) -> Value {
    let under = |value: &Value, key: &str| match &value.kind {
        Kind::Table(table) => table.get(key).cloned(),
        _ => None,
    };
    let its = under(whole, "instances").and_then(|(_, all)| under(&all, instance));
    let Some(network) = its.and_then(|(_, instance)| under(&instance, "network")) else { return whole.clone() };
    let over = Value { span: whole.span, kind: Kind::Table(Table::from([("network".to_owned(), network)])) };
    join(whole.clone(), over, 0, false)
}

fn source(t: &Section) -> Result<SecretSource> {
    let mut sources = Vec::new();
    if let Some(at) = t.text("env")? {
        sources.push(SecretSource::Environment(at.value));
    }
    if let Some(at) = t.text("file")? {
        sources.push(SecretSource::File(at.value.into()));
    }
    let words = t.plain("command")?;
    if t.key("command").is_some() && !words.is_empty() {
        sources.push(SecretSource::Command(words));
    }
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        (source, _) => {
            let many = if source.is_some() { "says more than once" } else { "does not say" };
            let error = t.files.error(t.span, format!("`{}` {many} where its value is", t.path));
            Err(error.hint("write one of `env = \"NAME\"`, `file = \"PATH\"`, `command = [\"PROGRAM\", …]`"))
        }
    }
}
