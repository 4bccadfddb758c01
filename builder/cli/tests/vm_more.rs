//! Disks that need further boots than every change can pay for: `make vm-tests` runs them.

mod common;
#[path = "vm_more/config_drive.rs"]
mod config_drive;
#[path = "vm_more/encryption.rs"]
mod encryption;
#[path = "vm_more/installer.rs"]
mod installer;
#[path = "vm_more/run.rs"]
mod run;
#[path = "vm_more/scenarios.rs"]
mod scenarios;
#[path = "common/scenes.rs"]
mod scenes;
#[path = "vm_more/secure_boot.rs"]
mod secure_boot;
#[path = "common/vm.rs"]
mod vm;
mod wrong;
#[path = "vm_more/wrong_images.rs"]
mod wrong_images;
use common::{Project, material, text};
use diorite_archive::lockfile;
use diorite_checks::containers;
use diorite_host::tools::{Tool, ToolsTree};
use diorite_lab::{Config, Lab, PortVerdict};
use diorite_machine::{
    Accelerator, Boot, Machine, MachineHardware, MachineSpec, Second, accel, credentials, credentials::Credential,
};
use diorite_model::lock::ARCHIVED;
use diorite_model::report::Verdict;
use diorite_model::{Digest, LockedPackage, Recipe};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The smallest profile, with somebody to let in: locked against the archive as it is now, built, booted, asked.
#[test]
fn the_base_image_lets_its_administrator_in() {
    let _alone = vm::alone();
    let project = Project::locked();
    let profile = "extends = \"base\"\n[image]\nname = \"mine\"\nversion = \"1\"\n[access.administrators.anna]\n\
                   ssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi anna@example\"]\n";
    fs::write(project.path("profiles/mine.toml"), profile).expect("a profile");
    let mut command = project.diorite();
    // sudo comes with an administrator, and is in no other image of the suite: this test needs the archive.
    for name in ["DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR"] {
        match std::env::var_os(name) {
            Some(mirror) => command.env(name, mirror),
            None => command.env_remove(name),
        };
    }
    let output = command.args(["image", "mine", "--relock", "--format", "raw"]).output().expect("the program starts");
    let out = project.path("out/mine");
    vm::expect(&output, 0, &out);
    let report = vm::report(&out);
    assert_eq!((report.passed(), report.count(Verdict::Skip)), (true, 0));
    let administrator = report.checks.iter().find(|c| c.id == "administrator-anna").expect("the check");
    assert!(administrator.seen.ends_with("1 keys, root by sudo"), "{}", administrator.seen);
    assert!(!report.checks.iter().any(|c| c.id.starts_with("container-") || c.id.contains("9100-open")));
    let manifest = fs::read_to_string(out.join("tree.manifest")).expect("tree.manifest");
    assert!(!manifest.contains("/podman") && manifest.contains("/sudo"), "a base image has no containers");
}

#[test]
fn every_profile_boots() {
    for name in vm::profiles() {
        vm::boots(&name);
    }
}

/// What a machine says of itself, by name: what must outlive a boot, and what may grow.
const IDENTITY: [(&str, &str); 7] = [
    ("state", "systemctl is-system-running --wait"),
    ("host key", "cat /var/lib/ssh/ssh_host_ed25519_key.pub"),
    ("machine id", "cat /etc/machine-id"),
    ("partition", "findmnt -no PARTUUID /var"),
    ("entries", "ls -1 /boot/EFI/Linux /efi/EFI/Linux 2>/dev/null | grep efi$"),
    ("var", "df --output=size -B1048576 /var | tail -n 1 | tr -d ' '"),
    ("marker", "cat /var/lib/marker 2>/dev/null"),
];

/// A machine that boots this disk, without a network, second disk or TPM.
fn machine(tools: &ToolsTree, accelerator: &Accelerator, disk: &Path, directory: PathBuf) -> MachineSpec {
    fs::create_dir_all(&directory).expect("a directory");
    MachineSpec {
        hardware: MachineHardware::default(),
        tools: tools.clone(),
        accelerator: accelerator.clone(),
        disk: disk.to_owned(),
        second: None,
        data: Vec::new(),
        disc: None,
        tpm: None,
        boot: Boot::Firmware,
        memory: 1536,
        cpus: 2,
        uuid: None,
        credentials: credentials::shell(),
        network: vec![],
        macs: vec![],
        directory,
    }
}

