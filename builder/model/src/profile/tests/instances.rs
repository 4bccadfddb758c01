//! `[config_drive]` and `[instances]`: what is meant, and what is refused.

use super::*;
use crate::instance::SecretSource;

const START: &str = "[image]\nname = \"x\"\nversion = \"1\"\n\n[network.lan]\ndns = [\"192.0.2.53\"]\n\n";
const DRIVE: &str = "[config_drive]\nsigners = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"]\n";

fn both(text: &str) -> (Recipe, Settings) {
    parse(text, "profiles/x.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn an_instance_changes_its_own_links_and_no_byte_of_the_image() {
    let (plain, _) = both(&format!("{START}{DRIVE}"));
    let (recipe, settings) = both(&format!(
        "{START}{DRIVE}[instances.a.network.lan]\naddresses = [\"192.0.2.1/24\"]\n[instances.b]\nmac = \"52:54:00:00:00:01\"\n\
         [instances.b.credentials]\nkey = {{ file = \"key\" }}\nword = {{ command = [\"pass\", \"x\"] }}\n"
    ));
    assert_eq!(recipe.digest(), plain.digest());
    assert!(recipe.packages.include.contains(&"openssh-client".to_owned()), "it checks the signature");
    let a = &settings.instances["a"].network.as_ref().expect("its links")["lan"];
    let lan = &recipe.network["lan"];
    assert_eq!((a.addresses.as_slice(), a.dhcp_ipv4), (&["192.0.2.1/24".to_owned()][..], false));
    assert!(lan.addresses.is_empty() && lan.dhcp_ipv4 && a.dns == lan.dns, "{lan:?}");
    let b = &settings.instances["b"];
    assert_eq!((&b.network, b.mac.as_deref()), (&None, Some("52:54:00:00:00:01")));
    assert_eq!(b.credentials["key"], SecretSource::File("key".into()));
    // A profile without a drive has the digest that it always had.
    let none = serde_json::to_value(both(START).0).expect("JSON");
    assert!(none.get("config_drive").is_none());
}

/// An unsigned drive may bring what the profile does not say: keys, and addresses of either family.
#[test]
fn a_cloud_init_drive_is_taken_where_the_profile_says_so() {
    let signed = both(&format!("{START}{DRIVE}")).0;
    assert!(!signed.nocloud() && signed.keys_files() == "/etc/ssh/authorized_keys.d/%u");
    let drive = serde_json::to_value(&signed).expect("JSON")["config_drive"].clone();
    assert!(drive.get("nocloud").is_none(), "an image that takes none has the digest that it always had");
    let fixed = START.replace("dns", "addresses = [\"192.0.2.1/24\"]\nrouter_advertisements = false\ndns");
    let (anna, rule) = ("[access.users.anna]\n", "[firewall]\nallow = [{ port = 22, from = [\"2001:db8::/32\"] }]\n");
    let recipe = both(&format!("{fixed}[config_drive]\nnocloud = true\n{anna}{rule}")).0;
    let drive = recipe.config_drive.as_ref().expect("it is said");
    assert!(drive.nocloud && drive.signers.is_empty() && recipe.nocloud());
    assert_eq!(recipe.keys_files(), "/etc/ssh/authorized_keys.d/%u /run/diorite-keys/%u");
    assert!(recipe.packages.include.contains(&"openssh-client".to_owned()), "it looks at the keys");
    // Without it both are refused.
    for (part, why) in [(anna, "nothing lets `anna` in"), (rule, "this rule can never match")] {
        assert!(error(&format!("{fixed}{DRIVE}{part}")).contains(why), "{part}");
    }
    assert!(both(&format!("{START}{DRIVE}nocloud = true\n[instances.a]\n")).0.nocloud(), "both ways go together");
}

#[test]
fn what_cannot_be_meant_shows_its_lines() {
    let wrong = |more: &str| error(&format!("{START}{more}"));
    let with = |more: &str| wrong(&format!("{DRIVE}{more}"));
    let all = [
        wrong("[instances.a]\n"),
        wrong("[config_drive]\n"),
        wrong("[config_drive]\nsigners = []\n"),
        wrong("[config_drive]\nsigners = [\"ssh-rsa AAAA\"]\n"),
        with("[instances.A]\n"),
        with("[instances.a.network.wan]\naddresses = [\"192.0.2.1/24\"]\n"),
        with("[instances.a.network.lan]\naddresses = [\"192.0.2.1/24\"]\ngateways = [\"198.51.100.1\"]\n"),
        with("[instances.a.network.lan]\nvlan = 7\n"),
        with("[instances.a.credentials]\nkey = {}\n"),
        with("[instances.a.credentials]\nkey = { env = \"A\", file = \"b\" }\n"),
        with("[instances.a.credentials]\n\"system.hostname\" = { env = \"A\" }\n"),
        with("[instances.a.credentials]\nkey = \"plain text\"\n"),
        wrong("[config_drive]\nnocloud = false\n"),
        wrong("[config_drive]\nnocloud = \"yes\"\n"),
        wrong("[config_drive]\nnocloud = true\n[instances.a]\n"),
        wrong("[config_drive]\nnocloud = true\n[network.guests]\nvlan = { id = 10, parent = \"lan\" }\n"),
        wrong("[config_drive]\nnocloud = true\n[network.first]\nmatch = { order = 1 }\n"),
        with("[machine]\nmac = \"52:54:00:00:00:01\"\n[instances.a]\n"),
    ];
    insta::assert_snapshot!("instances", all.join("\n\n"));
}
