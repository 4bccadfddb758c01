//! A cloud-init drive read by the tree's own shell, awk and ssh-keygen: what Proxmox VE writes becomes credentials that
//! networkd understands, and what has another form becomes nothing at all.

use super::*;

/// As qemu-server's Cloudinit.pm writes them (`citype=nocloud`) for a machine with `ciuser`, `cipassword`, two `sshkeys`,
/// `ipconfig0` to `ipconfig3`, `nameserver` and `searchdomain`.
const META: &str = "instance-id: 3fb5a8e2b8f7a8a1a0c1c1a0a4c3a4d5a4e0f0aa\n";
const USER: &str = "#cloud-config
hostname: Cloud-1
manage_etc_hosts: true
fqdn: Cloud-1.lab.test
user: anna
password: $5$oWLlJ1d6$KJbuIb4wPl2hTMEnvKmyAo3OzFv4EzhI1AyhL0Ib4W4
ssh_authorized_keys:
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna: at her 'own' # desk
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi
chpasswd:
  expire: False
users:
  - default
package_upgrade: true
";
const NETWORK: &str = "version: 1
config:
    - type: physical
      name: eth0
      mac_address: 'bc:24:11:00:00:81'
      subnets:
      - type: static
        address: '10.77.0.81'
        netmask: '255.255.252.0'
        gateway: '10.77.0.1'
      - type: static6
        address: 'fd00:77::81/64'
        gateway: 'fe80::1'
    - type: physical
      name: eth1
      mac_address: 'bc:24:11:00:00:82'
      subnets:
      - type: dhcp4
      - type: dhcp6
    - type: physical
      name: eth2
      mac_address: 'bc:24:11:00:00:83'
      subnets:
      - type: dhcp4
      - type: ipv6_slaac
    - type: physical
      name: eth3
      mac_address: 'bc:24:11:00:00:84'
      subnets:
      - type: static
        address: '192.0.2.7'
        netmask: '255.255.255.255'
        gateway: '198.51.100.1'
    - type: nameserver
      address:
      - '10.77.0.53'
      - 'fd00:77::53'
      search:
      - 'lab.test'
";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

const PROFILE: &str = "[config_drive]\nnocloud = true\n[access.users.ben]\n[network.lan]\n\
    match = { mac = \"bc:24:11:00:00:81\" }\nmtu = 9000\nmetric = 500\naddresses = [\"192.0.2.10/24\"]\n\
    gateways = [\"192.0.2.1\"]\ndns = [\"192.0.2.53\"]\ndns_over_tls = \"opportunistic\"\n[network.rest]\n";

/// The image's root, with programs that stand in for the machine: a drive is a directory, `/run/drive`.
struct Image(tempfile::TempDir);

type Credentials = BTreeMap<String, String>;

