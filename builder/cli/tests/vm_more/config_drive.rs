//! Machines that get their own values from a config drive, or refuse one.

use super::*;

const PROFILE: &str = r#"
extends = "base"

[image]
name = "drive"
version = "1"

[config_drive]
signers = ["SIGNER"]
nocloud = true

[access]
root_login = "credential"

[access.users.anna]

[instances.web-1.network.ethernet]
addresses = ["10.77.0.71/24"]
gateways = ["10.77.0.1"]

[instances.web-1.credentials]
"ssh.authorized_keys.root" = { env = "ROOT_KEY" }
token = { file = "token" }
"#;
/// A cloud-init drive as Proxmox VE makes it (qemu-server, Cloudinit.pm): `genisoimage -quiet -iso-level 3 -J -R -V cidata`
/// over these files, an instance-id and an empty `vendor-data`.
const CLOUD: &[u8] = include_bytes!("cidata.iso.gz");
const CLOUD_FILES: [&str; 2] = [
    "#cloud-config
hostname: Cloud-1
manage_etc_hosts: true
fqdn: Cloud-1.lab.test
user: anna
password: $5$oWLlJ1d6$KJbuIb4wPl2hTMEnvKmyAo3OzFv4EzhI1AyhL0Ib4W4
ssh_authorized_keys:
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna@example
chpasswd:
  expire: False
users:
  - default
package_upgrade: true
",
    "version: 1
config:
    - type: physical
      name: eth0
      mac_address: 'bc:24:11:00:00:81'
      subnets:
      - type: static
        address: '10.77.0.81'
        netmask: '255.255.255.0'
        gateway: '10.77.0.1'
      - type: static6
        address: 'fd77::81/64'
    - type: nameserver
      address:
      - '10.77.0.1'
      search:
      - 'lab.test'
",
];
const CLOUD_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
const MACHINE: &str = "6f9619ff-8b86-4d11-b42d-00c04fc964ff";

/// What a machine has of its own: name, addresses, whether it still asks for one, its credential, root's keys.
const WHO: [(&str, &str); 6] = [
    ("name", "hostname"),
    ("addresses", "ip -4 -o address show scope global | sed 's/ *brd.*//;s/.*inet //'"),
    ("links", "ls /run/systemd/network"),
    ("token", "systemd-run -q --pipe --wait -p ImportCredential=token sh -c 'cat $CREDENTIALS_DIRECTORY/token'"),
    ("root keys", "cat /root/.ssh/authorized_keys 2>/dev/null"),
    ("left", "ls /run/credentials/@initrd /run/diorite-config-drive 2>/dev/null; findmnt -t iso9660; true"),
];

