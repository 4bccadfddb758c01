//! Ethernet frames: taken apart as far as the lab looks, and put together. All formats by `smoltcp::wire`.

pub use crate::fragments::fragments;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet,
        Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv6HopByHopHeader,
        Ipv6Packet, NdiscNeighborFlags, NdiscRepr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
    },
};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One end of a packet: hardware and network address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// MachineHardware address.
    pub mac: EthernetAddress,
    /// Network address.
    pub ip: IpAddr,
}

/// A frame taken apart. Checksums are not judged: the wire is a socket pair, and a guest may offload them.
#[derive(Debug)]
pub struct Packet<'a> {
    /// Sender's hardware address.
    pub source: EthernetAddress,
    /// Receiver's hardware address.
    pub destination: EthernetAddress,
    /// The virtual network it belongs to, IEEE 802.1Q.
    pub vlan: Option<u16>,
    /// The rest.
    pub body: Body<'a>,
}

/// What a frame carries.
#[derive(Debug)]
pub enum Body<'a> {
    /// ARP for IPv4.
    Arp(ArpRepr),
    /// A UDP datagram.
    Udp {
        /// Sender.
        from: SocketAddr,
        /// Receiver.
        to: SocketAddr,
        /// Data.
        data: &'a [u8],
    },
    /// A TCP segment.
    Tcp {
        /// Sender.
        from: SocketAddr,
        /// Receiver.
        to: SocketAddr,
        /// SYN, FIN, RST, PSH or none.
        control: TcpControl,
        /// Sequence number.
        sequence: TcpSeqNumber,
        /// Acknowledgement, where the ACK bit is set.
        acknowledged: Option<TcpSeqNumber>,
    },
    /// ICMP for either family: type, code and everything after the checksum.
    Icmp {
        /// Sender.
        from: IpAddr,
        /// Receiver.
        to: IpAddr,
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// What follows type, code and checksum.
        rest: &'a [u8],
    },
    /// Another IP protocol.
    Ip {
        /// Sender.
        from: IpAddr,
        /// Receiver.
        to: IpAddr,
        /// Its number.
        protocol: u8,
    },
    /// Another EtherType.
    Other(u16),
}

/// EtherType of a frame with a tag.
const TAGGED: u16 = 0x8100;

impl<'a> Packet<'a> {
    /// Takes a frame apart; `None` when it is too short or contradicts itself.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        match tag(frame) {
            Some(id) => Self::inside(Some(id), frame, 16),
            None => Self::inside(None, frame, 12),
        }
    }

    /// Takes a frame apart that is in this virtual network and bears no tag.
    pub fn within(vlan: Option<u16>, frame: &'a [u8]) -> Option<Self> {
        Self::inside(vlan, frame, 12)
    }

    /// A frame whose EtherType is at `at`.
    fn inside(vlan: Option<u16>, frame: &'a [u8], at: usize) -> Option<Self> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let (source, destination) = (ethernet.src_addr(), ethernet.dst_addr());
        let (kind, payload) = frame.get(at..)?.split_at_checked(2)?;
        let body = match EthernetProtocol::from(u16::from_be_bytes([kind[0], kind[1]])) {
            EthernetProtocol::Arp => Body::Arp(ArpRepr::parse(&ArpPacket::new_checked(payload).ok()?).ok()?),
            EthernetProtocol::Ipv4 => {
                let ip = Ipv4Packet::new_checked(payload).ok()?;
                let (from, to) = (IpAddr::V4(ip.src_addr()), IpAddr::V4(ip.dst_addr()));
                let inner = payload.get(usize::from(ip.header_len())..usize::from(ip.total_len()))?;
                transport(from, to, ip.next_header(), inner)?
            }
            EthernetProtocol::Ipv6 => {
                let ip = Ipv6Packet::new_checked(payload).ok()?;
                let (from, to) = (IpAddr::V6(ip.src_addr()), IpAddr::V6(ip.dst_addr()));
                let (mut next, mut inner) = (ip.next_header(), payload.get(40..40 + usize::from(ip.payload_len()))?);
                // Multicast listener reports carry a hop-by-hop header (RFC 3810).
                if next == IpProtocol::HopByHop {
                    next = IpProtocol::from(*inner.first()?);
                    let length = (usize::from(*inner.get(1)?) + 1) * 8;
                    Ipv6HopByHopHeader::new_checked(inner.get(2..length)?).ok()?;
                    inner = inner.get(length..)?;
                }
                transport(from, to, next, inner)?
            }
            other => Body::Other(other.into()),
        };
        Some(Self { source, destination, vlan, body })
    }
}

