//! Checks of the profile's own, `[[verify.check]]`: into the plan, to the machine, and back to a judge.
//!
//! Nothing that a profile says becomes part of a program: what runs in the machine is one of a few constant scripts, and
//! words of the profile are its arguments, written as octal digits, which no shell reads as anything else.

mod dns;
pub mod judge;
pub mod outside;
pub mod scripts;

use crate::{
    check::{Check, Phase},
    scope::Scope,
    sweep::Family,
};
use diorite_model::verify::{Ask, IpFamily, Level, OwnCheck};
use std::time::Duration;

/// The checks of a profile, for a machine that is asked in this network.
pub fn checks(own: &[OwnCheck], scope: &Scope<'_>) -> Vec<Check> {
    let mut all = Vec::new();
    for check in own {
        let (id, what) = (format!("own-{}", check.name), what(&check.ask));
        match check.level {
            Level::Inside => all.push(inside(id, what, check.clone())),
            Level::Outside => {
                for family in asked_in(&check.ask, &scope.families) {
                    let name = family.name();
                    all.push(outside(format!("{id}-{name}"), format!("{what} ({name})"), check.clone(), family));
                }
            }
        }
    }
    all
}

fn inside(id: String, what: String, check: OwnCheck) -> Check {
    Check::inside(id, what, move |machine| {
        let script = scripts::command(&check, machine.slowness());
        machine.retried_for(window(&check, machine.slowness()), |m| Ok(judge::inside(&check.ask, &m.run(&script)?)))
    })
}

fn outside(id: String, what: String, check: OwnCheck, family: Family) -> Check {
    let check = Check::outside(id, what, move |machine| {
        machine.retried_for(window(&check, machine.slowness()), |m| outside::ask(m, &check.ask, family))
    });
    check.phase(Phase::Ports).over(family)
}

/// How long it is asked again on this host until it is as it must be.
fn window(check: &OwnCheck, slowness: f64) -> Duration {
    Duration::from_secs(check.retry.into()).mul_f64(slowness)
}

/// The families a question is asked in: the one that is meant, else those of the machine.
fn asked_in(ask: &Ask, families: &[Family]) -> Vec<Family> {
    match ask.family() {
        Some(IpFamily::Ipv4) => vec![Family::V4],
        Some(IpFamily::Ipv6) => vec![Family::V6],
        None if families.is_empty() => vec![Family::V4],
        None => families.to_vec(),
    }
}

/// The check in words.
pub fn what(ask: &Ask) -> String {
    let not = |yes: bool| if yes { "" } else { "not " };
    match ask {
        Ask::Port(p) => format!("{} port {} is {}", p.protocol.name().to_uppercase(), p.port, p.state.name()),
        Ask::Http(h) if h.tls => format!("HTTPS port {} answers {} for {}", h.port, h.status, h.path),
        Ask::Http(h) => format!("HTTP port {} answers {} for {}", h.port, h.status, h.path),
        Ask::Dns(d) => format!("{} {}", d.name, if d.resolvable { "resolves" } else { "does not resolve" }),
        Ask::Unit(u) => format!("unit {} is {}active", u.name, not(u.running)),
        Ask::File(f) if f.exists => format!("{} exists and is as declared", f.path),
        Ask::File(f) => format!("{} does not exist", f.path),
        Ask::Command(c) => format!("`{}` exits with status {}", c.exec.join(" "), c.status),
        Ask::Metric(m) => format!("metric {} is present{}", m.name, range(m.at_least, m.at_most)),
        Ask::Container(c) => format!("container {} is {}running", c.name, not(c.running)),
        Ask::Process(p) => format!("{} process {} is running", if p.running { "a" } else { "no" }, p.name),
        Ask::Sysctl(s) => format!("{} is {}", s.name, s.value),
        Ask::User(u) => format!("account {} {}", u.name, if u.exists { "exists" } else { "does not exist" }),
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
    use crate::{plan, scope::tests::server};
    use diorite_model::recipe::Protocol;
    use diorite_model::verify::{Http, Port, PortState, Sysctl};

    fn own(name: &str, level: Level, ask: Ask) -> OwnCheck {
        OwnCheck { name: name.to_owned(), retry: 5, level, ask }
    }

    #[test]
    fn they_come_after_the_derived_ones_and_before_what_ends_the_machine() {
        let (contains, lacks) = (vec![], vec![]);
        let http = Http { port: 8080, tls: false, path: "/".into(), status: 200, contains, lacks, family: None };
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
        let ids: Vec<String> = plan::of(&server(), &list).into_iter().map(|c| c.id).collect();
        let of: Vec<&str> = ids.iter().map(String::as_str).filter(|i| i.starts_with("own-")).collect();
        let expected = [
            "own-site-ipv4",
            "own-site-ipv6",
            "own-ssh-ipv4",
            "own-ssh-ipv6",
            "own-six-ipv6",
            "own-ssh-inside",
            "own-value",
        ];
        assert_eq!(of, expected);
        let place = |id: &str| ids.iter().position(|i| i == id).expect("asked");
        assert!(place("boot-blessed") < place("own-site-ipv4") && place("own-value") < place("tamper-refused"));
    }
}
