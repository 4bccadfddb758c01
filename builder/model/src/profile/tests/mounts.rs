//! `[mounts]`: what is refused, and what follows.

use super::*;
use crate::recipe::{MountSource, MountTime};

/// The smallest profile with these tables.
fn parsed(tables: &str) -> Result<Recipe> {
    let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{tables}");
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

fn refused(tables: &str) -> String {
    parsed(tables).map(|recipe| format!("accepted: {:?}", recipe.mounts)).unwrap_or_else(|e| e.to_string())
}

#[test]
fn errors_show_the_line() {
    let all = [
        refused("[mounts.a]\npath = \"/etc/data\"\ndisk = { label = \"data\" }"),
        refused("[mounts.a]\npath = \"/usr\"\ndisk = { label = \"data\" }"),
        refused("[mounts.a]\npath = \"/var\"\ndisk = { label = \"data\" }"),
        refused("[mounts.a]\npath = \"/srv\"\ndisk = { label = \"data\" }"),
        refused("[mounts.a]\npath = \"/var/lib/diorite/containers\"\ndisk = { label = \"data\" }"),
        refused("[mounts.a]\npath = \"/srv/a/../b\"\ndisk = { label = \"data\" }"),
        refused("[mounts.a]\npath = \"/srv/a\""),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = {}"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\nbind = \"/var/b\""),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\", serial = \"b\" }"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\", create = true }"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\", filesystem = \"xfs\" }"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { serial = \"a\", create = true }\nread_only = true"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { serial = \"a\", create = true }\n[state]\ndisk = \"own\""),
        refused("[mounts.a]\npath = \"/srv/a\"\nnfs = { server = \"nas\", export = \"data\" }"),
        refused("[mounts.a]\npath = \"/srv/a\"\nnfs = { server = \"nas\", export = \"/data\", version = \"3\" }"),
        refused("[mounts.a]\npath = \"/srv/a\"\nnfs = { server = \"nas\", export = \"/data\" }\nwhen = \"boot\""),
        refused("[mounts.a]\npath = \"/srv/a\"\nnfs = { server = \"nas\", export = \"/data\" }\nrequired = true"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\nidle = \"5m\""),
        refused("[mounts.a]\npath = \"/srv/a\"\ncifs = { server = \"files\", share = \"team\" }"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\noptions = [\"ro\"]"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\noptions = [\"nofail\"]"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\noptions = [\"suid\"]"),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\noptions = [\"noatime,ro\"]"),
        refused("[mounts.a]\npath = \"/srv/a\"\nbind = \"/srv/a/b\""),
        refused("[mounts.a]\npath = \"/srv/a\"\nbind = \"/mnt/b\""),
        refused(
            "[mounts.a]\npath = \"/srv/a\"\nbind = \"/var/a\"\n[mounts.b]\npath = \"/var/srv/a\"\nbind = \"/var/b\"",
        ),
        refused(
            "[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\n[mounts.b]\npath = \"/srv/b\"\ndisk = { label = \"a\" }",
        ),
        refused(
            "[mounts.a]\npath = \"/srv/a\"\nnfs = { server = \"nas\", export = \"/data\" }\n\
             [mounts.b]\npath = \"/srv/a/b\"\ndisk = { label = \"b\" }",
        ),
        refused("[mounts.a]\npath = \"/var/cache/x\"\nbind = \"/var/a\"\n[state]\nvolatile = [\"/var/cache\"]"),
        refused(
            "[mounts.a]\npath = \"/var/lib/sync\"\ndisk = { label = \"a\" }\n\
             [services.units.sync]\nexec = [\"/usr/bin/true\"]\nstate = true",
        ),
        refused(
            "[mounts.a]\npath = \"/home/anna\"\ndisk = { label = \"a\" }\n[access.administrators.anna]\n\
             principals = [\"anna\"]\n[access]\nuser_ca = [\"ssh-ed25519 \
             AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ca@example\"]",
        ),
        refused("[mounts.a]\npath = \"/srv/a\"\ndisk = { label = \"a\" }\n[hardening]\nblocked_modules = [\"ext4\"]"),
        refused(
            "[mounts.a]\npath = \"/srv/a\"\nnfs = { server = \"nas\", export = \"/data\" }\n\
             [firewall.egress]\npolicy = \"drop\"\nallow = [{ port = 2049, name = \"mount-a\" }]",
        ),
    ];
    insta::assert_snapshot!("mounts", all.join("\n\n"));
}

#[test]
fn a_volume_is_on_a_disk_that_is_there() {
    const CONTAINER: &str = "[containers.db]\npackages = [\"busybox\"]\ncommand = [\"true\"]\n\
                             volumes.data = { path = \"/data\", mount = \"big\" }\n";
    let with = |mount: &str| format!("{CONTAINER}[mounts.big]\npath = \"/srv/big\"\n{mount}\n");
    let disk = "disk = { serial = \"big\", create = true }";
    let recipe = parsed(&with(disk)).unwrap_or_else(|e| panic!("{e}"));
    let volume = &recipe.containers["db"].volumes["data"];
    assert_eq!(recipe.volumes_directory("db", volume), "/var/srv/big/containers/db");
    let all = [
        refused(CONTAINER),
        refused(&with("nfs = { server = \"192.0.2.9\", export = \"/big\" }")),
        refused(&with(&format!("{disk}\nrequired = false"))),
        refused(&with("disk = { label = \"big\" }\nread_only = true")),
        refused(&with("bind = \"/var/lib/big\"")),
    ];
    insta::assert_snapshot!("volumes_on_mounts", all.join("\n\n"));
}

#[test]
fn errors_of_memory_hosts_and_limits_show_the_line() {
    let all = [
        refused("[memory]\nswap = \"2G\""),
        refused("[memory]\nswap = \"8M\""),
        refused("[memory]\nzram = \"half\""),
        refused("[hosts]\n\"db\" = \"192.0.2.300\""),
        refused("[hosts]\n\"db\" = \"192.0.2.3  192.0.2.4\""),
        refused("[hosts]\n\"db\" = \"192.0.2.3 192.0.2.3\""),
        refused("[hosts]\n\"My_Host\" = \"192.0.2.3\""),
        refused("[hosts]\n\"localhost\" = \"192.0.2.3\""),
        with("devices = [\"/dev/ttyUSB0\"]", "devices = [\"/dev/sda\"]"),
        with("devices = [\"/dev/ttyUSB0\"]", "devices = [\"/dev/../etc/shadow\"]"),
        with("devices = [\"/dev/ttyUSB0\"]", "devices = [\"ttyUSB0\"]"),
        with("open_files = 4096", "open_files = 5"),
        with("writable = [\"/tmp\"]\n", ""),
    ];
    insta::assert_snapshot!("memory_hosts_limits", all.join("\n\n"));
    let names = parsed("[hosts]\n\"db.example\" = \"192.0.2.3 2001:db8::3\"").unwrap_or_else(|e| panic!("{e}")).hosts;
    assert_eq!(names["db.example"].len(), 2);
}

#[test]
fn what_is_not_said_follows_from_what_is_mounted() {
    let recipe = parsed(
        "[mounts.disk]\npath = \"/srv/a\"\ndisk = { serial = \"a\", filesystem = \"xfs\", create = true }\n\
         [mounts.far]\npath = \"/mnt/b\"\nnfs = { server = \"192.0.2.9\", export = \"/\" }\n\
         [mounts.win]\npath = \"/mnt/c\"\ncifs = { server = \"files\", share = \"c\", credential = \"login\" }",
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let (disk, far) = (&recipe.mounts["disk"], &recipe.mounts["far"]);
    assert_eq!((disk.when, disk.required, disk.directory().as_str()), (MountTime::Boot, true, "/var/srv/a"));
    assert_eq!((far.when, far.required, far.directory().as_str()), (MountTime::Access, false, "/mnt/b"));
    assert_eq!(far.server(), Some(("192.0.2.9", 2049)));
    assert!(matches!(&far.source, MountSource::Nfs(nfs) if nfs.version == "4.2"));
    for package in ["xfsprogs", "nfs-common", "cifs-utils"] {
        assert!(recipe.packages.include.iter().any(|p| p == package), "{package}");
    }
    let plain = parsed("").unwrap_or_else(|e| panic!("{e}"));
    assert!(!serde_json::to_string(&plain).expect("JSON").contains("mounts"), "a recipe without any is as it was");
}