impl Image {
    fn new() -> Self {
        let sealed = sealed(&recipe(&format!("{ANNA}{PROFILE}")), &[]);
        let image = Self(tempfile::tempdir().unwrap());
        let root = image.0.path();
        lay_out(sealed.tree(), root);
        std::fs::write(root.join("dev/null"), "").unwrap();
        std::fs::create_dir_all(root.join("run/fake")).unwrap();
        for (name, text) in [
            ("udevadm", "exit 0"),
            ("blkid", "[ \"$2\" != LABEL=cidata ] || cat /run/devices"),
            (
                "mount",
                "for directory; do :; done; case \"$*\" in *,nosymfollow\\ *) cp /run/drive/* \"$directory\" ;; *) exit 1 ;; esac",
            ),
            ("umount", "exit 0"),
        ] {
            let file = root.join("run/fake").join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        image
    }

    /// What the reader makes of drives at these devices, all with these files; what it says in any case.
    fn reads(&self, devices: &str, files: &[(&str, &[u8])]) -> (Option<Credentials>, String) {
        let run = self.0.path().join("run");
        for directory in ["drive", "diorite-config-drive"] {
            let _ = std::fs::remove_dir_all(run.join(directory));
        }
        std::fs::create_dir(run.join("drive")).unwrap();
        std::fs::write(run.join("devices"), devices).unwrap();
        for (name, bytes) in files {
            std::fs::write(run.join("drive").join(name), bytes).unwrap();
        }
        self.again()
    }

    fn again(&self) -> (Option<Credentials>, String) {
        let (fine, said) =
            inside(self.0.path(), &["env", "PATH=/run/fake:/usr/sbin:/usr/bin", "/usr/lib/diorite/nocloud"]);
        let made = self.0.path().join("run/diorite-config-drive/credentials");
        let names =
            made.read_dir().into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let all: Credentials = names.map(|n| (n.clone(), std::fs::read_to_string(made.join(n)).unwrap())).collect();
        assert!(fine || all.is_empty(), "a refused drive leaves something behind: {all:?}");
        (fine.then_some(all), said)
    }

    /// A drive as Proxmox VE makes it, with one thing changed in one file.
    fn changed(&self, file: &str, from: &str, to: &str) -> (Option<Credentials>, String) {
        let text = |name: &str, text: &str| {
            assert!(name != file || text.matches(from).count() == 1, "`{from}` must stand in {file} once");
            if name == file { text.replacen(from, to, 1) } else { text.to_owned() }
        };
        let (meta, user) = (text("meta-data", META), text("user-data", USER));
        let network = text("network-config", NETWORK);
        let files: [(&str, &[u8]); 4] = [
            ("meta-data", meta.as_bytes()),
            ("user-data", user.as_bytes()),
            ("network-config", network.as_bytes()),
            ("vendor-data", b""),
        ];
        self.reads("/dev/sr0\n", &files)
    }

    #[track_caller]
    fn taken(&self, file: &str, from: &str, to: &str) -> (Credentials, String) {
        let (made, said) = self.changed(file, from, to);
        (made.unwrap_or_else(|| panic!("it is refused: {said}")), said)
    }
}

#[test]
fn what_proxmox_writes_becomes_credentials() {
    let image = Image::new();
    let (made, said) = image.taken("meta-data", "instance-id", "instance-id");
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "network.network.000-eth0",
            "network.network.000-eth1",
            "network.network.000-eth2",
            "network.network.000-eth3",
            "ssh.authorized_keys.anna",
            "system.hostname"
        ]
    );
    assert_eq!(made["system.hostname"], "cloud-1");
    let second = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi";
    assert_eq!(made["ssh.authorized_keys.anna"], format!("{KEY}\n{second}\n"));
    assert_eq!(
        said,
        "<5>config drive: /dev/sr0, which nobody has signed, says what this machine is: cloud-1; cards: 4; SSH keys for anna: 2\n\
         <6>config drive: /dev/sr0: not used: manage_etc_hosts, password, chpasswd, users, package_upgrade\n"
    );
    // Lines of a file with the section they stand in, as systemd reads them.
    let meant = |name: &str| {
        let mut section = "";
        let mut all: Vec<String> = Vec::new();
        for line in made[name].lines() {
            match line.strip_prefix('[') {
                Some(name) => section = name.trim_end_matches(']'),
                None if line.is_empty() => {}
                None => all.push(format!("{section} {line}")),
            }
        }
        all
    };
    let servers = ["Network DNS=10.77.0.53", "Network DNS=fd00:77::53"];
    let learned = ["DHCPv4 UseDNS=no", "DHCPv6 UseDNS=no", "IPv6AcceptRA UseDNS=no"];
    let closed = ["Network LinkLocalAddressing=ipv6", "Network LLMNR=no", "Network MulticastDNS=no"];
    let both = [&servers[..], &learned, &["Network Domains=lab.test"]].concat();
    // The image's link of this card keeps all but its addresses, gateways, servers and domains.
    let lan = [
        &["Match MACAddress=bc:24:11:00:00:81", "Match Kind=!*", "Network DHCP=no", "Network IPv6AcceptRA=no"][..],
        &["Network Address=10.77.0.81/22", "Network Address=fd00:77::81/64"],
        &["Route GatewayOnLink=yes", "Route Metric=500", "Route Gateway=10.77.0.1"],
        &["Route GatewayOnLink=yes", "Route Metric=500", "Route Gateway=fe80::1"],
        &both,
        &["Link MTUBytes=9000", "Link RequiredForOnline=routable"],
        &closed,
        &["Network DNSOverTLS=opportunistic", "DHCPv4 RouteMetric=500", "IPv6AcceptRA RouteMetric=500"],
    ];
    assert_eq!(meant("network.network.000-eth0"), lan.concat());
    let rest = |mac: &str, more: &[&'static str]| {
        let head = [format!("Match MACAddress={mac}"), "Match Kind=!*".into()];
        let tail = [more, &both, &["Link RequiredForOnline=routable"], &closed].concat();
        head.into_iter().chain(tail.into_iter().map(str::to_owned)).collect::<Vec<_>>()
    };
    let dhcp = ["Network DHCP=yes", "Network IPv6AcceptRA=yes", "DHCPv6 WithoutRA=solicit"];
    assert_eq!(meant("network.network.000-eth1"), rest("bc:24:11:00:00:82", &dhcp));
    let slaac = ["Network DHCP=ipv4", "Network IPv6AcceptRA=yes", "IPv6AcceptRA DHCPv6Client=no"];
    assert_eq!(meant("network.network.000-eth2"), rest("bc:24:11:00:00:83", &slaac));
    let far = [
        "Network DHCP=no",
        "Network IPv6AcceptRA=no",
        "Network Address=192.0.2.7/32",
        "Route GatewayOnLink=yes",
        "Route Gateway=198.51.100.1",
    ];
    assert_eq!(meant("network.network.000-eth3"), rest("bc:24:11:00:00:84", &far));

    // networkd has nothing to say about these files, and takes them before the image's own.
    let root = image.0.path();
    let directory = root.join("etc/systemd/network");
    for (name, text) in made.iter().filter(|(name, _)| name.starts_with("network.")) {
        std::fs::write(directory.join(name.replace("network.network.", "") + ".network"), text).unwrap();
    }
    let mut files: Vec<String> =
        directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|name| name.ends_with(".network"));
    files.sort();
    assert_eq!(files[4..], ["20-lan.network", "80-rest.network"]);
    std::fs::create_dir_all(root.join("proc/net")).unwrap();
    std::fs::write(root.join("proc/net/if_inet6"), "").unwrap();
    let loaded: Vec<String> =
        files.iter().map(|name| format!("/etc/systemd/network/{name}: Successfully loaded.")).collect();
    assert_eq!(network::networkd(root), loaded);
    let effective = content(
        root,
        &[
            "sh",
            "-c",
            "mkdir -p /run/sshd /var/lib/ssh && ssh-keygen -q -t ed25519 -N '' -f \
        /var/lib/ssh/ssh_host_ed25519_key && sshd -T -C user=anna,host=h,addr=192.0.2.1",
        ],
    );
    let looks = "authorizedkeysfile /etc/ssh/authorized_keys.d/%u /run/diorite-keys/%u";
    assert!(effective.lines().any(|line| line == looks), "{effective}");
}