/// Boots a machine, lets it say who it is and `more`, leaves a marker, powers it off as an operator would, and keeps what
/// it wrote.
fn life(mut spec: MachineSpec, more: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
    let (has_second, directory) = (spec.second.is_some(), spec.directory.clone());
    let (near, far) = UnixStream::pair().expect("a cable");
    let lab = Lab::start_with(Config::default(), vec![near.into()]).expect("the lab");
    spec.network = vec![far.into()];
    let machine = Machine::start(spec).expect("the machine starts");
    let mut watch = machine.watch(|| lab.frames());
    let up = machine.wait_shell(&mut watch);
    up.unwrap_or_else(|e| panic!("the machine does not come up: {e}\n{}", machine.console.tail(60)));
    let mut run = |command: &str| machine.run(command, &mut watch).unwrap_or_else(|e| panic!("{command}: {e}")).text;
    let mut said: BTreeMap<_, _> = IDENTITY.iter().chain(more).map(|(name, command)| (*name, run(command))).collect();
    // Whose card answers for the address that it says it has.
    let address = said.get("addresses").and_then(|all| all.split('/').next()?.parse().ok());
    if let Some(address) = address {
        let (own, patience) = (lab.config().ipv4.into(), Duration::from_secs(60));
        let answer = lab.reach(lab.config().vlan, own, address, patience).expect("the lab");
        said.insert("on the wire", answer.map_or("nobody".into(), |answer| answer.mac.to_string()));
    }
    run("echo kept >/var/lib/marker; systemctl poweroff --no-block");
    let end = Instant::now() + Duration::from_secs(180);
    while machine.ended().is_none() {
        assert!(Instant::now() < end, "the machine does not power off");
        std::thread::sleep(Duration::from_millis(100));
    }
    fs::rename(directory.join("overlay.qcow2"), directory.join("written.qcow2")).expect("what the machine wrote");
    if has_second {
        fs::rename(directory.join("second.qcow2"), directory.join("second-written.qcow2"))
            .expect("what the machine wrote");
    }
    said
}

/// State outlives a boot, the entry stays blessed, and /var follows a disk that was made larger.
#[test]
fn the_same_disk_boots_again_with_its_state_even_when_enlarged() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let accelerator = accel::probe().expect("an accelerator");
    let disk = project.path("out/server/disk.raw").canonicalize().expect("the disk");
    let again = project.path("again.raw");
    let first = life(machine(&tools, &accelerator, &disk, project.path("first")), &[]);
    let written = project.path("first/written.qcow2");
    raw(&tools, &written, &disk, &again, 1 << 30);
    let second = life(machine(&tools, &accelerator, &again, project.path("second")), &[]);
    assert_eq!((first["state"].as_str(), second["state"].as_str()), ("running", "running"));
    for name in ["host key", "machine id", "partition", "entries"] {
        assert!(!first[name].is_empty(), "{name}: {first:?}");
        assert_eq!(first[name], second[name], "{name}");
    }
    assert!(first["host key"].starts_with("ssh-ed25519 ") && !first["entries"].contains('+'), "{first:?}");
    assert_eq!((first["marker"].as_str(), second["marker"].as_str()), ("", "kept"));
    let size = |life: &BTreeMap<&str, String>| life["var"].parse::<u64>().expect("MiB");
    assert!(size(&second) > size(&first) + 900, "{} MiB, then {} MiB", size(&first), size(&second));
}

/// A qcow2 image as a raw one, `more` bytes longer.
fn raw(tools: &ToolsTree, written: &Path, backing: &Path, to: &Path, more: u64) {
    let convert = tools.command(Tool::QemuImg).args(["convert", "-O", "raw"]).arg(written).arg(to);
    convert.input(backing).output(to.parent().expect("a directory")).run_ok().expect("the disk as it was written");
    let file = fs::File::options().write(true).open(to).expect("the disk");
    file.set_len(file.metadata().expect("its length").len() + more).expect("a larger disk");
}

/// Boots a machine that must not come up. Returns what the console said; the disks stay as they were written.
fn refusal(spec: MachineSpec) -> String {
    let directory = spec.directory.clone();
    let machine = Machine::start(spec).expect("the machine starts");
    let end = Instant::now() + Duration::from_secs(400);
    while machine.ended().is_none() {
        assert!(!machine.shell_ready(), "the machine came up: {}", machine.console.tail(40));
        assert!(Instant::now() < end, "the machine neither comes up nor restarts: {}", machine.console.tail(40));
    }
    for (from, to) in [("overlay.qcow2", "written.qcow2"), ("second.qcow2", "second-written.qcow2")] {
        // Not every machine has a second one.
        let _ = fs::rename(directory.join(from), directory.join(to));
    }
    machine.end();
    String::from_utf8_lossy(&fs::read(directory.join("console.log")).expect("the console")).into_owned()
}