fn transport(from: IpAddr, to: IpAddr, protocol: IpProtocol, inner: &[u8]) -> Option<Body<'_>> {
    Some(match protocol {
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(inner).ok()?;
            let data = inner.get(8..usize::from(udp.len()))?;
            Body::Udp { from: SocketAddr::new(from, udp.src_port()), to: SocketAddr::new(to, udp.dst_port()), data }
        }
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(inner).ok()?;
            let control = match (tcp.rst(), tcp.syn(), tcp.fin()) {
                (true, _, _) => TcpControl::Rst,
                (_, true, _) => TcpControl::Syn,
                (_, _, true) => TcpControl::Fin,
                _ => TcpControl::None,
            };
            Body::Tcp {
                from: SocketAddr::new(from, tcp.src_port()),
                to: SocketAddr::new(to, tcp.dst_port()),
                control,
                sequence: tcp.seq_number(),
                acknowledged: tcp.ack().then(|| tcp.ack_number()),
            }
        }
        IpProtocol::Icmp | IpProtocol::Icmpv6 => {
            let (kind, code) = (*inner.first()?, *inner.get(1)?);
            Body::Icmp { from, to, kind, code, rest: inner.get(4..)? }
        }
        other => Body::Ip { from, to, protocol: other.into() },
    })
}

/// What an ICMP error quotes of the packet it is about: receiver, protocol, source and destination port.
/// RFC 792 and RFC 4443: the IP header and at least 8 bytes after it.
pub fn quoted(rest: &[u8]) -> Option<(IpAddr, u8, u16, u16)> {
    let packet = rest.get(4..)?;
    let (to, protocol, ports) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 15) * 4;
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (IpAddr::from(to), packet[9], packet.get(header..header + 4)?)
        }
        6 => {
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (IpAddr::from(to), packet[6], packet.get(40..44)?)
        }
        _ => return None,
    };
    Some((to, protocol, u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])))
}

/// A frame with an IP packet whose payload `fill` writes.
fn ip_frame(
    from: Host,
    to: Host,
    protocol: IpProtocol,
    length: usize,
    hops: u8,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ip = IpRepr::new(from.ip.into(), to.ip.into(), protocol, length, hops);
    let mut frame = vec![0; 14 + ip.buffer_len()];
    let kind = if from.ip.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 };
    let ethernet = EthernetRepr { src_addr: from.mac, dst_addr: to.mac, ethertype: kind };
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    ip.emit(&mut frame[14..], &ChecksumCapabilities::default());
    let header = ip.header_len();
    fill(&mut frame[14 + header..]);
    frame
}

/// The virtual network that a frame names: IEEE 802.1Q §9.6, four bytes before the EtherType, the identifier in the last
/// twelve bits.
pub fn tag(frame: &[u8]) -> Option<u16> {
    let tag = frame.get(12..18)?;
    (tag[..2] == TAGGED.to_be_bytes()).then(|| u16::from_be_bytes([tag[2], tag[3]]) & 0x0fff)
}

/// The frame inside a virtual network, or as it is.
pub fn tagged(vlan: Option<u16>, mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(id) = vlan {
        let [a, b] = TAGGED.to_be_bytes();
        let [c, d] = (id & 0x0fff).to_be_bytes();
        frame.splice(12..12, [a, b, c, d]);
    }
    frame
}