/// Forms that Proxmox VE writes for other machines, and what is not this drive's to say.
#[test]
fn what_else_a_drive_may_say() {
    let image = Image::new();
    let named = |(made, said): (Credentials, String)| (made.keys().cloned().collect::<Vec<_>>().join(" "), said);
    // Nothing of the network but the node's own servers: the links stay as the image says.
    let cards =
        &NETWORK[NETWORK.find("    - type: physical").unwrap()..NETWORK.find("    - type: nameserver").unwrap()];
    let (all, said) = named(image.taken("network-config", cards, ""));
    assert_eq!(all, "ssh.authorized_keys.anna system.hostname");
    assert!(said.contains("cloud-1; cards: 0; SSH") && said.contains("nameserver, as no card is named\n"), "{said}");
    // No servers and no domains: the image's, where it names some.
    let servers = &NETWORK[NETWORK.find("      address:\n").unwrap()..];
    let made = image.taken("network-config", servers, "").0;
    assert!(made["network.network.000-eth0"].contains("\nDNS=192.0.2.53\n"), "{made:?}");
    assert!(!made["network.network.000-eth1"].contains("DNS=1"), "{made:?}");
    // Whose keys they are: root's where nobody is named and root may have some; nobody's if he is not of this image.
    let (all, _) = named(image.taken("user-data", "user: anna\n", ""));
    assert!(all.contains("ssh.authorized_keys.root "), "{all}");
    assert!(named(image.taken("user-data", "user: anna\n", "user: ben\n")).0.contains("ssh.authorized_keys.ben "));
    let (all, said) = named(image.taken("user-data", "user: anna\n", "user: debian\n"));
    assert!(!all.contains("ssh.") && all.ends_with(" system.hostname"), "{all}");
    let why = "<3>config drive: /dev/sr0: nobody gets its SSH keys: debian may not log in to this image; set the user to \
               one of those who may: root anna ben\n";
    assert!(said.starts_with(why), "{said}");
    // What would run or install something is named and left.
    let hostile =
        "runcmd:\n  - [sh, -c, 'echo hostname: x']\nwrite_files:\n- path: /etc/x\n  content: |\n    hostname: y\n";
    let (all, said) = named(image.taken("user-data", "package_upgrade: true\n", hostile));
    assert!(
        all.ends_with("ssh.authorized_keys.anna system.hostname") && said.contains("users, runcmd, write_files\n"),
        "{said}"
    );
    assert!(image.taken("meta-data", "\n", "\nlocal-hostname: other\n").1.contains("meta-data beside instance-id"));
    // A VM's name with dots, and one without anything.
    let (from, to) =
        ("hostname: Cloud-1\nmanage_etc_hosts: true\nfqdn: Cloud-1.lab.test\n", "hostname: VM100\nfqdn: VM100\n");
    assert_eq!(image.taken("user-data", from, to).0["system.hostname"], "vm100");

    // No drive; two of them; a signed one was taken.
    assert_eq!(image.reads("", &[]), (Some(Credentials::new()), String::new()));
    let (made, said) = image.reads("/dev/sr0\n/dev/sr1\n", &[]);
    assert!(made.is_none() && said.contains("which of these is meant? /dev/sr0 /dev/sr1"), "{said}");
    let signed = image.0.path().join("run/diorite-config-drive/credentials");
    std::fs::create_dir_all(&signed).unwrap();
    std::fs::write(image.0.path().join("run/devices"), "/dev/sr1\n").unwrap();
    std::fs::write(signed.join("system.hostname"), "signed").unwrap();
    let left = "<5>config drive: /dev/sr1 left alone: the signed drive says what this machine is\n";
    let own = Credentials::from([("system.hostname".into(), "signed".into())]);
    assert_eq!(image.again(), (Some(own), left.into()));
}

