//! Sealing a small tree: what goes, what stays, what moves.

use super::*;
use crate::guest::GuestFiles;
use crate::overlay::OverlayEntry;
use crate::tree::Node;
use diorite_model::profile;
use std::collections::BTreeMap;

fn recipe() -> Recipe {
    let text = "[image]\nname = \"x\"\nversion = \"1\"\n";
    profile::parse(text, "x.toml", &mut |_| panic!("nothing is extended")).unwrap().0
}

fn inputs() -> CarriedInputs {
    CarriedInputs { lock: "lock\n".into(), overlays: [("one".to_owned(), diorite_model::Digest::of(b"one"))].into() }
}

fn file(text: &str) -> Node {
    Node { mtime: 2_000_000_000, ..Node::file(0o644, text) }
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.insert("bin", Node::symlink("usr/bin"));
    for (path, text) in [
        ("etc/os-release", "ID=debian\n"),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/false\n"),
        ("etc/group", "root:x:0:\nwww-data:x:33:\n"),
        ("etc/shadow", "root:*:1:0:99999:7:::\n"),
        ("etc/ssh/ssh_host_rsa_key", "key"),
        ("boot/vmlinuz-6.12", "MZ kernel"),
        ("boot/config-6.12", "y"),
        ("usr/lib/systemd/boot/efi/linuxx64.efi.stub", "MZ stub"),
        ("usr/lib/systemd/boot/efi/systemd-bootx64.efi", "MZ manager"),
        ("usr/bin/tool", "tool"),
        ("var/lib/app/data", "data"),
        ("var/lib/app/odd name%", "odd"),
        ("var/log/app.log", "Sunday"),
        ("var/cache/app/cached", "cache"),
        ("var/lib/dpkg/status", "Package: app\n"),
        ("var/lib/dpkg/status-old", "Package: app\n"),
        ("var/lib/dpkg/info/app.list", "/.\n/bin\n/bin/tool\n/boot\n/boot/vmlinuz-6.12\n/var/lib/app/data\n"),
        (
            "var/lib/dpkg/info/app.md5sums",
            "d41d8cd98f00b204e9800998ecf8427e  boot/vmlinuz-6.12\nd41d8cd98f00b204e9800998ecf8427e  bin/tool\n",
        ),
        ("usr/lib/tmpfiles.d/app.conf", "d /var/lib/own 0700 33 33 -\n"),
        ("run/left", "x"),
        ("home/.keep", ""),
    ] {
        tree.insert(path, file(text));
    }
    tree.insert("var/lib/app/again", Node::new(0o644, NodeKind::HardLink(b"var/lib/app/data".to_vec())));
    tree.insert("var/lib/own", Node { uid: 33, gid: 33, ..Node::directory(0o700) });
    tree.insert("var/lib/theirs", Node { uid: 33, gid: 33, ..Node::directory(0o2750) });
    tree
}

fn overlay(name: &str, overrides: bool, files: &[(&str, Option<(&str, &str)>)]) -> Overlay {
    let entry = |owner: &Option<(&str, &str)>| OverlayEntry {
        node: Node::file(0o644, "overlay"),
        owner: owner.map(|(u, g)| (u.to_owned(), g.to_owned())),
        configured: false,
    };
    let entries = files.iter().map(|(path, owner)| (path.as_bytes().to_vec(), entry(owner))).collect();
    Overlay {
        name: name.into(),
        why: "a test".into(),
        overrides,
        entries,
        public: PublicSecrets::default(),
        configure: None,
    }
}

fn sealed(overlays: &[Overlay]) -> Result<SealedTree> {
    seal(tree(), GuestFiles::default(), overlays, &recipe(), &ImageOrigins::default(), &inputs())
}

#[test]
fn a_sealed_tree_in_one_page() {
    let overlays = [overlay("one", false, &[("bin/run", None), ("srv/page", Some(("www-data", "root")))])];
    let sealed = sealed(&overlays).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((sealed.kernel(), sealed.kernel_release()), (&b"MZ kernel"[..], "6.12"));
    assert_eq!(sealed.stub(), b"MZ stub");
    assert_eq!(sealed.boot_manager(), b"MZ manager");
    assert_eq!(sealed.os_release(), b"ID=debian\n");
    // The recipe is longer with every new table, and has tests of its own.
    let recipe = |line: &&str| line.ends_with(crate::carried::RECIPE);
    let listing = crate::manifest::write(&sealed, &Default::default(), &[]);
    assert_eq!(listing.lines().filter(recipe).count(), 1);
    let mut page: String = listing.lines().filter(|line| !recipe(line)).map(|line| format!("{line}\n")).collect();
    for path in [
        "usr/lib/tmpfiles.d/20-diorite-var.conf",
        "usr/lib/sysimage/dpkg/info/app.list",
        "usr/lib/sysimage/dpkg/info/app.md5sums",
        crate::carried::IMAGE,
        crate::carried::LOCK,
        crate::carried::PROVENANCE,
    ] {
        page += &format!("\n=== {path}\n{}", String::from_utf8_lossy(sealed.tree().read(path).unwrap()));
    }
    insta::assert_snapshot!("sealed", page);
    assert!(sealed.tree().nodes.values().all(|n| n.mtime == 1_760_000_000), "later than the epoch, or never set");
}

