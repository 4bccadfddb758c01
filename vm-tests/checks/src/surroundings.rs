//! Recipe → the network around the machine: as many cards as it names, with the addresses it names, and a lab that is
//! its gateway. A machine whose addresses are fixed is proven in its own network, not in one of ours.

use crate::placeholders;
use diorite_lab::{Attachment, Config, Topology};
use diorite_machine::{DataDisk, DiskBus, Ext4Name, MachineHardware, NetworkCard, credentials::Credential};
use diorite_model::{
    Recipe,
    recipe::{DiskMount, DiskName, Encryption, Enroll, FileSystem, Link, LinkKind, Protocol, StateDisk},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What the machine is plugged into.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The lab's addresses.
    pub config: Config,
    /// MachineHardware addresses of the machine's cards, in the order of their PCI addresses; all are on one switch.
    pub macs: Vec<String>,
    /// Bytes of an empty second disk, where the recipe asks for one.
    pub second: Option<u64>,
    /// Further disks, which the recipe mounts.
    pub data: Vec<DataDisk>,
    /// What the recipe's containers are to be told from outside.
    pub credentials: Vec<Credential>,
    /// How disk and cards are attached, in each of the boots.
    pub hardware: BootHardware,
    /// A new TPM, where the recipe asks for one.
    pub tpm: bool,
    /// Firmware that enforces Secure Boot with the disk's own keys, which the disk gives it by itself.
    pub own_keys: bool,
    /// Fixed addresses on the lab's segment.
    pub fixed: Vec<IpAddr>,
    /// The link that the lab looks at: its segment is the bare wire, or the VLAN of this link.
    pub front: Option<String>,
    /// A few ports that are not admitted from anywhere.
    pub quiet: Vec<u16>,
    /// Links that the lab has a host beside as well.
    pub sides: Vec<Side>,
    /// Cards whose untagged frames are a side's: place and number of the segment.
    natives: BTreeMap<usize, usize>,
}

/// What the machine is made of in each boot of a verification. A virtual machine is the same in all of them.
#[derive(Debug, Clone, Copy)]
pub struct BootHardware {
    /// The machine of which everything is asked. Snapshots are kept of it, so it has no NVMe disk.
    pub main: MachineHardware,
    /// The one with nothing injected.
    pub uninjected: MachineHardware,
    /// The one that starts from a damaged copy.
    pub tampered: MachineHardware,
}

impl BootHardware {
    /// A physical machine may have any: so each boot has another disk, and both cards are used.
    fn of(recipe: &Recipe) -> Self {
        let machine = |disk, card| MachineHardware { disk, card };
        if recipe.platform.is_metal() {
            let main = machine(DiskBus::Ahci, NetworkCard::E1000e);
            let uninjected = machine(DiskBus::Usb, NetworkCard::Igb);
            return Self { main, uninjected, tampered: machine(DiskBus::Nvme, NetworkCard::E1000e) };
        }
        let all = MachineHardware::default();
        Self { main: all, uninjected: all, tampered: all }
    }
}

/// Of these the first six that are not declared: ports that something often listens on, and some that nothing does.
const QUIET: [u16; 12] = [111, 5355, 9999, 25, 631, 65_535, 1, 4444, 33_333, 12_345, 50_505, 61_616];

impl Surroundings {
    /// Follows from the recipe alone.
    pub fn of(recipe: &Recipe) -> Self {
        // As little as was promised to be enough, and room for the partition table.
        let second = (recipe.state.disk == StateDisk::Own).then_some(recipe.state.minimum + (2 << 20));
        let tpm = recipe.state.encryption == Encryption::Tpm2;
        let own_keys = recipe.signing.as_ref().is_some_and(|signing| signing.enroll != Enroll::Manual);
        let macs: Vec<String> = cards(recipe).into_iter().map(|(mac, _)| mac).collect();
        let front = front(recipe);
        let credentials = placeholders::credentials(recipe);
        let declared = |port: &u16| {
            let both = [Protocol::Tcp, Protocol::Udp];
            recipe.firewall.allow.iter().any(|a| both.into_iter().any(|p| a.what.is_port(p, *port)))
        };
        let quiet = QUIET.into_iter().filter(|port| !declared(port)).take(6).collect();
        let (config, fixed, sides, natives) = (Config::default(), Vec::new(), Vec::new(), BTreeMap::new());
        let data = data(recipe);
        let hardware = BootHardware::of(recipe);
        let mut around = Self {
            config,
            macs,
            second,
            data,
            credentials,
            hardware,
            tpm,
            own_keys,
            fixed,
            front,
            quiet,
            sides,
            natives,
        };
        let Some(link) = around.front.as_ref().and_then(|name| recipe.network.get(name)) else { return around };
        around.fixed = settle(&mut around.config, link);
        around.sides = beside(recipe, around.front.as_deref());
        for side in &around.sides {
            // A VLAN is on every cable.
            for card in cards_below(recipe, &side.link) {
                around.natives.insert(card, side.segment);
            }
        }
        around
    }

