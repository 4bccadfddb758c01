use super::*;
use crate::tree::Node;

const EPOCH: u64 = 1_760_000_000;

/// A tree as a set of packages leaves it: accounts (name, uid, gid) and groups, numbered by order of creation.
fn image(users: &[(&str, u32, u32)], groups: &[(&str, u32)]) -> Tree {
    let mut tree = Tree::new();
    let mut passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/x\n".to_owned();
    let mut shadow = "root:*:20000:0:99999:7:::\nnobody:*:20000::::::\n".to_owned();
    let mut group = "root:x:0:\nusers:x:100:\nnogroup:x:65534:\n".to_owned();
    let mut gshadow = "root:*::\nusers:*::\nnogroup:*::\n".to_owned();
    for (name, uid, gid) in users {
        passwd += &format!("{name}:x:{uid}:{gid}::/:/usr/sbin/nologin\n");
        shadow += &format!("{name}:!:20000::::::\n");
        let mut node = Node::file(0o600, name.as_bytes());
        (node.uid, node.gid) = (*uid, *gid);
        tree.insert(format!("var/{name}"), node);
    }
    for (name, gid) in groups {
        group += &format!("{name}:x:{gid}:\n");
        gshadow += &format!("{name}:!::\n");
    }
    tree.insert("etc/passwd", Node::file(0o644, passwd));
    tree.insert("etc/shadow", Node::file(0o640, shadow));
    tree.insert("etc/group", Node::file(0o644, group));
    tree.insert("etc/gshadow", Node::file(0o640, gshadow));
    tree
}

fn owner(tree: &Tree, path: &str) -> (u32, u32) {
    let node = tree.get(path).unwrap();
    (node.uid, node.gid)
}

#[test]
fn another_package_moves_nobody() {
    let mut one = image(&[("messagebus", 996, 996), ("odd", 100, 101)], &[("messagebus", 996), ("odd", 101)]);
    let mut two = image(
        &[("new", 999, 999), ("messagebus", 992, 992), ("odd", 101, 102), ("prometheus", 100, 101)],
        &[("new", 999), ("messagebus", 992), ("odd", 102), ("prometheus", 101)],
    );
    stabilize(&mut one, EPOCH).unwrap();
    stabilize(&mut two, EPOCH).unwrap();
    for path in ["var/messagebus", "var/odd"] {
        assert_eq!(owner(&one, path), owner(&two, path));
    }
    assert_eq!(owner(&one, "var/messagebus"), (110, 110));
    let (uid, gid) = owner(&one, "var/odd");
    assert!(uid == gid && HASHED.contains(&uid));
    // The files name the same numbers, in order, and shadow follows them.
    let text = |tree: &Tree, file: &str| String::from_utf8(tree.read(file).unwrap().to_vec()).unwrap();
    let ids: Vec<u32> = numbers(&two, "etc/passwd").into_iter().map(|(_, id)| id).collect();
    assert!(ids.is_sorted() && ids.contains(&uid) && ids.contains(&110), "{ids:?}");
    let names = |file| text(&two, file).lines().map(|l| l.split(':').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names("etc/passwd"), names("etc/shadow"));
    assert_eq!(names("etc/group"), names("etc/gshadow"));
    assert!(text(&one, "etc/group").contains("users:x:100:\n"));
}

#[test]
fn one_name_has_one_number_as_user_and_as_group() {
    let mut tree = image(&[("sshd", 989, 65534), ("prometheus", 100, 102)], &[("_ssh", 101), ("prometheus", 102)]);
    stabilize(&mut tree, EPOCH).unwrap();
    assert_eq!(owner(&tree, "var/sshd"), (119, 65534));
    assert_eq!(owner(&tree, "var/prometheus"), (124, 124));
    let again = format!("{:?}", tree.nodes);
    stabilize(&mut tree, EPOCH).unwrap();
    assert_eq!(format!("{:?}", tree.nodes), again, "stable numbers are stable");
}

