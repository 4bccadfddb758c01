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
