//! networkd and udev themselves read the files of every kind of link.

use super::*;

/// What networkd says while it reads its files, in a network namespace where nothing can be changed. It tells of every key
/// it does not know and every value it does not understand, and then goes on.
pub fn networkd(root: &Path) -> Vec<String> {
    // What PID 1 makes; networkd makes its own directory in it, and no other's.
    let run = root.join("run/systemd");
    if run.exists() {
        std::fs::remove_dir_all(&run).unwrap();
    }
    std::fs::create_dir_all(&run).unwrap();
    let mut daemon = Command::new("chroot")
        .arg(root)
        .args(["unshare", "--net", "/usr/lib/systemd/systemd-networkd"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin")
        .env("SYSTEMD_LOG_LEVEL", "debug")
        .env("SYSTEMD_LOG_TARGET", "console")
        .stderr(Stdio::piped())
        .spawn()
        .expect("chroot can be run");
    let mut said = Vec::new();
    for line in BufReader::new(daemon.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        let done = line == "Loaded.";
        said.push(line);
        if done {
            break;
        }
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(said.last().map(String::as_str), Some("Loaded."), "networkd ends early:\n{}", said.join("\n"));
    said.retain(|l| l.contains("/etc/systemd/network/"));
    said
}

/// Every kind of link and every key of one, as networkd and udev read them.
#[test]
fn networkd_and_udev_understand_every_file() {
    let recipe = recipe(LINKS);
    let sealed = sealed(&recipe, &[]);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    lay_out(sealed.tree(), root);
    std::fs::write(root.join("dev/null"), "").unwrap();
    // Where systemd looks for whether the kernel has IPv6.
    std::fs::create_dir_all(root.join("proc/net")).unwrap();
    std::fs::write(root.join("proc/net/if_inet6"), "").unwrap();
    // networkd is not root for long.
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = networkd(root);
    let (fine, wrong): (Vec<_>, Vec<_>) = said.iter().partition(|l| l.ends_with(": Successfully loaded."));
    assert!(wrong.is_empty(), "{wrong:#?}");
    let made = std::fs::read_dir(root.join("etc/systemd/network")).unwrap().count();
    assert_eq!((fine.len(), made), (13, 13), "{said:#?}");
    content(root, &["udevadm", "verify", "--resolve-names=never", "/etc/udev/rules.d/75-diorite-card-order.rules"]);
    content(root, &["sh", "-n", "/usr/lib/diorite/card-order"]);

    // Positive controls: a key and a value that are not understood, and a rule.
    let bad = root.join("etc/systemd/network/99-bad.network");
    std::fs::write(bad, "[Match]\nName=x\n[Network]\nAdress=192.0.2.1/24\nDHCP=perhaps\n").unwrap();
    let said = networkd(root).join("\n");
    assert!(said.contains("Unknown key 'Adress'") && said.contains("Failed to parse DHCP option"), "{said}");
    std::fs::write(root.join("etc/udev/rules.d/99-bad.rules"), "SUBSYSTEM=\"net\"\n").unwrap();
    assert!(!inside(root, &["udevadm", "verify", "/etc/udev/rules.d/99-bad.rules"]).0);
}

const LINKS: &str = r#"
[network.lan]
match = { order = 1 }
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "fe80::1"]
routes = [{ to = "198.51.100.0/24", via = "192.0.2.254", metric = 10 }, { to = "203.0.113.7/32" }]
metric = 100
mtu = 9000
dns = ["192.0.2.53#dns.example", "2001:db8::53"]
dns_over_tls = "yes"
search = ["lan.example"]
route_domains = ["corp.example", "."]
ntp = ["ntp.example", "192.0.2.123"]
[network.a]
match = { mac = "52:54:00:00:00:01" }
[network.b]
match = { name = "enx*", driver = "cdc_ether" }
[network.pair]
bond = { members = ["a", "b"], mode = "802.3ad", interval = 200 }
required = false
[network.guests]
vlan = { id = 10, parent = "pair" }
metric = 200
learn_dns = false
[network.inner]
bridge = { members = ["guests2"], stp = true }
dhcp_ipv4 = false
router_advertisements = false
[network.guests2]
vlan = { id = 20, parent = "pair" }
[network.alone]
bridge = { members = [] }
addresses = ["fd00:5::1/64"]
"#;
