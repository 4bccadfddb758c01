//! `[firewall]`.

use super::*;

pub(super) const FIREWALL: &[Field] = &[tables("allow", ALLOW, "what may come in")];
const ALLOW: &[Field] = &[
    port("port", "destination port").needed(),
    protocol("protocol"),
    texts("from", &values::NETWORK, "source networks").or_said("from anywhere"),
];

/// A transport protocol, `tcp` when nothing is said.
pub(super) const fn protocol(name: &'static str) -> Field {
    choice(name, &[("tcp", "RFC 9293"), ("udp", "RFC 768")], "transport protocol").or_text("tcp")
}

/// Reads what [`protocol`] declares.
pub(super) fn protocol_of(t: &Section) -> Result<Protocol> {
    Ok(if t.needed("protocol")?.value == "udp" { Protocol::Udp } else { Protocol::Tcp })
}

pub(super) fn firewall(top: &Section) -> Result<Firewall> {
    let mut allow: Vec<Allow> = Vec::new();
    let t = top.table_or_empty("firewall")?;
    for a in t.tables("allow")? {
        let (port, protocol) = (a.needed_number("port")?, protocol_of(&a)?);
        if allow.iter().any(|o| o.port == port.value && o.protocol == protocol) {
            return Err(a
                .files
                .error(port.span, format!("`firewall.allow` admits port {} twice", port.value))
                .hint("keep one of them, with all its networks in `from`"));
        }
        allow.push(Allow { port: port.value, protocol, from: a.plain("from")? });
    }
    Ok(Firewall { allow })
}