    /// The lab's segments and cables: the card of a side is plugged into the side's segment, every other one into the
    /// front's. Nothing goes from one to another but through the machine. `change` is done to each segment.
    pub fn topology(&self, change: impl Fn(Config) -> Config) -> Topology {
        let segments = std::iter::once(&self.config).chain(self.sides.iter().map(|side| &side.config));
        let plain = Topology {
            segments: segments.cloned().map(change).collect(),
            cables: Vec::new(),
            routed: Vec::new(),
            seed: 0,
        };
        let front = self.config.vlan.is_none().then_some(0);
        (0..self.macs.len()).fold(plain, |all, n| {
            let native = self.natives.get(&n).copied().or(front);
            all.cable(format!("port{n}"), Attachment::Trunk { native })
        })
    }
}

/// Gives the lab addresses beside a link's: its fixed addresses that the lab can look for.
fn settle(config: &mut Config, link: &Link) -> Vec<IpAddr> {
    if let LinkKind::Vlan(vlan) = &link.kind {
        config.vlan = Some(vlan.id);
    }
    let gateway =
        |four: bool| link.gateways.iter().filter_map(|g| g.parse::<IpAddr>().ok()).find(|g| g.is_ipv4() == four);
    let mut fixed: Vec<IpAddr> = Vec::new();
    for (address, prefix) in link.addresses.iter().filter_map(|a| split(a)) {
        match (address, gateway(true)) {
            (IpAddr::V4(v4), Some(IpAddr::V4(gateway)))
                if link.gateway_on_link && !fixed.iter().any(IpAddr::is_ipv4) =>
            {
                config.ipv4 = gateway;
                config.first_lease = Ipv4Addr::from_bits(gateway.to_bits() + 1);
                config.beside.push(v4);
                fixed.push(address);
            }
            // Room for the lab, the machine and a lease.
            (IpAddr::V4(v4), gateway) if (8..=29).contains(&prefix) && !fixed.iter().any(IpAddr::is_ipv4) => {
                ipv4(config, v4, prefix, gateway, link);
                fixed.push(address);
            }
            (IpAddr::V6(v6), _) if !v6.is_unicast_link_local() && !fixed.iter().any(IpAddr::is_ipv6) => {
                ipv6(config, v6, gateway(false));
                fixed.push(address);
            }
            _ => {}
        }
    }
    fixed
}

fn ipv4(config: &mut Config, own: Ipv4Addr, prefix: u8, gateway: Option<IpAddr>, link: &Link) {
    let mask = u32::MAX << (32 - u32::from(prefix));
    let inside = |ip: Ipv4Addr| ip.to_bits() & mask == own.to_bits() & mask;
    let taken = |ip: Ipv4Addr| link.addresses.iter().filter_map(|a| split(a)).any(|(a, _)| a == IpAddr::V4(ip));
    let mut free = (1..).map(|n| Ipv4Addr::from_bits((own.to_bits() & mask) + n)).filter(|ip| !taken(*ip));
    let first = free.next().unwrap_or(own);
    config.ipv4 = match gateway {
        Some(IpAddr::V4(gateway)) if inside(gateway) => gateway,
        _ => first,
    };
    config.ipv4_prefix = prefix;
    config.first_lease = free.find(|ip| *ip != config.ipv4).unwrap_or(first);
}