/// State on a disk of its own: made on an empty one, kept when the image's disk is swapped, grown with its own disk. A
/// disk with anything on it, a partition table or only bytes that nobody knows, ends the boot and keeps its bytes.
#[test]
fn state_on_a_disk_of_its_own_outlives_the_images_disk_and_takes_no_other() {
    let _alone = vm::alone();
    let project = Project::locked();
    let arguments = ["build", "example-state", "--relock", "--format", "raw"];
    let output = vm::online(&project, &arguments).output().expect("the program starts");
    let out = project.path("out/example-state");
    vm::expect(&output, 0, &out);
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let accelerator = accel::probe().expect("an accelerator");
    let disk = out.join("disk.raw").canonicalize().expect("the disk");
    let size = 600 << 20;

    let (mut unknown, mut table) = (vec![0; size], vec![0; size]);
    unknown[9 << 20..][..5].copy_from_slice(b"ours!");
    // A partition table as of a PC: one Linux partition from sector 2048 on.
    table[446..462].copy_from_slice(&[0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0]);
    table[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (name, bytes, expected) in [
        ("unknown", unknown, "has no file system, yet is not empty, and is left alone"),
        ("table", table, "no disk holds this image's state, and none is empty"),
    ] {
        let second = project.path(format!("{name}.raw"));
        fs::write(&second, &bytes).expect("a disk");
        let directory = project.path(name);
        let spec = machine(&tools, &accelerator, &disk, directory.clone());
        let said = refusal(MachineSpec { second: Some(Second::Holding(second.clone())), ..spec });
        raw(&tools, &directory.join("second-written.qcow2"), &second, &directory.join("after.raw"), 0);
        let after = fs::read(directory.join("after.raw")).expect("the disk");
        assert!(said.contains(expected), "{name}: {said}");
        assert!(after == bytes, "{name}: the disk was written");
    }

    let of = |directory: &str, second| MachineSpec {
        second: Some(second),
        data: Vec::new(),
        ..machine(&tools, &accelerator, &disk, project.path(directory))
    };
    let first = life(of("first", Second::Blank(size as u64)), &[]);
    let kept = project.path("kept.raw");
    raw(&tools, &project.path("first/second-written.qcow2"), &disk, &kept, 1 << 30);
    // The image's disk as it was built: another one, as far as the machine can tell.
    let second = life(of("second", Second::Holding(kept)), &[]);
    assert_eq!((first["state"].as_str(), second["state"].as_str()), ("running", "running"));
    for name in ["host key", "machine id", "partition"] {
        assert!(!first[name].is_empty(), "{name}: {first:?}");
        assert_eq!(first[name], second[name], "{name}");
    }
    assert_eq!((first["marker"].as_str(), second["marker"].as_str()), ("", "kept"));
    let size = |life: &BTreeMap<&str, String>| life["var"].parse::<u64>().expect("MiB");
    assert!(size(&second) > size(&first) + 900, "{} MiB, then {} MiB", size(&first), size(&second));
}

/// Rules that do not load leave the machine closed: systemd-networkd does not start, and even a network that somebody
/// brings up by hand hears nothing. Positive control: with the table gone the same machine answers.
#[test]
fn rules_that_do_not_load_leave_the_machine_closed() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let directory = project.path("closed");
    let (near, far) = UnixStream::pair().expect("a cable");
    let lab = Lab::start_with(Config::default(), vec![near.into()]).expect("the lab");
    let mut credentials = credentials::shell();
    // /etc/hosts holds no rules. The health check would restart the machine before it could be asked.
    let broken = "[Service]\nExecStart=\nExecStart=/usr/sbin/nft -f /etc/diorite/firewall-closed.nft\n\
                  ExecStart=/usr/sbin/nft -f /etc/hosts\n";
    for (unit, text) in [("diorite-firewall", broken), ("diorite-restart", "[Unit]\nSuccessAction=none\n")] {
        credentials.push(Credential::new(format!("systemd.unit-dropin.{unit}.service~broken"), text));
    }
    let disk = project.path("out/server/disk.raw").canonicalize().expect("the disk");
    let spec = machine(&tools, &accel::probe().expect("an accelerator"), &disk, directory);
    let machine = Machine::start(MachineSpec { credentials, network: vec![far.into()], ..spec });
    let machine = machine.expect("the machine starts");
    let mut watch = machine.watch(|| lab.frames());
    machine.wait_shell(&mut watch).expect("the machine comes up");
    let mut run = |command: &str| machine.run(command, &mut watch).unwrap_or_else(|e| panic!("{command}: {e}")).text;
    assert_eq!(run("systemctl is-system-running --wait"), "degraded");
    assert_eq!(
        run("systemctl is-active diorite-firewall.service systemd-networkd.service web.service"),
        "failed\ninactive\ninactive"
    );
    let rules = run("nft list table inet diorite");
    assert_eq!((rules.matches("policy drop").count(), rules.matches("accept").count()), (3, 2), "{rules}");
    let links = run("udevadm settle; ip -brief link");
    let names = links.lines().filter_map(|l| l.split([' ', '@']).next());
    let link = names.into_iter().find(|n| !n.starts_with("lo") && !n.starts_with("podman"));
    let link =
        link.unwrap_or_else(|| panic!("there is no card: {links}\n{}", run("lsmod; journalctl -b -n 60 --no-pager")));
    assert!(links.lines().any(|l| l.starts_with(link) && l.contains("DOWN")), "{links}");
    // ARP is not filtered: the card says who it is, so that the lab knows whom to ask.
    run(&format!(
        "echo 1 >/proc/sys/net/ipv4/conf/{link}/arp_notify; ip address add 10.77.0.50/24 dev {link}; \
         ip link set {link} up; systemctl start ssh.service"
    ));
    let address = "10.77.0.50".parse().expect("an address");
    let end = Instant::now() + Duration::from_secs(30);
    while !lab.addresses().contains_key(&address) {
        assert!(Instant::now() < end, "the machine is not on the wire");
        std::thread::sleep(Duration::from_millis(50));
    }
    let closed = lab.scan(address, &[22, 9100]).expect("a scan");
    assert!(!closed.witnessed && closed.verdicts.values().all(|v| *v == PortVerdict::Silent), "{closed:?}");
    run("nft delete table inet diorite");
    let open = lab.scan(address, &[22]).expect("a scan");
    assert!(open.witnessed && open.verdicts[&22] == PortVerdict::Open, "{open:?}");
}

