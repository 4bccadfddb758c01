//! Asks a check of the profile's own, again and again within its window.

use super::{Asker, Unanswered};
use crate::{
    judge::Judged,
    own::{self, Own, judge, scripts},
    plan::Family,
};
use diorite_lab::UdpVerdict;
use diorite_model::{recipe::Protocol, verify::Ask};
use std::time::{Duration, Instant};

/// A name server's port.
const NAMES: u16 = 53;

impl Asker<'_> {
    /// Asks until it is as it must be, or the window has passed.
    pub(super) fn own(&mut self, own: &Own) -> Result<Judged, Unanswered> {
        let end = Instant::now() + Duration::from_secs(own.check.retry.into()).mul_f64(self.slowness());
        loop {
            let judged = match own.family {
                Some(family) => self.own_outside(&own.check.ask, family)?,
                None => judge::inside(&own.check.ask, &self.run(&scripts::command(&own.check, self.slowness()))?),
            };
            if judged.is_ok() || Instant::now() >= end {
                return Ok(judged);
            }
            self.watch.check()?;
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// How much longer things take here than in a machine with an accelerator on a quiet host.
    fn slowness(&self) -> f64 {
        self.session.machine.pace.unit.as_secs_f64().max(1.0)
    }

    fn own_outside(&mut self, ask: &Ask, family: Family) -> Result<Judged, Unanswered> {
        let (lab, address) = (&self.session.lab, self.address(family)?);
        Ok(match ask {
            Ask::Port(p) if p.protocol == Protocol::Tcp => judge::tcp(&lab.scan(address, &[p.port])?, p.port, p.state),
            Ask::Port(p) => judge::udp(&lab.udp_probe(address, p.port, b"\0\0\0\0\0\x01\0\0\0\0\0\0")?, p.state),
            Ask::Http(h) => judge::http(h, &lab.http_get(address, h.port, &h.path)?),
            Ask::Metric(m) => judge::metric(m, &lab.http_get(address, m.port, &m.path)?),
            Ask::Dns(d) => {
                let mut found = Vec::new();
                for (id, six) in [(1, false), (2, true)] {
                    match lab.udp_probe(address, NAMES, &own::query(id, &d.name, six))? {
                        UdpVerdict::Reply(data) => match own::addresses(id, &data) {
                            Some(more) => found.extend(more),
                            None => return Ok(Err("what came is no answer to this question".to_owned())),
                        },
                        other => return Ok(no_server(&other)),
                    }
                }
                judge::dns(d, &found)
            }
            other => return Err(Unanswered::Skipped(format!("{} is not asked from outside", other.kind()))),
        })
    }
}

/// Nobody who could say that a name does not exist.
fn no_server(seen: &UdpVerdict) -> Judged {
    Err(match seen {
        UdpVerdict::Closed => "no name server: port unreachable".to_owned(),
        UdpVerdict::Rejected(code) => format!("no name server: unreachable, code {code}"),
        _ => "no name server answers".to_owned(),
    })
}