fn ipv6(config: &mut Config, own: Ipv6Addr, gateway: Option<IpAddr>) {
    let prefix = own.to_bits() & !u128::from(u64::MAX);
    config.ipv6_prefix = Ipv6Addr::from_bits(prefix);
    let first = Ipv6Addr::from_bits(prefix + 1);
    config.ipv6 = if first == own { Ipv6Addr::from_bits(prefix + 2) } else { first };
    match gateway {
        Some(IpAddr::V6(v6)) if v6.is_unicast_link_local() => config.link_local = v6,
        Some(IpAddr::V6(v6)) if v6.to_bits() >> 64 == own.to_bits() >> 64 => config.ipv6 = v6,
        _ => {}
    }
}

/// A link that the lab has a host beside, other than the front.
#[derive(Debug, Clone)]
pub struct Side {
    /// Name of the link.
    pub link: String,
    /// Number of its segment.
    pub segment: usize,
    /// The lab's addresses there.
    pub config: Config,
    /// The machine's.
    pub fixed: Vec<IpAddr>,
    /// Whether the lab's own DHCP and router advertisements are wanted there.
    pub learns: bool,
}

/// The links that rules name, as far as they have fixed addresses.
fn beside(recipe: &Recipe, front: Option<&str>) -> Vec<Side> {
    let mut all: Vec<Side> = Vec::new();
    let front_vlan = front.and_then(|name| vlan(recipe, name));
    for (name, link) in
        recipe.network.iter().filter(|(name, link)| link.group.is_some() && Some(name.as_str()) != front)
    {
        // There is no cable to the inside of a tunnel.
        if link.kind.is_tunnel() {
            continue;
        }
        let segment = all.len() + 1;
        let mut config = Config { ula: None, ..Config::numbered(u8::try_from(segment).unwrap_or(u8::MAX)) };
        let fixed = settle(&mut config, link);
        let mut vlans = all.iter().map(|side| side.config.vlan).chain([front_vlan]).flatten();
        if fixed.is_empty() || vlans.any(|id| Some(id) == config.vlan) {
            continue;
        }
        all.push(Side {
            link: name.clone(),
            segment,
            config,
            fixed,
            learns: link.dhcp_ipv4 || link.router_advertisements,
        });
    }
    all
}

fn vlan(recipe: &Recipe, name: &str) -> Option<u16> {
    if let LinkKind::Vlan(vlan) = &recipe.network.get(name)?.kind { Some(vlan.id) } else { None }
}

/// Places of the cards whose untagged frames are a link's.
fn cards_below(recipe: &Recipe, name: &str) -> Vec<usize> {
    let Some(link) = recipe.network.get(name) else { return Vec::new() };
    match &link.kind {
        LinkKind::Card(_) => cards(recipe).iter().position(|(_, of)| of.as_deref() == Some(name)).into_iter().collect(),
        LinkKind::Bond(_) | LinkKind::Bridge(_) => {
            link.members().iter().flat_map(|member| cards_below(recipe, member)).collect()
        }
        _ => Vec::new(),
    }
}

/// `192.0.2.10/24`, taken apart.
pub(crate) fn split(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    Some((address.parse().ok()?, prefix.parse().ok()?))
}

/// The disks that are mounted at boot: with the file system that the machine expects, or empty where it makes that itself.
/// Nothing but ext4 is made here; the profile's own checks refuse what would need more.
fn data(recipe: &Recipe) -> Vec<DataDisk> {
    let mounted = recipe.mounts.iter().filter_map(|(name, mount)| Some((name, mount.disk()?)));
    let one = |(name, disk): (&String, &DiskMount)| {
        let (serial, filesystem) = match &disk.name {
            DiskName::Label(label) => (name, Some(Ext4Name::Label(label.clone()))),
            DiskName::Uuid(uuid) => (name, Some(Ext4Name::Uuid(uuid.clone()))),
            // One that is not made by the machine is known by its serial number, whatever its label.
            DiskName::Serial(serial) if disk.create => (serial, None),
            DiskName::Serial(serial) => (serial, Some(Ext4Name::Label("verify".into()))),
        };
        let made = filesystem.is_none() || disk.filesystem == FileSystem::Ext4;
        // As much as the largest of the file systems needs, and no more.
        let bytes = disk.filesystem.least() + (16 << 20);
        made.then(|| DataDisk { serial: serial.chars().take(20).collect(), bytes, filesystem })
    };
    mounted.filter_map(one).collect()
}

