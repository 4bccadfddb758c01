//! The packet filter: its rules are there, they count, and they stay. Its ports are in `ports`.

mod ports;
mod protocols;

pub use ports::{admitted, limits, sweeps};
pub use protocols::{checks as protocols, counted};

use crate::{
    answer::{Judged, Unanswered, short, verdict},
    check::{Check, Phase},
    quote,
    scope::Scope,
    sweep::{Family, word},
};
use diorite_lab::WatchReport;
use diorite_machine::Output;
use diorite_model::{
    Recipe,
    recipe::{Policy, Protocol, Traffic},
};
use std::net::IpAddr;

/// Ports that a connection out of the machine is tried to: discard and those behind it. Not 53, which always may.
const NOWHERE: std::ops::RangeInclusive<u16> = 9..=52;

/// No port answers before its time.
pub fn from_power_on() -> Check {
    let what = "no undeclared port answers between power-on and the end of the boot";
    let check = Check::outside("firewall-from-power-on", what, |machine| match machine.watched_from_power_on()? {
        Some(seen) => Ok(watched(&seen)),
        None => Err(Unanswered::Skipped("nobody has watched".to_owned())),
    });
    check.phase(Phase::Summary).of_the_boot()
}

/// What the machine itself is asked of its packet filter.
pub fn rules(scope: &Scope<'_>) -> Vec<Check> {
    let (recipe, neighbour) = (scope.recipe, scope.source(Family::V4));
    let (names, what) = (counters(recipe), "every firewall rule has a counter");
    let list = "nft list counters table inet diorite";
    let mut all = vec![Check::script("firewall-counters", what, list, move |said| all_counted(said, &names))];
    let egress = &recipe.firewall.egress;
    let listed = |port: u16| {
        let mut all = egress.allow.iter().filter(|a| a.what.is_port(Protocol::Tcp, port));
        all.any(|a| recipe.firewall.names(&a.to, neighbour))
    };
    if let (Policy::Drop, Some(port)) = (egress.policy, NOWHERE.into_iter().find(|p| !listed(*p))) {
        let what = format!("an undeclared outgoing connection, to TCP port {port}, is dropped and counted");
        all.push(Check::script(format!("egress-tcp-{port}-dropped"), what, connection(neighbour, port), kept));
    }
    let what = "the firewall rules stay in place when their unit is reloaded or stopped";
    all.push(Check::script("firewall-stays", what, RULES_STAY, rules_stay));
    let names: Vec<String> = recipe.containers.keys().cloned().collect();
    let what = match names[..] {
        [] => "no undeclared port answers while the firewall is reloaded",
        _ => "no undeclared port answers while the firewall is reloaded and the containers are restarted",
    };
    let churn = churn(&names);
    let check = Check::outside("firewall-under-churn", what, move |machine| {
        let (output, seen) = machine.run_watched(&churn)?;
        Ok(match output.success() {
            true => watched(&seen),
            false => Err(format!("it did not succeed: {}", output.text)),
        })
    });
    all.push(check.injected_only());
    all
}

/// The counters of what may come in and go out.
pub fn counters(recipe: &Recipe) -> Vec<String> {
    let listeners = recipe.listeners();
    let published = |protocol, port| {
        listeners.iter().any(|l| l.is_published() && !l.local && l.protocol == protocol && l.port == port)
    };
    let mut all = Vec::new();
    for allow in &recipe.firewall.allow {
        let (behind, own, id) = match allow.what {
            Traffic::Ports { protocol, first, last } => {
                let mut ports = first..=last;
                let behind = ports.clone().any(|p| published(protocol, p));
                (behind, ports.any(|p| !published(protocol, p)), allow.id())
            }
            _ => (false, true, allow.id()),
        };
        all.extend(behind.then(|| format!("forward_{id}")));
        all.extend(own.then(|| format!("input_{id}")));
        all.extend(allow.rate.map(|_| format!("limited_{id}")));
    }
    all.extend(["input_dropped", "forward_dropped"].map(Into::into));
    all.extend(recipe.firewall.forward.iter().map(|f| format!("pass_{}", f.id())));
    let nat = &recipe.firewall.nat;
    all.extend(nat.ports.iter().flat_map(|p| [format!("pass_{}", p.id()), format!("nat_{}", p.id())]));
    all.extend(nat.masquerade.iter().map(|m| format!("nat_{}", m.id())));
    let apart = recipe.tunnels().filter(|(_, link)| !link.only_through.is_empty());
    all.extend(apart.map(|(name, _)| format!("only_through_{}", name.replace('-', "_"))));
    if recipe.firewall.egress.policy == Policy::Drop {
        all.extend(recipe.firewall.egress.allow.iter().map(|a| format!("egress_{}", a.id())));
        let asked = recipe.mounts.iter().filter(|(_, m)| m.server().is_some());
        all.extend(asked.map(|(name, _)| format!("egress_mount_{}", name.replace('-', "_"))));
        all.push("output_dropped".into());
    }
    all
}

