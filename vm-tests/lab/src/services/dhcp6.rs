//! DHCPv6 server (RFC 8415): addresses for those who ask for them, name servers and the rest for all. One address per
//! client and interface, handed out in order of asking.

use super::{Behaviour, MessageKind, Misbehaviour, dns};
use crate::{
    config::Config,
    frame::{self, Host},
};
use smoltcp::wire::EthernetAddress;
use std::{collections::BTreeMap, net::Ipv6Addr, time::Duration};

/// How the server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp6 {
    /// Whether and how it answers.
    pub behaviour: Behaviour,
    /// It hands out addresses; else it says that there are none, and gives information alone.
    pub addresses: bool,
    /// How long an address is valid. It is preferred for half of that, and to be renewed after a quarter.
    pub valid: Duration,
    /// Name servers (option 23).
    pub dns: Vec<Ipv6Addr>,
    /// Search domains (option 24).
    pub domains: Vec<String>,
}

impl Default for Dhcp6 {
    fn default() -> Self {
        let (dns, domains) = (Vec::new(), Vec::new());
        Self { behaviour: Behaviour::Good, addresses: true, valid: Duration::from_secs(7200), dns, domains }
    }
}

/// What a guest was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease6 {
    /// MachineHardware address it asked from.
    pub mac: EthernetAddress,
    /// Its identifier (DUID).
    pub duid: Vec<u8>,
    /// Its address.
    pub ipv6: Ipv6Addr,
    /// First so long after the lab's start.
    pub at: Duration,
    /// How often it was given: more than once when it was renewed.
    pub count: u64,
}

/// Clients that get an address.
const MOST: usize = 4096;

/// The server's memory.
#[derive(Debug, Default)]
pub struct Dhcp6Server {
    reserved: BTreeMap<(Vec<u8>, u32), Ipv6Addr>,
    /// Leases that were replied, by client and interface.
    pub leases: BTreeMap<(Vec<u8>, u32), Lease6>,
    /// Requests for information alone that were answered.
    pub informed: u64,
}

/// Options, RFC 8415 §21 and RFC 3646.
const CLIENT: u16 = 1;
const SERVER: u16 = 2;
const IA_NA: u16 = 3;
const ADDRESS: u16 = 5;
const ORO: u16 = 6;
const STATUS: u16 = 13;
const RAPID: u16 = 14;
const DNS: u16 = 23;
const DOMAINS: u16 = 24;
/// Messages of a server, RFC 8415 §7.3.
const ADVERTISE: u8 = 2;
const REPLY: u8 = 7;
/// Status codes, RFC 8415 §21.13.
const NO_ADDRESS: u16 = 2;
const NO_BINDING: u16 = 3;
const NOT_ON_LINK: u16 = 4;

/// Options, each with its number; `None` when a length lies.
fn options(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (value, rest) = rest.split_at_checked(length)?;
        all.push((u16::from_be_bytes([head[0], head[1]]), value));
        bytes = rest;
    }
    Some(all)
}

fn option(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
}

fn status(code: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    option(&mut bytes, STATUS, &code.to_be_bytes());
    bytes
}

/// Our own identifier: DUID-LL (RFC 8415 §11.4) for Ethernet.
fn duid(config: &Config) -> Vec<u8> {
    [&[0, 3, 0, 1], config.mac.as_bytes()].concat()
}