/// Every card a link names gets its place: by number, by hardware address, or the next free one. With its hardware
/// address the link that it is.
fn cards(recipe: &Recipe) -> Vec<(String, Option<String>)> {
    type Card = (Option<String>, Option<String>);
    let mut places: Vec<Option<Card>> = Vec::new();
    let usual = |n: usize| format!("52:54:00:12:34:{:02x}", 0x56 + n);
    let matches = || {
        recipe.network.iter().filter_map(|(name, link)| match &link.kind {
            LinkKind::Card(m) => Some((name.clone(), m)),
            _ => None,
        })
    };
    for (name, order) in matches().filter_map(|(name, m)| Some((name, m.order?))) {
        let n = usize::from(order) - 1;
        places.resize(places.len().max(n + 1), None);
        places[n] = Some((None, Some(name)));
    }
    let named =
        matches().filter_map(|(name, m)| Some((m.mac.clone()?, name))).map(|(mac, name)| (Some(mac), Some(name)));
    let any = matches().filter(|(_, m)| m.order.is_none() && m.mac.is_none()).map(|(name, _)| (None, Some(name)));
    let mut rest: Vec<Card> = named.chain(any).collect();
    if places.is_empty() && rest.is_empty() {
        rest.push((None, None));
    }
    for card in rest {
        let n = places.iter().position(Option::is_none).unwrap_or(places.len());
        places.resize(places.len().max(n + 1), None);
        places[n] = Some(card);
    }
    let card = |(n, card): (usize, Option<Card>)| {
        let (mac, link) = card.unwrap_or_default();
        (mac.unwrap_or_else(|| usual(n)), link)
    };
    places.into_iter().enumerate().map(card).collect()
}

/// The link through which the world reaches the machine: one with a gateway or DHCP before others, one on the bare wire
/// before a VLAN.
fn front(recipe: &Recipe) -> Option<String> {
    let on_wire = |name: &str, link: &Link| {
        let member = recipe.network.values().any(|l| l.members().iter().any(|m| m == name));
        let wire = match &link.kind {
            LinkKind::Vlan(vlan) => recipe.network.get(&vlan.parent).is_some_and(|parent| untagged(recipe, parent)),
            _ => untagged(recipe, link),
        };
        !member && wire
    };
    let worth = |link: &Link| match link {
        _ if link.dhcp_ipv4 || !link.gateways.is_empty() => 0,
        _ if !link.addresses.is_empty() || link.router_advertisements => 1,
        _ => 2,
    };
    let candidates = recipe.network.iter().filter(|(name, link)| on_wire(name, link) && worth(link) < 2);
    let tagged = |link: &Link| matches!(link.kind, LinkKind::Vlan(_));
    candidates.min_by_key(|(_, link)| (worth(link), tagged(link))).map(|(name, _)| name.clone())
}