/// The rules before and after their unit is reloaded and stopped. `nft -s` leaves out what counts, `-t` what is learned;
/// the units that cannot be without the rules are left alone.
const RULES_STAY: &str = "unit=diorite-firewall.service; rules() { nft -s -t list table inet diorite; }; \
    a=$(rules); systemctl reload $unit && b=$(rules); \
    systemctl stop --job-mode=ignore-dependencies $unit && c=$(rules); systemctl is-active $unit; \
    systemctl start --job-mode=ignore-dependencies $unit; \
    [ \"$a\" = \"$b\" ] && [ \"$b\" = \"$c\" ] && echo same; echo \"$c\" | grep 'type filter'";

/// Loads the packet filter again and starts every container anew. All in one job: one after the other, those that need
/// others would be started anew with each of them.
pub fn churn(containers: &[String]) -> String {
    let units: Vec<String> = containers.iter().map(|name| format!("{name}.service")).collect();
    let restart = match units[..] {
        [] => String::new(),
        _ => format!(" && systemctl restart -- {}", quote::words(&units)),
    };
    format!("systemctl reload diorite-firewall.service{restart} && systemctl reload diorite-firewall.service")
}

/// What [`kept`] reads: the counter before and after a connection that must not come about.
fn connection(address: IpAddr, port: u16) -> String {
    let count = "nft list counter inet diorite output_dropped | sed -n 's/.*packets \\([0-9]*\\).*/dropped:\\1/p'";
    format!("{count}; timeout 3 bash -c ': >/dev/tcp/{address}/{port}' 2>/dev/null; echo status:$?; {count}")
}

/// Ports that never answer did not, and the machine could be reached meanwhile.
fn watched(watched: &WatchReport) -> Judged {
    let asked = format!("{} questions to {} addresses", watched.asked, watched.addresses.len());
    match (&watched.answers[..], watched.first_echo) {
        ([], Some(at)) => Ok(format!(
            "{asked}, and {} echo requests answered, the first after {:.1} s",
            watched.echoes,
            at.as_secs_f64()
        )),
        ([], None) => Err(format!("{asked}, but no echo request was answered: silence proves nothing")),
        ([first, ..], _) => Err(format!(
            "{} of {asked} answered, the first after {:.1} s: {:?} port {} of {} {}",
            watched.answers.len(),
            first.at.as_secs_f64(),
            first.protocol,
            first.port,
            first.address,
            word(first.verdict)
        )),
    }
}

/// `nft list counters`, nft(8): a line `counter NAME {` for each.
fn all_counted(output: &Output, names: &[String]) -> Judged {
    let has = |name: &&String| output.text.lines().any(|l| l.trim() == format!("counter {name} {{"));
    let missing: Vec<&str> = names.iter().filter(|n| !has(n)).map(String::as_str).collect();
    match (output.success(), &missing[..]) {
        (true, []) => Ok(format!("{} counters", names.len())),
        (true, missing) => Err(format!("there is no {}", missing.join(", "))),
        _ => Err(short(&output.text)),
    }
}

/// The unit's state once stopped, `same` when the rules were the same before and after a reload and a stop, and the
/// policies of the chains then.
fn rules_stay(output: &Output) -> Judged {
    let lines: Vec<&str> = output.text.lines().collect();
    let policies: Vec<&&str> = lines.iter().filter(|l| l.contains("policy")).collect();
    let closed = policies.len() >= 2 && policies.iter().all(|l| l.contains("policy drop"));
    let good = lines.contains(&"inactive") && lines.contains(&"same") && closed;
    verdict(
        good,
        if good { format!("the same rules, {} chains that drop", policies.len()) } else { short(&output.text) },
    )
}