/// The frame without the tag of its virtual network, if it has one.
pub fn untagged(frame: &[u8]) -> Cow<'_, [u8]> {
    match tag(frame) {
        Some(_) => [&frame[..12], &frame[16..]].concat().into(),
        None => frame.into(),
    }
}

/// A frame that carries an IP packet; `None` when that is none.
pub fn ethernet(from: EthernetAddress, to: EthernetAddress, packet: &[u8]) -> Option<Vec<u8>> {
    let ethertype = match packet.first()? >> 4 {
        4 => EthernetProtocol::Ipv4,
        6 => EthernetProtocol::Ipv6,
        _ => return None,
    };
    let mut frame = vec![0; 14];
    EthernetRepr { src_addr: from, dst_addr: to, ethertype }.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame.extend_from_slice(packet);
    Some(frame)
}

/// The IP packet in a frame without a tag.
pub fn ip_packet(frame: &[u8]) -> Option<&[u8]> {
    let (kind, packet) = frame.get(12..)?.split_at_checked(2)?;
    matches!(kind, [0x08, 0x00] | [0x86, 0xdd]).then_some(packet)
}

/// Sender and receiver of an IP packet.
pub fn ends(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let at = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
            Some((at(12)?, at(16)?))
        }
        6 => {
            let at = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
            Some((at(8)?, at(24)?))
        }
        _ => None,
    }
}

fn arp(repr: &ArpRepr, from: EthernetAddress, to: EthernetAddress) -> Vec<u8> {
    let mut frame = vec![0; 14 + repr.buffer_len()];
    let ethernet = EthernetRepr { src_addr: from, dst_addr: to, ethertype: EthernetProtocol::Arp };
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    repr.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    frame
}

/// Asks everybody who has an IPv4 address.
pub fn who_has(mac: EthernetAddress, from: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    arp(&repr, mac, EthernetAddress::BROADCAST)
}

/// Tells a host that asked for it who has an IPv4 address.
pub fn is_at(from: Host, to: Host) -> Vec<u8> {
    let v4 = |ip| match ip {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: from.mac,
        source_protocol_addr: v4(from.ip),
        target_hardware_addr: to.mac,
        target_protocol_addr: v4(to.ip),
    };
    arp(&repr, from.mac, to.mac)
}

/// Asks the group of an IPv6 address who has it: the solicited-node address of RFC 4291 §2.7.1 and its Ethernet group.
pub fn neighbour_solicitation(mac: EthernetAddress, from: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr: target, lladdr: Some(mac.into()) });
    icmp6(mac, from, EthernetAddress([0x33, 0x33, 0xff, a, b, c]), group, 255, &repr)
}

/// Tells a host that asked for it who has an IPv6 address.
pub fn neighbour_advertisement(
    mac: EthernetAddress,
    own: Ipv6Addr,
    to_mac: EthernetAddress,
    to: Ipv6Addr,
    asked: bool,
) -> Vec<u8> {
    let solicited = if asked { NdiscNeighborFlags::SOLICITED } else { NdiscNeighborFlags::empty() };
    let flags = solicited | NdiscNeighborFlags::OVERRIDE | NdiscNeighborFlags::ROUTER;
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { flags, target_addr: own, lladdr: Some(mac.into()) });
    icmp6(mac, own, to_mac, to, 255, &repr)
}

/// A UDP datagram.
pub fn udp(from: Host, from_port: u16, to: Host, to_port: u16, data: &[u8]) -> Vec<u8> {
    let repr = UdpRepr { src_port: from_port, dst_port: to_port };
    ip_frame(from, to, IpProtocol::Udp, 8 + data.len(), 64, |inner| {
        let mut packet = UdpPacket::new_unchecked(inner);
        let caps = ChecksumCapabilities::default();
        repr.emit(&mut packet, &from.ip.into(), &to.ip.into(), data.len(), |p| p.copy_from_slice(data), &caps);
    })
}

