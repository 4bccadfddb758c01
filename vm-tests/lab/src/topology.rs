//! Which segments there are, what each cable is plugged into, and between which segments the lab's router forwards.

use crate::config::Config;
use diorite_model::{Error, Result};
use std::net::IpAddr;

/// What a cable is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// A port of one segment: frames without a tag belong to it, frames with one are refused.
    Access(usize),
    /// A port of all segments that have a VLAN, each in its tag, and of every other VLAN that somebody uses; frames
    /// without a tag belong to the native segment.
    Trunk {
        /// The native segment. `None`: frames without a tag reach other such trunks and no host of the lab.
        native: Option<usize>,
    },
}

/// One cable between a machine's card and the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cable {
    /// Its name in captures and messages.
    pub name: String,
    /// Where its other end is.
    pub to: Attachment,
}

/// The network around the machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The segments; places in this list name them.
    pub segments: Vec<Config>,
    /// The cables, in the order of their sockets.
    pub cables: Vec<Cable>,
    /// Pairs of segments between which the router forwards, both ways, without translating addresses.
    pub routed: Vec<[usize; 2]>,
    /// From this everything follows that the lab does by chance.
    pub seed: u64,
}

impl Topology {
    /// One segment and this many cables, which carry every VLAN.
    pub fn single(config: Config, cables: usize) -> Self {
        let native = config.vlan.is_none().then_some(0);
        let plain = Self { segments: vec![config], cables: Vec::new(), routed: Vec::new(), seed: 0 };
        (0..cables).fold(plain, |all, n| all.cable(format!("port{n}"), Attachment::Trunk { native }))
    }

    /// These segments, all routed among each other, and no cable yet.
    pub fn routed(segments: impl IntoIterator<Item = Config>) -> Self {
        let segments: Vec<Config> = segments.into_iter().collect();
        let routed = (0..segments.len()).flat_map(|a| (0..a).map(move |b| [b, a])).collect();
        Self { segments, cables: Vec::new(), routed, seed: 0 }
    }

    /// With one more cable.
    pub fn cable(mut self, name: impl Into<String>, to: Attachment) -> Self {
        self.cables.push(Cable { name: name.into(), to });
        self
    }

    /// Whether packets go from one segment to the other.
    pub fn forwards(&self, from: usize, to: usize) -> bool {
        from == to || self.routed.iter().any(|pair| *pair == [from, to] || *pair == [to, from])
    }

    /// Refuses what contradicts itself.
    pub fn check(&self, sockets: usize) -> Result<()> {
        let segments = self.segments.len();
        let missing = |n: usize| {
            let hint = format!("segments are numbered from 0, and there are {segments}");
            Error::input(format!("there is no segment {n}")).hint(hint)
        };
        if segments == 0 {
            return Err(Error::input("a lab has at least one segment"));
        }
        if self.cables.len() != sockets {
            let cause = format!("{} cables are described and {sockets} are there", self.cables.len());
            return Err(Error::input("every cable needs a machine").because(cause));
        }
        for cable in &self.cables {
            let segment = match cable.to {
                Attachment::Access(n) => Some(n),
                Attachment::Trunk { native } => native,
            };
            if let Some(n) = segment.filter(|n| *n >= segments) {
                return Err(missing(n).at(format!("cable {}", cable.name)));
            }
        }
        for [a, b] in &self.routed {
            let place = format!("the route between {a} and {b}");
            if let Some(n) = [*a, *b].into_iter().find(|n| *n >= segments) {
                return Err(missing(n).at(place));
            }
            let (one, two) = (&self.segments[*a], &self.segments[*b]);
            let v6 = [Some(one.ipv6), one.ula_host()].into_iter().flatten().map(IpAddr::V6);
            let shared = v6.chain([one.ipv4.into()]).find(|ip| two.contains(*ip));
            let shared = shared.or_else(|| one.on_link(two.ipv4).then_some(two.ipv4.into()));
            if let Some(ip) = shared.filter(|_| a != b) {
                let error = Error::input(format!("{ip} is on both segments")).at(place);
                return Err(error.hint("a router needs networks that do not overlap; `Config::numbered` makes some"));
            }
        }
        for (n, segment) in self.segments.iter().enumerate() {
            let place = format!("segment {n}");
            if !(8..=30).contains(&segment.ipv4_prefix) {
                let error = Error::input(format!("a network of {} bits", segment.ipv4_prefix)).at(place);
                return Err(error.hint("IPv4 prefixes are 8 to 30 bits long"));
            }
            if segment.mtu < 1280 {
                let error = Error::input(format!("packets of {} bytes at most", segment.mtu)).at(place);
                return Err(error.hint("IPv6 needs 1280 (RFC 8200 §5)"));
            }
            if segment.vlan.is_some_and(|id| !(1..=4094).contains(&id)) {
                return Err(Error::input("a VLAN's number is between 1 and 4094").at(place));
            }
            let twin = self.segments[..n].iter().position(|s| s.vlan.is_some() && s.vlan == segment.vlan);
            if let (Some(twin), Some(id)) = (twin, segment.vlan) {
                return Err(Error::input(format!("VLAN {id} is segment {twin} as well")).at(place));
            }
            if let Some(twin) = self.segments[..n].iter().position(|s| s.mac == segment.mac) {
                let error = Error::input(format!("the host has the hardware address of segment {twin}")).at(place);
                return Err(error.hint("`Config::numbered` gives each its own"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_itself_is_refused_in_words() {
        let two = || Topology::routed([Config::numbered(1), Config::numbered(2)]);
        assert!(two().check(0).is_ok() && Topology::single(Config::default(), 3).check(3).is_ok());
        let segment = |change: fn(&mut Config)| {
            let mut topology = two();
            change(&mut topology.segments[1]);
            topology
        };
        let wrong = [
            Topology::routed([]),
            two().cable("a", Attachment::Access(0)).cable("b", Attachment::Access(0)),
            two().cable("uplink", Attachment::Trunk { native: Some(2) }),
            Topology { routed: vec![[0, 7]], ..two() },
            segment(|s| s.ipv4 = "10.77.1.9".parse().expect("an address")),
            segment(|s| s.ula = Config::numbered(1).ula),
            segment(|s| s.ipv4_prefix = 31),
            segment(|s| s.mtu = 576),
            segment(|s| s.vlan = Some(4095)),
            Topology {
                segments: [Config::numbered(1), Config::numbered(2)].map(|s| Config { vlan: Some(7), ..s }).into(),
                ..two()
            },
            segment(|s| s.mac = Config::numbered(1).mac),
        ];
        let texts = wrong.map(|t| t.check(t.cables.len().min(1)).expect_err("refused").to_string());
        insta::assert_snapshot!("errors", texts.join("\n\n"));
    }
}
