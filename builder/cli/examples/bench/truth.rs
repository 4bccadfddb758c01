//! What a machine's ports must answer, by its own word: what `nft list ruleset` lets in, and who listens by `ss`. It
//! knows nothing of the recipe, and so it can contradict both the recipe and the scanner.

use diorite_lab::PortVerdict;
use std::collections::BTreeSet;

/// What is asked of the guest's shell.
pub const QUESTION: &str = "echo ==rules; nft list table inet diorite; echo ==listen; ss -Hltn; echo ==published; nft list ruleset | grep 'dnat '";

/// Ports by what they must answer to a SYN by IPv4; every other is silent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Truth {
    open: BTreeSet<u16>,
    closed: BTreeSet<u16>,
}

impl Truth {
    /// Reads the answers to [`QUESTION`].
    pub fn read(text: &str) -> Self {
        let (mut admitted, mut forwarded) = (BTreeSet::new(), BTreeSet::new());
        let (mut listening, mut published) = (BTreeSet::new(), BTreeSet::new());
        let (mut part, mut chain) = ("", "");
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("==") {
                part = name;
            } else if let Some(name) = line.strip_prefix("chain ") {
                chain = name.trim_end_matches(" {");
            } else if part == "rules" && line.ends_with("accept") && !line.starts_with("iif") && !line.contains("ip6 ")
            {
                match chain {
                    "input" => admitted.extend(after(line, "tcp dport ")),
                    "forward" if line.contains("ct status dnat") => {
                        forwarded.extend(after(line, "ct original proto-dst "));
                    }
                    _ => {}
                }
            } else if part == "listen" {
                let address = line.split_whitespace().nth(3).unwrap_or_default();
                let (address, port) = address.rsplit_once(':').unwrap_or_default();
                // What is bound to IPv6 alone shows as [::] too; the wildcard takes both here (bindv6only is 0).
                if ["0.0.0.0", "*", "[::]"].contains(&address) {
                    listening.extend(port.parse::<u16>());
                }
            } else if part == "published" {
                published.extend(after(line, "tcp dport "));
            }
        }
        let open = admitted.intersection(&listening).chain(forwarded.intersection(&published)).copied().collect();
        let closed = admitted.difference(&listening).copied().collect();
        Self { open, closed }
    }

    /// How many ports answer at all.
    pub fn answering(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    /// What this port must answer.
    pub fn of(&self, port: u16) -> PortVerdict {
        match () {
            () if self.open.contains(&port) => PortVerdict::Open,
            () if self.closed.contains(&port) => PortVerdict::Closed,
            () => PortVerdict::Silent,
        }
    }
}

/// The port, ports or range behind a word of a rule.
fn after(line: &str, word: &str) -> Vec<u16> {
    let Some((_, rest)) = line.split_once(word) else { return Vec::new() };
    let list = match rest.strip_prefix('{') {
        Some(set) => set.split_once('}').map_or(set, |(set, _)| set),
        None => rest.split_whitespace().next().unwrap_or_default(),
    };
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(first.trim().parse::<u16>().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rules_and_listeners_say() {
        let truth = Truth::read(
            "==rules\nchain input {\niif \"lo\" accept\niifname \"podman*\" tcp dport 53 accept\n\
             tcp dport { 22, 5000-5001 } counter accept\nip6 saddr fe80::/10 tcp dport 7 accept\ntcp dport 25 drop\n}\n\
             chain forward {\nmeta l4proto tcp ct status dnat ct original proto-dst 8080 accept\n}\n\
             ==listen\nLISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nLISTEN 0 128 127.0.0.1:5000 0.0.0.0:*\n\
             ==published\nip daddr 10.0.0.1 tcp dport 8080 dnat ip to 10.88.0.2:80",
        );
        assert_eq!(
            (truth.of(22), truth.of(5000), truth.of(5001)),
            (PortVerdict::Open, PortVerdict::Closed, PortVerdict::Closed)
        );
        assert_eq!(
            (truth.of(8080), truth.of(53), truth.of(25)),
            (PortVerdict::Open, PortVerdict::Silent, PortVerdict::Silent)
        );
        assert_eq!(truth.answering(), 4);
    }
}
