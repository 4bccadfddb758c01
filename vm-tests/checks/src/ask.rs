//! Asks one question of a running machine and hands the answer to its judge.

mod own;

use crate::{
    agent, containers, gpt, journal,
    judge::{self, Judged},
    links,
    moment::Known,
    plan::{Family, Person, Question, Sweep, Vantage},
    select::Wanted,
    session::Session,
    state, unasked,
};
use diorite_host::interrupt;
use diorite_lab::{EthernetAddress, Pending, PortVerdict, Scan};
use diorite_machine::{AlarmKind, Watch};
use diorite_model::{
    Error, Exit, Result,
    recipe::{Protocol, Rate, Sudo},
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

/// Why a question got no answer.
pub enum Unanswered {
    /// The machine cannot be asked anything any more.
    Over(Error),
    /// This question cannot be asked; others can.
    Skipped(String),
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Over(error)
    }
}

/// Sweeps, and what was seen.
pub(crate) type Swept = Vec<(Sweep, Scan)>;

/// What is known of the machine so far.
pub struct Asker<'a> {
    session: &'a Session,
    disk: &'a Path,
    watch: Watch<'a>,
    mac: Option<EthernetAddress>,
    addresses: BTreeMap<Family, IpAddr>,
    ports: BTreeMap<Family, Vec<u16>>,
    scans: BTreeMap<Family, Scan>,
    sweeps: Vec<(Sweep, Pending<Scan>)>,
    swept: Swept,
    /// Where another machine from the same disk is swept instead of this one: what was seen there.
    elsewhere: Option<Receiver<Swept>>,
    shell: bool,
    patience: Duration,
}

