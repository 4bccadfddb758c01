//! Checks of the profile's own, `[[verify.check]]`: into the plan, to the machine, and back to a judge.
//!
//! Nothing that a profile says becomes part of a program: what runs in the machine is one of a few constant scripts, and
//! words of the profile are its arguments, written as octal digits, which no shell reads as anything else.

mod dns;
pub mod judge;
pub mod scripts;

pub use dns::{addresses, query};

use crate::plan::{Add, Family, Question};
use diorite_model::{
    Recipe,
    recipe::Protocol,
    report::Evidence,
    verify::{Ask, IpFamily, Level, OwnCheck},
};

/// A check of the profile's own, in one family where it is asked from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// As it was declared.
    pub check: OwnCheck,
    /// The family of the wire.
    pub family: Option<Family>,
}

/// Adds the checks of `own` for a machine that has these families.
pub fn plan(own: &[OwnCheck], recipe: &Recipe, families: &[Family], add: Add<'_>) {
    for check in own {
        let (id, what) = (format!("own-{}", check.name), what(&check.ask));
        let mut one = |id: String, what: String, evidence, family| {
            add(id, what, evidence, Question::Own(Box::new(Own { check: check.clone(), family })));
        };
        match check.level {
            Level::Inside => one(id, what, Evidence::Inside, None),
            Level::Outside => {
                for family in asked_in(&check.ask, recipe, families) {
                    let name = family.name();
                    one(format!("{id}-{name}"), format!("{what} ({name})"), Evidence::Outside, Some(family));
                }
            }
        }
    }
}

/// The families a question is asked in: the one that is said, else those of the machine. A container's port is published
/// over IPv4.
fn asked_in(ask: &Ask, recipe: &Recipe, families: &[Family]) -> Vec<Family> {
    let (said, port) = match ask {
        Ask::Port(p) => (p.family, Some((p.port, p.protocol))),
        Ask::Http(h) => (h.family, Some((h.port, Protocol::Tcp))),
        Ask::Metric(m) => (None, Some((m.port, Protocol::Tcp))),
        _ => (None, None),
    };
    let published = |(port, protocol): (u16, Protocol)| {
        recipe.containers.values().flat_map(|c| &c.publish).any(|p| (p.host, p.protocol) == (port, protocol))
    };
    match said {
        Some(IpFamily::Ipv4) => vec![Family::V4],
        Some(IpFamily::Ipv6) => vec![Family::V6],
        None if port.is_some_and(published) || families.is_empty() => vec![Family::V4],
        None => families.to_vec(),
    }
}

/// The check in words.
pub fn what(ask: &Ask) -> String {
    let not = |yes: bool| if yes { "" } else { "not " };
    match ask {
        Ask::Port(p) => format!("{} port {} is {}", p.protocol.name().to_uppercase(), p.port, p.state.name()),
        Ask::Http(h) => format!("http port {} gives {} for {}", h.port, h.status, h.path),
        Ask::Dns(d) => format!("{} is {}found", d.name, not(d.resolvable)),
        Ask::Unit(u) => format!("unit {} is {}active", u.name, not(u.running)),
        Ask::File(f) => format!("{} is {}there, and as it must be", f.path, not(f.exists)),
        Ask::Command(c) => format!("`{}` ends with status {}", c.exec.join(" "), c.status),
        Ask::Metric(m) => format!("metric {} is there{}", m.name, range(m.at_least, m.at_most)),
        Ask::Container(c) => format!("container {} is {}running", c.name, not(c.running)),
        Ask::Process(p) => format!("a process {} is {}there", p.name, not(p.running)),
        Ask::Sysctl(s) => format!("{} is {}", s.name, s.value),
        Ask::User(u) => format!("account {} is {}there", u.name, not(u.exists)),
        Ask::Package(p) => format!("package {} is {}installed", p.name, not(p.installed)),
    }
}

fn range(least: Option<i64>, most: Option<i64>) -> String {
    let least = least.map(|n| format!(", at least {n}")).unwrap_or_default();
    least + &most.map(|n| format!(", at most {n}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{self, tests::recipe};
    use diorite_model::verify::{Http, Port, PortState, Sysctl};

    fn own(name: &str, level: Level, ask: Ask) -> OwnCheck {
        OwnCheck { name: name.to_owned(), retry: 5, level, ask }
    }

    #[test]
    fn they_come_after_the_derived_ones_and_before_what_ends_the_machine() {
        let http = Http { port: 8080, path: "/".into(), status: 200, contains: vec![], lacks: vec![], family: None };
        let port = Port { port: 22, protocol: Protocol::Tcp, state: PortState::Open, family: None };
        let six = Port { family: Some(IpFamily::Ipv6), ..port.clone() };
        let value = Sysctl { name: "a.b".into(), value: "1".into() };
        let list = [
            own("site", Level::Outside, Ask::Http(http)),
            own("ssh", Level::Outside, Ask::Port(port.clone())),
            own("six", Level::Outside, Ask::Port(six)),
            own("ssh-inside", Level::Inside, Ask::Port(port)),
            own("value", Level::Inside, Ask::Sysctl(value)),
        ];
        let ids: Vec<String> = plan::of(&recipe(), &list).into_iter().map(|c| c.id).collect();
        let of: Vec<&str> = ids.iter().map(String::as_str).filter(|i| i.starts_with("own-")).collect();
        let expected = ["own-site-ipv4", "own-ssh-ipv4", "own-ssh-ipv6", "own-six-ipv6", "own-ssh-inside", "own-value"];
        assert_eq!(of, expected, "a container's port is asked over IPv4");
        let place = |id: &str| ids.iter().position(|i| i == id).expect("asked");
        assert!(place("boot-blessed") < place("own-site-ipv4") && place("own-value") < place("tamper-refused"));
    }
}
