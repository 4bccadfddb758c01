//! What a check may do with a running machine: run commands in it, look at it from the lab, and wait for it.

use crate::{
    answer::{AskResult, Judged, Unanswered, is_verdict},
    session::LabSession,
    snapshot::WireState,
    sweep::{Family, Sweep, Vantage},
};
use diorite_host::interrupt;
use diorite_lab::{EthernetAddress, Lab, Lease, Pending, PortVerdict, Scan, WatchReport};
use diorite_machine::{Machine, Output, Watch};
use diorite_model::{Error, Result, recipe::Protocol, report::Declared};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

/// Time between two questions whose answer was not yet as it must be.
const AGAIN: Duration = Duration::from_millis(500);

/// Sweeps, and what was seen.
pub(crate) type Swept = Vec<(Sweep, Scan)>;

/// A TCP port that was asked by itself: of which family, what was declared and what was seen of it.
pub(crate) type AskedPort = (Family, u16, Declared, PortVerdict);

/// A running machine, and what is known of it so far.
pub struct Asker<'a> {
    session: &'a LabSession,
    disk: &'a Path,
    watch: Watch<'a>,
    mac: Option<EthernetAddress>,
    addresses: BTreeMap<Family, IpAddr>,
    ports: Vec<AskedPort>,
    sweeps: Vec<(Sweep, Pending<Scan>)>,
    swept: Swept,
    /// Where another machine from the same disk is swept instead of this one: what was seen there.
    elsewhere: Option<Receiver<Swept>>,
    shell: bool,
    patience: Duration,
    /// How long answers have been waited for that never came.
    in_vain: Duration,
}

impl<'a> Asker<'a> {
    /// Ready to ask.
    pub fn new(session: &'a LabSession, disk: &'a Path, watch: Watch<'a>) -> Self {
        Self {
            session,
            disk,
            watch,
            mac: None,
            addresses: BTreeMap::new(),
            ports: Vec::new(),
            sweeps: Vec::new(),
            swept: Vec::new(),
            elsewhere: None,
            shell: false,
            patience: session.machine.pace.unit * 4,
            in_vain: Duration::ZERO,
        }
    }

    /// How long an answer that is not as it must be is asked for again.
    pub fn waits_for(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Takes over what is known of a machine that goes on from a snapshot.
    pub(crate) fn knows(&mut self, known: &WireState) {
        self.mac = known.mac.map(EthernetAddress);
        self.shell = known.shell;
        self.addresses.extend(known.addresses.iter().map(|address| (Family::of(*address), *address)));
    }

    /// What is known by now.
    pub(crate) fn known(&self) -> WireState {
        let addresses = self.addresses.values().copied().collect();
        let known = WireState { mac: self.mac.map(|mac| mac.0), addresses, leases: Vec::new(), shell: self.shell };
        known.with_leases(&self.session.lab)
    }

    /// The network around the machine.
    pub fn lab(&self) -> &'a Lab {
        &self.session.lab
    }

    /// The machine itself.
    pub fn machine(&self) -> &'a Machine {
        &self.session.machine
    }

    /// The disk it was booted from.
    pub fn disk(&self) -> &'a Path {
        self.disk
    }

    /// How much longer things take here than in a machine with an accelerator on a quiet host.
    pub fn slowness(&self) -> f64 {
        self.session.machine.pace.unit.as_secs_f64().max(1.0)
    }

    /// How long an answer that is not as it must be is asked for again.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether the shell has answered before.
    pub fn has_shell(&self) -> bool {
        self.shell
    }
}

/// Where the machine is.
impl Asker<'_> {
    /// Its address of this family.
    pub fn address(&self, family: Family) -> std::result::Result<IpAddr, Unanswered> {
        let missing = || Unanswered::Skipped(format!("the machine has no {} address", family.name()));
        self.addresses.get(&family).copied().ok_or_else(missing)
    }

    /// Waits for it to take an address by DHCP.
    pub fn lease(&mut self) -> Result<Lease> {
        let watch = &mut self.watch;
        let lease = self.session.lab.wait_for_lease(&mut || watch.check())?;
        self.mac = Some(lease.mac);
        self.addresses.insert(Family::V4, lease.ipv4.into());
        Ok(lease)
    }

    /// Waits for it to use an address of the announced IPv6 prefix.
    pub fn announced(&mut self) -> std::result::Result<IpAddr, Unanswered> {
        let (lab, watch) = (&self.session.lab, &mut self.watch);
        let Some(mac) = self.mac.or_else(|| lab.addresses().into_values().next()) else {
            return Err(Unanswered::Skipped("the machine has not been heard on the wire".to_owned()));
        };
        let address = lab.wait_for_ipv6(mac, &mut || watch.check())?;
        self.addresses.insert(Family::V6, address);
        Ok(address)
    }

    /// Looks for it at an address until it answers there; under emulation it may still be starting.
    pub fn find_at(&mut self, address: IpAddr) -> Result<EthernetAddress> {
        let lab = &self.session.lab;
        let own = if address.is_ipv4() { lab.config().ipv4.into() } else { lab.config().ipv6.into() };
        loop {
            self.watch.check()?;
            if let Some(answer) = lab.reach(lab.config().vlan, own, address, Duration::from_secs(5))? {
                self.mac.get_or_insert(answer.mac);
                self.addresses.insert(Family::of(address), address);
                return Ok(answer.mac);
            }
        }
    }
}

