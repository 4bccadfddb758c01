//! State, /var: where it is, what it is made with, whether it is closed to others.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    output::mount,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::{
    Error, Result,
    recipe::{Encryption, FileSystem, State, StateDisk},
};
use std::{fs::File, io::Read, path::PathBuf};

/// Written to /var; on an encrypted one it cannot be found from outside.
const SECRET: &str = "diorite-verify: this is for the machine alone";
/// Written beside it, to the boot partition: the positive control of the search.
const CONTROL: &str = "diorite-verify: this is for everybody to see";
const FILE: &str = "/var/lib/diorite-verify";

/// What a recipe promises of state.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let (state, filesystem) = (&scope.recipe.state, scope.recipe.state.filesystem);
    let what = format!("/var is a separate, writable {} partition", filesystem.name());
    let mut all = vec![Check::script("state-partition", what, PARTITION, move |said| partition(said, filesystem))];
    if state.disk == StateDisk::Own {
        all.push(Check::script("state-disk", "/var is on a separate disk", DISKS, disk));
    }
    if state.encryption == Encryption::Tpm2 {
        let what = "/var is a LUKS2 volume that only the TPM unlocks, bound to PCR 7";
        all.push(Check::script("state-encrypted", what, VOLUME, encrypted));
        let what = "data written to /var cannot be read from the disks";
        all.push(Check::inside("state-unreadable", what, |machine| {
            let written = machine.run(&write())?;
            let found = search(&machine.machine().written())?;
            machine.run(SWEEP)?;
            Ok(unreadable(&written, &found))
        }));
    }
    for path in &state.volatile {
        let (id, what) = (format!("volatile{}", path.replace('/', "-")), format!("{path} is a tmpfs"));
        let path = path.clone();
        all.push(Check::script(id, what, "cat /proc/mounts", move |said| volatile(said, &path)));
    }
    all
}

/// What [`partition`] reads.
const PARTITION: &str = "cat /proc/mounts; echo \"devices:$(mountpoint -d /) $(mountpoint -d /var)\"; \
    stat -f -c 'blocks:%b %f %a' /var";

/// /proc/mounts, then a line `devices:ROOT VAR` with both device numbers, and a line `blocks:ALL FREE AVAILABLE`: what is free
/// and not available is root's alone, statvfs(3).
fn partition(output: &Output, filesystem: FileSystem) -> Judged {
    let Some((device, kind, options)) = mount(&output.text, "/var") else {
        return Err("/var is not mounted".to_owned());
    };
    let numbers = output.text.lines().find_map(|line| line.strip_prefix("devices:")).unwrap_or_default();
    let apart = matches!(numbers.split_whitespace().collect::<Vec<_>>()[..], [root, var] if root != var);
    let disk = device.starts_with("/dev/") && options.contains(&"rw") && kind == filesystem.name();
    let blocks = output.text.lines().find_map(|line| line.strip_prefix("blocks:")).unwrap_or_default();
    let blocks: Vec<u64> = blocks.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [all, free, available] = blocks[..] else { return Err(format!("statvfs: {}", short(&output.text))) };
    let reserved = free.saturating_sub(available) * 100 / all.max(1);
    // Rounded down, and of what is left beside the file system's own tables.
    let enough = filesystem != FileSystem::Ext4 || reserved + 1 >= State::RESERVED_PERCENT;
    let seen = format!("{device} {kind} {}, devices {numbers}, {reserved} % reserved", options.join(","));
    verdict(apart && disk && enough, seen)
}

/// What [`disk`] reads: the disks below each of the two file systems.
const DISKS: &str = "for m in / /var; do \
    echo \"$m on:\" $(lsblk --inverse --list --noheadings -o NAME,TYPE \"$(findmnt -no SOURCE $m)\" | sed -n 's/ *disk$//p'); \
    done";

/// `/ on: DISK…` and `/var on: DISK…`, lsblk(8).
fn disk(output: &Output) -> Judged {
    let disks = |of: &str| -> Vec<&str> {
        output.text.lines().find_map(|l| l.strip_prefix(of)).unwrap_or_default().split_whitespace().collect()
    };
    let (root, var) = (disks("/ on:"), disks("/var on:"));
    let apart = !root.is_empty() && !var.is_empty() && !var.iter().any(|disk| root.contains(disk));
    verdict(apart, short(&output.text))
}

/// /proc/mounts.
fn volatile(output: &Output, path: &str) -> Judged {
    match mount(&output.text, path) {
        None => Err("not mounted".to_owned()),
        Some((device, kind, options)) => {
            verdict(kind == "tmpfs" && options.contains(&"rw"), format!("{device} {kind} {}", options.join(",")))
        }
    }
}