/// A bare TCP segment without data.
pub fn tcp(from: Host, from_port: u16, to: Host, to_port: u16, control: TcpControl, sequence: TcpSeqNumber) -> Vec<u8> {
    let syn = control == TcpControl::Syn;
    let repr = TcpRepr {
        src_port: from_port,
        dst_port: to_port,
        control,
        seq_number: sequence,
        ack_number: None,
        window_len: if syn { 64240 } else { 0 },
        // As an ordinary system opens a connection: 32 bytes in all.
        window_scale: syn.then_some(7),
        max_seg_size: syn.then_some(1440),
        sack_permitted: syn,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    ip_frame(from, to, IpProtocol::Tcp, repr.buffer_len(), 64, |inner| {
        let (source, target): (IpAddress, IpAddress) = (from.ip.into(), to.ip.into());
        repr.emit(&mut TcpPacket::new_unchecked(inner), &source, &target, &ChecksumCapabilities::default());
    })
}

/// An ICMP echo request, or the reply to one, in the family of the addresses.
pub fn echo(from: Host, to: Host, reply: bool, ident: u16, seq_no: u16, data: &[u8]) -> Vec<u8> {
    let caps = ChecksumCapabilities::default();
    match (from.ip, to.ip) {
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let repr = match reply {
                false => Icmpv6Repr::EchoRequest { ident, seq_no, data },
                true => Icmpv6Repr::EchoReply { ident, seq_no, data },
            };
            icmp6(from.mac, source, to.mac, target, 64, &repr)
        }
        _ => {
            let repr = match reply {
                false => Icmpv4Repr::EchoRequest { ident, seq_no, data },
                true => Icmpv4Repr::EchoReply { ident, seq_no, data },
            };
            ip_frame(from, to, IpProtocol::Icmp, repr.buffer_len(), 64, |inner| {
                repr.emit(&mut Icmpv4Packet::new_unchecked(inner), &caps);
            })
        }
    }
}

/// A packet of another protocol of IP.
pub fn other(from: Host, to: Host, protocol: u8, data: &[u8]) -> Vec<u8> {
    ip_frame(from, to, IpProtocol::from(protocol), data.len(), 64, |inner| inner.copy_from_slice(data))
}

/// An ICMP message in the family of the addresses: type and code, and everything behind the checksum.
pub fn icmp(from: Host, to: Host, hops: u8, [kind, code]: [u8; 2], rest: &[u8]) -> Vec<u8> {
    let protocol = if from.ip.is_ipv4() { IpProtocol::Icmp } else { IpProtocol::Icmpv6 };
    ip_frame(from, to, protocol, 4 + rest.len(), hops, |inner| {
        inner[..2].copy_from_slice(&[kind, code]);
        inner[4..].copy_from_slice(rest);
        match (from.ip, to.ip) {
            (IpAddr::V6(from), IpAddr::V6(to)) => Icmpv6Packet::new_unchecked(inner).fill_checksum(&from, &to),
            _ => Icmpv4Packet::new_unchecked(inner).fill_checksum(),
        }
    })
}

/// An ICMPv6 message. Neighbour discovery demands 255 hops (RFC 4861 §6.1).
pub fn icmp6(
    from_mac: EthernetAddress,
    from: std::net::Ipv6Addr,
    to_mac: EthernetAddress,
    to: std::net::Ipv6Addr,
    hops: u8,
    repr: &Icmpv6Repr<'_>,
) -> Vec<u8> {
    let (source, target) = (Host { mac: from_mac, ip: from.into() }, Host { mac: to_mac, ip: to.into() });
    ip_frame(source, target, IpProtocol::Icmpv6, repr.buffer_len(), hops, |inner| {
        repr.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(inner), &ChecksumCapabilities::default());
    })
}