/// A card, or made of cards without a VLAN between.
fn untagged(recipe: &Recipe, link: &Link) -> bool {
    match &link.kind {
        LinkKind::Card(_) => true,
        LinkKind::Bond(_) | LinkKind::Bridge(_) => {
            let below = link.members().iter().filter_map(|m| recipe.network.get(m));
            below.into_iter().any(|l| untagged(recipe, l))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::profile;

    fn around(text: &str) -> Surroundings {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{text}");
        let mut none = |name: &str| -> diorite_model::Result<profile::Loaded> { panic!("{name} is asked for") };
        Surroundings::of(&profile::parse(&text, "x.toml", &mut none).unwrap_or_else(|e| panic!("{e}")).0)
    }

    #[test]
    fn an_ordinary_machine_is_in_the_ordinary_network() {
        let plain = around("");
        assert_eq!((plain.macs.as_slice(), plain.fixed.len()), (&["52:54:00:12:34:56".to_owned()][..], 0));
        assert_eq!((plain.config.ipv4, plain.front.as_deref()), (Config::default().ipv4, Some("ethernet")));
    }

    #[test]
    fn the_lab_is_the_gateway_of_fixed_addresses() {
        let lan = around(
            "[network.lan]\naddresses = [\"192.0.2.2/28\", \"2001:db8:5::1/64\"]\ngateways = [\"192.0.2.14\", \"fe80::9\"]\n",
        );
        let c = &lan.config;
        assert_eq!(
            (c.ipv4.to_string(), c.ipv4_prefix, c.first_lease.to_string()),
            ("192.0.2.14".into(), 28, "192.0.2.3".into())
        );
        assert_eq!((c.ipv6.to_string(), c.ipv6_prefix.to_string()), ("2001:db8:5::2".into(), "2001:db8:5::".into()));
        assert_eq!((c.link_local.to_string(), lan.fixed.len()), ("fe80::9".into(), 2));
        let alone = around("[network.lan]\naddresses = [\"192.0.2.1/24\"]\n");
        assert_eq!(alone.config.ipv4.to_string(), "192.0.2.2", "nobody's address");
        let narrow = around("[network.lan]\naddresses = [\"192.0.2.1/32\"]\n");
        assert!(narrow.fixed.is_empty(), "there is no room for a lab beside a single address");
    }

    #[test]
    fn a_gateway_outside_has_the_machine_beside_it() {
        let hoster = around(
            "[network.lan]\naddresses = [\"203.0.113.7/32\"]\ngateways = [\"172.31.1.1\"]\ngateway_on_link = true\n",
        );
        let own = Ipv4Addr::new(203, 0, 113, 7);
        assert_eq!((hoster.config.ipv4, &hoster.fixed[..]), (Ipv4Addr::new(172, 31, 1, 1), &[IpAddr::V4(own)][..]));
        assert!(hoster.config.on_link(own) && !hoster.config.on_link(Ipv4Addr::new(203, 0, 113, 8)));
    }

    #[test]
    fn a_router_has_a_segment_on_each_side() {
        let router = around(
            "[network.wan]\nmatch = { order = 1 }\ndhcp = true\n[network.lan]\nmatch = { order = 2 }\n\
             addresses = [\"10.1.0.1/24\"]\n[network.guests]\nvlan = { id = 7, parent = \"lan\" }\n\
             addresses = [\"10.7.0.1/24\"]\n[network.other]\nmatch = { order = 3 }\naddresses = [\"10.9.0.1/24\"]\n\
             [firewall.forward]\nallow = [{ in = [\"lan\", \"guests\"], out = [\"wan\"] }]\n",
        );
        let sides: Vec<_> = router.sides.iter().map(|s| (s.link.as_str(), s.config.vlan, s.config.ipv4)).collect();
        assert_eq!(sides, [("guests", Some(7), Ipv4Addr::new(10, 7, 0, 2)), ("lan", None, Ipv4Addr::new(10, 1, 0, 2))]);
        let topology = router.topology(|config| config);
        assert!(topology.check(3).is_ok() && topology.routed.is_empty(), "only the machine leads across");
        let natives: Vec<_> = topology.cables.iter().map(|cable| cable.to).collect();
        let native = |native| Attachment::Trunk { native: Some(native) };
        assert_eq!(natives, [native(0), native(2), native(0)]);
    }

    #[test]
    fn cards_are_those_that_are_named() {
        let many = around(
            "[network.a]\nmatch = { order = 3 }\n[network.b]\nmatch = { mac = \"02:00:00:00:00:01\" }\nmetric = 5\n\
             [network.c]\nmatch = { name = \"en*\" }\nmetric = 6\n[network.pair]\nbond = { members = [\"a\", \"b\"] }\nmetric = 7\n",
        );
        assert_eq!(many.macs, ["02:00:00:00:00:01", "52:54:00:12:34:57", "52:54:00:12:34:58"]);
        assert_eq!(many.front.as_deref(), Some("c"), "members have no life of their own");
        let tagged = around(
            "[network.a]\nmatch = { order = 1 }\n[network.v]\nvlan = { id = 3, parent = \"a\" }\naddresses = [\"192.0.2.9/24\"]\n",
        );
        assert_eq!((tagged.front.as_deref(), tagged.config.vlan), (Some("v"), Some(3)), "everything is tagged");
        assert_eq!(tagged.fixed.len(), 1);
    }
}
