//! The lab of a scenario and the machines in it: cables, hardware addresses, firmware UUIDs, what runs and what is off.

use super::{
    input::{ScenarioDisk, ScenarioInput},
    server::{self, PeerServer},
    traits::TraitValues,
};
use crate::{
    session::Workplace,
    setup::{self, Setup},
    surroundings::Surroundings,
};
use diorite_host::tools::ToolsTree;
use diorite_lab::{Attachment, CableTraffic, Config, EthernetAddress, Lab, Pending, Topology, record};
use diorite_machine::{Accelerator, AlarmKind, Budget, Machine, MachineSpec, Output, Share, Watch};
use diorite_model::{
    Digest, Error, Recipe, Result,
    recipe::Network,
    scenario::{Act, Plug, Scenario, Segment, Sent, Step},
    verify::IpFamily,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

/// One machine: of several alike one copy.
pub struct Actor<'a> {
    /// Its name, of a copy with its number.
    pub name: String,
    /// Its place among the scenario's machines.
    pub kind: usize,
    pub disk: &'a ScenarioDisk,
    pub around: Surroundings,
    memory: u32,
    cpus: u32,
    /// MachineHardware addresses of its cards.
    macs: Vec<String>,
    /// Places of its cables in the lab.
    pub cables: Vec<usize>,
    /// The cables' far ends, until it starts.
    pub far: Vec<OwnedFd>,
    pub directory: PathBuf,
    /// It runs, or is switched off and keeps what it holds.
    pub machine: Option<Machine>,
    /// Switched off.
    pub off: bool,
    /// The injected shell has answered.
    pub shell: bool,
    /// It has been on: its console has a log.
    pub started: bool,
    /// What it said of itself last.
    pub known: Option<TraitValues>,
    /// The memory that it has been given.
    pub share: Option<Share>,
    /// How often its disks were exchanged.
    pub lives: u32,
}

/// Everything that a scenario happens on.
pub struct ScenarioStage<'a> {
    // Dropped in this order: machines let go of their cables first.
    /// Machines by their place; of those that there are several of, the first.
    pub actors: Vec<Actor<'a>>,
    /// The network.
    pub lab: Lab,
    pub scenario: &'a Scenario,
    /// Floods that go on.
    pub floods: Vec<Pending<u32>>,
    /// Servers of the lab by their place.
    pub peers: Vec<PeerServer>,
    pub budget: Budget,
    tools: &'a ToolsTree,
    accelerator: &'a Accelerator,
    /// Consoles of machines that have ended, with their machine's name.
    pub logs: Vec<(String, PathBuf)>,
}

