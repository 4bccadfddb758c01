//! Answers about the packet filter and about what the image says of itself.

use super::{Judged, short, verdict};
use crate::plan::{Claims, Sweep};
use diorite_lab::{PortVerdict, Scan, WatchReport};
use diorite_machine::Output;
use diorite_model::recipe::{Protocol, Rate};

/// The answer to connection number `asked`, all of them begun within `seconds`: silence is what a limit is for, and
/// more answers than it lets in are too many; `None`: ask again.
pub fn limited(scan: &Scan, port: u16, asked: u32, seconds: u64, rate: Rate) -> Option<Judged> {
    let most = u64::from(rate.burst) + (seconds + 1) * u64::from(rate.connections) / rate.per.seconds() + 2;
    match scan.verdicts.get(&port) {
        Some(PortVerdict::Silent) if scan.witnessed => Some(Ok(format!("silent to connection {asked} in {seconds} s"))),
        Some(PortVerdict::Open | PortVerdict::Closed) if u64::from(asked) <= most => None,
        Some(PortVerdict::Open | PortVerdict::Closed) => Some(Err(format!("answered {asked} times in {seconds} s"))),
        _ => Some(Err("neither an answer nor proven silence".to_owned())),
    }
}

/// Many ports at once: what is not admitted is silent, what is admitted is not. Of UDP nobody knows what an admitted
/// port answers.
pub fn sweep(scan: &Scan, sweep: &Sweep) -> Judged {
    let wrong = |(port, seen): &(&u16, &PortVerdict)| match (sweep.must(**port), sweep.protocol) {
        (Some(false), _) => **seen != PortVerdict::Silent,
        (Some(true), Protocol::Tcp) => matches!(seen, PortVerdict::Silent | PortVerdict::Rejected),
        _ => false,
    };
    let words = |(port, seen): (&u16, &PortVerdict)| format!("{port} {}", word(*seen));
    let wrong: Vec<String> = scan.verdicts.iter().filter(wrong).map(words).collect();
    let asked = format!("{} ports in {:.1} s, {} rounds", scan.verdicts.len(), scan.took.as_secs_f64(), scan.rounds);
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(12);
        let more = if more > 0 { format!(" and {more} others") } else { String::new() };
        return Err(format!("{asked}: {}{more}", wrong[..wrong.len().min(12)].join(", ")));
    }
    if !scan.witnessed {
        return Err(format!("{asked}, but silence is not proven: the machine answered no echo request behind them"));
    }
    let mut heard = scan.verdicts.iter().filter(|(_, seen)| **seen != PortVerdict::Silent).map(words).peekable();
    let heard = if heard.peek().is_some() { heard.collect::<Vec<_>>().join(", ") } else { "none answers".to_owned() };
    Ok(format!("{asked}: {}", short(&heard)))
}

fn word(seen: PortVerdict) -> &'static str {
    match seen {
        PortVerdict::Open => "open",
        PortVerdict::Closed => "closed",
        PortVerdict::Rejected => "rejected",
        PortVerdict::Silent => "silent",
    }
}

/// Ports that never answer did not, and the machine could be reached meanwhile.
pub fn watched(watched: &WatchReport) -> Judged {
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
pub fn counters(output: &Output, names: &[String]) -> Judged {
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
pub fn rules_stay(output: &Output) -> Judged {
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
pub fn kept(output: &Output) -> Judged {
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

/// The line that says which image runs.
fn info(image: &Claims, root_hash: &str) -> String {
    let (name, version) = (&image.name, &image.version);
    format!("diorite_image_info{{name=\"{name}\",version=\"{version}\",root_hash=\"{root_hash}\",slot=\"a\"}} 1")
}

/// Whether the image says of itself that it is this one; `None`: it says nothing yet.
pub fn image_info(output: &Output, image: &Claims, root_hash: &str) -> Option<bool> {
    let said = output.text.lines().find(|l| l.starts_with("diorite_image_info"))?;
    Some(said == info(image, root_hash))
}

/// What the image says of itself in Prometheus' text format. The hash was read from the disk, not from the machine.
pub fn image_metrics(output: &Output, image: &Claims, root_hash: &str) -> Judged {
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
    use std::time::Duration;

    fn out(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    fn scan(seen: PortVerdict, witnessed: bool) -> Scan {
        Scan { verdicts: [(80, seen)].into(), witnessed, rounds: 3, took: Duration::ZERO }
    }

    #[test]
    fn a_limit_is_seen_by_its_silence() {
        let rate = Rate { connections: 6, per: diorite_model::recipe::Period::Minute, burst: 3 };
        let open = scan(PortVerdict::Open, true);
        assert_eq!(limited(&open, 80, 5, 1, rate), None);
        assert!(limited(&open, 80, 6, 1, rate).unwrap().is_err(), "more than a burst of three");
        assert_eq!(limited(&open, 80, 8, 30, rate), None, "half a minute lets three more in");
        assert!(limited(&scan(PortVerdict::Silent, true), 80, 4, 1, rate).unwrap().is_ok());
        assert!(limited(&scan(PortVerdict::Silent, false), 80, 4, 1, rate).unwrap().is_err());
    }

    #[test]
    fn one_port_among_all_is_found() {
        use crate::plan::{Family, Vantage};
        use PortVerdict::*;
        let asked = |protocol| Sweep {
            family: Family::V4,
            protocol,
            vantage: Vantage::Here,
            admitted: vec![(22, 22), (80, 81)],
            declared: vec![],
            unsaid: [9100].into(),
        };
        let seen = |list: &[(u16, PortVerdict)], witnessed| {
            let mut verdicts: std::collections::BTreeMap<u16, PortVerdict> =
                (1..=200).map(|port| (port, Silent)).collect();
            verdicts.extend([(22, Open), (80, Open), (81, Closed), (9100, Open)]);
            verdicts.extend(list.iter().copied());
            Scan { verdicts, witnessed, rounds: 2, took: Duration::from_secs(5) }
        };
        let tcp = asked(Protocol::Tcp);
        assert!(sweep(&seen(&[], true), &tcp).unwrap().ends_with("22 open, 80 open, 81 closed, 9100 open"));
        assert!(sweep(&seen(&[], false), &tcp).is_err(), "silence without a witness proves nothing");
        for (port, verdict) in [(23, Open), (23, Closed), (23, Rejected), (22, Silent), (81, Rejected)] {
            let said = sweep(&seen(&[(port, verdict)], true), &tcp).expect_err("wrong");
            assert!(said.ends_with(&format!(": {port} {}", word(verdict))), "{said}");
        }
        assert!(
            sweep(&seen(&[(22, Silent)], true), &asked(Protocol::Udp)).is_ok(),
            "a service may have nothing to say"
        );
        let many: Vec<_> = (100..150).map(|port| (port, Closed)).collect();
        assert!(sweep(&seen(&many, true), &tcp).expect_err("wrong").ends_with("111 closed and 38 others"));
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
        assert_eq!(counters(&listed, &names(&["input_tcp_22"])), Ok("1 counters".into()));
        assert_eq!(counters(&listed, &names(&["input_tcp_2"])), Err("there is no input_tcp_2".into()));
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
