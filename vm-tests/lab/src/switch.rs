//! The Ethernet switch: cables, the segments and virtual networks they carry (IEEE 802.1Q), and who is where.

use crate::{
    frame,
    link::{DelayLine, Direction, Faults},
    pcapng::{FrameDirection, Pcapng},
    port::CableEnd,
    topology::{Attachment, Cable, Topology},
};
use diorite_model::recipe::Network;
use smoltcp::wire::EthernetAddress;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

/// The broadcast domain that a frame is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Net {
    /// A segment of the lab.
    Segment(usize),
    /// A VLAN that is no segment, or frames without a tag where they belong to none.
    Other(Option<u16>),
}

/// MachineHardware addresses that the switch remembers; frames to those that a flood pushed out go to every cable, as with a
/// real one.
const MOST_LEARNED: usize = 4096;

struct CablePlug {
    cable: Cable,
    port: CableEnd,
    from_guest: DelayLine,
    to_guest: DelayLine,
    traffic: CableTraffic,
    /// Frames of the guest for each network that is counted.
    to: Vec<(Network, u64)>,
}

/// What has passed a cable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CableTraffic {
    /// The most frames that the guest sent in one second: a flood shows here.
    pub busiest: u64,
    /// Frames that the guest sent.
    pub sent: u64,
    /// Frames that reached the guest.
    pub received: u64,
    /// Frames lost by the faults of the cable, both ways.
    pub lost: u64,
    /// Frames lost because the guest did not read.
    pub unread: u64,
    /// Frames that the switch did not let in: too short to have a sender, or with a tag at an access port.
    pub refused: u64,
    /// The second that is being counted, and its frames.
    second: (Option<Instant>, u64),
}

impl CableTraffic {
    /// Counts a frame of the guest.
    fn note(&mut self, now: Instant) {
        self.sent += 1;
        match self.second.0 {
            Some(start) if now < start + Duration::from_secs(1) => self.second.1 += 1,
            _ => self.second = (Some(now), 1),
        }
        self.busiest = self.busiest.max(self.second.1);
    }
}

impl CablePlug {
    /// Counts whom a frame of the guest is for: also one that is lost, and one that answers.
    fn note_receiver(&mut self, frame: &[u8]) {
        if self.to.is_empty() {
            return;
        }
        let plain = frame::untagged(frame);
        let Some((_, receiver)) = frame::ip_packet(&plain).and_then(frame::ends) else { return };
        self.to.iter_mut().filter(|(network, _)| network.contains(receiver)).for_each(|(_, count)| *count += 1);
    }
}

/// All cables of a lab.
pub struct Switch {
    plugs: Vec<CablePlug>,
    /// By segment.
    vlans: Vec<Option<u16>>,
    learned: BTreeMap<(Net, EthernetAddress), usize>,
    /// Gets every frame as it is at the guest's end of its cable.
    pub capture: Option<Pcapng>,
}

impl Switch {
    /// The cables of `topology`, which has been checked, in the order of `ports`.
    pub fn new(topology: &Topology, ports: Vec<CableEnd>) -> Self {
        let line = |n: usize, direction: u64| DelayLine::new(topology.seed, n as u64 * 2 + direction);
        let plug = |(n, (cable, port)): (usize, (Cable, CableEnd))| {
            let (from_guest, to_guest, traffic) = (line(n, 0), line(n, 1), CableTraffic::default());
            CablePlug { cable, port, from_guest, to_guest, traffic, to: Vec::new() }
        };
        let plugs = topology.cables.iter().cloned().zip(ports).enumerate().map(plug).collect();
        let vlans = topology.segments.iter().map(|s| s.vlan).collect();
        Self { plugs, vlans, learned: BTreeMap::new(), capture: None }
    }

    /// The sockets whose other end is there.
    pub fn open(&self) -> impl Iterator<Item = &CableEnd> {
        self.plugs.iter().map(|plug| &plug.port).filter(|port| !port.closed())
    }

    /// Another machine at the end of a cable; the faults of the cable stay.
    pub fn replug(&mut self, number: usize, end: CableEnd) {
        self.plugs[number].port = end;
    }

    /// The VLAN that a frame of this domain bears on a trunk on which it is not native.
    pub fn vlan(&self, net: Net) -> Option<u16> {
        match net {
            Net::Segment(n) => self.vlans[n],
            Net::Other(vlan) => vlan,
        }
    }

    /// The domain of frames with this tag, seen from segment `home`.
    pub fn net(&self, vlan: Option<u16>, home: usize) -> Net {
        match self.vlans.iter().position(|v| *v == vlan) {
            _ if self.vlans[home] == vlan => Net::Segment(home),
            Some(n) => Net::Segment(n),
            None => Net::Other(vlan),
        }
    }

    /// Changes the faults of a cable.
    pub fn set(&mut self, number: usize, direction: Direction, faults: Faults) {
        let plug = &mut self.plugs[number];
        if direction != Direction::ToGuest {
            plug.from_guest.set(faults.clone());
        }
        if direction != Direction::FromGuest {
            plug.to_guest.set(faults);
        }
    }