/// What [`encrypted`] reads.
const VOLUME: &str = "s=$(findmnt -no SOURCE /var); echo \"dm:$(dmsetup info -c --noheadings -o UUID $s)\"; \
    echo \"table:$(dmsetup table $s)\"; \
    p=$(lsblk --inverse --list --noheadings -o NAME,TYPE $s | sed -n 's/ *part$//p' | head -n 1); \
    cryptsetup luksDump --dump-json-metadata /dev/$p";

/// `dm:UUID`, which begins with `CRYPT-LUKS2-`; `table:` as of dmsetup(8); the LUKS2 header's JSON (LUKS2 on-disk format
/// specification §3), in which every key slot must belong to the one token, of systemd's type for a TPM.
fn encrypted(output: &Output) -> Judged {
    let said = |word: &str| output.text.lines().find_map(|l| l.strip_prefix(word)).unwrap_or_default();
    let (uuid, table) = (said("dm:"), said("table:"));
    let cipher = table.split(" crypt ").nth(1).and_then(|t| t.split(' ').next()).unwrap_or_default();
    if !uuid.starts_with("CRYPT-LUKS2-") || cipher.is_empty() {
        return Err(format!("no LUKS2 volume: {}", short(&output.text)));
    }
    let from = output.text.find('{').unwrap_or(output.text.len());
    let header: serde_json::Value =
        serde_json::from_str(&output.text[from..]).map_err(|e| format!("no header: {e}"))?;
    let tokens: Vec<_> = header["tokens"].as_object().into_iter().flat_map(|t| t.values()).collect();
    let [token] = tokens[..] else { return Err(format!("{} tokens", tokens.len())) };
    let slots: Vec<_> = header["keyslots"].as_object().into_iter().flat_map(|k| k.keys()).collect();
    let sealed: Vec<_> = token["keyslots"].as_array().into_iter().flatten().filter_map(|s| s.as_str()).collect();
    let by_tpm = token["type"] == "systemd-tpm2" && !slots.is_empty() && slots == sealed;
    let policy = token["tpm2-pcrs"] == serde_json::json!([7]);
    let seen = format!("{cipher}, token {}, PCRs {}, {} key slots", token["type"], token["tpm2-pcrs"], slots.len());
    verdict(by_tpm && policy, seen)
}

/// Writes both texts, many times over, and waits until they are on the disks.
fn write() -> String {
    format!(
        "d=/efi; test -d /efi/EFI || d=/boot; yes '{SECRET}' 2>/dev/null | head -c 65536 >{FILE} && \
         yes '{CONTROL}' 2>/dev/null | head -c 65536 >$d/verify.txt && sync && echo written"
    )
}
/// Takes away what need not stay.
const SWEEP: &str = "rm -f /efi/verify.txt /boot/verify.txt";

/// How often each text is found.
#[derive(Debug, Default, PartialEq, Eq)]
struct SearchCount {
    secret: usize,
    control: usize,
}

/// Looks for both texts in every byte of these files.
fn search(files: &[PathBuf]) -> Result<SearchCount> {
    let longest = SECRET.len().max(CONTROL.len());
    let mut found = SearchCount::default();
    for path in files {
        let failed = |e| Error::io("what the machine wrote cannot be read", path, e);
        let mut file = File::open(path).map_err(failed)?;
        let (mut buffer, mut kept) = (vec![0; 1 << 20], 0);
        loop {
            let n = file.read(&mut buffer[kept..]).map_err(failed)?;
            if n == 0 {
                break;
            }
            let (whole, before) = (&buffer[..kept + n], kept);
            // What ends in the kept part was counted with it.
            let count = |text: &str| {
                let from = (before + 1).saturating_sub(text.len());
                whole[from..].windows(text.len()).filter(|w| *w == text.as_bytes()).count()
            };
            found.secret += count(SECRET);
            found.control += count(CONTROL);
            let rest = whole.len().saturating_sub(longest);
            kept = whole.len() - rest;
            buffer.copy_within(rest..rest + kept, 0);
        }
    }
    Ok(found)
}

