//! `[state]`: what is refused, and what follows.

use super::*;
use crate::recipe::{Encryption, FileSystem};

#[test]
fn errors_show_the_line() {
    let all = [
        with("disk = \"own\"", "disk = \"/dev/sdb\""),
        with("volatile = [\"/var/cache\"]", "volatile = [\"/etc\"]"),
        with("volatile = [\"/var/cache\"]", "volatile = [\"/var/lib\"]"),
        with("volatile = [\"/var/cache\"]", "volatile = [\"/var/cache\", \"/var/cache/apt\"]"),
        with("encryption = \"tpm2\"", "encryption = \"tpm\""),
        with("filesystem = \"xfs\"", "filesystem = \"zfs\""),
        with("minimum = \"1G\"", "minimum = \"32M\""),
        with("minimum = \"1G\"", "minimum = \"256M\""),
        with("blocked_modules = [\"usb-storage\"]", "blocked_modules = [\"usb-storage\", \"dm-crypt\"]"),
        with("blocked_modules = [\"usb-storage\"]", "blocked_modules = [\"xfs\"]"),
    ];
    insta::assert_snapshot!("state", all.join("\n\n"));
}

#[test]
fn packages_and_the_size_follow_from_the_choice() {
    let parsed = |state: &str| {
        let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n[state]\n{state}");
        parse(&text, "x.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0
    };
    let has = |recipe: &Recipe, name: &str| recipe.packages.include.iter().any(|p| p.starts_with(name));
    let plain = parsed("");
    assert_eq!((plain.state.encryption, plain.state.filesystem), (Encryption::None, FileSystem::Ext4));
    assert_eq!(plain.state.minimum, 256 << 20);
    assert!(["libtss2", "xfsprogs", "btrfs-progs"].iter().all(|name| !has(&plain, name)));
    let sealed = parsed("encryption = \"tpm2\"\n");
    assert!(has(&sealed, "libtss2-esys") && has(&sealed, "libtss2-tcti-device") && !has(&sealed, "xfsprogs"));
    for (name, package) in [("xfs", "xfsprogs"), ("btrfs", "btrfs-progs")] {
        let other = parsed(&format!("filesystem = \"{name}\"\n"));
        assert!(has(&other, package) && !has(&other, "libtss2") && other.state.minimum == 512 << 20);
    }
}