/// An image as others make them: what its layers are, each a tar, and how it wants to be started. OCI image layout.
fn layout(layers: &[Vec<u8>], config: &serde_json::Value) -> Vec<u8> {
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let mut blob = |kind: &str, bytes: &[u8]| {
        files.push((format!("blobs/sha256/{}", Digest::of(bytes)), bytes.to_vec()));
        let media = format!("application/vnd.oci.image.{kind}");
        serde_json::json!({ "mediaType": media, "digest": format!("sha256:{}", Digest::of(bytes)), "size": bytes.len() })
    };
    let ids: Vec<String> = layers.iter().map(|l| format!("sha256:{}", Digest::of(l))).collect();
    let image = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": config, "rootfs": { "type": "layers", "diff_ids": ids },
    });
    let config = blob("config.v1+json", image.to_string().as_bytes());
    let layers: Vec<_> = layers.iter().map(|l| blob("layer.v1.tar", l)).collect();
    let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let manifest = blob("manifest.v1+json", manifest.to_string().as_bytes());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string();
    files.push(("index.json".to_owned(), index.into_bytes()));
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in &files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &bytes[..]).expect("in memory");
    }
    tar.into_inner().expect("in memory")
}

/// `server` and a container from an image whose layers are two of Debian's packages as they are.
const GUEST: &str = r#"
extends = "server"
[image]
name = "guest"
version = "1"
[containers.app]
archive = "app.tar"
command = ["busybox cat /run/secrets/password >/data/seen && exec busybox sleep 1000000"]
secrets.password = { credential = "app-password" }
volumes.data = { path = "/data" }
[containers.app.health]
command = ["/bin/busybox", "sh", "-c", "test -s /data/seen && ! test -e /data/ill"]
interval = "2s"
timeout = "60s"
retries = 2
start_period = "0s"
"#;

