//! State on a disk of its own.

use super::*;

#[test]
fn a_disk_of_its_own_is_looked_for_in_the_initrd_alone() {
    let same = generated(&recipe(PROFILE)).unwrap();
    let own = generated(&recipe(&PROFILE.replace("[state]\n", "[state]\ndisk = \"own\"\n"))).unwrap();
    let names = |all: &GuestFiles, other: &GuestFiles| -> Vec<String> {
        let only = all.nodes.keys().filter(|path| !other.nodes.contains_key(*path));
        only.map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    };
    assert_eq!(
        names(&same, &own),
        [
            "usr/lib/diorite/initrd/etc/systemd/system/systemd-repart.service.d/20-diorite-state.conf",
            "usr/lib/diorite/initrd/usr/lib/repart.d/50-var.conf",
            "usr/lib/repart.d/50-var.conf"
        ],
        "nothing may be made on the disk of the image"
    );
    let mut text = String::new();
    for path in names(&own, &same) {
        let shown = match &own.nodes[path.as_bytes()].kind {
            NodeKind::File(content) => String::from_utf8_lossy(content.bytes()).into_owned(),
            NodeKind::Symlink(to) => format!("-> {}\n", String::from_utf8_lossy(to)),
            NodeKind::Directory => continue,
            other => panic!("{path}: {other:?}"),
        };
        text += &format!("=== /{path}\n{shown}\n");
    }
    insta::assert_snapshot!("state_disk", text);
    let fstab = |all: &GuestFiles| match &all.nodes[&b"etc/fstab"[..]].kind {
        NodeKind::File(content) => content.bytes().to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fstab(&same), fstab(&own), "the same partition, on whichever disk");
}

/// What one profile generates and another does not, as text.
pub(super) fn added(more: &GuestFiles, less: &GuestFiles) -> String {
    let shown = |node: &Node| match &node.kind {
        NodeKind::File(content) => format!("{:o}\n{}", node.mode, String::from_utf8_lossy(content.bytes())),
        NodeKind::Symlink(to) => format!("-> {}\n", String::from_utf8_lossy(to)),
        _ => String::new(),
    };
    let new = more.nodes.iter().filter(|(path, node)| less.nodes.get(*path).map(shown) != Some(shown(node)));
    new.map(|(path, node)| format!("=== /{} {}\n", String::from_utf8_lossy(path), shown(node))).collect()
}

#[test]
fn encryption_and_file_systems_add_what_they_need_and_nothing_else() {
    let with = |more: &str| generated(&recipe(&PROFILE.replace("[state]\n", &format!("[state]\n{more}\n")))).unwrap();
    let (plain, own) = (with(""), with("disk = \"own\""));
    insta::assert_snapshot!("state_encrypted", added(&with("encryption = \"tpm2\""), &plain));
    insta::assert_snapshot!("state_xfs", added(&with("filesystem = \"xfs\""), &plain));
    let both = with("disk = \"own\"\nencryption = \"tpm2\"\nfilesystem = \"btrfs\"");
    insta::assert_snapshot!("state_own_encrypted_btrfs", added(&both, &own));
}
