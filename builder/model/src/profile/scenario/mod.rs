//! Scenario text → [`Scenario`]: read by the same reader as a profile, table by table against declared fields, and
//! checked against itself. Every error shows the user's own line.

mod fields;
mod steps;

use super::{
    section::{At, Section, nearest},
    source::{Files, Words},
    values,
};
use crate::{
    Error, Result,
    scenario::{Machine, MachineSource, Peer, Plug, Scenario, Segment, Serves},
};
use std::net::{IpAddr, Ipv4Addr};

pub use fields::SCENARIO as LANGUAGE;

/// The word for a card that carries every VLAN.
const TRUNK: &str = "trunk";
/// Networks of the lab's own choice are numbered with one byte, which begins at 1.
const MOST_SEGMENTS: usize = 200;

/// Reads a scenario. `file`: its name for people; its stem is the scenario's name.
///
/// # Errors
/// [`Exit::Input`](crate::Exit::Input) with the user's line for everything that is wrong in the text.
pub fn parse(text: &str, file: &str) -> Result<Scenario> {
    let mut files = Files::called(Words {
        noun: "scenario",
        no_secret: "many read it, and the report of its run",
        instead: "leave it out; change it as well, since it has been written down",
    });
    let value = files.read(file, text)?;
    let top = Section::new(&files, String::new(), &value, fields::SCENARIO)?;
    let about = top.needed("about")?.value;
    let seed = top.needed_number::<i64>("seed")?.value.unsigned_abs();
    let segments = segments(&top)?;
    let names =
        Names { files: &files, segments: segments.iter().map(|s| s.name.clone()).collect(), ..Names::default() };
    let machines = machines(&top, &names)?;
    let names = Names { machines: machines.iter().map(|m| m.name.clone()).collect(), ..names };
    let peers = peers(&top, &names)?;
    let names = Names { peers: peers.iter().map(|p| p.name.clone()).collect(), ..names };
    let steps = steps::steps(&top, &names, &machines)?;
    Ok(Scenario { name: super::stem(file), about, seed, segments, machines, peers, steps })
}

/// The reference of the format, in Markdown.
pub fn reference() -> String {
    super::schema::pages(
        "# Scenario reference\n\n\
         Generated from the declarations the scenario reader itself follows: `make reference` writes it anew. A key that\n\
         is not listed is refused. `NAME` is a name of your choice; `[]` marks a list of tables. How a scenario is meant\n\
         is told in the [guide](../guide/scenarios.md).\n",
        "The scenario itself",
        fields::SCENARIO,
    )
}

/// What can be named, and where the text is.
#[derive(Clone)]
struct Names<'a> {
    files: &'a Files,
    segments: Vec<String>,
    machines: Vec<String>,
    peers: Vec<String>,
}

impl Default for Names<'_> {
    fn default() -> Self {
        static NONE: std::sync::LazyLock<Files> = std::sync::LazyLock::new(Files::default);
        Self { files: &NONE, segments: Vec::new(), machines: Vec::new(), peers: Vec::new() }
    }
}

impl Names<'_> {
    fn of(&self, all: &[String], what: &str, at: &At<String>) -> Result<usize> {
        all.iter().position(|n| *n == at.value).ok_or_else(|| self.unknown(all, what, at))
    }

    fn segment(&self, at: &At<String>) -> Result<usize> {
        self.of(&self.segments, "segment", at)
    }

    fn machine(&self, at: &At<String>) -> Result<usize> {
        self.of(&self.machines, "machine", at)
    }

    fn peer(&self, at: &At<String>) -> Result<usize> {
        self.of(&self.peers, "peer", at)
    }

    /// Nothing of this kind has this name.
    fn unknown(&self, all: &[String], what: &str, at: &At<String>) -> Error {
        let known: Vec<&str> = all.iter().map(String::as_str).collect();
        let near = nearest(&at.value, &known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
        let there = match known[..] {
            [] => format!("write `[{what}s.{}]` to have it", at.value),
            _ => format!("there is {}", known.join(", ")),
        };
        self.files.error(at.span, format!("there is no {what} `{}`", at.value)).hint(near + &there)
    }
}

