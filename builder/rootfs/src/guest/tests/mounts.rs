//! Mounts: their units, and what stands in their way.

use super::state::added;
use super::*;

const MOUNTS: &str = r#"
[mounts.data]
path = "/srv/data"
disk = { serial = "data-1", filesystem = "ext4", create = true }
options = ["noatime"]

[mounts.backup]
path = "/backup/first"
disk = { label = "backup-1" }
required = false

[mounts.old]
path = "/mnt/old"
disk = { uuid = "0fc63daf-8483-4772-8e79-3d69d8477de4", filesystem = "xfs" }
when = "access"
read_only = true

[mounts.share]
path = "/mnt/share"
nfs = { server = "2001:db8::9", export = "/export/share" }
idle = "10m"

[mounts.team]
path = "/mnt/team"
cifs = { server = "files.example", share = "team/2026", credential = "team-login" }
options = ["uid=1000"]

[mounts.public]
path = "/var/lib/public"
bind = "/srv/data/public"
read_only = true
"#;

#[test]
fn units_of_every_kind_and_nothing_else() {
    let (plain, more) = (recipe(PROFILE), recipe(&format!("{PROFILE}{MOUNTS}")));
    let all = added(&generated(&more).unwrap(), &generated(&plain).unwrap());
    for rule in [
        "ip6 daddr { 2001:db8::9/128 } tcp dport 2049 counter name \"egress_mount_share\" accept",
        "tcp dport 445 counter name \"egress_mount_team\" accept",
    ] {
        assert!(all.contains(rule), "{rule} is not in {all}");
    }
    let units: Vec<&str> = all.split("=== /").filter(|file| !file.starts_with("etc/diorite/firewall.nft")).collect();
    insta::assert_snapshot!("mounts", units.join("=== /"));
}

#[test]
fn what_a_package_or_an_overlay_has_is_not_covered() {
    let recipe = recipe(&format!("{PROFILE}[mounts.a]\npath = \"/data/a\"\nbind = \"/var/a\"\n"));
    let said = |tree: &Tree, overlays: &[Overlay]| {
        generate(&recipe, tree, overlays, &containers(&recipe)).map(drop).unwrap_err().to_string()
    };
    let (mut file, mut link) = (tree(), tree());
    file.insert("data/a/file", Node::file(0o644, "x"));
    link.insert("data/a", Node::symlink("/elsewhere"));
    let entry = crate::overlay::OverlayEntry { node: Node::file(0o644, "x"), owner: None, configured: false };
    let overlay = Overlay {
        name: "mine".into(),
        why: "a test".into(),
        overrides: false,
        entries: [(b"data/a/file".to_vec(), entry)].into(),
        public: PublicSecrets::default(),
        configure: None,
    };
    let all = [said(&file, &[]), said(&link, &[]), said(&tree(), &[overlay])];
    insta::assert_snapshot!("mounts_covered", all.join("\n\n"));
}

/// A recipe that comes from elsewhere than our reader: no value begins a line or adds an option.
#[test]
fn a_hostile_mount_injects_no_line() {
    use diorite_model::recipe::{DiskName, MountSource};
    const HOSTILE: &str = "x\nINJECTED=1";
    let changes: [fn(&mut Recipe); 5] = [
        |r| r.mounts.get_mut("data").unwrap().path = format!("/var/{HOSTILE}"),
        |r| r.mounts.get_mut("data").unwrap().options.push(HOSTILE.into()),
        |r| r.mounts.get_mut("public").unwrap().source = MountSource::Bind(HOSTILE.into()),
        |r| {
            let MountSource::Disk(disk) = &mut r.mounts.get_mut("data").unwrap().source else { panic!("a disk") };
            disk.name = DiskName::Serial(HOSTILE.into());
        },
        |r| {
            let share = r.mounts["share"].clone();
            r.mounts.insert(HOSTILE.into(), share);
        },
    ];
    for (i, change) in changes.iter().enumerate() {
        let mut recipe = recipe(&format!("{PROFILE}{MOUNTS}"));
        change(&mut recipe);
        assert!(generated(&recipe).is_err(), "change {i} lets a line through");
    }
}
