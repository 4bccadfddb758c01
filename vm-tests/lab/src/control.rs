//! The handle, as far as it changes the network while it runs: faults of cables, how servers behave, what listens.

use crate::{
    lab::Lab,
    link::{Direction, Faults},
    peers::{fortinet::Fortinet, http::Site, smtp::Smtp, syslog::Syslog},
    port::CableEnd,
    services::SegmentServices,
    switch::CableTraffic,
    tls::Certificate,
};
use diorite_model::{Error, Result, recipe::Network};
use smoltcp::wire::EthernetAddress;
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    time::Instant,
};

impl Lab {
    /// Gives a cable, by its place in the list of cables, these faults instead of those it has.
    pub fn impair(&self, cable: usize, direction: Direction, faults: Faults) -> Result<()> {
        self.known(cable)?;
        self.with(move |engine| engine.switch.set(cable, direction, faults))
    }

    /// Plugs a cable, by its place in the list of cables, into another machine: `end` is the lab's end of it. What the last
    /// machine had not read yet is lost.
    pub fn replug(&self, cable: usize, end: OwnedFd) -> Result<()> {
        self.known(cable)?;
        let end = CableEnd::new(end.into()).map_err(|e| Error::host("no new end for a cable").because(e))?;
        self.with(move |engine| engine.switch.replug(cable, end))
    }

    /// Changes how the servers on the handle's segment behave: from the next packet on, and in advertisements at once.
    pub fn change(&self, change: impl FnOnce(&mut SegmentServices) + Send + 'static) -> Result<()> {
        let segment = self.segment;
        self.with(move |engine| engine.hosts[segment].change(change, Instant::now()))
    }

    /// Lets DHCP on the handle's segment know of a lease that an earlier lab has given: a guest that was put back to a
    /// moment renews it as if nothing had happened. Best told before the guest runs.
    pub fn remember(&self, mac: EthernetAddress, address: Ipv4Addr) -> Result<()> {
        let segment = self.segment;
        self.with(move |engine| engine.hosts[segment].remember(mac, address))
    }

    /// What has passed a cable so far.
    pub fn traffic(&self, cable: usize) -> Result<CableTraffic> {
        self.known(cable)?;
        self.with(move |engine| engine.switch.traffic(cable))
    }

    fn known(&self, cable: usize) -> Result<()> {
        let cables = self.network().cables.len();
        let missing = || Error::input(format!("there is no cable {cable}"));
        let hint = || format!("cables are numbered from 0, and there are {cables}");
        if cable < cables { Ok(()) } else { Err(missing().hint(hint())) }
    }

    /// Lets a site answer HTTP on this port of the lab's host on the handle's segment.
    pub fn serve_http(&self, port: u16, site: &Site) -> Result<()> {
        let (segment, service) = (self.segment, site.service());
        self.with(move |engine| engine.hosts[segment].stack.listeners.serve(port, service))
    }

    /// The same through TLS.
    pub fn serve_https(&self, port: u16, site: &Site, certificate: &Certificate) -> Result<()> {
        let (segment, service) = (self.segment, certificate.before(site.service()));
        self.with(move |engine| engine.hosts[segment].stack.listeners.serve(port, service))
    }

    /// Lets machines dial in on this port, as the SSL VPN of a FortiGate does.
    pub fn serve_fortinet(&self, port: u16, gateway: &Fortinet, certificate: &Certificate) -> Result<()> {
        let (segment, service) = (self.segment, certificate.before(gateway.service(self.config().ipv4)));
        self.with(move |engine| engine.hosts[segment].stack.listeners.serve(port, service))
    }

    /// Takes mail on this port.
    pub fn serve_smtp(&self, port: u16, smtp: &Smtp) -> Result<()> {
        let (segment, service) = (self.segment, smtp.service());
        self.with(move |engine| engine.hosts[segment].stack.listeners.serve(port, service))
    }

    /// Receives syslog on this port, over UDP and TCP.
    pub fn serve_syslog(&self, port: u16, syslog: &Syslog) -> Result<()> {
        let (segment, service, datagrams) = (self.segment, syslog.service(), syslog.datagrams());
        self.with(move |engine| {
            engine.hosts[segment].stack.listeners.serve(port, service);
            engine.hosts[segment].datagrams.insert(port, datagrams);
        })
    }

    /// Leads every connection to a port of the host to one of a guest, from the lab's host on the handle's segment, until
    /// the lab ends. What has connected to `listener` before waits in its queue. A guest that refuses or resets a
    /// connection resets it for the host as well; an end of one direction is passed on alone.
    pub fn forward(&self, listener: TcpListener, guest: SocketAddr) -> Result<()> {
        let segment = self.segment;
        let added = self.with(move |engine| engine.hosts[segment].stack.forwards.add(listener, guest))?;
        added.map_err(|e| Error::host("a port of the host cannot be used").because(e))
    }

    /// Serves this port no more: what asks is refused. Connections that are open go on.
    pub fn stop_serving(&self, port: u16) -> Result<()> {
        let segment = self.segment;
        self.with(move |engine| {
            engine.hosts[segment].stack.listeners.stop(port);
            engine.hosts[segment].datagrams.remove(&port);
        })
    }

    /// Serves this port no more, as if whoever did were gone: its connections are reset, and what asks is refused.
    pub fn break_off(&self, port: u16) -> Result<()> {
        let segment = self.segment;
        self.with(move |engine| {
            engine.hosts[segment].stack.cut(port);
            engine.hosts[segment].datagrams.remove(&port);
        })
    }

    /// Counts from now on what machines send to each of these networks, instead of what was counted before.
    pub fn count_to(&self, networks: Vec<Network>) -> Result<()> {
        self.with(move |engine| engine.switch.count_to(&networks))
    }

    /// Frames for this network that have come from the machine on a cable; `None` where it is not counted.
    pub fn counted_to(&self, cable: usize, network: Network) -> Result<Option<u64>> {
        self.known(cable)?;
        self.with(move |engine| engine.switch.counted_to(cable, &network))
    }
}