/// A config drive is taken by the machine that it is for; one that somebody else has signed, that was changed, or that is
/// for another machine ends the boot with its reason on the console; without one the machine is as its image says. Where
/// the profile allows it, a cloud-init drive of Proxmox VE that nobody has signed says name, addresses and keys.
#[test]
fn a_machine_takes_its_own_signed_values_and_no_others() {
    let _alone = vm::alone();
    let project = Project::locked();
    let key = |name: &str| {
        let file = project.path(name);
        let made = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[name.len() as u8; 32]));
        fs::write(&file, made.to_openssh(ssh_key::LineEnding::LF).expect("a key").as_bytes()).expect("its file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
        made.public_key().to_openssh().expect("its public half")
    };
    let (ours, theirs) = (key("key"), key("another-key"));
    let profile = |signer: &str| {
        fs::write(project.path("profiles/drive.toml"), PROFILE.replace("SIGNER", signer)).expect("a profile");
    };
    fs::write(project.path("profiles/token"), "a token \n").expect("a secret");
    fs::set_permissions(project.path("profiles/token"), fs::Permissions::from_mode(0o600)).expect("its mode");
    let disc = |key: &str, machine: &str, to: &str| {
        let mut command = project.diorite();
        command.env("ROOT_KEY", &ours);
        command.args(["drive", "drive", "web-1", "--machine", machine, "--key"]).arg(project.path(key));
        let output = command.arg("--iso").arg(project.path(to)).output().expect("the program starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        project.path(to)
    };
    // Somebody else's, made as if he were meant.
    profile(&theirs);
    let stranger = disc("another-key", MACHINE, "stranger.iso");
    profile(&ours);
    let other = disc("key", "00000000-8b86-4d11-b42d-00c04fc964ff", "other.iso");
    let right = disc("key", &MACHINE.to_uppercase(), "right.iso");
    let again = disc("key", MACHINE, "again.iso");
    assert!(
        fs::read(&right).expect("a disc") == fs::read(&again).expect("a disc"),
        "the same values are the same bytes"
    );
    let mut bytes = fs::read(&right).expect("a disc");
    let at = bytes.windows(15).position(|w| w == b"system.hostname").expect("its name");
    bytes[at + 7] = b'H';
    let changed = project.path("changed.iso");
    fs::write(&changed, bytes).expect("a changed disc");

    let output = vm::online(&project, &["build", "drive", "--relock", "--format", "raw"]).output().expect("it starts");
    let out = project.path("out/drive");
    vm::expect(&output, 0, &out);
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let accelerator = accel::probe().expect("an accelerator");
    let disk = out.join("disk.raw").canonicalize().expect("the disk");
    let of = |directory: &str, disc: Option<&Path>| MachineSpec {
        disc: disc.map(Path::to_owned),
        uuid: Some(MACHINE.into()),
        ..machine(&tools, &accelerator, &disk, project.path(directory))
    };

    let cloud = cloud_drive(&project, "cloud.iso", CLOUD_KEY, &ours);
    let broken = cloud_drive(&project, "broken.iso", "address: '10.77.0.81'", "address: '10.77.0.8\n'");
    for (directory, disc, why) in [
        ("broken", &broken, ": network-config, line 8: this is no IPv4 address of a card: '10.77.0.8"),
        ("stranger", &stranger, "is not signed by anybody whose word this image takes: "),
        ("changed", &changed, "is not signed by anybody whose word this image takes: "),
        ("other", &other, "is for another machine, 00000000-8b86-4d11-b42d-00c04fc964ff"),
    ] {
        let said = refusal(of(directory, Some(disc)));
        assert!(said.contains("config drive: /dev/sr0") && said.contains(why), "{directory}: {said}");
    }

    let without = life(of("without", None), &WHO);
    assert_eq!((without["state"].as_str(), without["name"].as_str()), ("running", "drive"));
    assert_ne!(without["addresses"], "10.77.0.71/24");

    let with = life(of("with", Some(&right)), &WHO);
    assert_eq!((with["state"].as_str(), with["name"].as_str()), ("running", "web-1"), "{with:?}");
    assert_eq!(
        (with["addresses"].as_str(), with["links"].as_str()),
        ("10.77.0.71/24", "080-ethernet.network"),
        "{with:?}"
    );
    assert_eq!((with["token"].as_str(), with["left"].as_str()), ("a token", ""), "{with:?}");
    assert_eq!(with["root keys"], ours);

    // Nobody has signed this one, and it says less: what the image does not know by itself, and whose key that is.
    let private = diorite_model::base64::encode(&fs::read(project.path("key")).expect("a key"));
    let login = format!(
        "umask 77; echo {private} | base64 -d >/run/key; ssh -n -i /run/key -o BatchMode=yes -o StrictHostKeyChecking=no \
         -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR anna@10.77.0.81 id -un 2>&1"
    );
    let resolver = "resolvectl --no-pager status | grep -E '^ *(DNS Servers|DNS Domain):' | tr -s ' \\n' ' '";
    let gateway = "ip -4 route show default | sed 's/ proto.*//'";
    let six = "ip -6 -o address show scope global | awk '{ print $4 }'";
    let more: Vec<(&'static str, &str)> =
        [("login", login.as_str()), ("resolver", resolver), ("gateway", gateway), ("six", six)]
            .into_iter()
            .chain(WHO)
            .collect();
    let spec = MachineSpec { macs: vec!["bc:24:11:00:00:81".into()], ..of("cloud", Some(&cloud)) };
    let by_cloud = life(spec, &more);
    let seen = |name: &str| by_cloud[name].as_str();
    assert_eq!(
        (seen("state"), seen("name"), seen("addresses")),
        ("running", "cloud-1", "10.77.0.81/24"),
        "{by_cloud:?}"
    );
    assert_eq!((seen("links"), seen("six"), seen("left")), ("000-eth0.network", "fd77::81/64", ""), "{by_cloud:?}");
    assert!(
        seen("gateway").starts_with("default via 10.77.0.1 dev ") && !seen("gateway").contains('\n'),
        "{by_cloud:?}"
    );
    assert_eq!(seen("resolver").trim(), "DNS Servers: 10.77.0.1 DNS Domain: lab.test", "{by_cloud:?}");
    assert_eq!((seen("login"), seen("root keys")), ("anna", ""), "{by_cloud:?}");
    assert_eq!(seen("on the wire"), "bc-24-11-00-00-81", "{by_cloud:?}");
    let console = fs::read(project.path("cloud/console.log")).expect("the console");
    let console = String::from_utf8_lossy(&console);
    for line in [
        "config drive: /dev/sr0, which nobody has signed, says what this machine is: cloud-1; cards: 1; SSH keys for anna: 1",
        "config drive: /dev/sr0: not used: manage_etc_hosts, password, chpasswd, users, package_upgrade",
    ] {
        assert!(console.contains(line), "{console}");
    }
}

/// [`CLOUD`] with something in it changed to as many bytes, as long as Proxmox VE leaves it.
fn cloud_drive(project: &Project, name: &str, from: &str, to: &str) -> PathBuf {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(CLOUD).read_to_end(&mut bytes).expect("gzip");
    for text in CLOUD_FILES {
        assert!(bytes.windows(text.len()).any(|w| w == text.as_bytes()), "no file says {text}");
    }
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("what is changed");
    assert_eq!(from.len(), to.len(), "{to}");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes.resize(4 << 20, 0);
    let file = project.path(name);
    fs::write(&file, bytes).expect("a drive");
    file
}