/// What it answers, and how often it is asked.
impl Asker<'_> {
    /// Runs a command in the injected shell, which is waited for the first time.
    pub fn run(&mut self, command: &str) -> Result<Output> {
        if !self.shell {
            self.session.machine.wait_shell(&mut self.watch)?;
            self.shell = true;
        }
        self.session.machine.run(command, &mut self.watch)
    }

    /// The answer to a command, asked again for a while when it is not as it must be.
    pub fn settled(&mut self, command: &str, judge: impl Fn(&Output) -> Judged) -> Result<Judged> {
        self.settled_in(self.patience, command, judge, |_| false)
    }

    /// `firm`: whether an answer that is not as it must be is one that no waiting may change.
    pub fn settled_in(
        &mut self,
        patience: Duration,
        command: &str,
        judge: impl Fn(&Output) -> Judged,
        firm: impl Fn(&Output) -> bool,
    ) -> Result<Judged> {
        self.until(patience, |m| {
            let output = m.run(command)?;
            let judged = judge(&output);
            let last = judged.is_ok() || firm(&output);
            Ok((judged, last))
        })
    }

    /// Asks again for a while when the answer is not as it must be: a service may be ready a little after systemd is.
    pub fn retried(&mut self, mut ask: impl FnMut(&mut Self) -> AskResult) -> AskResult {
        self.retried_for(self.patience, &mut ask)
    }

    /// The same for as long as this.
    pub fn retried_for(&mut self, patience: Duration, mut ask: impl FnMut(&mut Self) -> AskResult) -> AskResult {
        self.until(patience, |m| {
            let judged = ask(m)?;
            let last = judged.is_ok();
            Ok((judged, last))
        })
    }

    /// Asks until an answer is the last one, or the patience that is [`left`] has ended.
    fn until<E: From<Error>>(
        &mut self,
        patience: Duration,
        mut ask: impl FnMut(&mut Self) -> std::result::Result<(Judged, bool), E>,
    ) -> std::result::Result<Judged, E> {
        let begun = Instant::now();
        let patience = left(patience, self.in_vain, self.session.machine.pace.unit);
        loop {
            let (judged, last) = ask(self)?;
            if last {
                return Ok(judged);
            }
            if begun.elapsed() >= patience {
                self.in_vain += begun.elapsed();
                return Ok(judged);
            }
            self.watch.check()?;
            std::thread::sleep(AGAIN);
        }
    }

    /// Asks one TCP port until `judge` has an answer; it gets how many times it was asked, and for how long.
    pub fn scan_until(
        &mut self,
        family: Family,
        port: u16,
        judge: impl Fn(&Scan, u32, Duration) -> Option<Judged>,
    ) -> AskResult {
        let (address, begun) = (self.address(family)?, Instant::now());
        let mut asked = 0;
        loop {
            asked += 1;
            let scan = self.session.lab.scan(address, &[port])?;
            if let Some(judged) = judge(&scan, asked, begun.elapsed()) {
                return Ok(judged);
            }
            self.watch.check()?;
        }
    }
}

