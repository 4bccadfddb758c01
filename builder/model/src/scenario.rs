//! Scenario: several machines on a network and a timeline of steps, as `vm-tests/scenarios/NAME.toml` says it. Read by
//! [`crate::profile::scenario`], run by the verification side.
//!
//! Over 500 lines because it is the one list of what a scenario can say, and half of it says what that means.

use crate::{
    recipe::{Network, Protocol},
    verify::{Ask, IpFamily},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A whole scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// The file's stem.
    pub name: String,
    /// What it proves, in a sentence.
    pub about: String,
    /// All chance in the lab follows from it.
    pub seed: u64,
    /// Broadcast domains; other parts name them by their place here.
    pub segments: Vec<Segment>,
    /// Machines that are booted.
    pub machines: Vec<Machine>,
    /// Servers of the lab.
    pub peers: Vec<Peer>,
    /// The timeline.
    pub steps: Vec<Step>,
}

/// One broadcast domain with the lab's host on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// The VLAN it is on a trunk.
    pub vlan: Option<u16>,
    /// Address and prefix length of the lab's host; by default 10.77.N.1/24.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// Address of the lab's host in an announced /64; by default 2001:db8:77:N::1.
    pub ipv6: Option<Ipv6Addr>,
    /// Seconds that a lease lasts.
    pub lease: u32,
    /// Segments to which the lab's router forwards, by their places.
    pub routed: Vec<usize>,
    /// The way out that leases name, where it is not the lab's host.
    pub gateway: Option<Ipv4Addr>,
}

/// Where a machine's disk comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineSource {
    /// What `diorite build` left of this profile: its name, or its file.
    Profile(String),
    /// A raw disk, and the profile or recipe.json it was made from.
    Disk {
        /// The disk.
        disk: String,
        /// Profile or recipe.
        recipe: String,
    },
}

/// What a card's cable is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Plug {
    /// A segment, without tags.
    Segment(usize),
    /// Every segment that has a VLAN, each in its tag.
    Trunk,
}

/// A machine, or several alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its name; of several `NAME-1` to `NAME-n`.
    pub name: String,
    /// Its disk.
    pub source: MachineSource,
    /// Its cards in their order.
    pub cards: Vec<Plug>,
    /// MiB.
    pub memory: u32,
    /// Processors.
    pub cpus: u32,
    /// It has a TPM, also where its image does not ask for one.
    pub tpm: bool,
    /// How many there are, for the step `clones`; 1 for a machine that has a part in other steps.
    pub count: u32,
}

/// A server of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// The segment on whose host it listens.
    pub segment: usize,
    /// Its port.
    pub port: u16,
    /// What it does.
    pub serves: Serves,
}

impl Peer {
    /// Whether machines get into this segment through it.
    pub fn leads_to(&self, segment: usize) -> bool {
        matches!(self.serves, Serves::Fortinet { inside, .. } if inside == segment)
    }
}

/// What a server of the lab does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// Answers every path with this text.
    Http(String),
    /// The same through TLS.
    Https {
        /// The text.
        text: String,
        /// File of the server's certificate and what leads to its authority, in PEM.
        certificate: String,
        /// File of its private key, in PEM.
        key: String,
    },
    /// Takes syslog messages over UDP and TCP.
    Syslog,
    /// Takes mail.
    Smtp,
    /// Lets machines into a segment through TLS, as the SSL VPN of a FortiGate does.
    Fortinet {
        /// The segment that is behind it.
        inside: usize,
        /// The account that may come in.
        user: String,
        /// The credential of its machine that holds the password.
        credential: String,
        /// File of the gateway's certificate, in PEM.
        certificate: String,
        /// File of its private key, in PEM.
        key: String,
    },
}

/// One step of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What its id is made of.
    pub name: String,
    /// `FILE:LINE:COLUMN`.
    pub place: String,
    /// How long it is asked again until it is so.
    pub patience: Patience,
    /// It must not be so: it does not become so as long as it is asked.
    pub not: bool,
    /// What is done or asked.
    pub act: Act,
}

/// How long something that is not yet so is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Patience {
    /// Seconds; on a slow host more, in proportion.
    Seconds(u32),
    /// As long as anything moves in the machine or on the wire.
    Progress,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The machine that is asked, inside.
    Inside,
    /// The lab's host on this segment.
    Segment(usize),
    /// Another machine, by its place.
    Machine(usize),
}