    /// What has passed a cable.
    pub fn traffic(&self, number: usize) -> CableTraffic {
        let plug = &self.plugs[number];
        let lost = plug.from_guest.lost + plug.to_guest.lost;
        CableTraffic { lost, unread: plug.port.lost, ..plug.traffic.clone() }
    }

    /// Counts from now on what guests send to these networks.
    pub fn count_to(&mut self, networks: &[Network]) {
        for plug in &mut self.plugs {
            plug.to = networks.iter().map(|network| (*network, 0)).collect();
        }
    }

    /// How many frames for this network a guest has sent.
    pub fn counted_to(&self, number: usize, network: &Network) -> Option<u64> {
        self.plugs[number].to.iter().find(|(counted, _)| counted == network).map(|(_, count)| *count)
    }

    /// Reads what guests have sent onto their cables. How many frames that were.
    pub fn read(&mut self, now: Instant) -> u64 {
        let mut all = 0;
        for number in 0..self.plugs.len() {
            let mut frames = Vec::new();
            self.plugs[number].port.receive(|frame| frames.push(frame.to_vec()));
            all += frames.len() as u64;
            for frame in frames {
                let plug = &mut self.plugs[number];
                plug.traffic.note(now);
                plug.note_receiver(&frame);
                let before = plug.from_guest.lost;
                plug.from_guest.put(frame.clone(), now);
                let lost = plug.from_guest.lost > before;
                self.keep(number, FrameDirection::FromGuest, &frame, lost);
            }
        }
        all
    }

    /// The next frame that has come through a cable from its guest.
    pub fn arrived(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let mut plugs = self.plugs.iter_mut().enumerate();
        plugs.find_map(|(number, plug)| plug.from_guest.take(now).map(|frame| (number, frame)))
    }

    /// Hands guests what has come through their cables. When something more arrives at either end.
    pub fn deliver(&mut self, now: Instant) -> Option<Instant> {
        for number in 0..self.plugs.len() {
            while let Some(frame) = self.plugs[number].to_guest.take(now) {
                self.plugs[number].port.send(&frame);
                self.plugs[number].traffic.received += 1;
                self.keep(number, FrameDirection::ToGuest, &frame, false);
            }
            self.plugs[number].port.flush();
        }
        self.plugs.iter().flat_map(|plug| [plug.from_guest.next(), plug.to_guest.next()]).flatten().min()
    }

    /// Takes a frame from a cable: its domain and the frame without a tag. `None`: the switch does not let it in.
    pub fn enter<'a>(&mut self, number: usize, frame: &'a [u8]) -> Option<(Net, Cow<'a, [u8]>)> {
        let entered = self.admit(number, frame);
        self.plugs[number].traffic.refused += u64::from(entered.is_none());
        entered
    }

    fn admit<'a>(&mut self, number: usize, frame: &'a [u8]) -> Option<(Net, Cow<'a, [u8]>)> {
        let source = EthernetAddress::from_bytes(frame.get(..14)?.get(6..12)?);
        // A tag with the number 0 is about priority alone (IEEE 802.1Q §6.9).
        let tag = frame::tag(frame).filter(|id| *id != 0);
        let net = match (self.plugs[number].cable.to, tag) {
            (Attachment::Access(n), None) => Net::Segment(n),
            (Attachment::Access(_), Some(_)) => return None,
            (Attachment::Trunk { native }, None) => native.map_or(Net::Other(None), Net::Segment),
            (Attachment::Trunk { .. }, Some(_)) => {
                self.vlans.iter().position(|v| *v == tag).map_or(Net::Other(tag), Net::Segment)
            }
        };
        let place = (net, source);
        if source.is_unicast() {
            if self.learned.len() >= MOST_LEARNED && !self.learned.contains_key(&place) {
                self.learned.pop_first();
            }
            self.learned.insert(place, number);
        }
        Some((net, frame::untagged(frame)))
    }

    /// Sends a frame without a tag to the cable its receiver is on, or to all others of its domain. `from`: the cable it
    /// came by; `None`: from the lab.
    pub fn forward(&mut self, net: Net, from: Option<usize>, frame: &[u8], now: Instant) {
        let Some(target) = frame.get(..6).map(EthernetAddress::from_bytes) else { return };
        let known = if target.is_unicast() { self.learned.get(&(net, target)).copied() } else { None };
        let tagged = frame::tagged(self.vlan(net), frame.to_vec());
        for number in 0..self.plugs.len() {
            if Some(number) == from || known.is_some_and(|known| known != number) {
                continue;
            }
            let bytes = match (self.plugs[number].cable.to, net) {
                (Attachment::Access(n), _) if net == Net::Segment(n) => frame,
                (Attachment::Access(_), _) => continue,
                (Attachment::Trunk { native: Some(native) }, Net::Segment(n)) if native == n => frame,
                (Attachment::Trunk { native: None }, Net::Other(None)) => frame,
                _ if self.vlan(net).is_some() => &tagged,
                _ => continue,
            };
            self.plugs[number].to_guest.put(bytes.to_vec(), now);
        }
    }

    fn keep(&mut self, number: usize, direction: FrameDirection, frame: &[u8], lost: bool) {
        if let Some(capture) = &mut self.capture {
            let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            // A capture that could not be written is missed where it is read.
            let _ = capture.frame(number, time, direction, frame, lost);
        }
    }
}
