//! Protocols beside TCP and UDP: what is admitted is counted as admitted when the lab sends it, and a protocol that nobody
//! declared as dropped.

use crate::{
    answer::{Judged, Unanswered, verdict},
    asker::Asker,
    check::Check,
    scope::Scope,
    sweep::Family,
};
use diorite_lab::Parcel;
use diorite_model::recipe::{Allow, Traffic};

/// For experiments, RFC 3692.
const NOBODYS: [u8; 2] = [253, 254];

/// Every protocol that the lab may send, and one that nobody may.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let entries = &scope.recipe.firewall.allow;
    let admits = |allow: &&Allow, family| scope.comes_by(allow) && admits(scope, allow, family);
    let family = |allow: &&Allow| scope.families.iter().copied().find(|family| admits(allow, *family));
    let asked = entries.iter().filter(|allow| allow.rate.is_none());
    let mut all: Vec<Check> = asked.filter_map(|allow| admitted(allow, family(&allow)?)).collect();
    let declared = |number: u8| entries.iter().any(|a| a.what == Traffic::Other(number));
    let nobodys = NOBODYS.into_iter().find(|number| !declared(*number));
    if let (false, Some(number), Some(family)) = (all.is_empty(), nobodys, scope.families.first()) {
        let what = format!("protocol {number}, which is not declared, is dropped and counted");
        let id = format!("protocol-{number}-dropped");
        all.push(counted(id, what, *family, Parcel::Ip(number), "input_dropped".to_owned()));
    }
    all
}

/// Whether an entry is about the lab's address of this family.
fn admits(scope: &Scope<'_>, allow: &Allow, family: Family) -> bool {
    let fits = allow.what.family().is_none_or(|four| four == (family == Family::V4));
    fits && scope.recipe.firewall.names(&allow.from, scope.source(family))
}

fn admitted(allow: &Allow, family: Family) -> Option<Check> {
    let parcel = match allow.what {
        // What answers nothing is invalid to the kernel, so a type must be named.
        Traffic::Icmp { kind: Some(kind), .. } => Parcel::Icmp(kind),
        Traffic::Other(number) => Parcel::Ip(number),
        _ => return None,
    };
    let (id, what) = (format!("protocol-{}-admitted", allow.id()), format!("{} is admitted", allow.what.words()));
    Some(counted(id, what, family, parcel, format!("input_{}", allow.id())))
}

/// Sends a packet to the machine, and looks whether a counter has seen one more.
pub fn counted(id: String, what: String, family: Family, parcel: Parcel, counter: String) -> Check {
    let ask = format!("nft list counter inet diorite {counter} | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'");
    let count = move |machine: &mut Asker<'_>| -> Result<Option<u64>, Unanswered> {
        Ok(machine.run(&ask)?.text.trim().parse().ok())
    };
    Check::inside(id, what, move |machine| {
        let (address, before) = (machine.address(family)?, count(machine)?);
        machine.retried(|machine| {
            machine.lab().send(address, parcel)?;
            Ok(more(before, count(machine)?))
        })
    })
    .over(family)
}

fn more(before: Option<u64>, after: Option<u64>) -> Judged {
    match (before, after) {
        (Some(before), Some(after)) => verdict(after > before, format!("{before} packets before, {after} after")),
        _ => Err("there is no such counter".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scope::tests::recipe_of};

    #[test]
    fn what_is_declared_is_sent() {
        let recipe = recipe_of(
            "[network.lan]\ndhcp = true\n[firewall]\nallow = [{ protocol = \"esp\" }, { number = 253 }, \
             { protocol = \"icmp\", type = \"timestamp-request\" }, { protocol = \"gre\", from = [\"192.0.2.0/24\"] }]\n",
        );
        let ids: Vec<String> = plan::of(&recipe, &[]).into_iter().map(|c| c.id).collect();
        let asked: Vec<&str> = ids.iter().map(String::as_str).filter(|id| id.starts_with("protocol-")).collect();
        assert_eq!(
            asked,
            [
                "protocol-esp-admitted",
                "protocol-protocol_253-admitted",
                "protocol-icmp_timestamp_request-admitted",
                "protocol-254-dropped"
            ]
        );
    }

    #[test]
    fn a_packet_that_is_not_counted_is_seen() {
        assert!(more(Some(1), Some(2)).is_ok());
        assert!(more(Some(1), Some(1)).is_err() && more(None, Some(1)).is_err() && more(Some(1), None).is_err());
    }
}
