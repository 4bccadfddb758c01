//! One step: done in the lab or in a machine, or asked through the judges of `[[verify.check]]`.

use super::{ports::ExpectedPorts, stage::ScenarioStage};
use crate::{
    answer::{Judged, short, verdict},
    declared::{
        self, judge,
        outside::{self, EMPTY_QUERY},
        scripts,
    },
    derived::network::ping,
    quote,
};
use diorite_lab::{Behaviour, Direction, Faults, Name, ScanProbe, SegmentServices};
use diorite_model::{
    Result,
    recipe::Protocol,
    scenario::{Act, FloodKind, From, Link, Mode, Patience, Says, Sent, Step},
    verify::{Ask, IpFamily, Level, OwnCheck},
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Time between two questions whose answer was not yet as it must be.
const AGAIN: Duration = Duration::from_millis(500);

impl ScenarioStage<'_> {
    /// Does a step.
    pub fn step(&mut self, step: &Step) -> Result<Judged> {
        match &step.act {
            Act::Boot { machines, until, restarts } => self.boot(machines, *until, *restarts),
            Act::Restart { machine, how, times, until } => self.restart(*machine, *how, *times, *until),
            Act::PowerOff { machines } => self.power_off(machines),
            Act::Replace { machine, image, empty_state } => self.replace(*machine, *image, *empty_state),
            Act::Identity { machines, differ, same, earlier } => self.identity(machines, differ, same, *earlier),
            Act::Clones { machine, differ, same } => self.clones(*machine, differ, same),
            Act::Ask { machine, from, ask } => {
                self.until(*machine, step.patience, |stage| stage.ask(*machine, *from, ask))
            }
            Act::Ping { machine, segment, family, answered } => {
                self.until(*machine, step.patience, |stage| stage.ping(*machine, *segment, *family, *answered))
            }
            Act::Lease { machine, renewals } => {
                let before = self.leases(*machine);
                self.until(*machine, step.patience, |stage| {
                    let now = stage.leases(*machine);
                    Ok(match now {
                        Some((address, count)) => {
                            let more = count - before.map_or(0, |(_, count)| count);
                            let seen = format!("{address}, acknowledged {more} times since the step began");
                            verdict(more >= u64::from(*renewals), seen)
                        }
                        None => Err("no lease".to_owned()),
                    })
                })
            }
            Act::Heard { peer, machine, contains } => {
                self.until(*machine, step.patience, |stage| Ok(stage.heard(*peer, *machine, contains)))
            }
            Act::Sent { machine, what: Sent::Busiest(busiest) } => self.until(*machine, step.patience, |stage| {
                let traffic = stage.traffic(*machine)?;
                let seen = format!("{} frames in its busiest second, {} in all", traffic.busiest, traffic.sent);
                Ok(verdict(traffic.busiest >= *busiest, seen))
            }),
            Act::Sent { machine, what: Sent::To(network) } => self.until(*machine, step.patience, |stage| {
                let sent = stage.sent_to(*machine, *network)?;
                Ok(verdict(sent > 0, format!("{sent} packets to {network} on its cables")))
            }),
            Act::ServePeer { peer, away } => self.serve_peer(*peer, *away),
            Act::Link { machine, card, link } => {
                self.lab.impair(self.actor(*machine).cables[*card], Direction::Both, faults(link))?;
                Ok(Ok("done".to_owned()))
            }
            Act::Carrier { machine, card, up } => {
                self.on(*machine)?.0.carrier(*card, *up)?;
                Ok(Ok("done".to_owned()))
            }
            Act::Dhcp { segment, mode, lease } => {
                let (mode, lease) = (*mode, *lease);
                self.serve(*segment, move |services| {
                    (services.dhcp.behaviour, services.dhcp.refuse) = (behaviour(mode), mode == Mode::Refusing);
                    if let Some(lease) = lease {
                        services.dhcp.lease_time = Duration::from_secs(lease.into());
                    }
                })
            }
            Act::NameServer { segment, mode, delay, names, truncate } => {
                let (behaviour, delay, truncate) =
                    (behaviour(*mode), Duration::from_millis((*delay).into()), *truncate);
                let names: BTreeMap<String, Name> =
                    names.iter().map(|(name, says)| (name.clone(), said(says))).collect();
                self.serve(*segment, move |services| {
                    (services.dns.behaviour, services.dns.delay, services.dns.truncate) = (behaviour, delay, truncate);
                    services.dns.names.extend(names);
                })
            }
            Act::TimeServer { segment, mode, offset, synchronised } => {
                let (behaviour, offset, synchronised) = (behaviour(*mode), *offset, *synchronised);
                self.serve(*segment, move |services| {
                    (services.ntp.behaviour, services.ntp.offset) = (behaviour, offset);
                    services.ntp.synchronised = synchronised;
                })
            }
            Act::Fill { machine, path, free } => {
                let script = if *free { FREE } else { FILL };
                let said = self.run(*machine, &quote::script(script, std::slice::from_ref(path)))?;
                Ok(verdict(said.success(), short(&said.text)))
            }
            Act::Flood { machine, segment, wave, port, frames, rate } => {
                self.flood(*machine, *segment, *wave, *port, (*frames, *rate))
            }
            Act::Scan { machine, segment, family, protocol, open, maybe, meanwhile } => {
                let Some(address) = self.reach(*machine, *segment, *family)? else {
                    return Ok(Err(NOT_HEARD.to_owned()));
                };
                self.scan(
                    *machine,
                    *segment,
                    ScanProbe::all(address, *protocol),
                    ExpectedPorts { open, maybe, meanwhile },
                )
            }
        }
    }

    /// What is still going on comes to its end.
    pub fn settle(&mut self) -> Result<()> {
        for pending in std::mem::take(&mut self.floods) {
            self.lab.wait_for(&pending)?;
        }
        Ok(())
    }

    /// Asks again until it is as it must be, as long as `patience` goes. A machine that ends is no longer waited for.
    fn until(
        &mut self,
        machine: usize,
        patience: Patience,
        mut ask: impl FnMut(&mut Self) -> Result<Judged>,
    ) -> Result<Judged> {
        let slow = self.slowness();
        let end = match patience {
            Patience::Seconds(seconds) => Some(Instant::now() + Duration::from_secs(seconds.into()).mul_f64(slow)),
            Patience::Progress => None,
        };
        let (begun, frames) = (Instant::now(), self.lab.frames());
        // What moves is counted from here on, over all questions.
        let (mut moved, mut seen) = (Instant::now(), (frames, 0));
        loop {
            let judged = ask(self)?;
            if judged.is_ok() || end.is_some_and(|end| Instant::now() >= end) {
                return Ok(judged);
            }
            if self.actor(machine).off {
                return Ok(judged);
            }
            let (running, mut watch) = self.on(machine)?;
            watch.check()?;
            let now = (self.lab.frames(), running.console.news() as u64);
            if now != seen {
                (moved, seen) = (Instant::now(), now);
            }
            let pace = running.pace;
            if end.is_none() && (moved.elapsed() > pace.stall_limit() || begun.elapsed() > pace.ceiling()) {
                let waited = begun.elapsed().as_secs();
                return Ok(judged.map_err(|seen| format!("{seen}; nothing comes of it after {waited} s")));
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn serve(&self, segment: usize, change: impl FnOnce(&mut SegmentServices) + Send + 'static) -> Result<Judged> {
        self.lab.at(segment)?.change(change)?;
        Ok(Ok("done".to_owned()))
    }

    /// Address of a machine's lease and how often it was acknowledged.
    fn leases(&self, machine: usize) -> Option<(IpAddr, u64)> {
        let macs = self.macs(machine);
        let leases = self.lab.leases();
        leases.into_values().find(|l| macs.contains(&l.mac)).map(|l| (l.ipv4.into(), l.count))
    }

    fn ping(&self, machine: usize, segment: usize, family: IpFamily, answered: bool) -> Result<Judged> {
        let Some(address) = self.reach(machine, segment, family)? else { return Ok(Err(NOT_HEARD.to_owned())) };
        let limit = Duration::from_secs(2).mul_f64(self.slowness());
        let reply = self.lab.at(segment)?.ping(address, limit)?;
        Ok(match (ping(reply), answered) {
            (judged, true) => judged,
            (Ok(seen), false) => Err(seen),
            (Err(seen), false) => Ok(seen),
        })
    }

    /// A question of `[[verify.check]]`.
    fn ask(&self, machine: usize, from: From, ask: &Ask) -> Result<Judged> {
        let slow = self.slowness();
        let family = match ask {
            Ask::Port(p) => p.family,
            Ask::Http(h) => h.family,
            _ => None,
        };
        let family = family.unwrap_or(IpFamily::Ipv4);
        match from {
            From::Inside => {
                let check = OwnCheck { name: String::new(), retry: 0, level: Level::Inside, ask: ask.clone() };
                Ok(judge::inside(ask, &self.run(machine, &scripts::command(&check, slow))?))
            }
            From::Machine(other) => {
                // Where both are plugged in, else where the one that is asked is.
                let shared = self.shared(machine, other);
                let Some(address) = self.address(machine, shared, family) else { return Ok(Err(NOT_HEARD.to_owned())) };
                let Some(command) = scripts::from_machine(ask, address, slow) else {
                    return Ok(Err(format!("{} is not asked from another machine", declared::what(ask))));
                };
                let judged = judge::from_machine(ask, &self.run(other, &command)?);
                Ok(judged.map(|seen| format!("{address}: {seen}")).map_err(|seen| format!("{address}: {seen}")))
            }
            From::Segment(n) => {
                let Some(address) = self.reach(machine, n, family)? else { return Ok(Err(NOT_HEARD.to_owned())) };
                let lab = self.lab.at(n)?;
                Ok(match ask {
                    Ask::Port(p) if p.protocol == Protocol::Tcp => {
                        judge::tcp(&lab.scan(address, &[p.port])?, p.port, p.state)
                    }
                    Ask::Port(p) => judge::udp(&lab.udp_probe(address, p.port, EMPTY_QUERY)?, p.state),
                    Ask::Http(h) => judge::http(h, &outside::page(&lab, address, h)?),
                    Ask::Metric(m) => judge::metric(m, &lab.http_get(address, m.port, &m.path)?),
                    other => Err(format!("{} is not asked from outside", other.kind())),
                })
            }
        }
    }

    /// A segment that both machines are plugged into.
    fn shared(&self, one: usize, other: usize) -> Option<usize> {
        let there = self.plugged(other);
        self.plugged(one).into_iter().find(|n| there.contains(n))
    }

    fn flood(
        &mut self,
        machine: usize,
        segment: usize,
        kind: FloodKind,
        port: u16,
        (frames, rate): (u32, u32),
    ) -> Result<Judged> {
        let Some(address) = self.reach(machine, segment, IpFamily::Ipv4)? else {
            return Ok(Err(NOT_HEARD.to_owned()));
        };
        let received = self.traffic(machine)?.received;
        let pending = self.lab.at(segment)?.flood(address, port, kind, frames, rate)?;
        // It is under way when the first frames are on the cable; it goes on during the next steps.
        loop {
            let more = self.traffic(machine)?.received - received;
            if more > u64::from(frames.min(50)) {
                break;
            }
            if let Some(sent) = self.lab.finished(&pending)? {
                return Ok(verdict(sent == frames, format!("{sent} of {frames} frames sent")));
            }
            let (_, mut watch) = self.on(machine)?;
            watch.check()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        self.floods.push(pending);
        Ok(Ok(format!("under way: {frames} frames to {address}, {rate} a second")))
    }
}

/// No address of the machine is known.
const NOT_HEARD: &str = "the machine has not been heard on the wire";

/// `$1`: a directory. Takes all that is free there, and says what a further byte gives.
const FILL: &str = "f=$1/diorite-fill; n=0; s=$(df --output=avail -B1 \"$1\" | tail -n1); \
    while [ \"$s\" -ge 4096 ]; do \
    if fallocate -l \"$s\" \"$f.$n\" 2>/dev/null; then n=$((n+1)); else rm -f \"$f.$n\"; s=$((s/2)); fi; done; \
    e=$(head -c 65536 /dev/zero 2>&1 >\"$f.last\"); echo \"$n files; a further one: $e\"; \
    case $e in *\"No space left\"*) exit 0;; *) exit 1;; esac";

/// `$1`: a directory. Takes away what filled it.
const FREE: &str = "rm -f \"$1\"/diorite-fill.*; df --output=avail -B1M \"$1\" | tail -n1 | sed \"s/\\$/ MiB free/\"";

fn faults(link: &Link) -> Faults {
    let share = |percent: u8| f64::from(percent) / 100.0;
    Faults {
        loss: share(link.loss),
        duplicate: share(link.duplicate),
        corrupt: share(link.corrupt),
        delay: Duration::from_millis(link.delay.into()),
        jitter: Duration::from_millis(link.jitter.into()),
        reorder: link.reorder,
        cut: link.cut,
        mtu: link.mtu,
    }
}

fn behaviour(mode: Mode) -> Behaviour {
    match mode {
        Mode::Good | Mode::Refusing => Behaviour::Good,
        Mode::Silent => Behaviour::Silent,
        Mode::Malformed => Behaviour::Malformed,
    }
}

fn said(says: &Says) -> Name {
    match says {
        Says::Addresses(list) => Name::Addresses(list.clone()),
        Says::Missing => Name::Missing,
        Says::Failure => Name::Failure,
        Says::Silence => Name::Silence,
        Says::OtherQuery(list) => Name::OtherQuery(list.clone()),
        Says::OtherName(list) => Name::OtherName(list.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_and_freeing_are_seen() {
        for script in [FILL, FREE] {
            assert!(!script.contains('\''), "{script}");
            let checked = std::process::Command::new("bash").args(["-n", "-c", script]).output().expect("bash");
            assert!(checked.status.success(), "{script}: {}", String::from_utf8_lossy(&checked.stderr));
        }
        let directory = std::env::temp_dir().join(format!("diorite-free-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        std::fs::write(directory.join("diorite-fill.0"), "x").expect("a file");
        let command = quote::script(FREE, &[directory.display().to_string()]);
        let said = std::process::Command::new("sh").args(["-c", &command]).output().expect("sh");
        assert!(String::from_utf8_lossy(&said.stdout).ends_with("MiB free\n"), "{said:?}");
        assert!(!directory.join("diorite-fill.0").exists());
        std::fs::remove_dir(directory).expect("it is empty");
    }
}