fn segments(top: &Section) -> Result<Vec<Segment>> {
    let (mut all, mut routed): (Vec<Segment>, Vec<Vec<At<String>>>) = (Vec::new(), Vec::new());
    let tables = top.named("segments")?;
    if tables.is_empty() || tables.len() > MOST_SEGMENTS {
        let error = top.files.error(top.span, format!("a scenario has 1 to {MOST_SEGMENTS} segments"));
        return Err(error.hint("write `[segments.lan]`"));
    }
    for (name, t) in tables {
        if name == TRUNK {
            return Err(t.files.error(t.span, format!("a segment cannot be called `{TRUNK}`")));
        }
        let (vlan, four, six) = (t.number("vlan")?, t.text("ipv4")?, t.text("ipv6")?);
        if let Some(vlan) = &vlan
            && let Some(other) = all.iter().find(|s| s.vlan == Some(vlan.value))
        {
            let error = t.files.error(vlan.span, format!("VLAN {} is segment `{}` as well", vlan.value, other.name));
            return Err(error.hint("give one of them another number"));
        }
        let ipv4 = four.map(|at| host(&t, &at)).transpose()?;
        let ipv6 = six.map(|at| match values::address_and_prefix(&at.value) {
            Ok((IpAddr::V6(address), 64)) if !address.is_unicast_link_local() => Ok(address),
            _ => {
                let error = t.files.error(at.span, format!("`{}` is not an IPv6 address in a /64", at.value));
                Err(error.hint("the lab's host on the segment: `2001:db8:0:10::1/64`"))
            }
        });
        let gateway = t.text("gateway")?.map(|at| at.value.parse::<Ipv4Addr>().expect("its form was checked"));
        let lease = values::seconds(&t.needed("lease")?.value).expect("its form was checked");
        routed.push(t.texts("routed")?);
        let vlan = vlan.map(|v| v.value);
        all.push(Segment { name, vlan, ipv4, ipv6: ipv6.transpose()?, lease, routed: Vec::new(), gateway });
    }
    let names = Names { files: top.files, segments: all.iter().map(|s| s.name.clone()).collect(), ..Names::default() };
    for (n, list) in routed.iter().enumerate() {
        for at in list {
            let other = names.segment(at)?;
            if other == n {
                return Err(top.files.error(at.span, "a segment needs no route to itself").hint("remove it"));
            }
            all[n].routed.push(other);
        }
    }
    Ok(all)
}

/// An IPv4 address in a network that has room for the lab, a machine and a lease.
fn host(t: &Section, at: &At<String>) -> Result<(Ipv4Addr, u8)> {
    match values::address_and_prefix(&at.value) {
        Ok((IpAddr::V4(address), prefix @ 8..=29)) => Ok((address, prefix)),
        _ => {
            let error =
                t.files.error(at.span, format!("`{}` is not an IPv4 address in a network of 8 to 29 bits", at.value));
            Err(error.hint("the lab's host on the segment: `192.0.2.1/24`"))
        }
    }
}

fn machines(top: &Section, names: &Names) -> Result<Vec<Machine>> {
    let mut all = Vec::new();
    for (name, t) in top.named("machines")? {
        if names.segments.contains(&name) {
            let error = t.files.error(t.span, format!("`{name}` is a segment as well"));
            return Err(error.hint("a step's `from` names either: give one of them another name"));
        }
        let (profile, disk, recipe) = (t.text("profile")?, t.text("disk")?, t.text("recipe")?);
        let source = match (profile, disk, recipe) {
            (Some(profile), None, None) => MachineSource::Profile(profile.value),
            (None, Some(disk), Some(recipe)) => MachineSource::Disk { disk: disk.value, recipe: recipe.value },
            (Some(_), Some(at), _) | (Some(_), _, Some(at)) => {
                let error = t.files.error(at.span, format!("machine `{name}` has two disks"));
                return Err(error.hint("either `profile`, or `disk` and `recipe`"));
            }
            (None, disk, _) => {
                let missing = if disk.is_some() { "recipe" } else { "disk" };
                let missing = if t.key("disk").is_none() && t.key("recipe").is_none() { "profile" } else { missing };
                return Err(t.missing(missing));
            }
        };
        let cards = t.texts("segments")?;
        if cards.is_empty() {
            return Err(t.missing("segments"));
        }
        let plug = |at: &At<String>| match at.value.as_str() {
            TRUNK => Ok(Plug::Trunk),
            _ => names.segment(at).map(Plug::Segment),
        };
        all.push(Machine {
            name,
            source,
            cards: cards.iter().map(plug).collect::<Result<_>>()?,
            memory: t.needed_number("memory")?.value,
            cpus: t.needed_number("cpus")?.value,
            tpm: t.flag("tpm")?,
            count: t.needed_number("count")?.value,
        });
    }
    if all.is_empty() {
        let error = top.files.error(top.span, "a scenario has machines");
        return Err(error.hint("write `[machines.server]` with `profile` and `segments`"));
    }
    Ok(all)
}