impl<'a> ScenarioStage<'a> {
    /// The lab runs, and no machine does.
    pub fn new(
        input: &ScenarioInput<'a>,
        accelerator: &'a Accelerator,
        budget: Budget,
        workplace: &Workplace,
    ) -> Result<Self> {
        let scenario = input.scenario;
        enough(scenario, &budget)?;
        let quiet = setup::quiet(accelerator);
        let configs = scenario.segments.iter().enumerate().map(|(n, s)| config(n, s, quiet));
        let mut network = Topology { routed: Vec::new(), seed: scenario.seed, ..Topology::routed(configs) };
        for (n, segment) in scenario.segments.iter().enumerate() {
            network.routed.extend(segment.routed.iter().map(|other| [n, *other]));
        }
        let (mut near, mut actors) = (Vec::new(), Vec::new());
        for (kind, (machine, disk)) in scenario.machines.iter().zip(input.disks).enumerate() {
            let around = Surroundings::of(&disk.recipe);
            if around.macs.len() > machine.cards.len() {
                let what = format!("machine `{}` has too few cards", machine.name);
                let cause = format!("its image has {} and `segments` names {}", around.macs.len(), machine.cards.len());
                return Err(Error::input(what).because(cause).hint("name a segment for each card"));
            }
            for copy in 0..machine.count {
                let name =
                    if machine.count > 1 { format!("{}-{}", machine.name, copy + 1) } else { machine.name.clone() };
                let (mut far, mut cables, mut macs): (Vec<OwnedFd>, _, _) = (Vec::new(), Vec::new(), Vec::new());
                for (card, plug) in machine.cards.iter().enumerate() {
                    let (one, other) = setup::cable()?;
                    near.push(one);
                    far.push(other);
                    cables.push(network.cables.len());
                    let to = match plug {
                        Plug::Segment(n) => Attachment::Access(*n),
                        Plug::Trunk => Attachment::Trunk { native: None },
                    };
                    network = network.cable(format!("{name}.{}", card + 1), to);
                    // An image that knows its card by its address gets that one.
                    let named = around.macs.get(card).filter(|m| !m.starts_with("52:54:00:12:34:") && copy == 0);
                    let own = || format!("52:54:00:{:02x}:{:02x}:{:02x}", kind + 1, copy, card + 1);
                    macs.push(named.cloned().unwrap_or_else(own));
                }
                let directory = workplace.path(&name);
                std::fs::create_dir_all(&directory)
                    .map_err(|e| Error::io("a directory cannot be made", &directory, e))?;
                let mut around = around.clone();
                around.tpm |= machine.tpm;
                actors.push(Actor {
                    name,
                    kind,
                    disk,
                    around,
                    memory: machine.memory,
                    cpus: machine.cpus,
                    macs,
                    cables,
                    far,
                    directory,
                    machine: None,
                    off: false,
                    shell: false,
                    started: false,
                    known: None,
                    share: None,
                    lives: 0,
                });
            }
        }
        let (network, legs) = server::legs(scenario, network, &mut near)?;
        let lab = Lab::start_in(network, near)?;
        lab.count_to(counted(scenario))?;
        lab.capture(&input.out.join("wire.pcapng"))?;
        for (n, segment) in scenario.segments.iter().enumerate().filter(|(_, s)| s.gateway.is_some()) {
            let gateway = segment.gateway;
            lab.at(n)?.change(move |services| services.dhcp.gateway = gateway)?;
        }
        let peers = server::start(scenario, &lab, legs)?;
        let (tools, floods, logs) = (input.tools, Vec::new(), Vec::new());
        Ok(Self { actors, lab, scenario, floods, peers, budget, tools, accelerator, logs })
    }

