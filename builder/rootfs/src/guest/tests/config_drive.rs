//! The config drive's part of the initrd.

use super::state::added;
use super::*;

#[test]
fn a_config_drive_adds_its_reader_and_nothing_else() {
    let drive = "[config_drive]\nsigners = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"]\n";
    let with = generated(&recipe(&format!("{PROFILE}\n{drive}"))).unwrap();
    insta::assert_snapshot!("config_drive", added(&with, &generated(&recipe(PROFILE)).unwrap()));
}

/// A link of an instance comes before every file of the image, and in the image's order.
#[test]
fn links_as_credentials_come_first() {
    let links = recipe(PROFILE).network;
    let all = crate::guest::network::credentials(&links).unwrap();
    let image = generated(&recipe(PROFILE)).unwrap();
    let files: Vec<String> = image.nodes.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    let files = files.iter().filter_map(|path| path.strip_prefix("etc/systemd/network/")?.strip_suffix(".network"));
    let files: Vec<&str> = files.collect();
    let own: Vec<&str> = all.keys().filter_map(|name| name.strip_prefix("network.network.0")).collect();
    assert_eq!(own, files);
    assert!(all.keys().all(|name| name["network.network.".len()..] < *files[0]));
}

/// What a cloud-init drive adds: with a signed one first, and alone; settings of a link that no drive changes; whom it may
/// give keys.
#[test]
fn a_cloud_init_drive_is_read_after_the_signed_one() {
    let links = "[network.lan]\nmatch = { mac = \"52:54:00:12:34:56\" }\nmtu = 9000\nmetric = 500\ndns = [\"192.0.2.53#dns.example\"]\n\
                 dns_over_tls = \"yes\"\nsearch = [\"example.org\"]\nroute_domains = [\"corp.example\"]\nntp = [\"192.0.2.123\"]\n\
                 routes = [{ to = \"203.0.113.0/24\", via = \"192.0.2.2\" }]\n[network.rest]\nrequired = false\n";
    let profile =
        format!("[image]\nname = \"x\"\nversion = \"1\"\n{links}[access.users.anna]\n[config_drive]\nnocloud = true\n");
    let all = generated(&recipe(&profile)).unwrap();
    let text = |path: &str| match &all.nodes[path.as_bytes()].kind {
        NodeKind::File(content) => String::from_utf8_lossy(content.bytes()).into_owned(),
        other => panic!("{path}: {other:?}"),
    };
    let shown = ["usr/lib/diorite/nocloud-image", "usr/lib/tmpfiles.d/20-diorite-nocloud.conf"].map(text).join("---\n");
    insta::assert_snapshot!("nocloud_image", shown);
    let started =
        |text: &str| text.lines().filter_map(|l| l.strip_prefix("ExecStart=").map(str::to_owned)).collect::<Vec<_>>();
    let service = "usr/lib/diorite/initrd/etc/systemd/system/diorite-config-drive.service";
    assert_eq!(started(&text(service)), ["/usr/lib/diorite/nocloud"]);
    assert!(!all.nodes.contains_key(&b"usr/lib/diorite/config-drive"[..]), "there is nobody who could sign");
    let importing = "etc/systemd/system/systemd-tmpfiles-setup.service.d/10-diorite.conf";
    assert_eq!(text(importing), "[Service]\nImportCredential=ssh.authorized_keys.*\n");

    let signers = "signers = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"]\n";
    let both = generated(&recipe(&format!("{profile}{signers}"))).unwrap();
    let NodeKind::File(content) = &both.nodes[service.as_bytes()].kind else { panic!("no file") };
    let service = String::from_utf8_lossy(content.bytes()).into_owned();
    assert_eq!(started(&service), ["/usr/lib/diorite/config-drive", "/usr/lib/diorite/nocloud"]);

    // Whose keys they are when the drive names nobody.
    for (access, whose) in [
        ("[access.users.anna]\n", Some("anna")),
        ("[access]\nroot_login = \"credential\"\n[access.users.anna]\n", Some("root")),
        ("[access.users.anna]\n[access.users.ben]\n", None),
        ("", None),
    ] {
        let all = generated(&recipe(&profile.replace("[access.users.anna]\n", access))).unwrap();
        let NodeKind::File(content) = &all.nodes[&b"usr/lib/diorite/nocloud-image"[..]].kind else { panic!("no file") };
        let text = String::from_utf8_lossy(content.bytes()).into_owned();
        assert_eq!(text.lines().find_map(|l| l.strip_prefix("default ")), whose, "{access}");
    }
}