fn peers(top: &Section, names: &Names) -> Result<Vec<Peer>> {
    let mut all: Vec<Peer> = Vec::new();
    for (name, t) in top.named("peers")? {
        let segment = names.segment(&t.needed("segment")?)?;
        let flag = |key| Ok(t.boolean(key)?.unwrap_or(false));
        let (http, syslog, smtp) = (t.text("http")?, flag("syslog")?, flag("smtp")?);
        let fortinet = t.table("fortinet")?;
        let tls = match (t.text("certificate")?, t.text("key")?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (certificate, _) => return Err(t.missing(if certificate.is_some() { "key" } else { "certificate" })),
        };
        let serves = match (http, syslog, smtp, fortinet, tls) {
            (Some(text), false, false, None, None) => Serves::Http(text.value),
            (Some(text), false, false, None, Some((certificate, key))) => {
                Serves::Https { text: text.value, certificate: certificate.value, key: key.value }
            }
            (None, true, false, None, None) => Serves::Syslog,
            (None, false, true, None, None) => Serves::Smtp,
            (None, false, false, Some(_), None) => return Err(t.missing("certificate")),
            (None, false, false, Some(own), Some((certificate, key))) => Serves::Fortinet {
                inside: inside(&own, names, segment, &all)?,
                user: own.needed("user")?.value,
                credential: own.needed("credential")?.value,
                certificate: certificate.value,
                key: key.value,
            },
            (None, _, _, None, Some((certificate, _))) if syslog != smtp => {
                let what = if syslog { "syslog" } else { "mail" };
                let error = t.files.error(certificate.span, format!("peer `{name}` takes {what} without TLS"));
                return Err(error.hint("leave out `certificate` and `key`"));
            }
            _ => {
                let error = t.files.error(t.span, format!("peer `{name}` needs one thing to do"));
                return Err(
                    error.hint("one of `http = \"what it says\"`, `syslog = true`, `smtp = true`, `fortinet = { … }`")
                );
            }
        };
        let port: At<u16> = t.needed_number("port")?;
        if let Some(other) = all.iter().find(|p| (p.segment, p.port) == (segment, port.value)) {
            let error = t.files.error(port.span, format!("peer `{}` has port {} there", other.name, port.value));
            return Err(error.hint("give one of them another port"));
        }
        all.push(Peer { name, segment, port: port.value, serves });
    }
    Ok(all)
}

/// The segment behind a gateway, whose other side is at `outside`: addresses are given there, so that it is behind one alone.
fn inside(t: &Section, names: &Names, outside: usize, all: &[Peer]) -> Result<usize> {
    let at = t.needed("inside")?;
    let segment = names.segment(&at)?;
    if segment == outside {
        let error = t.files.error(at.span, format!("`{}` is on both sides of this gateway", at.value));
        return Err(error.hint("name another segment: `[segments.office]`"));
    }
    if let Some(other) = all.iter().find(|p| p.leads_to(segment)) {
        let error = t.files.error(at.span, format!("`{}` is behind peer `{}` already", at.value, other.name));
        return Err(error.because("both would give the same addresses").hint("give each a segment of its own"));
    }
    Ok(segment)
}

#[cfg(test)]
mod tests;