    /// The actor of a machine that there is one of.
    pub fn actor(&self, machine: usize) -> &Actor<'a> {
        &self.actors[self.place(machine)]
    }

    /// Its place among the actors.
    pub fn place(&self, machine: usize) -> usize {
        self.actors.iter().position(|a| a.kind == machine).expect("every machine has an actor")
    }

    /// A machine that is on, and how long it is waited for.
    pub fn on(&self, machine: usize) -> Result<(&Machine, Watch<'_>)> {
        self.at_work(self.place(machine))
    }

    /// The same by its place among the actors.
    pub fn at_work(&self, place: usize) -> Result<(&Machine, Watch<'_>)> {
        let actor = &self.actors[place];
        let machine = actor.machine.as_ref().filter(|_| !actor.off);
        let machine = machine.ok_or_else(|| Error::bug(format!("`{}` is not on", actor.name)))?;
        Ok((machine, machine.watch(|| self.lab.frames()).from_now()))
    }

    /// Runs a command in the injected shell of a machine.
    pub fn run(&self, machine: usize, command: &str) -> Result<Output> {
        let (machine, mut watch) = self.on(machine)?;
        machine.run(command, &mut watch)
    }

    /// What a machine was made from.
    pub fn recipe(&self, machine: usize) -> &'a Recipe {
        &self.actor(machine).disk.recipe
    }

    /// Machines that run.
    pub fn running(&self) -> impl Iterator<Item = &Machine> {
        self.actors.iter().filter(|a| !a.off).filter_map(|a| a.machine.as_ref())
    }

    /// How much longer things take here than in a machine with an accelerator on a quiet host.
    pub fn slowness(&self) -> f64 {
        self.running().map(|m| m.pace.unit.as_secs_f64()).fold(1.0, f64::max)
    }

    /// Switches a machine on; nothing is waited for. QEMU ends with the thread that calls this.
    pub fn start(&mut self, place: usize) -> Result<()> {
        let (scenario, lab) = (self.scenario, &self.lab);
        let actor = &mut self.actors[place];
        if let Some(machine) = &actor.machine {
            machine.on()?;
            actor.off = false;
            return Ok(());
        }
        let share = self.budget.take(actor.memory).ok_or_else(|| none(&actor.name, actor.memory, &self.budget))?;
        lab.phase(&format!("`{}` is switched on", actor.name))?;
        let identity = Digest::of(format!("{}/{}", scenario.name, actor.name).as_bytes()).to_string();
        let setup = Setup {
            tools: self.tools,
            accelerator: self.accelerator,
            around: &actor.around,
            hardware: actor.around.hardware.main,
            disk: &actor.disk.disk,
            directory: &actor.directory,
        };
        let machine = Machine::start(MachineSpec {
            memory: actor.memory,
            cpus: actor.cpus,
            uuid: Some(uuid(&identity)),
            macs: actor.macs.clone(),
            ..setup.with_shell(std::mem::take(&mut actor.far))
        })?;
        (actor.machine, actor.share, actor.started, actor.off) = (Some(machine), Some(share), true, false);
        Ok(())
    }

    /// Ends a machine as by pulling its plug: it cannot be switched on again.
    pub fn end(&mut self, place: usize) {
        let actor = &mut self.actors[place];
        if let Some(machine) = actor.machine.take() {
            machine.end();
            actor.share = None;
            self.logs.push((actor.name.clone(), actor.directory.join("console.log")));
        }
    }

    /// The hardware addresses of a machine.
    pub fn macs(&self, machine: usize) -> Vec<EthernetAddress> {
        macs(self.actor(machine))
    }

    /// An address of a machine as [`ScenarioStage::address`] finds it; fixed ones that were never heard are looked for first.
    pub fn reach(&self, machine: usize, near: usize, family: IpFamily) -> Result<Option<IpAddr>> {
        let lab = self.lab.at(near)?;
        let config = lab.config();
        let own = if family == IpFamily::Ipv4 { IpAddr::from(config.ipv4) } else { config.ipv6.into() };
        let found = self.address(machine, Some(near), family).filter(|ip| config.contains(*ip));
        let links = self.recipe(machine).network.values().flat_map(|link| &link.addresses);
        let fixed = links.filter_map(|text| text.split('/').next()?.parse::<IpAddr>().ok());
        for ip in fixed.filter(|ip| found.is_none() && ip.is_ipv4() == own.is_ipv4() && config.contains(*ip)) {
            // Its answer is how it is heard.
            lab.reach(config.vlan, own, ip, Duration::from_secs(2).mul_f64(self.slowness()))?;
        }
        Ok(self.address(machine, Some(near), family))
    }

    /// An address of a machine that has been heard: on segment `near` when it has one there, else where it is plugged in.
    pub fn address(&self, machine: usize, near: Option<usize>, family: IpFamily) -> Option<IpAddr> {
        let macs = self.macs(machine);
        let own = |(ip, mac): &(IpAddr, EthernetAddress)| {
            let local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
            macs.contains(mac) && ip.is_ipv4() == (family == IpFamily::Ipv4) && !local && !ip.is_unspecified()
        };
        let mut all: Vec<IpAddr> = self.lab.addresses().into_iter().filter(own).map(|(ip, _)| ip).collect();
        let inside = self.tunnelled(machine).into_iter();
        all.extend(inside.filter(|ip| ip.is_ipv4() == (family == IpFamily::Ipv4)));
        let segments = &self.lab.network().segments;
        let on = |n: usize| all.iter().copied().find(|ip| segments[n].contains(*ip));
        let plugged = self.plugged(machine);
        // Behind a tunnel the machine has the address that it was given there, or none.
        let beyond = near.is_some_and(|n| !plugged.contains(&n) && self.scenario.peers.iter().any(|p| p.leads_to(n)));
        near.and_then(on).or_else(|| plugged.into_iter().filter(|_| !beyond).find_map(on))
    }

    /// The addresses that a machine has been given through tunnels that are up.
    pub fn tunnelled(&self, machine: usize) -> Vec<IpAddr> {
        let (macs, addresses) = (self.macs(machine), self.lab.addresses());
        let gateways = self.peers.iter().filter_map(|peer| match peer {
            PeerServer::Fortinet(gateway, _) => Some(gateway.tunnels()),
            _ => None,
        });
        let own = |ip: IpAddr| addresses.get(&ip).is_some_and(|mac| macs.contains(mac));
        gateways.flatten().filter(|tunnel| own(tunnel.outside.ip())).map(|tunnel| tunnel.inside.into()).collect()
    }

    /// Segments that a machine is plugged into, in the order of its cards; of a trunk all that have a VLAN.
    pub fn plugged(&self, machine: usize) -> Vec<usize> {
        let segments = &self.scenario.segments;
        let tagged = || (0..segments.len()).filter(|n| segments[*n].vlan.is_some());
        let of = |plug: &Plug| match plug {
            Plug::Segment(n) => vec![*n],
            Plug::Trunk => tagged().collect(),
        };
        self.scenario.machines[machine].cards.iter().flat_map(of).collect()
    }

    /// What has passed the first cable of a machine.
    pub fn traffic(&self, machine: usize) -> Result<CableTraffic> {
        self.lab.traffic(self.actor(machine).cables[0])
    }

    /// How much a machine has sent to a network, through all its cables.
    pub fn sent_to(&self, machine: usize, network: Network) -> Result<u64> {
        let uncounted = || Error::bug(format!("what goes to {network} is not counted"));
        let one = |cable: &usize| self.lab.counted_to(*cable, network)?.ok_or_else(uncounted);
        self.actor(machine).cables.iter().map(one).sum()
    }

    /// Leaves what helps to understand a failure: of each machine a directory.
    pub fn evidence(&mut self, directory: &Path) -> Result<()> {
        for place in 0..self.actors.len() {
            let actor = &self.actors[place];
            let Some(machine) = &actor.machine else { continue };
            let own = directory.join(&actor.name);
            machine.evidence(&own)?;
            if !actor.shell || actor.off || machine.ended().is_some() {
                continue;
            }
            for (name, command) in [
                ("journal.txt", "journalctl -b -o short-monotonic --no-pager | tail -n 4000"),
                ("units.txt", "systemctl status --failed --no-pager -l; systemctl list-jobs --no-pager"),
                ("network.txt", "ip address; ip route; ip -6 route; ss -tulpn; nft list ruleset"),
            ] {
                let mut watch = machine.watch(|| self.lab.frames()).from_now();
                // A machine that says nothing any more has said why elsewhere.
                let Ok(said) = machine.run(command, &mut watch) else { break };
                let path = own.join(name);
                let written = diorite_host::file::write_scratch(&path, said.text + "\n");
                written.map_err(|e| Error::io("the evidence cannot be written", &path, e))?;
            }
        }
        Ok(())
    }

    /// Ends every machine and keeps the consoles.
    pub fn close(mut self, out: &Path) -> Result<()> {
        (0..self.actors.len()).for_each(|place| self.end(place));
        for (name, from) in &self.logs {
            let to = out.join(format!("{name}-console.log"));
            diorite_host::file::rename_scratch(from, &to)
                .map_err(|e| Error::io("the console's log cannot be kept", &to, e))?;
        }
        Ok(())
    }
}