#[test]
fn lists_subordinate_ids_and_overrides_follow() {
    let mut tree = image(&[("prometheus", 100, 102)], &[("prometheus", 102), ("systemd-journal", 999)]);
    let mut log = Node::directory(0o2755);
    log.gid = 999;
    // user::rwx, group::r-x, group:102:r-x, group:999:r--, mask::r-x, other::r-x
    let entries: [(u16, u16, u32); 6] =
        [(1, 7, !0), (4, 5, !0), (8, 5, 102), (8, 4, 999), (0x10, 5, !0), (0x20, 5, !0)];
    let acl = |entries: &[(u16, u16, u32)]| {
        let mut acl = vec![2, 0, 0, 0];
        for (tag, permissions, id) in entries {
            acl.extend_from_slice(&tag.to_le_bytes());
            acl.extend_from_slice(&permissions.to_le_bytes());
            acl.extend_from_slice(&id.to_le_bytes());
        }
        acl
    };
    log.xattrs.insert(b"system.posix_acl_default".to_vec(), acl(&entries));
    tree.insert("var/log/journal", log);
    tree.insert("etc/subuid", Node::file(0o644, "100:100000:65536\nprometheus:200000:65536\n"));
    tree.insert("var/lib/dpkg/statoverride", Node::file(0o644, "#100 #102 2755 /x\nroot _ssh 2755 /y\n"));
    stabilize(&mut tree, EPOCH).unwrap();
    let node = tree.get("var/log/journal").unwrap();
    assert_eq!(node.gid, 101);
    let expected = [(1, 7, !0), (4, 5, !0), (8, 4, 101), (8, 5, 124), (0x10, 5, !0), (0x20, 5, !0)];
    assert_eq!(node.xattrs[b"system.posix_acl_default".as_slice()], acl(&expected));
    assert_eq!(tree.read("etc/subuid").unwrap(), b"124:100000:65536\nprometheus:200000:65536\n");
    assert_eq!(tree.read("var/lib/dpkg/statoverride").unwrap(), b"#124 #124 2755 /x\nroot _ssh 2755 /y\n");
}

/// shadow's programs write the clock's day where SOURCE_DATE_EPOCH is not over yet, and nothing in 1970.
#[test]
fn every_clock_gives_the_same_day_of_the_last_change() {
    let shadow = |day: &str| {
        let mut tree = image(&[("messagebus", 996, 996)], &[("messagebus", 996)]);
        let demanded = "anna:!*:0:0:99999:7:::\n";
        let text = format!("root:*:{day}:0:99999:7:::\nmessagebus:!:{day}::::::\n{demanded}odd\n");
        tree.insert("etc/shadow", Node::file(0o640, text));
        stabilize(&mut tree, EPOCH).unwrap();
        String::from_utf8(tree.read("etc/shadow").unwrap().to_vec()).unwrap()
    };
    let right = shadow("20370");
    assert_eq!(right, "root:*:20370:0:99999:7:::\nmessagebus:!:20370::::::\nanna:!*:0:0:99999:7:::\nodd\n");
    for day in ["", "1", "10957", "20369", "24837"] {
        assert_eq!(shadow(day), right, "on day {day:?}");
    }
}

#[test]
fn a_number_without_a_name_is_an_error() {
    let mut tree = image(&[], &[]);
    let mut node = Node::file(0o600, "");
    node.uid = 123;
    tree.insert("var/lost", node);
    let error = stabilize(&mut tree, EPOCH).unwrap_err().to_string();
    assert!(error.contains("number 123") && error.contains("/var/lost"), "{error}");
}

#[test]
fn colliding_hashes_get_different_numbers() {
    let names: Vec<String> = (0..500).map(|i| format!("account{i}")).collect();
    let set: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let numbers = allot(&set).unwrap();
    assert_eq!(numbers.values().collect::<BTreeSet<_>>().len(), 500);
    assert!(numbers.values().all(|id| HASHED.contains(id)));
    let too_many: Vec<String> = (0..700).map(|i| format!("account{i}")).collect();
    assert!(allot(&too_many.iter().map(String::as_str).collect()).is_err());
}
