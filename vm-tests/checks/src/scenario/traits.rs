//! What machines are told apart by: asked of one, read, and compared between several.

use crate::answer::{Judged, short};
use diorite_model::scenario::Trait;
use std::collections::BTreeMap;

/// What a machine said of itself.
pub type TraitValues = BTreeMap<Trait, String>;

/// A line for each trait: its word, a colon, its value. systemd(1), sshd_config(5), sysfs.
pub const SCRIPT: &str = "one() { tr '\\n' ' ' | sed 's/ *$//'; echo; }; \
    echo machine-id:$(cat /etc/machine-id); \
    printf host-keys:; cat /var/lib/ssh/ssh_host_*_key.pub 2>/dev/null | cut -d' ' -f1,2 | sort | one; \
    echo hostname:$(cat /proc/sys/kernel/hostname); \
    printf macs:; cat /sys/class/net/e*/address | sort -u | one; \
    printf addresses:; ip -o address show scope global | sed 's/.* inet6* \\([^ ]*\\) .*/\\1/' | grep -v '^10\\.8[89]\\.' | sort -u | one; \
    echo firmware:$(cat /sys/class/dmi/id/product_uuid); \
    echo state:$(findmnt -no UUID /var); \
    echo boot:$(cat /proc/sys/kernel/random/boot_id); \
    echo image:$(tr ' ' '\\n' </proc/cmdline | sed -n 's/^\\(roothash\\|usrhash\\)=//p')";

/// Reads the answer.
pub fn known(text: &str) -> TraitValues {
    let line = |(word, value): (&str, Trait)| {
        let found = text.lines().find_map(|l| l.strip_prefix(word)?.strip_prefix(':'))?.trim();
        (!found.is_empty()).then(|| (value, found.to_owned()))
    };
    Trait::ALL.into_iter().filter_map(line).collect()
}

/// Compares what was said, each with a name.
pub fn compare(all: &[(String, TraitValues)], differ: &[Trait], same: &[Trait]) -> Judged {
    for wanted in differ.iter().chain(same) {
        if let Some((name, _)) = all.iter().find(|(_, known)| !known.contains_key(wanted)) {
            return Err(format!("{name} has no {}", wanted.word()));
        }
    }
    for wanted in differ {
        for (n, (name, known)) in all.iter().enumerate() {
            if let Some((other, _)) = all[..n].iter().find(|(_, k)| k[wanted] == known[wanted]) {
                return Err(format!("{other} and {name} share their {}: {}", wanted.word(), short(&known[wanted])));
            }
        }
    }
    for wanted in same {
        if let Some((name, known)) = all.iter().find(|(_, k)| k[wanted] != all[0].1[wanted]) {
            let (first, other) = (short(&all[0].1[wanted]), short(&known[wanted]));
            return Err(format!("the {} of {} is {first}, and of {name} {other}", wanted.word(), all[0].0));
        }
    }
    let words = |list: &[Trait]| list.iter().map(|t| t.word()).collect::<Vec<_>>().join(", ");
    Ok(format!("{} looked at; different: {}; the same: {}", all.len(), words(differ), words(same)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(Trait, &str)]) -> TraitValues {
        pairs.iter().map(|(t, v)| (*t, (*v).to_owned())).collect()
    }

    #[test]
    fn what_is_shared_and_what_differs_is_found() {
        let one = ("one".to_owned(), of(&[(Trait::MachineId, "a"), (Trait::Image, "x")]));
        let two = ("two".to_owned(), of(&[(Trait::MachineId, "b"), (Trait::Image, "x")]));
        let three = ("three".to_owned(), of(&[(Trait::MachineId, "a"), (Trait::Image, "y")]));
        let good = compare(&[one.clone(), two.clone()], &[Trait::MachineId], &[Trait::Image]);
        assert!(good.is_ok(), "{good:?}");
        let all = [one, two, three];
        let twin = compare(&all, &[Trait::MachineId], &[]).expect_err("twins");
        assert_eq!(twin, "one and three share their machine-id: a");
        let other = compare(&all, &[], &[Trait::Image]).expect_err("another image");
        assert_eq!(other, "the image of one is x, and of three y");
        let none = compare(&all, &[Trait::HostKeys], &[]).expect_err("nothing is no proof");
        assert_eq!(none, "one has no host-keys");
    }

    #[test]
    fn the_answer_is_read_line_by_line() {
        let said = known("machine-id:abc\nhost-keys:\nhostname:web\nnoise\naddresses:10.0.0.1/24 fd00::1/64\n");
        assert_eq!(said.get(&Trait::MachineId).map(String::as_str), Some("abc"));
        assert_eq!(said.get(&Trait::HostKeys), None, "nothing is nothing");
        assert_eq!(said.get(&Trait::Addresses).map(String::as_str), Some("10.0.0.1/24 fd00::1/64"));
        let checked = std::process::Command::new("bash").args(["-n", "-c", SCRIPT]).output().expect("bash");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}
