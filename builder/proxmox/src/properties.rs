//! Property strings: `local:vm-100-disk-0,discard=on,size=4G`. Their order says nothing.

use std::collections::BTreeMap;

/// The value without a name, and those with one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// What stands first: a volume.
    pub first: Option<String>,
    /// The rest.
    pub named: BTreeMap<String, String>,
}

impl Properties {
    /// Reads one.
    pub fn of(text: &str) -> Self {
        let mut all = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, value)) => drop(all.named.insert(name.to_owned(), value.to_owned())),
                None => all.first = Some(part.to_owned()),
            }
        }
        all
    }

    /// Whether everything that `desired` says is here as well; what only the hypervisor says (sizes, addresses) may be too.
    pub fn hold(&self, desired: &Properties) -> bool {
        let first = desired.first.is_none() || desired.first == self.first;
        // An empty value stands for what the hypervisor chooses.
        first
            && desired.named.iter().all(|(name, value)| match self.named.get(name) {
                Some(found) => value.is_empty() || found.eq_ignore_ascii_case(value),
                None => false,
            })
    }

    /// A value by its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }
}

/// The volume that a disk's property string names.
pub fn volume(text: &str) -> &str {
    text.split(',').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_found_in_any_order() {
        let there = Properties::of("virtio=BC:24:11:00:00:01,firewall=1,bridge=vmbr0,tag=5");
        assert!(there.hold(&Properties::of("virtio=,bridge=vmbr0,firewall=1")));
        assert!(there.hold(&Properties::of("virtio=bc:24:11:00:00:01")));
        for wrong in ["virtio=,bridge=vmbr1", "e1000=", "virtio=BC:24:11:00:00:02", "virtio=,mtu=1400"] {
            assert!(!there.hold(&Properties::of(wrong)), "{wrong}");
        }
        let disk = Properties::of("local:vm-100-disk-0,discard=on,size=4G");
        assert!(disk.hold(&Properties::of("discard=on")) && disk.hold(&Properties::of("local:vm-100-disk-0")));
        assert!(!disk.hold(&Properties::of("local:vm-100-disk-1")));
        assert_eq!(volume("local:vm-100-disk-0,discard=on"), "local:vm-100-disk-0");
    }
}