/// How far a start is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// systemd says `running`: every job done, no unit failed.
    Running,
    /// The injected shell answers.
    Shell,
    /// Not at all.
    Started,
}

/// How a machine starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartKind {
    /// `systemctl reboot`.
    Reboot,
    /// The reset button.
    Reset,
    /// The power button, and switched on again.
    PowerCycle,
}

/// How a server of the lab behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As its specification says.
    Good,
    /// It never answers.
    Silent,
    /// Its answers are damaged.
    Malformed,
    /// DHCP only: every request is refused.
    Refusing,
}

/// What the name server says of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    /// Its addresses.
    Addresses(Vec<IpAddr>),
    /// That it does not exist.
    Missing,
    /// That it fails (SERVFAIL).
    Failure,
    /// Nothing.
    Silence,
    /// These addresses, in an answer to another query: to be thrown away.
    OtherQuery(Vec<IpAddr>),
    /// These addresses, in an answer about another name: to be thrown away.
    OtherName(Vec<IpAddr>),
}

/// What happens meanwhile in a machine that is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Churn {
    /// Its packet filter is loaded again.
    ReloadFirewall,
    /// Every container is started anew.
    RestartContainers,
}

/// What a machine is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trait {
    /// /etc/machine-id.
    MachineId,
    /// The secure shell's public host keys.
    HostKeys,
    /// The host name.
    Hostname,
    /// Hardware addresses of the cards.
    Macs,
    /// Global network addresses.
    Addresses,
    /// The UUID that the firmware tells.
    Firmware,
    /// The file system of /var.
    State,
    /// This boot.
    Boot,
    /// The root hash of the image.
    Image,
}

/// What a flood is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FloodKind {
    /// SYNs to a port, from addresses that nobody has.
    Syn,
    /// Datagrams to a port.
    Udp,
    /// Frames that contradict themselves.
    Malformed,
}

