//! State on a disk of its own.

use super::*;

#[test]
fn a_disk_of_its_own_is_looked_for_in_the_initrd_alone() {
    let same = generated(&recipe(PROFILE)).unwrap();
    let own = generated(&recipe(&PROFILE.replace("[state]\n", "[state]\ndisk = \"own\"\n"))).unwrap();
    let names = |all: &Generated, other: &Generated| -> Vec<String> {
        let only = all.nodes.keys().filter(|path| !other.nodes.contains_key(*path));
        only.map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    };
    assert_eq!(
        names(&same, &own),
        ["usr/lib/diorite/initrd/usr/lib/repart.d/50-var.conf", "usr/lib/repart.d/50-var.conf"],
        "nothing may be made on the disk of the image"
    );
    let mut text = String::new();
    for path in names(&own, &same) {
        let shown = match &own.nodes[path.as_bytes()].kind {
            Kind::File(content) => String::from_utf8_lossy(content.bytes()).into_owned(),
            Kind::Symlink(to) => format!("-> {}\n", String::from_utf8_lossy(to)),
            Kind::Directory => continue,
            other => panic!("{path}: {other:?}"),
        };
        text += &format!("=== /{path}\n{shown}\n");
    }
    insta::assert_snapshot!("state_disk", text);
    let fstab = |all: &Generated| match &all.nodes[&b"etc/fstab"[..]].kind {
        Kind::File(content) => content.bytes().to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(fstab(&same), fstab(&own), "the same partition, on whichever disk");
}