/// Its ports.
impl Asker<'_> {
    /// What undeclared ports have answered since power-on; `None`: they were not watched.
    pub fn watched_from_power_on(&self) -> Result<Option<WatchReport>> {
        self.session.watch.take().map(|watch| self.session.lab.end_watch(watch)).transpose()
    }

    /// Runs a command while ports that must never answer are asked.
    pub fn run_watched(&mut self, command: &str) -> Result<(Output, WatchReport)> {
        let watch = self.session.lab.keep_watch(self.session.quiet.clone())?;
        let output = self.run(command);
        let watched = self.session.lab.end_watch(watch)?;
        Ok((output?, watched))
    }

    /// Sweeps nothing that another machine from the same disk is swept for; when that one ends without a word, all the
    /// same.
    pub fn sweeps_elsewhere(&mut self, seen: Receiver<Swept>) {
        self.elsewhere = Some(seen);
    }

    /// Begins sweeps of known addresses, which take long, while other things are asked.
    pub fn begin<'s>(&mut self, sweeps: impl Iterator<Item = &'s Sweep>) -> Result<()> {
        if self.elsewhere.is_some() {
            return Ok(());
        }
        for sweep in sweeps {
            if let Some(address) = self.addresses.get(&sweep.family) {
                self.sweeps.push((sweep.clone(), self.session.lab.begin(sweep.probe(*address))?));
            }
        }
        Ok(())
    }

    /// Waits for every sweep that was begun: afterwards the machine may be paused without its silence being taken for an
    /// answer.
    pub fn settle(&mut self) -> Result<()> {
        for (sweep, pending) in std::mem::take(&mut self.sweeps) {
            self.watch.check()?;
            self.swept.push((sweep, self.session.lab.wait_for(&pending)?));
        }
        Ok(())
    }

    /// The answers to a sweep, which is waited for.
    pub fn swept(&mut self, sweep: &Sweep) -> std::result::Result<&Scan, Unanswered> {
        while let Some(seen) = &self.elsewhere {
            interrupt::check()?;
            match seen.recv_timeout(Duration::from_millis(100)) {
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(all) => self.swept.extend(all),
                Err(RecvTimeoutError::Disconnected) => {}
            }
            self.elsewhere = None;
            // It was not this machine that was waited for.
            self.watch.rested();
        }
        if let Some(at) = self.sweeps.iter().position(|(s, _)| s == sweep) {
            let (_, pending) = self.sweeps.remove(at);
            self.swept.push((sweep.clone(), self.session.lab.wait_for(&pending)?));
        } else if !self.swept.iter().any(|(s, _)| s == sweep) {
            let pending = self.session.lab.begin(sweep.probe(self.address(sweep.family)?))?;
            self.swept.push((sweep.clone(), self.session.lab.wait_for(&pending)?));
        }
        Ok(&self.swept.iter().find(|(s, _)| s == sweep).expect("it is there").1)
    }

    /// What a TCP port answers, and whether silence is proven by an echo: in a sweep of all of them, where there is one,
    /// else asked by itself.
    pub fn port(
        &mut self,
        family: Family,
        port: u16,
        declared: Declared,
    ) -> std::result::Result<(Option<PortVerdict>, bool), Unanswered> {
        // A sweep leaves out what has a rate.
        let all = |s: &&Sweep| {
            (s.family, s.protocol, s.vantage) == (family, Protocol::Tcp, Vantage::Here) && !s.unsaid.contains(&port)
        };
        let begun = self.sweeps.iter().map(|(s, _)| s).chain(self.swept.iter().map(|(s, _)| s)).find(all).cloned();
        let of = |scan: &Scan| (scan.verdicts.get(&port).copied(), scan.witnessed);
        let (seen, witnessed) = match begun {
            Some(sweep) => of(self.swept(&sweep)?),
            None => of(&self.session.lab.scan(self.address(family)?, &[port])?),
        };
        self.ports.extend(seen.map(|seen| (family, port, declared, seen)));
        Ok((seen, witnessed))
    }

    /// Everything that was asked of ports together, with the answers.
    pub fn sweeps(&self) -> &[(Sweep, Scan)] {
        &self.swept
    }

    /// What every sweep has seen that is over.
    pub fn take_swept(&mut self) -> Swept {
        std::mem::take(&mut self.swept)
    }

    /// Ports that were asked by themselves.
    pub fn ports(&self) -> &[AskedPort] {
        &self.ports
    }
}

/// Its end.
impl Asker<'_> {
    /// Presses the power button, and waits for the machine to have ended: what its console said from then on, and how long
    /// it took; else what is wrong.
    pub fn power_off(&mut self) -> Result<std::result::Result<(Vec<String>, Duration), String>> {
        let machine = &self.session.machine;
        let (pressed, lines) = (Instant::now(), machine.console.lines().len());
        machine.qmp("system_powerdown", serde_json::json!({}))?;
        let limit = machine.pace.stall_limit();
        while machine.ended().is_none() {
            if pressed.elapsed() > limit {
                return Ok(Err(format!("it still runs {:.0} s after the power button", limit.as_secs_f64())));
            }
            match self.watch.check() {
                Err(error) if is_verdict(&error) && machine.ended().is_none() => return Ok(Err(error.what)),
                Err(error) if !is_verdict(&error) => return Err(error),
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        let said = machine.console.lines().into_iter().skip(lines).map(|(_, line)| line).collect();
        Ok(Ok((said, pressed.elapsed())))
    }
}

/// How long to wait for one more answer when others were waited for in vain: that time has passed for this one too. A machine
/// without a fault is given all its time at every check; one with thirty does not take thirty times as long to judge.
fn left(patience: Duration, in_vain: Duration, least: Duration) -> Duration {
    patience.saturating_sub(in_vain).max(least.min(patience))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_in_vain_counts_for_the_next_answer() {
        let left = |patience, in_vain| {
            left(Duration::from_secs(patience), Duration::from_secs(in_vain), Duration::from_secs(5))
        };
        assert_eq!(left(20, 0).as_secs(), 20);
        assert_eq!(left(20, 8).as_secs(), 12);
        assert_eq!(left(20, 20).as_secs(), 5, "never less than this, for what a check itself has set off");
        assert_eq!(left(300, 20).as_secs(), 280);
        assert_eq!(left(2, 20).as_secs(), 2, "and never more than was meant");
    }
}
