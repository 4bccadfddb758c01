//! Swap space, and names that no name server is asked for.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::recipe::Memory;
use std::{collections::BTreeSet, net::IpAddr};

/// What a page of swap space says of itself takes, in KiB: /proc/swaps counts without it.
const HEADER: u64 = 4;

/// Swap space is there, with the declared size.
pub fn swap(scope: &Scope<'_>) -> Vec<Check> {
    let memory = &scope.recipe.memory;
    let all = [("swap", Memory::SWAP_FILE, memory.swap), ("zram", "/dev/zram0", memory.zram)];
    let one = |(id, place, bytes): (&'static str, &'static str, Option<u64>)| {
        let bytes = bytes?;
        let what = format!("{} MiB of swap space on {place}", bytes >> 20);
        Some(Check::settling_script(id, what, "cat /proc/swaps", move |said| used(said, place, bytes)))
    };
    all.into_iter().filter_map(one).collect()
}

/// /proc/swaps, proc(5): place, type, KiB, used, priority.
fn used(output: &Output, place: &str, bytes: u64) -> Judged {
    let line =
        output.text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find(|w| w.first() == Some(&place));
    let Some(words) = line else { return Err(format!("none on {place}: {}", short(&output.text))) };
    let size = words.get(2).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default();
    verdict(size + HEADER == bytes >> 10, format!("{size} KiB, priority {}", words.last().unwrap_or(&"unknown")))
}

/// Each name of `[hosts]` has its addresses.
pub fn hosts(scope: &Scope<'_>) -> Vec<Check> {
    let one = |(name, addresses): (&String, &Vec<IpAddr>)| {
        let list = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let (what, script) =
            (format!("{name} is {list}"), format!("getent --no-addrconfig ahosts {}", quote::word(name)));
        let addresses = addresses.clone();
        Check::script(format!("host-{name}"), what, script, move |said| named(said, &addresses))
    };
    scope.recipe.hosts.iter().map(one).collect()
}

/// Lines that begin with an address, getent(1).
fn named(output: &Output, addresses: &[IpAddr]) -> Judged {
    let seen: BTreeSet<IpAddr> =
        output.text.lines().filter_map(|l| l.split_whitespace().next()?.parse().ok()).collect();
    verdict(seen == addresses.iter().copied().collect(), short(&output.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    #[test]
    fn swap_of_another_size_or_place_is_seen() {
        const SWAPS: &str = "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition\t65532\t0\t100\n";
        assert!(used(&out(SWAPS), "/dev/zram0", 64 << 20).is_ok());
        assert!(used(&out(SWAPS), "/dev/zram0", 128 << 20).is_err(), "another size");
        assert!(used(&out(SWAPS), Memory::SWAP_FILE, 64 << 20).is_err(), "another place");
        assert!(used(&out(""), "/dev/zram0", 64 << 20).is_err());
    }

    #[test]
    fn a_name_with_other_addresses_is_seen() {
        let both: Vec<IpAddr> = ["192.0.2.7", "2001:db8::7"].map(|a| a.parse().expect("an address")).to_vec();
        let said = "2001:db8::7     STREAM db.example\n2001:db8::7     DGRAM\n192.0.2.7       STREAM\n";
        assert!(named(&out(said), &both).is_ok());
        assert!(named(&out(said), &both[..1]).is_err(), "one too many");
        assert!(named(&out("192.0.2.7 STREAM db"), &both).is_err() && named(&out(""), &both).is_err());
    }
}
