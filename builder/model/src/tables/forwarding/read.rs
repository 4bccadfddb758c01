//! `[firewall.forward]` and `[firewall.nat]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::tables::firewall::parts::{
    LAST_PORT, NUMBER, PORT, PROTOCOL, Portless, TYPE, last_port, peers, peers_written, protocol, protocol_of, string,
    traffic, traffic_written, why,
};

pub(crate) const FORWARD: &[Field] =
    &[tables("allow", ALLOW, "what may be begun through the machine; answers always may pass")];
const ALLOW: &[Field] = &[
    texts("in", &values::NAME, "the links it comes from, names in `[network]`").needed(),
    texts("out", &values::NAME, "the links it goes to, names in `[network]`").needed(),
    PORT,
    LAST_PORT,
    PROTOCOL.or_said("`tcp` with a port, else everything"),
    NUMBER,
    TYPE,
    texts("from", &values::PEER, "who may begin it: networks, and names of sets").or_said("anybody"),
    texts("to", &values::PEER, "where it may lead: networks, and names of sets").or_said("anywhere"),
    text("name", &values::NAME, "name of the rule and of its counter").or_said("its links and what it is about"),
    why(),
];

pub(crate) const NAT: &[Field] = &[
    tables("masquerade", MASQUERADE, "what leaves with the machine's address as its source"),
    tables("ports", PORTS, "ports of the machine that lead to another one; they need no entry in `firewall.forward`"),
];
const MASQUERADE: &[Field] = &[
    texts("out", &values::NAME, "the links it leaves by, names in `[network]`").needed(),
    texts("from", &values::PEER, "whose packets: networks, and names of sets").or_said("every IPv4 address"),
    text("address", &values::IP, "the address they get").or_said("that of the link, whatever it is at the time"),
];
const PORTS: &[Field] = &[
    texts("in", &values::NAME, "the links it comes from, names in `[network]`").needed(),
    port("port", "port of the machine").needed(),
    LAST_PORT,
    protocol("protocol"),
    texts("from", &values::PEER, "who may come: networks, and names of sets").or_said("anybody"),
    text("to", &values::IP, "the machine behind it").needed(),
    port("to_port", "its port, with a single `port` only").or_said("the same port"),
    text("name", &values::NAME, "name of the rule and of its counters").or_said("protocol and port, `tcp-443`"),
    why(),
];

pub(crate) fn forward(t: &Section) -> Result<Vec<Forward>> {
    t.tables("allow")?.iter().map(entry).collect()
}

fn entry(t: &Section) -> Result<Forward> {
    Ok(Forward {
        name: string(t, "name")?,
        why: string(t, "why")?,
        input: links(t, "in")?,
        output: links(t, "out")?,
        what: traffic(t, Portless::Everything)?,
        from: peers(t, "from")?,
        to: peers(t, "to")?,
    })
}

pub(crate) fn nat(t: &Section) -> Result<Nat> {
    let masquerade = |m: &Section| -> Result<Masquerade> {
        let address = m.text("address")?.map(|a| a.value.parse().expect("its form was checked"));
        Ok(Masquerade { output: links(m, "out")?, from: peers(m, "from")?, address })
    };
    Ok(Nat {
        masquerade: t.tables("masquerade")?.iter().map(masquerade).collect::<Result<_>>()?,
        ports: t.tables("ports")?.iter().map(ports).collect::<Result<_>>()?,
    })
}

fn ports(t: &Section) -> Result<PortForward> {
    let port = t.needed_number("port")?.value;
    let last_port = last_port(t, port)?.unwrap_or(port);
    let to_port = t.number::<u16>("to_port")?;
    if let Some(to_port) = &to_port
        && port != last_port
    {
        let error = t.files.error(to_port.span, format!("`{}` leads {port} to {last_port} to one port", t.path));
        return Err(error.hint("remove `to_port`: each port leads to the same port; or write an entry for each"));
    }
    Ok(PortForward {
        name: string(t, "name")?,
        why: string(t, "why")?,
        input: links(t, "in")?,
        protocol: protocol_of(t)?,
        port,
        last_port,
        from: peers(t, "from")?,
        to: t.needed("to")?.value.parse().expect("its form was checked"),
        to_port: to_port.map(|p| p.value).filter(|p| *p != port),
    })
}

/// Names of links, one at least.
fn links(t: &Section, key: &str) -> Result<Vec<String>> {
    let links = t.plain(key)?;
    if links.is_empty() { Err(t.missing(key)) } else { Ok(links) }
}

/// The table that says this.
pub(crate) fn forward_written(forward: &[Forward]) -> Written {
    Written::default().tables("allow", forward, |f| {
        let t = Written::default().maybe("name", f.name.as_deref()).maybe("why", f.why.as_deref());
        let t = t.list("in", &f.input).list("out", &f.output);
        traffic_written(t, &f.what).with("from", peers_written(&f.from)).with("to", peers_written(&f.to))
    })
}

/// The table that says this.
pub(crate) fn nat_written(nat: &Nat) -> Written {
    let masquerade = |m: &Masquerade| {
        let t = Written::default().list("out", &m.output).with("from", peers_written(&m.from));
        t.maybe("address", m.address.map(|a| a.to_string()))
    };
    let ports = |p: &PortForward| {
        let t = Written::default().maybe("name", p.name.as_deref()).maybe("why", p.why.as_deref());
        let t = t.list("in", &p.input).with("port", u32::from(p.port)).with("last_port", u32::from(p.last_port));
        let t = t.with("protocol", p.protocol.name()).with("from", peers_written(&p.from));
        t.with("to", p.to.to_string()).maybe("to_port", p.to_port.map(u32::from))
    };
    Written::default().tables("masquerade", &nat.masquerade, masquerade).tables("ports", &nat.ports, ports)
}