/// What is done or asked in a step. Machines and segments are their places in the scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Machines are switched on together.
    Boot {
        /// Machines, by their places.
        machines: Vec<usize>,
        /// How far they are waited for.
        until: Until,
        /// How often each restarts by itself before that.
        restarts: u32,
    },
    /// A question of `[[verify.check]]`.
    Ask {
        /// Of whom.
        machine: usize,
        /// Who asks.
        from: From,
        /// The question.
        ask: Ask,
    },
    /// An echo request.
    Ping {
        /// To whom.
        machine: usize,
        /// From the lab's host on this segment.
        segment: usize,
        /// In which family.
        family: IpFamily,
        /// It is answered, or it is not.
        answered: bool,
    },
    /// A lease.
    Lease {
        /// Whose.
        machine: usize,
        /// It must be acknowledged so many times more than when the step begins.
        renewals: u32,
    },
    /// A cable gets these faults, and no others.
    Link {
        /// Whose.
        machine: usize,
        /// Which card, from 0.
        card: usize,
        /// Its faults.
        link: Link,
    },
    /// A cable is pulled out or plugged in: the card sees it.
    Carrier {
        /// Whose.
        machine: usize,
        /// Which card, from 0.
        card: usize,
        /// Plugged in.
        up: bool,
    },
    /// The DHCP server changes.
    Dhcp {
        /// The segment on whose host the server is.
        segment: usize,
        /// How it behaves.
        mode: Mode,
        /// Seconds that a lease lasts from now on.
        lease: Option<u32>,
    },
    /// The name server changes.
    NameServer {
        /// The segment on whose host the server is.
        segment: usize,
        /// How it behaves.
        mode: Mode,
        /// Milliseconds by which every answer is late.
        delay: u32,
        /// What it says of names.
        names: BTreeMap<String, Says>,
        /// Long answers come over TCP only.
        truncate: bool,
    },
    /// The time server changes.
    TimeServer {
        /// The segment on whose host the server is.
        segment: usize,
        /// How it behaves.
        mode: Mode,
        /// Seconds by which its clock is ahead.
        offset: i64,
        /// It says that it may be believed.
        synchronised: bool,
    },
    /// A server of the lab goes away or is back.
    ServePeer {
        /// Which server.
        peer: usize,
        /// Its connections are broken off, and no other is taken.
        away: bool,
    },
    /// A machine starts anew.
    Restart {
        /// The machine, by its place.
        machine: usize,
        /// By which means it starts anew.
        how: RestartKind,
        /// How often, one after the other.
        times: u32,
        /// How far it is waited for.
        until: Until,
    },
    /// Machines are switched off by their power button.
    PowerOff {
        /// Machines, by their places.
        machines: Vec<usize>,
    },
    /// A machine that is off gets another system disk, as an update by a hypervisor does, and keeps its other disks.
    Replace {
        /// The machine, by its place.
        machine: usize,
        /// The machine whose image it gets.
        image: usize,
        /// Its state disk is exchanged for an empty one too.
        empty_state: bool,
    },
    /// A file system is filled until nothing more fits.
    Fill {
        /// The machine whose file system is filled.
        machine: usize,
        /// A directory on it.
        path: String,
        /// What filled it is taken away again.
        free: bool,
    },
    /// The lab floods a machine.
    Flood {
        /// The machine that is flooded.
        machine: usize,
        /// From which segment.
        segment: usize,
        /// With what.
        wave: FloodKind,
        /// To which port.
        port: u16,
        /// How many frames.
        frames: u32,
        /// How many of them in a second.
        rate: u32,
    },
    /// Every port is asked.
    Scan {
        /// Of whom.
        machine: usize,
        /// From which segment.
        segment: usize,
        /// In which family.
        family: IpFamily,
        /// TCP or UDP.
        protocol: Protocol,
        /// Ports that must be open.
        open: Vec<u16>,
        /// Ports that may be anything.
        maybe: Vec<u16>,
        /// What happens meanwhile, over and over.
        meanwhile: Vec<Churn>,
    },
    /// Machines are compared, with each other or with themselves earlier.
    Identity {
        /// Machines, by their places.
        machines: Vec<usize>,
        /// What no two share.
        differ: Vec<Trait>,
        /// What all share.
        same: Vec<Trait>,
        /// Each is compared with what it was at its last such step.
        earlier: bool,
    },
    /// All machines of a kind are booted, as many at a time as there is memory for, and compared.
    Clones {
        /// The machine with a `count`, by its place.
        machine: usize,
        /// What no two share.
        differ: Vec<Trait>,
        /// What all share.
        same: Vec<Trait>,
    },
    /// A server of the lab has heard from a machine.
    Heard {
        /// Which server.
        peer: usize,
        /// From whom.
        machine: usize,
        /// A text in what was said.
        contains: String,
    },
    /// What a machine has sent.
    Sent {
        /// The machine whose frames are counted.
        machine: usize,
        /// What of them.
        what: Sent,
    },
}

impl Act {
    /// Whether something is asked, and nothing done.
    pub fn asks(&self) -> bool {
        use Act::*;
        matches!(
            self,
            Ask { .. }
                | Ping { .. }
                | Lease { .. }
                | Scan { .. }
                | Identity { .. }
                | Clones { .. }
                | Heard { .. }
                | Sent { .. }
        )
    }
}

/// What is counted of the frames that a machine has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sent {
    /// There was a second with so many of them.
    Busiest(u64),
    /// One was for this network, whatever it was inside.
    To(Network),
}

/// Faults of a cable, both ways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Percent of frames that are lost.
    pub loss: u8,
    /// Percent that arrive twice.
    pub duplicate: u8,
    /// Percent that are damaged.
    pub corrupt: u8,
    /// Milliseconds by which each is late.
    pub delay: u32,
    /// Milliseconds more at most, by chance.
    pub jitter: u32,
    /// One may overtake another.
    pub reorder: bool,
    /// Nothing arrives.
    pub cut: bool,
    /// Longer packets are lost.
    pub mtu: Option<u16>,
}

impl Trait {
    /// Every trait with its word.
    pub const ALL: [(&'static str, Self); 9] = [
        ("machine-id", Self::MachineId),
        ("host-keys", Self::HostKeys),
        ("hostname", Self::Hostname),
        ("macs", Self::Macs),
        ("addresses", Self::Addresses),
        ("firmware", Self::Firmware),
        ("state", Self::State),
        ("boot", Self::Boot),
        ("image", Self::Image),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, t)| *t == self).map_or("", |(word, _)| word)
    }
}