/// What ends the boot: file, what is changed in it, what is said.
const REFUSED: [(&str, &str, &str, &str); 52] = [
    ("network-config", "10.77.0.81'", "10.77.0.81\n[Route]'", "line 8: this is no IPv4 address of a card: '10.77.0.81"),
    ("network-config", "10.77.0.81'", "10.77.0.81\\n[Route]'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "10.77.0.81' #'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "10.77.0.81/24'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "10.77.0.256'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "010.77.0.81'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "10.77.81'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "0.0.0.0'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "127.0.0.1'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "10.77.0.81'", "fd00::1'", "line 8: this is no IPv4 address of a card"),
    ("network-config", "        address: '10.77.0.81'\n", "", "card 1 has no IPv4 address or netmask"),
    ("network-config", "        netmask: '255.255.252.0'\n", "", "card 1 has no IPv4 address or netmask"),
    ("network-config", "255.255.252.0", "255.0.255.0", "line 9: this is no netmask"),
    ("network-config", "255.255.252.0", "0.0.0.0", "line 9: this is no netmask"),
    ("network-config", "255.255.252.0", "24", "line 9: this is no netmask"),
    ("network-config", "10.77.0.1'", "10.77.0.1\"'", "line 10: this is no IPv4 gateway of a card"),
    ("network-config", "fd00:77::81/64", "fd00::77::81/64", "line 12: this is no IPv6 address of a card"),
    ("network-config", "fd00:77::81/64", "fd00:77::81/129", "line 12: this is no address with a prefix length"),
    ("network-config", "fd00:77::81/64", "fd00:77::81", "line 12: this is no address with a prefix length"),
    ("network-config", "fd00:77::81/64", "1:2:3:4:5:6:7:8:9/64", "line 12: this is no IPv6 address of a card"),
    ("network-config", "fd00:77::81/64", "fd00:77::12345/64", "line 12: this is no IPv6 address of a card"),
    ("network-config", "fd00:77::81/64", "::1/128", "line 12: this is no IPv6 address of a card"),
    ("network-config", "fd00:77::81/64", "ff02::1/64", "line 12: this is no IPv6 address of a card"),
    ("network-config", "fe80::1", "fe80::1%eth0", "line 13: this is no IPv6 gateway of a card"),
    ("network-config", "bc:24:11:00:00:82", "bc:24:11:00:00:81", "line 16: card bc:24:11:00:00:81 is said twice"),
    ("network-config", "bc:24:11:00:00:82", "bc:24:11:00:00", "line 16: this is no hardware address"),
    ("network-config", "bc:24:11:00:00:82", "*", "line 16: this is no hardware address"),
    ("network-config", "name: eth1", "name: ../eth1", "line 15: this is no name that Proxmox VE gives a card"),
    ("network-config", "name: eth1", "name: eth0", "line 15: card eth0 is said twice"),
    ("network-config", "      name: eth1\n", "", "card 2 has no name or no mac_address"),
    ("network-config", "      - type: dhcp6\n", "      - type: dhcp4\n", "line 19: IPv4 of card 2 is said twice"),
    (
        "network-config",
        "      - type: dhcp6\n",
        "      - type: manual\n",
        "line 19: this image knows no addresses of this type: manual",
    ),
    (
        "network-config",
        "      - type: dhcp6\n",
        "        mtu: 1400\n",
        "line 19: this image does not know what this line means",
    ),
    ("network-config", "- type: nameserver", "- type: bond", "line 34: this image knows no link of this type: bond"),
    ("network-config", "10.77.0.53", "10.77.0.53#x", "line 36: this is no address of a name server"),
    ("network-config", "- 'lab.test'", "- '~.'", "line 39: this is no domain: ~."),
    ("network-config", "- 'lab.test'", "- 'lab.test other'", "line 39: this is no domain"),
    ("network-config", "version: 1", "version: 2", "line 1: only network configuration of version 1 is known"),
    (
        "network-config",
        "- 'lab.test'\n",
        "- 'lab.test'\n---\nversion: 1\n",
        "line 40: this image does not know what this line means",
    ),
    ("user-data", "#cloud-config\n", "#!/bin/sh\n", "line 1: it does not begin with #cloud-config"),
    ("user-data", "hostname: Cloud-1\n", "", "user-data says no hostname: this machine would have the image's own"),
    ("user-data", "hostname: Cloud-1\n", "hostname: a\nhostname: b\n", "line 3: hostname is said twice"),
    ("user-data", "hostname: Cloud-1\n", "hostname: $(reboot)\n", "line 2: hostname is no host name: $(reboot)"),
    (
        "user-data",
        "hostname: Cloud-1\n",
        "hostname: Cloud\n  1\n",
        "line 3: this image does not know what this line means",
    ),
    ("user-data", "fqdn: Cloud-1.lab.test", "fqdn: other.lab.test", "fqdn does not begin with hostname"),
    ("user-data", "user: anna", "user: ../anna", "line 5: user is no login name"),
    ("user-data", "package_upgrade: true\n", "---\n#cloud-config\n", "this image does not know what this line means"),
    (
        "user-data",
        "  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAA",
        "  - command=\"x\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAA",
        "line 8: this is no SSH key of a type that is taken, without options",
    ),
    (
        "user-data",
        "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8Q",
        "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8",
        "user-data has an SSH key that is none, or is cut off",
    ),
    ("user-data", "package_upgrade: true\n", "package_upgrade: true\r\n", "user-data holds control characters"),
    ("user-data", "Cloud-1\nmanage", "Cloud\0-1\nmanage", "user-data holds control characters"),
    ("meta-data", META, "", "meta-data is empty"),
];

#[test]
fn what_has_another_form_ends_the_boot_and_leaves_nothing() {
    let image = Image::new();
    for (file, from, to, why) in REFUSED {
        let (made, said) = image.changed(file, from, to);
        assert!(
            made.is_none() && said.contains(why) && said.starts_with("<3>config drive: /dev/sr0: "),
            "{to}: {said}"
        );
        assert!(said.ends_with("; put the cloud-init drive right, or detach it\n"), "{said}");
        assert!(!said.contains("$5$"), "a password is on the console: {said}");
    }
    let long = format!("package_upgrade: true\nx: {}\n", "x".repeat(65_536));
    let (made, said) = image.changed("user-data", "package_upgrade: true\n", &long);
    assert!(made.is_none() && said.contains("/dev/sr0: user-data is longer than 65536 bytes"), "{said}");
    let (made, said) = image.reads("/dev/sr0\n", &[("meta-data", META.as_bytes()), ("user-data", USER.as_bytes())]);
    assert!(made.is_none() && said.contains("/dev/sr0 has no file network-config"), "{said}");
}