/// What was found after [`write()`].
fn unreadable(written: &Output, found: &SearchCount) -> Judged {
    if written.text != "written" {
        return Err(format!("nothing could be written: {}", short(&written.text)));
    }
    let seen = format!("found {} times, what was written beside it {} times", found.secret, found.control);
    verdict(found.secret == 0 && found.control > 0, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    const MOUNTS: &str = "/dev/mapper/root / erofs ro 0 0\n/dev/vda6 /var ext4 rw,nosuid,nodev 0 0\n\
                          tmpfs /var/cache tmpfs rw,nosuid 0 0\n";

    #[test]
    fn partitions() {
        let of = |mounts: &str, numbers: &str, blocks: &str, kind| {
            partition(&out(&format!("{mounts}devices:{numbers}\nblocks:{blocks}")), kind)
        };
        let with = |mounts: &str, numbers: &str| of(mounts, numbers, "1000 800 760", FileSystem::Ext4);
        assert!(with(MOUNTS, "252:0 254:6").is_ok());
        assert!(with(MOUNTS, "252:0 252:0").is_err(), "the same device as the root");
        assert!(with(MOUNTS, "252:0").is_err());
        assert!(with(&MOUNTS.replace(" /var ", " /srv "), "1:1 2:2").is_err(), "not mounted");
        assert!(with(&MOUNTS.replace("ext4 rw", "ext4 ro"), "1:1 2:2").is_err(), "read-only");
        assert!(with(&MOUNTS.replace("/dev/vda6 /var ext4", "tmpfs /var tmpfs"), "1:1 0:33").is_err(), "memory");
        assert!(with(&MOUNTS.replace("ext4 rw", "xfs rw"), "1:1 2:2").is_err(), "another file system");
        assert!(of(MOUNTS, "1:1 2:2", "1000 800 800", FileSystem::Ext4).is_err(), "anybody may fill it");
        assert!(of(MOUNTS, "1:1 2:2", "", FileSystem::Ext4).is_err());
        assert!(of(&MOUNTS.replace("ext4", "xfs"), "1:1 2:2", "1000 800 800", FileSystem::Xfs).is_ok());
        assert!(volatile(&out(MOUNTS), "/var/cache").is_ok() && volatile(&out(MOUNTS), "/var").is_err());
        assert!(volatile(&out(MOUNTS), "/var/tmp").is_err());
    }

    #[test]
    fn disks() {
        assert!(disk(&out("/ on: vda\n/var on: sda")).is_ok());
        for bad in
            ["/ on: vda\n/var on: vda", "/ on: vda\n/var on:", "/ on:\n/var on: sda", "", "/ on: vda sda\n/var on: sda"]
        {
            assert!(disk(&out(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn volumes() {
        const GOOD: &str = r#"dm:CRYPT-LUKS2-0123-var
table:0 1015808 crypt aes-xts-plain64 :64:logon:cryptsetup:0123-d0 0 252:6 32768
{"keyslots":{"0":{"type":"luks2"}},"tokens":{"0":{"type":"systemd-tpm2","keyslots":["0"],"tpm2-pcrs":[7]}}}"#;
        assert_eq!(
            encrypted(&out(GOOD)).expect("good"),
            "aes-xts-plain64, token \"systemd-tpm2\", PCRs [7], 1 key slots"
        );
        for (from, to) in [
            ("CRYPT-LUKS2-", "CRYPT-PLAIN-"),
            (" crypt ", " linear "),
            ("systemd-tpm2", "systemd-recovery"),
            ("[7]", "[]"),
            ("[7]", "[11]"),
            (r#"{"0":{"type":"luks2"}}"#, r#"{"0":{"type":"luks2"},"1":{"type":"luks2"}}"#),
            (r#""keyslots":["0"]"#, r#""keyslots":["1"]"#),
            ("{\"keyslots", "nothing"),
        ] {
            assert!(encrypted(&out(&GOOD.replacen(from, to, 1))).is_err(), "{to}");
        }
        assert!(encrypted(&out("")).is_err(), "an empty answer proves nothing");
    }

    #[test]
    fn what_is_written_is_found_wherever_it_lies() {
        let path = std::env::temp_dir().join(format!("diorite-search-{}", std::process::id()));
        let mut bytes = vec![0; 3 << 20];
        // At the ends, and across the border between two reads.
        for at in [0, (1 << 20) - 7, (3 << 20) - SECRET.len()] {
            bytes[at..at + SECRET.len()].copy_from_slice(SECRET.as_bytes());
        }
        bytes[5000..5000 + CONTROL.len()].copy_from_slice(CONTROL.as_bytes());
        std::fs::write(&path, &bytes).expect("write");
        assert_eq!(search(std::slice::from_ref(&path)).expect("read"), SearchCount { secret: 3, control: 1 });
        std::fs::remove_file(path).expect("remove");
        let judged = |text: &str, secret, control| unreadable(&out(text), &SearchCount { secret, control });
        assert!(judged("written", 0, 9).is_ok());
        assert!(judged("written", 1, 9).is_err(), "it is readable");
        assert!(judged("written", 0, 0).is_err(), "a search that finds nothing proves nothing");
        assert!(judged("No space left", 0, 9).is_err());
    }
}
