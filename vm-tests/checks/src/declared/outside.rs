//! Asks a check of the profile's own on the wire.

use super::{
    dns::{addresses, query},
    judge,
};
use crate::{
    answer::{AskResult, Judged, Unanswered},
    asker::Asker,
    sweep::Family,
};
use diorite_lab::{HttpReply, Lab, UdpVerdict};
use diorite_model::{
    Result,
    recipe::Protocol,
    verify::{Ask, Http},
};
use std::net::IpAddr;

/// A name server's port.
const NAMES: u16 = 53;
/// A name server's query without a question: who serves names answers it, with an error.
pub const EMPTY_QUERY: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0";

/// Asks once.
pub fn ask(machine: &Asker<'_>, ask: &Ask, family: Family) -> AskResult {
    let (lab, address) = (machine.lab(), machine.address(family)?);
    Ok(match ask {
        Ask::Port(p) if p.protocol == Protocol::Tcp => judge::tcp(&lab.scan(address, &[p.port])?, p.port, p.state),
        Ask::Port(p) => judge::udp(&lab.udp_probe(address, p.port, EMPTY_QUERY)?, p.state),
        Ask::Http(h) => judge::http(h, &page(lab, address, h)?),
        Ask::Metric(m) => judge::metric(m, &lab.http_get(address, m.port, &m.path)?),
        Ask::Dns(d) => {
            let mut found = Vec::new();
            for (id, six) in [(1, false), (2, true)] {
                match lab.udp_probe(address, NAMES, &query(id, &d.name, six))? {
                    UdpVerdict::Reply(data) => match addresses(id, &data) {
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

/// The page that is asked for.
pub fn page(lab: &Lab, address: IpAddr, http: &Http) -> Result<Result<HttpReply, String>> {
    match http.tls {
        true => Ok(lab.https_get(address, http.port, None, &http.path)?.map(|(page, _)| page)),
        false => lab.http_get(address, http.port, &http.path),
    }
}

/// No server answered, so that nothing is known of the name.
fn no_server(seen: &UdpVerdict) -> Judged {
    Err(match seen {
        UdpVerdict::Closed => "no name server: port unreachable".to_owned(),
        UdpVerdict::Rejected(code) => format!("no name server: unreachable, code {code}"),
        _ => "no name server answers".to_owned(),
    })
}
