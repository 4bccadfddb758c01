//! The handle, as far as it asks what a guest does for others: what it passes on, and what it offers to its neighbours.

use crate::{
    engine::EngineCommand,
    jobs::{
        offers::{DhcpOffer, OfferProbe, Offers, RouterOffer},
        pass::{Mark, Parcel, PassCatcher, PassSender, Passage},
    },
    lab::Lab,
};
use diorite_model::Result;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::AtomicBool,
        mpsc::{self, Sender},
    },
    time::{Duration, Instant},
};

impl Lab {
    /// Sends a packet from the handle's segment through a guest, for at most `limit`: whose address it bears when it
    /// arrives on the other segment, by that segment's handle.
    pub fn pass(&self, there: &Self, passage: Passage, limit: Duration) -> Result<Option<IpAddr>> {
        let (reply, answer) = mpsc::channel();
        let (number, until, arrived) = (self.number(), Instant::now() + limit, Arc::new(AtomicBool::new(false)));
        let catcher =
            PassCatcher { passage, mark: Mark(number), until, arrived: arrived.clone(), lingers: None, reply };
        there.tell(EngineCommand::Ask(Box::new(catcher)))?;
        let sender = PassSender { passage, mark: Mark(number), until, arrived, last: None };
        self.tell(EngineCommand::Ask(Box::new(sender)))?;
        self.answer(&answer)
    }

    /// Sends a packet to a guest of the handle's segment, once.
    pub fn send(&self, guest: IpAddr, parcel: Parcel) -> Result<()> {
        let own = self.config().facing(guest);
        let passage = Passage { via: guest, from: own, to: guest, parcel, at: guest, as_what: parcel };
        // It ends before it would send a second one.
        let until = Instant::now() + Duration::from_millis(900);
        let arrived = Arc::new(AtomicBool::new(false));
        let sender = PassSender { passage, mark: Mark(self.number()), until, arrived, last: None };
        self.tell(EngineCommand::Ask(Box::new(sender)))
    }

    /// Asks the guests of the handle's segment for an address, for at most `limit`.
    pub fn dhcp_offer(&self, limit: Duration) -> Result<Option<DhcpOffer>> {
        self.offer(Offers::Dhcp, limit)
    }

    /// Asks the guests of the handle's segment who is a router, for at most `limit`.
    pub fn router_offer(&self, limit: Duration) -> Result<Option<RouterOffer>> {
        self.offer(Offers::Routers, limit)
    }

    fn offer<T>(&self, offers: fn(Sender<Option<T>>) -> Offers, limit: Duration) -> Result<Option<T>> {
        let (reply, answer) = mpsc::channel();
        let until = Instant::now() + limit;
        let probe = OfferProbe { offers: offers(reply), number: self.number(), until, last: None, answered: false };
        self.tell(EngineCommand::Ask(Box::new(probe)))?;
        self.answer(&answer)
    }
}