/// The networks that steps ask about.
fn counted(scenario: &Scenario) -> Vec<Network> {
    let one = |step: &Step| match step.act {
        Act::Sent { what: Sent::To(network), .. } => Some(network),
        _ => None,
    };
    let all: BTreeSet<Network> = scenario.steps.iter().filter_map(one).collect();
    all.into_iter().collect()
}

/// The hardware addresses of an actor.
fn macs(actor: &Actor<'_>) -> Vec<EthernetAddress> {
    let parse = |text: &String| {
        let bytes: Vec<u8> = text.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
        (bytes.len() == 6).then(|| EthernetAddress::from_bytes(&bytes))
    };
    debug_assert!(actor.macs.iter().all(|m| parse(m).is_some_and(|mac| record::mac(mac) == *m)));
    actor.macs.iter().filter_map(parse).collect()
}

/// The lab's side of a segment; the n-th, from 0.
fn config(n: usize, segment: &Segment, quiet: Duration) -> Config {
    let number = u8::try_from(n + 1).unwrap_or(u8::MAX);
    let lease_time = Duration::from_secs(segment.lease.into());
    let mut config = Config { vlan: segment.vlan, lease_time, quiet, ..Config::numbered(number) };
    if let Some((address, prefix)) = segment.ipv4 {
        (config.ipv4, config.ipv4_prefix) = (address, prefix);
        let network = address.to_bits() & config.mask().to_bits();
        let hundredth = Ipv4Addr::from_bits(network + 100);
        let first =
            if config.on_link(hundredth) && prefix <= 24 { hundredth } else { Ipv4Addr::from_bits(network + 2) };
        config.first_lease = if first == address { Ipv4Addr::from_bits(first.to_bits() + 1) } else { first };
    }
    if let Some(address) = segment.ipv6 {
        config.ipv6 = address;
        config.ipv6_prefix = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
    }
    config
}