#[test]
fn wrong_trees_are_refused() {
    let refused = |change: fn(&mut Tree)| {
        let mut tree = tree();
        change(&mut tree);
        seal(tree, GuestFiles::default(), &[], &recipe(), &ImageOrigins::default(), &inputs()).unwrap_err().to_string()
    };
    let all = [
        refused(|t| assert!(t.remove("boot/vmlinuz-6.12"))),
        refused(|t| t.insert("boot/vmlinuz-6.13", file("MZ"))),
        refused(|t| assert!(t.remove("usr/lib/systemd/boot/efi/linuxx64.efi.stub"))),
        refused(|t| {
            t.insert(
                "etc/shadow",
                file("root:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$rCaNQAFMt7Z54R4jbj1vFWRGPnlIHT2bGJeR/Yt7rT5:1:0:99999:7:::\n"),
            )
        }),
        sealed(&[overlay("one", false, &[("etc/x", Some(("nobody-here", "root")))])]).unwrap_err().to_string(),
        sealed(&[overlay("one", false, &[("etc/x", None)]), overlay("two", false, &[("etc/x", None)])])
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!("refused", all.join("\n\n"));
}

#[test]
fn an_overlay_wins_over_a_package_only_when_it_says_so() {
    let mut origins = ImageOrigins::default();
    origins.machine.insert("usr/bin/tool", "app", diorite_model::Digest::of(b"tool"));
    let with = |overlay: Overlay| seal(tree(), GuestFiles::default(), &[overlay], &recipe(), &origins, &inputs());
    let directories = |paths: &[&str]| {
        let node = || OverlayEntry { node: Node::directory(0o755), owner: None, configured: false };
        let entries = paths.iter().map(|path| (path.as_bytes().to_vec(), node())).collect();
        Overlay { entries, ..overlay("one", true, &[]) }
    };
    let refused = [
        with(overlay("one", false, &[("bin/tool", None)])),
        with(overlay("one", true, &[("usr/lib/systemd", None)])),
        with(directories(&["usr/bin", "usr/bin/tool"])),
    ];
    let refused = refused.map(|sealed| sealed.map(drop).unwrap_err().to_string());
    insta::assert_snapshot!("overlay_over_package", refused.join("\n\n"));
    let loud = with(overlay("one", true, &[("bin/tool", None)])).unwrap();
    assert_eq!(loud.tree().read("usr/bin/tool"), Some(&b"overlay"[..]));
    let through = with(directories(&["bin", "bin/more"])).unwrap();
    assert_eq!(through.tree().resolve(b"bin"), Some(b"usr/bin".to_vec()), "a link stays one");
    assert!(through.tree().get("usr/bin/more").is_some());
    let mut same = overlay("one", false, &[("usr/bin/tool", None)]);
    same.entries.insert(
        b"usr/bin/tool".to_vec(),
        OverlayEntry { node: Node::file(0o755, "tool"), owner: None, configured: false },
    );
    with(same).unwrap();
}

#[test]
fn an_overlay_wins_over_generated_files_only_when_it_says_so() {
    let generated = GuestFiles {
        nodes: BTreeMap::from([(b"etc/fstab".to_vec(), Node::file(0o644, "generated"))]),
        ..GuestFiles::default()
    };
    let quiet = overlay("one", false, &[("etc/fstab", None)]);
    let error = seal(tree(), generated.clone(), &[quiet], &recipe(), &ImageOrigins::default(), &inputs())
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!("overlay_over_generated", error);
    let loud = overlay("one", true, &[("etc/fstab", None)]);
    let sealed = seal(tree(), generated, &[loud], &recipe(), &ImageOrigins::default(), &inputs()).unwrap();
    assert_eq!(sealed.tree().read("etc/fstab"), Some(&b"overlay"[..]));
}