impl Dhcp6Server {
    /// Answers one datagram sent to port 547 from a client's link-local address.
    pub fn answer(
        &mut self,
        config: &Config,
        dhcp: &Dhcp6,
        misbehaviour: &mut Misbehaviour,
        now: Duration,
        client: Host,
        data: &[u8],
    ) -> Option<Vec<u8>> {
        let (head, rest) = data.split_at_checked(4)?;
        let asked = options(rest)?;
        let find = |kind: u16| asked.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value);
        let own = duid(config);
        let (named, to_us) = (find(SERVER).is_some(), find(SERVER).is_none_or(|server| server == own));
        // RFC 8415 §16: which messages name a server, and which must not.
        let (solicit, right) = match head[0] {
            1 => (true, !named),
            4 | 6 | 11 => (false, to_us),
            3 | 5 | 8 | 9 => (false, named && to_us),
            _ => return None,
        };
        if !right || dhcp.behaviour == Behaviour::Silent || (find(CLIENT).is_none() && head[0] != 11) {
            return None;
        }
        let who = find(CLIENT).unwrap_or_default().to_vec();
        let binds = !solicit || find(RAPID).is_some();
        let mut reply = vec![if binds { REPLY } else { ADVERTISE }, head[1], head[2], head[3]];
        if !who.is_empty() {
            option(&mut reply, CLIENT, &who);
        }
        option(&mut reply, SERVER, &own);
        if solicit && binds {
            option(&mut reply, RAPID, &[]);
        }
        for ia in asked.iter().filter(|(kind, value)| *kind == IA_NA && value.len() >= 12).map(|(_, value)| value) {
            let name = (who.clone(), u32::from_be_bytes([ia[0], ia[1], ia[2], ia[3]]));
            let inner = match head[0] {
                8 | 9 => {
                    let known = self.leases.remove(&name).is_some();
                    status(if known { 0 } else { NO_BINDING })
                }
                4 => status(if self.still_there(config, &name, ia) { 0 } else { NOT_ON_LINK }),
                _ => match self.address(config, &name).filter(|_| dhcp.addresses) {
                    None => status(NO_ADDRESS),
                    Some(ipv6) => {
                        if binds && dhcp.behaviour == Behaviour::Good {
                            let (mac, duid) = (client.mac, who.clone());
                            let lease = Lease6 { mac, duid, ipv6, at: now, count: 0 };
                            self.leases.entry(name).or_insert(lease).count += 1;
                        }
                        let mut value = ipv6.octets().to_vec();
                        value.extend(whole(dhcp.valid / 2).to_be_bytes());
                        value.extend(whole(dhcp.valid).to_be_bytes());
                        let mut inner = Vec::new();
                        option(&mut inner, ADDRESS, &value);
                        inner
                    }
                },
            };
            let times = [whole(dhcp.valid / 4).to_be_bytes(), whole(dhcp.valid / 5 * 2).to_be_bytes()];
            option(&mut reply, IA_NA, &[&ia[..4], &times[0], &times[1], &inner].concat());
        }
        let wanted = find(ORO).unwrap_or_default();
        let wants = |kind: u16| wanted.chunks_exact(2).any(|w| w == kind.to_be_bytes());
        if wants(DNS) && !dhcp.dns.is_empty() {
            option(&mut reply, DNS, &dhcp.dns.iter().flat_map(Ipv6Addr::octets).collect::<Vec<_>>());
        }
        if wants(DOMAINS) && !dhcp.domains.is_empty() {
            option(&mut reply, DOMAINS, &dhcp.domains.iter().flat_map(|name| dns::labels(name)).collect::<Vec<_>>());
        }
        self.informed += u64::from(head[0] == 11);
        let reply = misbehaviour.apply(dhcp.behaviour, reply, MessageKind::Dhcp6)?;
        let server = Host { mac: config.mac, ip: config.link_local.into() };
        Some(frame::udp(server, 547, client, 546, &reply))
    }

    /// The address of a client: the n-th after `::1000` in the announced prefix.
    fn address(&mut self, config: &Config, name: &(Vec<u8>, u32)) -> Option<Ipv6Addr> {
        if let Some(known) = self.reserved.get(name) {
            return Some(*known);
        }
        let next = config.ipv6_prefix.to_bits() >> 64 << 64 | (0x1000 + self.reserved.len() as u128);
        let next = (self.reserved.len() < MOST).then(|| Ipv6Addr::from_bits(next))?;
        Some(*self.reserved.entry(name.clone()).or_insert(next))
    }

    fn still_there(&self, config: &Config, name: &(Vec<u8>, u32), ia: &[u8]) -> bool {
        let asked = options(&ia[12..]).unwrap_or_default();
        let mut addresses = asked.iter().filter(|(kind, value)| *kind == ADDRESS && value.len() >= 24);
        let right = |value: &[u8]| {
            let ip = <[u8; 16]>::try_from(&value[..16]).ok().map(Ipv6Addr::from);
            ip.is_some_and(|ip| config.on_link6(ip)) && self.reserved.get(name).copied() == ip
        };
        addresses.all(|(_, value)| right(value))
    }
}