/// `guest`, its image and its lock; built.
fn guest(project: &Project, tools: &ToolsTree) -> Recipe {
    let file = project.path("profiles/server.lock");
    let mut lock = lockfile::read(&file).expect("a lock");
    let layers = ["libc6", "busybox"].map(|name| {
        let package = lock.container["web"].iter().find(|p| p.name == name).expect("a package of `server`");
        let digest = package.sha256.to_string();
        let deb = project.path("store/pool").join(&digest[..2]).join(format!("{digest}.deb"));
        let deb = deb.canonicalize().expect("in the pool");
        let run = tools.command(Tool::DpkgDeb).arg("--fsys-tarfile").arg(&deb).input(&deb).run_ok();
        run.expect("the files of a package").stdout
    });
    let config = serde_json::json!({
        "User": "7:7", "Entrypoint": ["/bin/busybox", "sh", "-c"], "Env": ["PATH=/bin"], "WorkingDir": "/data",
    });
    let image = layout(&layers, &config);
    fs::write(project.path("profiles/app.tar"), &image).expect("an image");
    fs::write(project.path("profiles/guest.toml"), GUEST).expect("a profile");
    let shown = project.json(&["show", "guest"]);
    let sha256 = Digest::of(&image);
    let app = LockedPackage {
        name: "archive".into(),
        version: sha256.short(12),
        architecture: "amd64".into(),
        release: ARCHIVED.into(),
        path: "app.tar".into(),
        size: image.len() as u64,
        sha256,
    };
    lock.container.insert("app".into(), vec![app]);
    lock.recipe = serde_json::from_value(shown["digest"].clone()).expect("a digest");
    lockfile::write(&lock, &project.path("profiles/guest.lock")).expect("a lock");
    let mut command = project.diorite();
    command.env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
    let output = command.args(["build", "guest", "--format", "raw"]).output().expect("the program starts");
    vm::expect(&output, 0, &project.path("out/guest"));
    serde_json::from_value(shown["recipe"].clone()).expect("a recipe")
}

/// A container from an image that others made gets its secret from a systemd credential and is healthy; every check says
/// so. Positive control: when its health check fails, podman, the unit and the check all say it, and only as long.
#[test]
fn an_image_of_others_gets_its_secret_and_is_watched() {
    let _alone = vm::alone();
    let project = Project::locked();
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let recipe = guest(&project, &tools);
    let out = project.path("out/guest");
    let output = vm::verify(&project, "guest").output().expect("the program starts");
    vm::expect(&output, 0, &out);
    let report = vm::report(&out);
    assert_eq!((report.passed(), report.count(Verdict::Skip)), (true, 0));
    let declared = report.checks.iter().find(|c| c.id == "container-app-as-declared").expect("the check");
    assert!(declared.seen.ends_with("0 capabilities, 1 volumes, 1 secrets"), "{}", declared.seen);

    let directory = project.path("ill");
    fs::create_dir_all(&directory).expect("a directory");
    let (near, far) = UnixStream::pair().expect("a cable");
    let lab = Lab::start_with(Config::default(), vec![near.into()]).expect("the lab");
    let secrets = containers::credentials(&recipe);
    let machine = Machine::start(MachineSpec {
        hardware: MachineHardware::default(),
        tools,
        accelerator: accel::probe().expect("an accelerator"),
        disk: out.join("disk.raw").canonicalize().expect("the disk"),
        disc: None,
        tpm: None,
        second: None,
        data: Vec::new(),
        boot: Boot::Firmware,
        memory: 1536,
        cpus: 2,
        uuid: None,
        credentials: [credentials::shell(), secrets.clone()].concat(),
        network: vec![far.into()],
        macs: vec![],
        directory,
    })
    .expect("the machine starts");
    let mut watch = machine.watch(|| lab.frames());
    machine.wait_shell(&mut watch).expect("the machine comes up");
    let mut run = |command: &str| machine.run(command, &mut watch).unwrap_or_else(|e| panic!("{command}: {e}"));
    assert_eq!(run("systemctl is-system-running --wait").text, "running");
    let data = "/var/lib/diorite/containers/app/data";
    let [secret] = &secrets[..] else { panic!("one secret: {secrets:?}") };
    assert_eq!(run(&format!("cat {data}/seen")).text.as_bytes(), secret.value, "its user reads it");
    let app = containers::declared(&recipe).find(|d| d.name == "app").expect("the container");
    let script = containers::script(&app);
    containers::judge(&run(&script), &app).expect("it is as declared");
    let well = run("podman healthcheck run app");
    assert!(well.success(), "{}", well.text);

    // From here on no start of it ever counts.
    run(&format!("touch {data}/ill"));
    let ill = run("podman healthcheck run app");
    assert!(!ill.success(), "{}", ill.text);
    run("until [ $(systemctl show -P NRestarts app) -gt 0 ]; do sleep 1; done");
    let said = containers::judge(&run(&script), &app).expect_err("its health check fails");
    assert!(said.starts_with("it is not healthy: ") || said.starts_with("it is not there: "), "{said}");
    let journal = run("journalctl -b --no-pager -o cat -t podman | grep health_status=unhealthy").text;
    assert!(journal.contains("name=app"), "{journal}");

    let again = run(&format!("rm {data}/ill; systemctl restart app"));
    assert!(again.success(), "{}", again.text);
    containers::judge(&run(&script), &app).expect("it is as declared again");
}
