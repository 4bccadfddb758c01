//! Machines that get their own values from a config drive, or refuse one.

use super::*;

const PROFILE: &str = r#"
extends = "base"

[image]
name = "drive"
version = "1"

[config_drive]
signers = ["SIGNER"]

[access]
root_login = "credential"

[instances.web-1.network.ethernet]
addresses = ["10.77.0.71/24"]
gateways = ["10.77.0.1"]

[instances.web-1.credentials]
"ssh.authorized_keys.root" = { env = "ROOT_KEY" }
token = { file = "token" }
"#;
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
/// for another machine ends the boot with its reason on the console; without one the machine is as its image says.
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
        let output = command.arg("--disc").arg(project.path(to)).output().expect("the program starts");
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

    let output = vm::online(&project, &["build", "drive", "--relock", "--no-qcow2"]).output().expect("it starts");
    let out = project.path("out/drive");
    vm::expect(&output, 0, &out);
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let accelerator = accel::probe().expect("an accelerator");
    let disk = out.join("disk.raw").canonicalize().expect("the disk");
    let of = |folder: &str, disc: Option<&Path>| MachineSpec {
        disc: disc.map(Path::to_owned),
        uuid: Some(MACHINE.into()),
        ..machine(&tools, &accelerator, &disk, project.path(folder))
    };

    for (folder, disc, why) in [
        ("stranger", &stranger, "is not signed by anybody whose word this image takes: "),
        ("changed", &changed, "is not signed by anybody whose word this image takes: "),
        ("other", &other, "is for another machine, 00000000-8b86-4d11-b42d-00c04fc964ff"),
    ] {
        let said = refusal(of(folder, Some(disc)));
        assert!(said.contains("config drive: /dev/sr0 ") && said.contains(why), "{folder}: {said}");
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
}