fn whole(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: &[u8] = b"\0\x03\0\x01\x02\0\0\0\0\x09";

    /// A message of a client with these options.
    fn message(kind: u8, more: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![kind, 1, 2, 3];
        option(&mut bytes, CLIENT, WHO);
        more.iter().for_each(|(kind, value)| option(&mut bytes, *kind, value));
        bytes
    }

    type Options = Vec<(u16, Vec<u8>)>;

    /// The message in the answer, and its options.
    fn ask(server: &mut Dhcp6Server, dhcp: &Dhcp6, data: &[u8]) -> Option<(u8, Options)> {
        let client = Host { mac: EthernetAddress([2, 0, 0, 0, 0, 9]), ip: "fe80::9".parse().expect("an address") };
        let config = Config::numbered(4);
        let frame = server.answer(&config, dhcp, &mut Misbehaviour::new(1), Duration::from_secs(3), client, data)?;
        let frame::Body::Udp { from, to, data } = frame::Packet::parse(&frame).expect("well-formed").body else {
            panic!("a datagram")
        };
        assert_eq!((from.port(), to.to_string().as_str(), &data[1..4]), (547, "[fe80::9]:546", &[1, 2, 3][..]));
        let all = options(&data[4..]).expect("well-formed");
        Some((data[0], all.into_iter().map(|(kind, value)| (kind, value.to_vec())).collect()))
    }

    fn get(options: &[(u16, Vec<u8>)], kind: u16) -> Option<Vec<u8>> {
        options.iter().find(|(k, _)| *k == kind).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_client_gets_an_address_renews_and_gives_it_back() {
        let (mut server, dhcp) = (Dhcp6Server::default(), Dhcp6::default());
        let ia = [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0];
        let (kind, offer) = ask(&mut server, &dhcp, &message(1, &[(IA_NA, &ia)])).expect("an offer");
        assert!(kind == ADVERTISE && server.leases.is_empty(), "an offer is no lease");
        let (name, given) = (get(&offer, SERVER).expect("its name"), get(&offer, IA_NA).expect("an address"));
        let expected: Ipv6Addr = "2001:db8:77:4::1000".parse().expect("an address");
        assert_eq!((&given[..4], &given[16..32]), (&ia[..4], &expected.octets()[..]));
        assert_eq!(
            (given[4..12].to_vec(), given[36..40].to_vec()),
            (vec![0, 0, 7, 8, 0, 0, 11, 64], vec![0, 0, 28, 32])
        );
        let named: &[(u16, &[u8])] = &[(SERVER, &name), (IA_NA, &given)];
        for (asked, count) in [(3, 1), (5, 2), (5, 3)] {
            let (kind, _) = ask(&mut server, &dhcp, &message(asked, named)).expect("a reply");
            let lease = server.leases.values().next().expect("a lease");
            assert_eq!((kind, lease.ipv6, lease.count, lease.duid.as_slice()), (REPLY, expected, count, WHO));
        }
        let state = |server: &mut Dhcp6Server, message: &[u8]| {
            let inner =
                get(&ask(server, &dhcp, message).expect("a reply").1, IA_NA).expect("an association")[12..].to_vec();
            u16::from_be_bytes([inner[4], inner[5]])
        };
        assert_eq!(state(&mut server, &message(4, &[(IA_NA, &given)])), 0, "it is still on this link");
        let mut moved = given.clone();
        moved[16] = 0x3f;
        assert_eq!(state(&mut server, &message(4, &[(IA_NA, &moved)])), NOT_ON_LINK);
        assert_eq!(state(&mut server, &message(8, named)), 0);
        assert_eq!(state(&mut server, &message(8, named)), NO_BINDING, "it is given back already");
        let rapid = ask(&mut server, &dhcp, &message(1, &[(IA_NA, &ia), (RAPID, &[])])).expect("a reply");
        assert!(rapid.0 == REPLY && get(&rapid.1, RAPID).is_some() && server.leases.len() == 1);
        let none = Dhcp6 { addresses: false, ..dhcp.clone() };
        let (_, offer) = ask(&mut server, &none, &message(1, &[(IA_NA, &ia)])).expect("an offer");
        assert_eq!(get(&offer, IA_NA).expect("an association")[12..], status(NO_ADDRESS));
    }

    #[test]
    fn information_is_given_to_those_who_ask_for_it() {
        let address: Ipv6Addr = "fd77::53".parse().expect("an address");
        let dhcp = Dhcp6 { dns: vec![address], domains: vec!["lab.test".into()], ..Dhcp6::default() };
        let mut server = Dhcp6Server::default();
        let (kind, told) = ask(&mut server, &dhcp, &message(11, &[(ORO, &[0, 23, 0, 24])])).expect("a reply");
        assert_eq!((kind, get(&told, DNS), server.informed), (REPLY, Some(address.octets().to_vec()), 1));
        assert_eq!(get(&told, DOMAINS).expect("domains"), b"\x03lab\x04test\0");
        let (_, told) = ask(&mut server, &dhcp, &message(11, &[])).expect("a reply");
        assert_eq!((get(&told, DNS), server.leases.len()), (None, 0));
    }

    #[test]
    fn what_is_not_for_this_server_or_cut_is_not_answered() {
        let (mut server, dhcp) = (Dhcp6Server::default(), Dhcp6::default());
        let request = message(3, &[(SERVER, b"\0\x03\0\x01somebody")]);
        assert_eq!(ask(&mut server, &dhcp, &request), None);
        assert_eq!(ask(&mut server, &dhcp, &message(3, &[])), None, "a request names its server");
        assert_eq!(ask(&mut server, &dhcp, &message(2, &[])), None, "only servers advertise");
        let solicit = message(1, &[(IA_NA, &[0; 12])]);
        assert!(ask(&mut server, &dhcp, &solicit).is_some());
        for cut in (0..solicit.len()).filter(|cut| ![18].contains(cut)) {
            assert_eq!(ask(&mut server, &dhcp, &solicit[..cut]), None, "cut at {cut}");
        }
        assert_eq!(ask(&mut server, &Dhcp6 { behaviour: Behaviour::Silent, ..dhcp }, &solicit), None);
    }
}