/// `dropped:COUNT` before, `status:CODE` of a connection, `dropped:COUNT` after.
fn kept(output: &Output) -> Judged {
    let all =
        |key: &str| output.text.lines().filter_map(|l| l.strip_prefix(key)?.parse::<u64>().ok()).collect::<Vec<_>>();
    match (&all("dropped:")[..], &all("status:")[..]) {
        ([before, after], [status]) => verdict(
            *status != 0 && after > before,
            format!("status {status}, {} packets dropped", after - before.min(after)),
        ),
        _ => Err(short(&output.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scope::tests::server};
    use diorite_lab::PortVerdict;
    use diorite_model::recipe::{AllowOut, Peer};
    use std::time::Duration;

    fn out(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    #[test]
    fn what_may_not_go_out_is_tried() {
        let mut recipe = server();
        let tried =
            |recipe: &Recipe| plan::of(recipe, &[]).into_iter().map(|c| c.id).find(|id| id.starts_with("egress-"));
        assert_eq!(tried(&recipe), None, "everything may");
        recipe.firewall.egress.policy = Policy::Drop;
        let near = |name: &str, first, last| AllowOut {
            name: Some(name.into()),
            why: None,
            what: Traffic::Ports { protocol: Protocol::Tcp, first, last },
            to: vec![Peer::Network("10.77.0.0/24".parse().unwrap())],
        };
        recipe.firewall.egress.allow = vec![near("a", 1, 19)];
        assert_eq!(tried(&recipe).as_deref(), Some("egress-tcp-20-dropped"));
        assert!(counters(&recipe).contains(&"egress_a".to_owned()));
        recipe.firewall.egress.allow.push(near("b", 20, 65_535));
        assert_eq!(tried(&recipe), None, "everything there may");
    }

    #[test]
    fn an_answer_during_the_boot_is_told_with_its_time() {
        let at = Duration::from_millis(12_300);
        let mut seen = WatchReport { asked: 40, echoes: 3, first_echo: Some(at), ..WatchReport::default() };
        assert!(watched(&seen).unwrap().contains("3 echo requests"), "{:?}", watched(&seen));
        seen.answers.push(diorite_lab::UnexpectedAnswer {
            at,
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            protocol: diorite_lab::Protocol::Tcp,
            port: 111,
            verdict: PortVerdict::Closed,
        });
        assert!(watched(&seen).expect_err("wrong").ends_with("after 12.3 s: Tcp port 111 of 127.0.0.1 closed"));
        assert!(watched(&WatchReport::default()).is_err(), "nobody was there");
    }

    #[test]
    fn a_missing_counter_is_named() {
        let listed = out("table inet diorite {\n\tcounter input_tcp_22 {\n\t\tpackets 1 bytes 60\n\t}\n}\n");
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(all_counted(&listed, &names(&["input_tcp_22"])), Ok("1 counters".into()));
        assert_eq!(all_counted(&listed, &names(&["input_tcp_2"])), Err("there is no input_tcp_2".into()));
    }

    #[test]
    fn rules_that_go_or_change_are_seen() {
        let drop = "type filter hook input priority filter; policy drop;\n";
        assert!(rules_stay(&out(&format!("inactive\nsame\n{drop}{drop}"))).is_ok());
        for bad in [format!("inactive\n{drop}{drop}"), "inactive\nsame\n".into(), format!("active\nsame\n{drop}{drop}")]
        {
            assert!(rules_stay(&out(&bad)).is_err(), "{bad}");
        }
        let open = drop.replace("drop", "accept");
        assert!(rules_stay(&out(&format!("inactive\nsame\n{drop}{open}"))).is_err());
    }

    #[test]
    fn what_went_out_is_seen() {
        assert!(kept(&out("dropped:3\nstatus:124\ndropped:5\n")).is_ok());
        for bad in ["dropped:3\nstatus:0\ndropped:5\n", "dropped:3\nstatus:1\ndropped:3\n", "status:1\n"] {
            assert!(kept(&out(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_words() {
        quote::tests::harmless(|hostile| churn(&[hostile.to_owned()]));
    }
}
