//! What a boot leaves besides answers: its course in time, the ports that were asked, what was said unasked, and the
//! last words of console and journal. Three witnesses, on one clock: the console, systemd inside, the wire.

use crate::{
    asker::Asker,
    packet_names::words,
    session::LabSession,
    sweep::{Family, Vantage},
};
use diorite_lab::PortVerdict;
use diorite_machine::Console;
use diorite_model::{
    Result,
    recipe::Protocol,
    report::{Boot, Declared, Evidence, Lane, Moment, Port, Said, Seen},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Lines of console and journal that are kept in the report; the whole is in files beside it.
const LINES: usize = 60;
/// Ports of one family and protocol that are kept in the report.
const MOST_PORTS: usize = 256;

/// What begins with a line of the console that holds this text: the phases, each until the next one begins.
const PHASES: [(Lane, &str, &str); 4] = [
    (Lane::Firmware, "boot loader", "BdsDxe: starting "),
    (Lane::Kernel, "kernel", "Linux version "),
    (Lane::Initrd, "initrd", "Run /init as init process"),
    (Lane::Userspace, "the verified root", "Starting initrd-switch-root"),
];

/// Units whose times tell how far a boot is.
const UNITS: [&str; 9] = [
    "sysinit.target",
    "diorite-firewall.service",
    "basic.target",
    "network.target",
    "network-online.target",
    "ssh.service",
    "boot-complete.target",
    "multi-user.target",
    "diorite-shell.service",
];

/// What systemd is asked: its account, the clock, and when things were reached.
const COMMAND: &str = "systemd-analyze time 2>&1; echo ---; echo \"now:$(cut -d' ' -f1 /proc/uptime)\"; \
     systemctl show -p UserspaceTimestampMonotonic -p FinishTimestampMonotonic; \
     systemctl show -p Id -p ActiveEnterTimestampMonotonic UNITS";

/// Asks for the journal's warnings, after everything else.
pub(crate) fn journal(boot: &mut Boot, asker: &mut Asker<'_>) -> Result<()> {
    let output = asker.run("journalctl -b -p warning -o short-monotonic --no-pager -n 60")?;
    boot.journal = output.text.lines().map(str::to_owned).collect();
    Ok(())
}

/// Asks systemd for times, as soon as it has settled: checks may start things anew. `power_on` is when the machine was
/// switched on.
pub(crate) fn times(boot: &mut Boot, asker: &mut Asker<'_>, power_on: Instant) -> Result<()> {
    let output = asker.run(&COMMAND.replace("UNITS", &UNITS.join(" ")))?;
    said_inside(boot, &output.text, power_on.elapsed());
    Ok(())
}

fn said_inside(boot: &mut Boot, text: &str, now: Duration) {
    let (analyze, times) = text.split_once("---\n").unwrap_or((text, ""));
    boot.analyze = analyze.trim().to_owned();
    let value = |key: &str| times.lines().find_map(|l| l.strip_prefix(key));
    let Some(clock) = value("now:").and_then(|v| v.parse::<f64>().ok()) else { return };
    // The guest's clock began with its kernel.
    let offset = now.as_secs_f64() - clock;
    let at = |micros: &str| micros.parse::<u64>().ok().filter(|n| *n > 0).map(|n| n as f64 / 1e6 + offset);
    let moment =
        |lane, what: &str, at, until| Moment { lane, what: what.to_owned(), evidence: Evidence::Inside, at, until };
    if let Some(began) = value("UserspaceTimestampMonotonic=").and_then(at) {
        let until = value("FinishTimestampMonotonic=").and_then(at);
        boot.moments.push(moment(Lane::Userspace, "the verified root", began, until));
    }
    for unit in times.split("\n\n") {
        let of = |key: &str| unit.lines().find_map(|l| l.strip_prefix(key));
        if let (Some(id), Some(at)) = (of("Id="), of("ActiveEnterTimestampMonotonic=").and_then(at)) {
            boot.moments.push(moment(Lane::Targets, id, at, None));
        }
    }
}

/// What the wire has seen.
pub(crate) fn outside(boot: &mut Boot, session: &LabSession) {
    // The network is there a moment before the machine is.
    let early = session.lab.uptime().saturating_sub(session.machine.uptime()).as_secs_f64();
    let since = |d: Duration| (d.as_secs_f64() - early).max(0.0);
    boot.said = session
        .lab
        .record()
        .into_iter()
        .map(|(u, t)| Said {
            kind: u.kind,
            to: u.to,
            port: u.port,
            count: t.count,
            first: since(t.first),
            last: since(t.last),
        })
        .collect();
    boot.said.sort_by(|a, b| a.first.total_cmp(&b.first));
    boot.names = session.lab.names_asked().into_keys().collect();
    boot.moments.extend(first_packets(&boot.said));
}

/// The first packet of each kind that has a name.
fn first_packets(said: &[Said]) -> Vec<Moment> {
    let mut seen = BTreeSet::new();
    let fresh = said.iter().filter_map(|s| Some((s, words(s)?))).filter(|(_, what)| seen.insert(*what));
    let all: Vec<_> = fresh.collect();
    let moment = |(s, what): (&Said, &str)| Moment {
        lane: Lane::Packets,
        what: what.to_owned(),
        evidence: Evidence::Outside,
        at: s.first,
        until: None,
    };
    all.into_iter().map(moment).collect()
}

/// What the console has seen, complete now that the machine has ended.
pub(crate) fn console(boot: &mut Boot, console: &Console) {
    said_on_console(boot, &console.lines());
}

fn said_on_console(boot: &mut Boot, lines: &[(Duration, String)]) {
    boot.console = lines[lines.len().saturating_sub(LINES)..].iter().map(|(_, line)| line.clone()).collect();
    let moment =
        |lane, what: &str, at, until| Moment { lane, what: what.to_owned(), evidence: Evidence::Console, at, until };
    let seen = |text: &str| lines.iter().find(|(_, line)| line.contains(text)).map(|(at, _)| at.as_secs_f64());
    let mut phases = vec![(Lane::Firmware, "firmware", 0.0)];
    phases.extend(PHASES.iter().filter_map(|(lane, what, text)| Some((*lane, *what, seen(text)?))));
    let last = lines.last().map_or(0.0, |(at, _)| at.as_secs_f64());
    for (i, (lane, what, at)) in phases.iter().enumerate() {
        // Of userspace systemd itself knows more, when it could be asked.
        if *lane == Lane::Userspace && boot.moments.iter().any(|m| m.lane == Lane::Userspace) {
            continue;
        }
        let until = phases.get(i + 1).map_or(last, |(.., next)| *next);
        boot.moments.push(moment(*lane, what, *at, Some(until.max(*at))));
    }
    if !boot.moments.iter().any(|m| m.lane == Lane::Targets) {
        let real = seen(PHASES[3].2).unwrap_or(0.0);
        let reached = |unit: &&&str| {
            let line = format!("Reached target {unit}");
            let mut after = lines.iter().filter(|(at, _)| at.as_secs_f64() >= real);
            after.find(|(_, l)| l.contains(&line)).map(|(at, _)| moment(Lane::Targets, unit, at.as_secs_f64(), None))
        };
        boot.moments.extend(UNITS.iter().filter_map(|unit| reached(&unit)));
    }
    boot.moments.sort_by(|a, b| a.at.total_cmp(&b.at));
}

/// What was declared of ports and what was seen of them: every declared one, and every other that was not silent.
pub(crate) fn ports(boot: &mut Boot, asker: &Asker<'_>) {
    let mut rows: BTreeMap<(Family, &str, u16), (Declared, Seen)> = BTreeMap::new();
    for (sweep, scan) in asker.sweeps().iter().filter(|(s, _)| s.vantage == Vantage::Here) {
        let protocol = if sweep.protocol == Protocol::Tcp { "tcp" } else { "udp" };
        let heard =
            scan.verdicts.iter().filter(|(port, v)| **v != PortVerdict::Silent || sweep.must(**port) != Some(false));
        rows.extend(heard.take(MOST_PORTS).map(|(port, verdict)| {
            let declared = if sweep.must(*port) == Some(false) { Declared::Silent } else { Declared::Admitted };
            ((sweep.family, protocol, *port), (declared, seen(*verdict)))
        }));
    }
    for (family, port, declared, verdict) in asker.ports().iter().copied() {
        rows.insert((family, "tcp", port), (declared, seen(verdict)));
    }
    let row = |((family, protocol, port), (declared, seen)): ((Family, &str, u16), _)| Port {
        family: family.name().to_owned(),
        protocol: protocol.to_owned(),
        port,
        declared,
        seen,
    };
    boot.ports = rows.into_iter().map(row).collect();
}

fn seen(verdict: PortVerdict) -> Seen {
    match verdict {
        PortVerdict::Open => Seen::Open,
        PortVerdict::Closed => Seen::Closed,
        PortVerdict::Rejected => Seen::Rejected,
        PortVerdict::Silent => Seen::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(boot: &Boot) -> Vec<(Lane, &str, f64, Option<f64>)> {
        boot.moments.iter().map(|m| (m.lane, m.what.as_str(), m.at, m.until)).collect()
    }

    fn lines(list: &[(u64, &str)]) -> Vec<(Duration, String)> {
        list.iter().map(|(at, line)| (Duration::from_secs(*at), (*line).to_owned())).collect()
    }

    #[test]
    fn a_whole_boot_is_told_by_three_witnesses_on_one_clock() {
        let mut boot = Boot::default();
        let text = "Startup finished in 3s (kernel) + 9s (userspace) = 12s\n---\nnow:40.50\n\
            UserspaceTimestampMonotonic=9500000\nFinishTimestampMonotonic=21500000\nId=basic.target\n\
            ActiveEnterTimestampMonotonic=12500000\n\nId=ssh.service\nActiveEnterTimestampMonotonic=0\n";
        said_inside(&mut boot, text, Duration::from_secs(44));
        assert_eq!(boot.analyze, "Startup finished in 3s (kernel) + 9s (userspace) = 12s");
        let console = lines(&[
            (2, "BdsDxe: starting Boot0001"),
            (4, "[    0.000000] Linux version 6.12"),
            (7, "[    2.8] Run /init as init process"),
            (8, "[  OK  ] Reached target basic.target - of the initrd"),
            (12, "         Starting initrd-switch-root.service - Switch Root..."),
            (25, "login:"),
        ]);
        said_on_console(&mut boot, &console);
        assert_eq!(
            names(&boot),
            [
                (Lane::Firmware, "firmware", 0.0, Some(2.0)),
                (Lane::Firmware, "boot loader", 2.0, Some(4.0)),
                (Lane::Kernel, "kernel", 4.0, Some(7.0)),
                (Lane::Initrd, "initrd", 7.0, Some(12.0)),
                (Lane::Userspace, "the verified root", 13.0, Some(25.0)),
                (Lane::Targets, "basic.target", 16.0, None),
            ],
            "what was never reached has no time"
        );
    }

    #[test]
    fn a_boot_that_ends_early_is_told_as_far_as_it_came() {
        let mut boot = Boot::default();
        let panic =
            [(2, "BdsDxe: starting Boot0001"), (4, "[ 0.0] Linux version 6"), (9, "Kernel panic - not syncing")];
        said_on_console(&mut boot, &lines(&panic));
        assert_eq!(names(&boot).last(), Some(&(Lane::Kernel, "kernel", 4.0, Some(9.0))));
        assert_eq!(boot.console.len(), 3);
        let mut nothing = Boot::default();
        said_on_console(&mut nothing, &[]);
        assert_eq!(names(&nothing), [(Lane::Firmware, "firmware", 0.0, Some(0.0))]);
        said_inside(&mut nothing, "sh: systemd-analyze: not found", Duration::ZERO);
        assert_eq!(nothing.moments.len(), 1, "no clock, no times");
        let mut reached = Boot::default();
        let console = [
            (3, "Reached target basic.target - initrd"),
            (5, "Starting initrd-switch-root.service"),
            (9, "Reached target basic.target - x"),
        ];
        said_on_console(&mut reached, &lines(&console));
        assert!(names(&reached).contains(&(Lane::Targets, "basic.target", 9.0, None)), "the real root's");
    }

    #[test]
    fn first_packets_have_names() {
        let said =
            |kind: &str, port, first| Said { kind: kind.into(), to: "x".into(), port, count: 1, first, last: first };
        let all = [said("udp", 67, 1.0), said("udp", 67, 2.0), said("icmp6-133", 0, 3.0), said("udp", 40_000, 4.0)];
        let moments = first_packets(&all);
        assert_eq!(moments.iter().map(|m| m.what.as_str()).collect::<Vec<_>>(), ["DHCP", "router solicitation"]);
    }
}