/// A version 8 UUID (RFC 9562 §5.8) of the first 32 hexadecimal digits.
fn uuid(digest: &str) -> String {
    let d: String = digest.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    format!("{}-{}-8{}-8{}-{}", &d[..8], &d[8..12], &d[13..16], &d[17..20], &d[20..32])
}

/// Refuses a scenario whose machines cannot be on at the same time here, before anything boots.
fn enough(scenario: &Scenario, budget: &Budget) -> Result<()> {
    let (mut on, mut most): (BTreeMap<usize, u32>, Vec<u32>) = (BTreeMap::new(), Vec::new());
    for step in &scenario.steps {
        // A machine that is switched off keeps its memory.
        if let Act::Boot { machines, .. } = &step.act {
            on.extend(machines.iter().map(|n| (*n, scenario.machines[*n].memory)));
        }
        let mut now: Vec<u32> = on.values().copied().collect();
        if let Act::Clones { machine, .. } = &step.act {
            now.push(scenario.machines[*machine].memory);
        }
        if now.iter().sum::<u32>() > most.iter().sum::<u32>() {
            most = now;
        }
    }
    if budget.fits(&most) {
        return Ok(());
    }
    let all = most.iter().sum::<u32>();
    let what = format!("there is no memory for the machines that `{}` has on at once: {all} MiB", scenario.name);
    Err(Error::host(what)
        .because(budget.words(all))
        .hint("end other programs, or give the machines less `memory` in the scenario"))
}

fn none(name: &str, memory: u32, budget: &Budget) -> Error {
    let error = Error::host(format!("there is no memory for machine `{name}`"));
    error.because(budget.words(memory)).hint("end other programs, or give it less `memory` in the scenario")
}

/// Alarms that a machine which starts anew is meant to raise.
pub const ANEW: [AlarmKind; 2] = [AlarmKind::Restarting, AlarmKind::PoweringOff];
