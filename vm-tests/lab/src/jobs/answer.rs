//! What a packet from a guest says about a port that was asked.

use super::verdict::PortVerdict;
use crate::frame::{self, Body, Host, Packet, quoted};
use diorite_model::recipe::Protocol;
use smoltcp::wire::{TcpControl, TcpSeqNumber};
use std::net::{IpAddr, SocketAddr};

/// What one port answered.
pub(super) struct PortAnswer {
    pub port: u16,
    pub verdict: PortVerdict,
    /// To whom an open port has sent its SYN, and what it expects next.
    half_open: Option<(SocketAddr, TcpSeqNumber)>,
}

impl PortAnswer {
    /// Takes a half-open connection back at once.
    pub fn reset(&self, packet: &Packet<'_>, own: Host) -> Option<Vec<u8>> {
        let (to, sequence) = self.half_open?;
        let Body::Tcp { from, .. } = packet.body else { return None };
        let (own, guest) = (Host { ip: to.ip(), ..own }, Host { mac: packet.source, ip: from.ip() });
        Some(frame::tcp(own, to.port(), guest, self.port, TcpControl::Rst, sequence))
    }
}

/// The answer of a port of `guest` to one of our ports, if this is one.
pub(super) fn answer(
    packet: &Packet<'_>,
    asked: Protocol,
    guest: IpAddr,
    own: impl Fn(u16) -> bool,
) -> Option<PortAnswer> {
    match packet.body {
        Body::Tcp { from, to, control, acknowledged, .. }
            if asked == Protocol::Tcp && from.ip() == guest && own(to.port()) =>
        {
            let (verdict, half_open) = match (control, acknowledged) {
                (TcpControl::Syn, Some(sequence)) => (PortVerdict::Open, Some((to, sequence))),
                (TcpControl::Rst, _) => (PortVerdict::Closed, None),
                _ => return None,
            };
            Some(PortAnswer { port: from.port(), verdict, half_open })
        }
        Body::Udp { from, to, .. } if asked == Protocol::Udp && from.ip() == guest && own(to.port()) => {
            Some(PortAnswer { port: from.port(), verdict: PortVerdict::Open, half_open: None })
        }
        // Destination unreachable: type 3 in IPv4, 1 in IPv6; port unreachable is its code 3 or 4.
        Body::Icmp { to, kind, code, rest, .. } if kind == if to.is_ipv4() { 3 } else { 1 } => {
            let number = match asked {
                Protocol::Tcp => 6,
                Protocol::Udp => 17,
            };
            let (target, protocol, source, port) = quoted(rest)?;
            let closed = asked == Protocol::Udp && code == if to.is_ipv4() { 3 } else { 4 };
            let verdict = if closed { PortVerdict::Closed } else { PortVerdict::Rejected };
            let ours = target == guest && protocol == number && own(source);
            ours.then_some(PortAnswer { port, verdict, half_open: None })
        }
        _ => None,
    }
}