impl<'a> Asker<'a> {
    /// Ready to ask; the ports of all checks are scanned together.
    pub fn new(session: &'a Session, disk: &'a Path, watch: Watch<'a>, checks: &[Wanted]) -> Self {
        let mut ports: BTreeMap<Family, Vec<u16>> = BTreeMap::new();
        for wanted in checks {
            if let Question::Port(family, port, _) = wanted.check.question {
                ports.entry(family).or_default().push(port);
            }
        }
        let (addresses, scans, sweeps, swept) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), Vec::new());
        let (patience, elsewhere) = (session.machine.pace.unit * 4, None);
        let (mac, shell) = (None, false);
        Self { session, disk, watch, mac, addresses, ports, scans, sweeps, swept, elsewhere, shell, patience }
    }

    /// Sweeps nothing that another machine from the same disk is swept for; without a word from there, all the same.
    pub fn sweeps_elsewhere(&mut self, seen: Receiver<Swept>) {
        self.elsewhere = Some(seen);
    }

    /// What every sweep has seen that is over.
    pub fn take_swept(&mut self) -> Swept {
        std::mem::take(&mut self.swept)
    }

    /// How long an answer that is not as it must be is asked for again.
    pub fn waits_for(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Takes over what is known of a machine that goes on from a moment.
    pub fn knows(&mut self, known: &Known) {
        self.mac = known.mac.map(EthernetAddress);
        self.shell = known.shell;
        for address in &known.addresses {
            let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
            self.addresses.insert(family, *address);
        }
    }

    /// What is known by now.
    pub fn known(&self) -> Known {
        let addresses = self.addresses.values().copied().collect();
        let known = Known { mac: self.mac.map(|mac| mac.0), addresses, leases: Vec::new(), shell: self.shell };
        known.with_leases(&self.session.lab)
    }

    /// Waits for every sweep that was begun: afterwards the machine may stand still for a moment, and nobody takes its
    /// silence for an answer.
    pub fn settle(&mut self) -> Result<()> {
        for (sweep, pending) in std::mem::take(&mut self.sweeps) {
            self.watch.check()?;
            self.swept.push((sweep, self.session.lab.wait_for(&pending)?));
        }
        Ok(())
    }

    /// Begins what takes long and needs nobody: the sweeps, while other things are asked.
    pub fn begin(&mut self, checks: &[Wanted]) -> Result<()> {
        if self.elsewhere.is_some() {
            return Ok(());
        }
        for wanted in checks {
            if let Question::Ports(sweep) = &wanted.check.question
                && let Some(address) = self.addresses.get(&sweep.family)
            {
                self.sweeps.push((sweep.clone(), self.session.lab.begin(sweep.probe(*address))?));
            }
        }
        Ok(())
    }

    fn swept(&mut self, sweep: &Sweep) -> std::result::Result<&Scan, Unanswered> {
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

    /// Asks.
    pub fn ask(&mut self, question: &Question) -> std::result::Result<Judged, Unanswered> {
        let lab = &self.session.lab;
        Ok(match question {
            Question::Lease => {
                let watch = &mut self.watch;
                let lease = lab.wait_for_lease(&mut || watch.check())?;
                self.mac = Some(lease.mac);
                self.addresses.insert(Family::V4, lease.ipv4.into());
                Ok(format!("{} {:.1} s after the network was there", lease.ipv4, lease.at.as_secs_f64()))
            }
            Question::Address6 => {
                let watch = &mut self.watch;
                let Some(mac) = self.mac.or_else(|| lab.addresses().into_values().next()) else {
                    return Err(Unanswered::Skipped("the machine has not been heard on the wire".to_owned()));
                };
                let address = lab.wait_for_ipv6(mac, &mut || watch.check())?;
                self.addresses.insert(Family::V6, address);
                Ok(address.to_string())
            }
            Question::Fixed(family, address) => {
                // Nobody has heard it yet; under emulation the machine may still be starting.
                loop {
                    self.watch.check()?;
                    let own = if address.is_ipv4() { lab.config().ipv4.into() } else { lab.config().ipv6.into() };
                    if let Some(answer) = lab.reach(lab.config().vlan, own, *address, Duration::from_secs(5))? {
                        self.mac.get_or_insert(answer.mac);
                        self.addresses.insert(*family, *address);
                        break Ok(format!("{} has it", diorite_lab::record::mac(answer.mac)));
                    }
                }
            }
            Question::Tagged(tagged) => {
                match lab.reach(Some(tagged.id), tagged.from, tagged.address, self.patience)? {
                    Some(answer) => Ok(format!("reply after {:.1} ms", answer.time.as_secs_f64() * 1000.0)),
                    None => Err("no reply".to_owned()),
                }
            }
            Question::Link(name, link) => self.settled(links::COMMAND, |output| links::judge(output, name, link))?,
            Question::Says(command, expected) => judge::says(&self.run(command)?, expected),
            Question::Settles(command, expected) => self.settled(command, |output| judge::says(output, expected))?,
            Question::Ping(family) => judge::ping(lab.ping(self.address(*family)?, self.patience)?),
            Question::Port(family, port, expected) => judge::port(self.scan(*family, *port)?, *port, *expected),
            Question::Limited(family, port, rate) => self.limited(*family, *port, *rate)?,
            Question::Ports(sweep) => judge::sweep(self.swept(sweep)?, sweep),
            Question::Watched => match self.session.watch.take() {
                Some(watch) => judge::watched(&lab.end_watch(watch)?),
                None => return Err(Unanswered::Skipped("nobody has watched".to_owned())),
            },
            Question::Unasked(allowed) => unasked::judge(&lab.record(), allowed),
            Question::Churn(containers) => {
                let watch = lab.keep_watch(self.session.quiet.clone())?;
                let done = self.run(&churn(containers));
                let watched = lab.end_watch(watch)?;
                match done? {
                    output if output.success() => judge::watched(&watched),
                    output => Err(format!("it did not succeed: {}", output.text)),
                }
            }
            Question::Agent => {
                let asked = agent::ask(&self.session.machine)?;
                let judged = self.retried(|| agent::judge(&asked))?;
                agent::unplug(&self.session.machine);
                judged
            }
            Question::Clones(family) => {
                let address = self.address(*family)?;
                self.retried(|| Ok(lab.host_key(address, 22)?.map(|key| judge::fingerprint(&key))))?
            }
            Question::Ssh(family) => {
                let address = self.address(*family)?;
                self.retried(|| Ok(judge::ssh_banner(&lab.banner(address, 22)?)))?
            }
            Question::Http(port) => {
                let address = self.address(Family::V4)?;
                self.retried(|| Ok(judge::http(&lab.http_get(address, *port, "/")?)))?
            }
            Question::Metrics => {
                let address = self.address(Family::V4)?;
                self.retried(|| Ok(judge::metrics(&lab.http_get(address, 9100, "/metrics")?)))?
            }
            Question::Kernel => {
                let tainted = self.shell.then(|| self.run("cat /proc/sys/kernel/tainted")).transpose()?;
                let alarms = self.session.machine.console.alarms();
                let told = alarms.into_iter().find(|alarm| alarm.kind == AlarmKind::Oops).map(|alarm| alarm.line);
                judge::kernel(told, tainted.as_ref())
            }
            Question::Own(own) => self.own(own)?,
            Question::Tamper | Question::DiskUnchanged | Question::Untouched | Question::PowerOff => {
                return Err(Unanswered::Skipped("asked elsewhere".to_owned()));
            }
            inside => self.inside(inside)?,
        })
    }

    fn inside(&mut self, question: &Question) -> Result<Judged> {
        Ok(match question {
            Question::Running => judge::running(&self.run("systemctl is-system-running --wait")?),
            Question::NoFailedUnit => {
                judge::no_failed_unit(&self.run("systemctl list-units --failed --no-legend --plain")?)
            }
            Question::Root => {
                let uuid = "echo \"dm:$(cat /sys/dev/block/$(mountpoint -d /)/dm/uuid)\"";
                judge::root(&self.run(&format!("cat /proc/mounts; {uuid}"))?)
            }
            Question::WriteRefused(directory) => {
                judge::refused(&self.run(&format!("touch {}/diorite-verify", directory.trim_end_matches('/')))?)
            }
            // The remount may be answered with success and change nothing: only writing shows.
            Question::RemountRefused => judge::refused(&self.run("mount -o remount,rw /; touch /diorite-verify")?),
            Question::State(filesystem) => state::partition(&self.run(state::PARTITION)?, *filesystem),
            Question::StateDisk => state::disk(&self.run(state::DISKS)?),
            Question::Volatile(path) => state::volatile(&self.run("cat /proc/mounts")?, path),
            Question::Encrypted => state::encrypted(&self.run(state::VOLUME)?),
            Question::Unreadable => {
                let written = self.run(&state::write())?;
                let found = state::search(&self.session.machine.written())?;
                self.run(state::SWEEP)?;
                state::unreadable(&written, &found)
            }
            Question::Module(name) => {
                let directory = name.replace('-', "_");
                judge::module(&self.run(&format!("ls -d /sys/module/{directory}"))?)
            }
            Question::Service(name, timer) => {
                let of = |kind| format!("systemctl show -p ActiveState,Result,ExecMainStatus {name}.{kind}");
                let asked = if *timer { format!("{}; {}", of("service"), of("timer")) } else { of("service") };
                self.settled(&asked, |output| judge::service(output, *timer))?
            }
            Question::Container(name) => {
                judge::container(&self.run("podman ps --all --format '{{.Names}} {{.State}}'")?, name)
            }
            Question::ContainerAsDeclared(declared) => {
                containers::judge(&self.run(&containers::script(declared))?, declared)
            }
            Question::Administrator(person) => judge::administrator(&self.run(&administrator(person))?, person),
            Question::Counters(names) => judge::counters(&self.run("nft list counters table inet diorite")?, names),
            Question::RulesStay => judge::rules_stay(&self.run(RULES_STAY)?),
            Question::Kept(address, port) => judge::kept(&self.run(&kept(*address, *port))?),
            Question::ImageMetrics(image) => {
                let hash = gpt::root_hash(self.disk)?;
                // What was written before the boot was blessed is written anew half a minute later; who it is stays.
                let patience = self.patience + METRICS_EVERY * 2;
                let judge = |said: &_| judge::image_metrics(said, image, &hash);
                let firm = |said: &_| judge::image_info(said, image, &hash) == Some(false);
                self.settled_in(patience, "cat /run/diorite-metrics/diorite.prom", judge, firm)?
            }
            Question::Closed(closed) => closed.judge(&self.run(&closed.command())?),
            Question::Journal => journal::judge(&self.run(journal::COMMAND)?),
            Question::Blessed => judge::blessed(&self.run("ls -1 /boot/EFI/Linux /efi/EFI/Linux 2>/dev/null")?),
            _ => return Err(Error::bug(format!("{question:?} is not asked inside"))),
        })
    }

    fn address(&self, family: Family) -> std::result::Result<IpAddr, Unanswered> {
        let missing = || Unanswered::Skipped(format!("the machine has no {} address", family.name()));
        self.addresses.get(&family).copied().ok_or_else(missing)
    }

    /// Asks one port until it is silent; in a time in which `rate` lets no more than its burst and a few in.
    fn limited(&mut self, family: Family, port: u16, rate: Rate) -> std::result::Result<Judged, Unanswered> {
        let address = self.address(family)?;
        let begun = Instant::now();
        for asked in 1.. {
            let scan = self.session.lab.scan(address, &[port])?;
            let seconds = begun.elapsed().as_secs();
            let judged = judge::limited(&scan, port, asked, seconds, rate);
            if let Some(judged) = judged {
                return Ok(judged);
            }
            self.watch.check()?;
        }
        unreachable!("the judge ends it")
    }

    fn scan(&mut self, family: Family, port: u16) -> std::result::Result<&Scan, Unanswered> {
        // A sweep leaves out what has a rate.
        let all = |s: &Sweep| {
            (s.family, s.protocol, s.vantage) == (family, Protocol::Tcp, Vantage::Here) && !s.unsaid.contains(&port)
        };
        let begun =
            self.sweeps.iter().map(|(s, _)| s).chain(self.swept.iter().map(|(s, _)| s)).find(|s| all(s)).cloned();
        if let Some(sweep) = begun {
            return self.swept(&sweep);
        }
        if !self.scans.contains_key(&family) {
            let ports = self.ports.get(&family).map(Vec::as_slice).unwrap_or_default();
            let scan = self.session.lab.scan(self.address(family)?, ports)?;
            self.scans.insert(family, scan);
        }
        Ok(&self.scans[&family])
    }

    /// Runs a command in the injected shell, which is waited for the first time.
    pub fn run(&mut self, command: &str) -> Result<diorite_machine::Output> {
        if !self.shell {
            self.session.machine.wait_shell(&mut self.watch)?;
            self.shell = true;
        }
        self.session.machine.run(command, &mut self.watch)
    }

    /// Everything that was asked of ports together, with the answers.
    pub fn sweeps(&self) -> &[(Sweep, Scan)] {
        &self.swept
    }

    /// What a TCP port answered, if it was asked by itself.
    pub fn tcp(&self, family: Family, port: u16) -> Option<PortVerdict> {
        self.scans.get(&family)?.verdicts.get(&port).copied()
    }

    /// Presses the power button, and waits for the machine to have ended.
    pub fn power_off(&mut self) -> Result<Judged> {
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
        let said: Vec<String> = machine.console.lines().into_iter().skip(lines).map(|(_, line)| line).collect();
        Ok(judge::power_off(&said, pressed.elapsed()))
    }

    /// Whether the shell has answered before.
    pub fn has_shell(&self) -> bool {
        self.shell
    }

    /// The answer to a command, asked again for a while when it is not as it must be.
    fn settled(&mut self, command: &str, judge: impl Fn(&diorite_machine::Output) -> Judged) -> Result<Judged> {
        self.settled_in(self.patience, command, judge, |_| false)
    }

    /// `firm`: whether an answer that is not as it must be is one that no waiting may change.
    fn settled_in(
        &mut self,
        patience: Duration,
        command: &str,
        judge: impl Fn(&diorite_machine::Output) -> Judged,
        firm: impl Fn(&diorite_machine::Output) -> bool,
    ) -> Result<Judged> {
        let end = Instant::now() + patience;
        loop {
            let output = self.run(command)?;
            let judged = judge(&output);
            if judged.is_ok() || firm(&output) || Instant::now() >= end {
                return Ok(judged);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Asks again for a while when the answer is not as it must be: a service may be ready a little after systemd is.
    fn retried(&mut self, mut ask: impl FnMut() -> Result<Judged>) -> Result<Judged> {
        let end = Instant::now() + self.patience;
        loop {
            let judged = ask()?;
            if judged.is_ok() || Instant::now() >= end {
                return Ok(judged);
            }
            self.watch.check()?;
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

/// How often an image writes down what it says of itself.
const METRICS_EVERY: Duration = Duration::from_secs(30);

/// The rules before and after their unit is reloaded and stopped. `nft -s` leaves out what counts, `-t` what is learned;
/// the units that cannot be without the rules are left alone.
const RULES_STAY: &str = "unit=diorite-firewall.service; rules() { nft -s -t list table inet diorite; }; \
    a=$(rules); systemctl reload $unit && b=$(rules); \
    systemctl stop --job-mode=ignore-dependencies $unit && c=$(rules); systemctl is-active $unit; \
    systemctl start --job-mode=ignore-dependencies $unit; \
    [ \"$a\" = \"$b\" ] && [ \"$b\" = \"$c\" ] && echo same; echo \"$c\" | grep 'policy'";

/// Loads the packet filter again and starts every container anew, one after the other.
pub(crate) fn churn(containers: &[String]) -> String {
    let units: String = containers.iter().map(|name| format!(" && systemctl restart {name}.service")).collect();
    format!("systemctl reload diorite-firewall.service{units} && systemctl reload diorite-firewall.service")
}

/// What [`judge::kept`] reads: the counter before and after a connection that must not come about.
fn kept(address: IpAddr, port: u16) -> String {
    let count = "nft list counter inet diorite output_dropped | sed -n 's/.*packets \\([0-9]*\\).*/dropped:\\1/p'";
    format!("{count}; timeout 3 bash -c ': >/dev/tcp/{address}/{port}' 2>/dev/null; echo status:$?; {count}")
}

/// What [`judge::administrator`] reads: the accounts' databases, the home, the keys and names, what sshd makes of it all
/// for this user, whom sudo makes of them, and which of the declared commands it allows.
fn administrator(person: &Person) -> String {
    let name = &person.name;
    let quoted = |word: &String| format!("'{}'", word.replace('\'', r"'\''"));
    let listed = match &person.sudo {
        Some(Sudo::Commands(list)) => list
            .iter()
            .map(|c| {
                let words: Vec<String> = std::iter::once(&c.run).chain(&c.arguments).map(quoted).collect();
                format!("; runuser -u {name} -- sudo -n -l {} >/dev/null 2>&1; echo listed:$?", words.join(" "))
            })
            .collect(),
        _ => String::new(),
    };
    format!(
        "echo passwd:$(getent passwd {name}); echo shadow:$(getent shadow {name}); \
         stat -L -c 'home:%u %a %F' /home/{name}; \
         sed 's/^/key:/' /etc/ssh/authorized_keys.d/{name}; \
         sed 's/^/principal:/' /etc/ssh/principals.d/{name} 2>/dev/null; \
         /usr/sbin/sshd -T -C user={name},host=lab,addr=10.77.0.1 | sed 's/^/sshd:/'; \
         echo sudo:$(runuser -u {name} -- sudo -n /usr/bin/id -u 2>/dev/null){listed}"
    )
}

/// Whether an error is a verdict on the image, not on the host or the user.
pub fn is_verdict(error: &Error) -> bool {
    error.exit == Exit::VerificationFailed
}
