//! Encrypted state, over several boots of the same disk with and without its TPM.

use super::*;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

/// A copy of a disk whose encrypted partition holds nothing.
fn unencrypted(disk: &Path, to: &Path) {
    fs::copy(disk, to).expect("a copy");
    let mut file = fs::File::options().read(true).write(true).open(to).expect("the copy");
    let mut magic = [0; 6];
    let length = file.metadata().expect("its length").len();
    // The header of a LUKS volume begins its partition, which begins at a MiB.
    let at = (1..length >> 20).map(|mib| mib << 20).find(|at| {
        file.read_exact_at(&mut magic, *at).expect("a disk");
        magic == *b"LUKS\xba\xbe"
    });
    file.seek(SeekFrom::Start(at.expect("there is a LUKS volume"))).expect("its place");
    file.write_all(&vec![0; 32 << 20]).expect("zeros");
}

/// Encrypted state is made where there is a TPM, opens by that one alone, also when the disk was made larger, and by a
/// recovery key. Without a TPM nothing is written; another one does not open it; the console says so.
#[test]
fn state_encrypted_to_a_tpm_opens_by_that_tpm_or_a_recovery_key() {
    let _alone = vm::alone();
    let project = Project::locked();
    let arguments = ["build", "example-encryption", "--relock", "--format", "raw"];
    let output = vm::online(&project, &arguments).output().expect("the program starts");
    let out = project.path("out/example-encryption");
    vm::expect(&output, 0, &out);
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let accelerator = accel::probe().expect("an accelerator");
    let disk = out.join("disk.raw").canonicalize().expect("the disk");
    let of = |directory: &str, disk: &Path, tpm: Option<&str>| MachineSpec {
        tpm: tpm.map(|name| project.path(name)),
        ..machine(&tools, &accelerator, disk, project.path(directory))
    };
    let written = |directory: &str, backing: &Path, more| {
        let (from, to) = (project.path(directory).join("written.qcow2"), project.path(format!("{directory}.raw")));
        raw(&tools, &from, backing, &to, more);
        to
    };
    // The partition table: protective MBR, header and entries (UEFI specification, 5.3).
    let table = |disk: &Path| {
        let mut bytes = vec![0; 34 * 512];
        fs::File::open(disk).and_then(|mut file| file.read_exact(&mut bytes)).expect("a disk");
        bytes
    };

    let said = refusal(of("none", &disk, None));
    assert!(said.contains("/var is encrypted to a TPM 2.0 and this machine has none; nothing was written"), "{said}");
    assert!(table(&written("none", &disk, 0)) == table(&disk), "the partition table was written");

    let first = life(of("first", &disk, Some("tpm")), &[]);
    let kept = written("first", &disk, 1 << 30);
    assert!(table(&kept) != table(&disk), "a partition was made, and this comparison can see it");

    let said = refusal(of("other", &kept, Some("other-tpm")));
    assert!(said.contains("this machine cannot open /var: the key is in another TPM"), "{said}");

    // The guide's words, and what is left of /var when it is not encrypted.
    let plain = project.path("plain.raw");
    unencrypted(&kept, &plain);
    let said = refusal(of("plain", &plain, Some("tpm")));
    assert!(said.contains("is not encrypted, which this image wants; it was left alone"), "{said}");

    let enrol = "systemd-cryptenroll --recovery-key --unlock-tpm2-device=auto /dev/disk/by-partlabel/var 2>/dev/null";
    let second = life(of("second", &kept, Some("tpm")), &[("recovery", enrol)]);
    let recovery = second["recovery"].clone();
    assert!(recovery.len() > 60 && recovery.matches('-').count() == 7, "no recovery key: {recovery}");

    let again = written("second", &kept, 0);
    let mut spec = of("third", &again, Some("other-tpm"));
    spec.credentials.push(Credential::new("cryptsetup.passphrase", recovery.clone()));
    let var = "/dev/disk/by-partlabel/var";
    let move_over = format!(
        "systemd-cryptenroll --wipe-slot=tpm2 {var}; PASSWORD={recovery} systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7 {var}"
    );
    let third = life(spec, &[("moved", &move_over)]);
    assert!(third["moved"].contains("New TPM2 token enrolled"), "{}", third["moved"]);
    let moved = written("third", &again, 0);
    let fourth = life(of("fourth", &moved, Some("other-tpm")), &[]);

    for life in [&first, &second, &third, &fourth] {
        assert_eq!(life["state"], "running");
    }
    for name in ["host key", "machine id", "entries"] {
        let same = [&second, &third, &fourth].iter().all(|life| life[name] == first[name]);
        assert!(!first[name].is_empty() && same, "{name}: {first:?}");
    }
    assert_eq!(["", "kept", "kept", "kept"], [&first, &second, &third, &fourth].map(|life| life["marker"].as_str()));
    let size = |life: &BTreeMap<&str, String>| life["var"].parse::<u64>().expect("MiB");
    assert!(size(&second) > size(&first) + 900, "{} MiB, then {} MiB", size(&first), size(&second));
}
