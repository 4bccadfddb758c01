//! `deploy`, `rollback`, `status`: the program against a simulator for a Proxmox VE host, on loopback.
//!
//! Over 500 lines because every test stands on the same case: a profile, its built disk and report, and a simulated host.

mod common;
#[path = "common/story.rs"]
mod story;
use common::errors::refuses;
use common::{Project, text};
use diorite_checks::plan;
use diorite_model::plan::Build;
use diorite_model::report::{Boot, CheckResult, Evidence, Report, Selection, Start, Verdict};
use diorite_model::{Digest, Hasher, Recipe, profile};
use diorite_proxmox_simulator::{Simulator, TOKEN, World};
use diorite_trust::attest;
use diorite_trust::keys::{AttestationAlgorithm, AttestationKey};
use std::fs;
use std::io::Write as _;
use std::process::Command;
use story::Story;

const PROFILE: &str = r#"
[image]
name = "web"
version = "VERSION"

[state]
disk = "own"

[packages]
include = ["qemu-guest-agent"]

[firewall]
allow = [{ port = 8080, listener = "nginx", rate = "10/minute" }, { port = PORT, listener = "nginx" }]

[machine]
memory = "1G"

[[verify.check]]
name = "page"
port = { port = PORT }
"#;

/// A machine that answers at a port of loopback, and a project that has been built and verified.
struct Case {
    simulator: Simulator,
    project: Project,
    listener: std::net::TcpListener,
}

impl Case {
    fn new() -> Self {
        Self::on(World::new())
    }

    fn on(world: World) -> Self {
        let simulator = Simulator::http(world);
        let project = Project::new();
        let target = format!(
            "[targets.school]\nurl = \"{}\"\nstorage = {{ import = \"local\", disks = \"local-zfs\" }}\n\
             bridge = \"vmbr0\"\npool = \"school\"\ntoken_env = \"PVE_TOKEN\"\n",
            simulator.url()
        );
        fs::write(project.path("profiles/targets.toml"), target).expect("targets");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let case = Self { simulator, project, listener };
        case.build("1");
        case
    }

    fn diorite(&self) -> Command {
        let mut command = self.project.diorite();
        command.env("PVE_TOKEN", TOKEN).env("HOME", self.project.path("home")).env_remove("XDG_CONFIG_HOME");
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.diorite().args(arguments).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// What the profile says now: its recipe, and the digest of what `verify` would check.
    fn recipe_and_plan(&self) -> (Recipe, Digest) {
        let text = fs::read_to_string(self.project.path("profiles/web.toml")).expect("the profile");
        let mut none = |name: &str| panic!("the profile extends nothing, least of all {name}");
        let (recipe, settings) = profile::parse(&text, "web.toml", &mut none).unwrap_or_else(|e| panic!("{e}"));
        let digest = plan::digest(&plan::of(&recipe, &settings.checks), &settings.checks);
        (recipe, digest)
    }

    /// What `image` leaves, without the minutes that it takes: a disk, and a report about it in which all is well.
    fn build(&self, version: &str) {
        self.build_with(version, "");
    }

    /// The same with more in the profile.
    fn build_with(&self, version: &str, more: &str) {
        let mut disk = format!("disk {version} ").repeat(20_000).into_bytes();
        disk.resize(disk.len().next_multiple_of(512), 0);
        self.build_more(version, [disk].into_iter(), more);
    }

    fn build_more(&self, version: &str, disk: impl Iterator<Item = Vec<u8>>, more: &str) {
        let port = self.listener.local_addr().expect("an address").port().to_string();
        let profile = PROFILE.replace("VERSION", version).replace("PORT", &port) + more;
        fs::write(self.project.path("profiles/web.toml"), profile).expect("a profile");
        let (recipe, plan_digest) = self.recipe_and_plan();
        let out = self.project.path("out/web");
        fs::create_dir_all(&out).expect("a directory");
        let (mut file, mut hasher) = (fs::File::create(out.join("disk.raw")).expect("a disk"), Hasher::new());
        for piece in disk {
            hasher.update(&piece);
            file.write_all(&piece).expect("a disk");
        }
        let disk_sha256 = hasher.finish();
        let build = Build {
            signing: None,
            schema: 1,
            name: "web".into(),
            version: version.into(),
            disk_sha256,
            root_hash: disk_sha256,
            recipe_digest: recipe.digest(),
            lock_digest: disk_sha256,
            tools: vec![],
            steps: vec![],
        };
        fs::write(out.join("build.json"), serde_json::to_vec(&build).expect("JSON")).expect("build.json");
        let check = CheckResult {
            id: "running".into(),
            what: "it runs".into(),
            evidence: Evidence::Outside,
            needed: false,
            verdict: Verdict::Pass,
            class: None,
            seen: String::new(),
            at: 0.0,
            seconds: 0.0,
            passes: 1,
        };
        let report = Report {
            schema: Report::SCHEMA,
            name: "web".into(),
            version: version.into(),
            disk_sha256,
            recipe_digest: recipe.digest(),
            accelerator: "tcg".into(),
            accelerator_reason: "a test".into(),
            start: Start::default(),
            begun: 0,
            seconds: 1.0,
            selection: Selection { of: 1, plan_digest: Some(plan_digest), ..Selection::default() },
            ended: None,
            retried: vec![],
            runs: 1,
            checks: vec![check],
            boot: Boot::default(),
        };
        fs::write(out.join("report.json"), serde_json::to_vec(&report).expect("JSON")).expect("report.json");
    }
}

#[test]
fn deploy_redeploy_and_back() {
    let case = Case::new();
    let plan = case.run(&["deploy", "web", "--target", "school", "--plan"]);
    assert!(
        plan.contains("create VM 9000") && plan.contains("memory=1024") && plan.contains("nothing was changed"),
        "{plan}"
    );
    assert!(case.simulator.world().machines.is_empty());

    let page = case.run(&["deploy", "web", "--target", "school"]);
    assert!(page.contains("web 1 runs on school as VM 9000 (`web`, node pve1)"), "{page}");
    assert!(page.contains("its guest agent answers at 127.0.0.1; checks: page"), "{page}");
    let left: serde_json::Value =
        serde_json::from_slice(&fs::read(case.project.path("out/web/deployment.json")).expect("it")).expect("JSON");
    assert_eq!((&left["machine"], &left["verified"]), (&9000.into(), &true.into()));
    assert!(case.run(&["deploy", "web", "--target", "school"]).contains("nothing to do"));

    case.build("2");
    let status = case.diorite().args(["status", "web", "--target", "school"]).output().expect("the program starts");
    assert_eq!(status.status.code(), Some(4));
    assert!(text(&status.stdout).contains("DIFFERS image: 1 (disk "), "{}", text(&status.stdout));
    let page = case.run(&["deploy", "web", "--target", "school"]);
    assert!(page.contains("web 2 runs on school") && page.contains("down for"), "{page}");

    let status = case.run(&["status", "web", "--target", "school"]);
    assert!(status.contains("  now web 2") && status.contains("as its profile declares"), "{status}");
    assert!(
        status.contains("`tcp_8080`: 10/minute new connections"),
        "what the hypervisor cannot say is said: {status}"
    );
    let page = case.run(&["rollback", "--target", "school"]);
    assert!(page.contains("web 1 runs on school") && !page.contains("upload"), "{page}");
    assert!(case.run(&["status", "--target", "school"]).contains("  now web 1"));
    assert!(case.run(&["rollback", "web", "--target", "school", "--version", "2"]).contains("web 2 runs on school"));
}

/// Deploy, redeploy, rollback, a failed image, drift, two at once: as a real host is told it. Each version on its own, because
/// most of the time goes by in waiting for locks.
#[test]
fn the_whole_story_on_8_4() {
    whole_story("8.4.14");
}

#[test]
fn the_whole_story_on_9_1() {
    whole_story("9.1.7");
}

#[test]
fn the_whole_story_on_9_2() {
    whole_story("9.2.11");
}

fn whole_story(version: &str) {
    let mut world = World::of_version(version);
    // One lock after each restart: the program waits for a second between two attempts.
    world.cleanup = std::time::Duration::from_secs(10);
    let case = Case::on(world);
    let build = |_: &Story, version: &str, more: &str| {
        case.build(version);
        if more == story::BROKEN {
            let (raw, file) = (case.project.path("out/web/disk.raw"), case.project.path("broken.qcow2"));
            diorite_image::format::qcow2::write(&raw, &file).expect("a file");
            let digest = diorite_model::Digest::of(&fs::read(&file).expect("the file"));
            case.simulator.world().unhealthy.insert(digest);
        }
    };
    let story = Story {
        project: &case.project,
        profile: "web",
        build: &build,
        failing: 1,
        target: "school",
        name: "web",
        environment: vec![("PVE_TOKEN", TOKEN.to_owned())],
        signer: None,
        relock: |_, _| {},
    };
    story.tell(|_| {});
    story.tell_of_trouble();
    assert_eq!(case.simulator.world().orphans(), Vec::<String>::new());
    story.end();
    assert!(case.simulator.world().machines.is_empty());
}

#[test]
fn what_cannot_be_deployed_is_refused_before_it_is_built() {
    let case = Case::new();
    let profile = case.project.path("profiles/web.toml");
    let text = fs::read_to_string(&profile).expect("the profile").replace("disk = \"own\"", "disk = \"same\"");
    fs::write(&profile, text).expect("the profile");
    fs::remove_dir_all(case.project.path("out/web")).expect("nothing is built");
    let said = refuses(&case.project, &mut case.diorite(), &["deploy", "web", "--target", "school"], 1);
    assert!(said.contains("`web` cannot be deployed: the next image would delete /var"), "{said}");
    assert!(said.contains("write `disk = \"own\"` under `[state]`"), "{said}");
    assert!(case.simulator.requests().is_empty());
}

#[test]
fn one_image_becomes_several_machines_one_after_the_other() {
    let case = Case::new();
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]));
    let private = key.to_openssh(ssh_key::LineEnding::LF).expect("a key").to_string();
    let instances = format!(
        "\n[config_drive]\nsigners = [\"{}\"]\n[instances.a.network.ethernet]\naddresses = [\"192.0.2.1/24\"]\n\
         [instances.b.credentials]\ntoken = {{ env = \"TOKEN_OF_B\" }}\n",
        key.public_key().to_openssh().expect("its public half")
    );
    case.build_with("1", &instances);
    let targets = case.project.path("profiles/targets.toml");
    let target = fs::read_to_string(&targets).expect("the target");
    let deploy = ["deploy", "web", "--target", "school"];

    let said = refuses(&case.project, case.diorite().env("TOKEN_OF_B", "b"), &deploy, 1);
    assert!(said.contains("has no signing key for config drives"), "{said}");
    fs::write(&targets, target + "signing_key_env = \"SIGNING_KEY\"\n").expect("the target");
    let said = refuses(&case.project, case.diorite().env("SIGNING_KEY", &private), &deploy, 1);
    assert!(said.contains("the credential `token` of instance `b` is not set"), "{said}");
    let other = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[8; 32]));
    let other = other.to_openssh(ssh_key::LineEnding::LF).expect("a key").to_string();
    let said = refuses(&case.project, case.diorite().env("SIGNING_KEY", other), &deploy, 1);
    assert!(said.contains("is not in `config_drive.signers` of the profile"), "{said}");
    assert!(case.simulator.requests().is_empty(), "nobody was asked");

    let run = |arguments: &[&str], token: &str| {
        let mut command = case.diorite();
        command.env("SIGNING_KEY", &private).env("TOKEN_OF_B", token).args(arguments);
        command.output().expect("the program starts")
    };
    let plan = text(&run(&[&deploy[..], &["--plan"]].concat(), "one").stdout);
    assert!(plan.contains("create VM 9000") && plan.contains("create VM 9001"), "{plan}");
    assert!(case.simulator.world().machines.is_empty());
    let output = run(&deploy, "one");
    let page = text(&output.stdout);
    assert!(output.status.success(), "{page}{}", text(&output.stderr));
    for (name, id) in [("a", 9000), ("b", 9001)] {
        assert!(page.contains(&format!("web 1 runs on school as VM {id} (`{name}`, node pve1)")), "{page}");
        assert!(case.project.path(format!("out/web/deployment-{name}.json")).exists());
    }
    let discs = |case: &Case| {
        let world = case.simulator.world();
        [9000, 9001].map(|id| world.machines[&id].config["scsi2"].clone())
    };
    let before = discs(&case);
    assert!(before[0].starts_with("local:iso/diorite-a-") && before[1].starts_with("local:iso/diorite-b-"));
    assert!(text(&run(&deploy, "one").stdout).matches("nothing to do").count() == 2, "it rests");
    assert!(case.run(&["status", "web", "--target", "school"]).matches("as its profile declares").count() == 2);

    // Where the secrets are at hand, they are compared too.
    let compare = |token: &str| run(&["status", "web", "--target", "school", "--values"], token);
    assert!(text(&compare("one").stdout).matches("as its profile declares").count() == 2);
    let other = compare("two");
    assert_eq!(
        (other.status.code(), text(&other.stdout).matches("DIFFERS config drive: local:iso/").count()),
        (Some(4), 1)
    );

    // Another secret is another disc of that machine alone.
    let page = text(&run(&deploy, "two").stdout);
    assert!(page.contains("upload the config drive") && page.contains("nothing to do"), "{page}");
    assert!(discs(&case)[0] == before[0] && discs(&case)[1] != before[1]);

    // The first that does not work ends it; the others are as they were.
    case.build_with("2", &instances);
    let listener = case.listener.local_addr().expect("an address");
    let starts = |id: u64| case.simulator.world().machines[&id].starts;
    let before = starts(9001);
    case.simulator.world().address = "127.0.0.2".into();
    let output = run(&[&deploy[..], &["--timeout", "1", "--max-unavailable", "1"]].concat(), "two");
    assert_eq!(output.status.code(), Some(4), "nobody answers at 127.0.0.2, port {}", listener.port());
    assert!(text(&output.stderr).contains("not deployed: b"), "{}", text(&output.stderr));
    assert_eq!(starts(9001), before);
}

#[test]
fn a_rule_that_somebody_made_by_hand_is_a_finding() {
    let case = Case::new();
    case.run(&["deploy", "web", "--target", "school"]);
    let rule = [("type", "in"), ("action", "ACCEPT"), ("proto", "tcp"), ("dport", "22"), ("enable", "1")];
    let rule = rule.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    case.simulator.world().machines.get_mut(&9000).expect("ours").rules.insert(0, rule);
    let output = case.diorite().args(["status", "web", "--target", "school"]).output().expect("the program starts");
    assert!(
        text(&output.stdout).contains("DIFFERS  -      yes         IN ACCEPT tcp port 22"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(output.status.code(), Some(4));
    case.run(&["deploy", "web", "--target", "school"]);
    case.run(&["status", "web", "--target", "school"]);
}

#[test]
fn only_what_was_verified_is_deployed() {
    let case = Case::new();
    let deploy = ["deploy", "web", "--target", "school"];
    let report = case.project.path("out/web/report.json");
    let kept = fs::read(&report).expect("the report");
    fs::remove_file(&report).expect("it goes");
    let said = refuses(&case.project, &mut case.diorite(), &deploy, 4);
    assert!(
        said.contains("there is no passing report about this disk of `web`") && said.contains("`--unverified`"),
        "{said}"
    );

    fs::write(&report, b"{").expect("half a report");
    let said = refuses(&case.project, &mut case.diorite(), &deploy, 4);
    assert!(
        said.contains("there is no passing report about this disk of `web`") && said.contains("it is damaged"),
        "{said}"
    );

    // Reports about these very bytes in which everything passed, with other circumstances.
    let good: serde_json::Value = serde_json::from_slice(&kept).expect("JSON");
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut other = good.clone();
        change(&mut other);
        fs::write(&report, other.to_string()).expect("another report");
        refuses(&case.project, &mut case.diorite(), &deploy, 4)
    };
    let other = Digest::of(b"another").to_string();
    let said = with(&|report| report["recipe_digest"] = other.clone().into());
    assert!(said.contains("it was made with another recipe"), "{said}");
    let said = with(&|report| drop(report["selection"].as_object_mut().expect("it").remove("plan_digest")));
    assert!(
        said.contains("does not record which checks were planned") && said.contains("diorite verify web"),
        "{said}"
    );
    fs::write(&report, &kept).expect("it comes back");
    let profile = case.project.path("profiles/web.toml");
    let before = fs::read_to_string(&profile).expect("the profile");
    for (old, new) in [
        ("name = \"page\"", "name = \"another\""),
        ("name = \"page\"", "name = \"page\"\nretry = \"7s\""),
        ("[[verify.check]]", "[[verify.check]]\nunit = { name = \"nginx.service\" }\n[[verify.check]]"),
    ] {
        fs::write(&profile, before.replacen(old, new, 1)).expect("another check");
        let said = refuses(&case.project, &mut case.diorite(), &deploy, 4);
        assert!(said.contains("the checks have changed since"), "{new}: {said}");
    }
    fs::write(&profile, before).expect("as it was");
    assert!(case.run(&[&deploy[..], &["--plan"]].concat()).contains("nothing was changed"), "the same report is good");

    fs::write(case.project.path("out/web/disk.raw"), "something else").expect("another disk");
    let said = refuses(&case.project, &mut case.diorite(), &deploy, 1);
    assert!(said.contains("the disk is not the one that was built"), "{said}");

    case.build("1");
    fs::remove_file(&report).expect("it goes");
    case.run(&["deploy", "web", "--target", "school", "--unverified"]);
    assert!(case.run(&["status", "--target", "school"]).contains("deployed unverified"));
}

#[test]
fn what_cannot_be_deployed_is_said_before_anybody_is_asked() {
    let case = Case::new();
    let deploy = ["deploy", "web", "--target", "school"];
    let profile = case.project.path("profiles/web.toml");
    let text = fs::read_to_string(&profile).expect("the profile");
    fs::write(&profile, text.replace("8080", "8081")).expect("another");
    let said = refuses(&case.project, &mut case.diorite(), &deploy, 1);
    assert!(said.contains("`web` has changed since it was built"), "{said}");
    assert!(case.simulator.requests().is_empty());

    let said = refuses(&case.project, &mut case.diorite(), &["rollback", "--target", "school"], 1);
    assert!(said.contains("target `school` has no VM") && said.contains("it has no VM that Diorite made"), "{said}");
}

#[test]
fn a_check_that_fails_from_here_takes_the_image_back() {
    let case = Case::new();
    case.run(&["deploy", "web", "--target", "school"]);
    case.build("2");
    // Nobody listens any more.
    let Case { simulator, project, listener } = case;
    drop(listener);
    let mut command = project.diorite();
    command.env("PVE_TOKEN", TOKEN).env("HOME", project.path("home")).env_remove("XDG_CONFIG_HOME");
    let output =
        command.args(["deploy", "web", "--target", "school", "--timeout", "1"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("check `page` at 127.0.0.1: port") && said.contains("refused"), "{said}");
    assert!(said.contains("was rolled back to web 1"), "{said}");
    let world = simulator.world();
    let system = world.machines[&9000].config["scsi0"].split(',').next().expect("a volume").to_owned();
    let aside = &world.machines[&9000].config["unused0"];
    assert_ne!(world.content(&system), world.content(aside));
}

#[test]
fn a_node_fetches_the_image_or_why_not_is_said() {
    let case = Case::new();
    let targets = case.project.path("profiles/targets.toml");
    let target = fs::read_to_string(&targets).expect("the target");
    fs::write(&targets, target + "serve = \"auto\"\n").expect("the target");
    let deployed = || {
        let output = case.diorite().args(["deploy", "web", "--target", "school"]).output().expect("the program starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let ends = |end: &str| case.simulator.requests().iter().filter(|asked| asked.path.ends_with(end)).count();
        (text(&output.stderr), ends("/download-url"), ends("/upload"))
    };
    let (said, fetched, uploaded) = deployed();
    let why = "node pve1 cannot fetch the image from this host, so it is uploaded: \
               deploy@pve!ci has no Sys.AccessNetwork at /nodes/pve1";
    assert!(said.contains(why), "{said}");
    assert_eq!((fetched, uploaded), (0, 1));

    case.simulator.world().grant("/nodes/pve1", "Sys.AccessNetwork");
    case.build("2");
    let (said, fetched, uploaded) = deployed();
    assert!(said.contains("node pve1 fetches diorite-web-2-") && !said.contains("so it is uploaded"), "{said}");
    assert_eq!((fetched, uploaded), (1, 1));
    assert!(case.run(&["status", "--target", "school"]).contains("  now web 2"));
}

#[test]
fn too_little_room_is_said_before_anything_changes() {
    let case = Case::new();
    let free =
        |storage: &str, free: u64| case.simulator.world().storages.get_mut(storage).expect("a storage").free = free;
    free("local", 1000);
    let output = case.diorite().args(["deploy", "web", "--target", "school"]).output().expect("the program starts");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("storage `local` on node `pve1` has 1.0 kB left, and "), "{said}");
    assert!(case.simulator.requests().iter().all(|asked| asked.method == "GET"), "nothing was changed");

    // Enough for what the image holds, not for its disks when they are full.
    free("local", 1 << 30);
    free("local-zfs", 1 << 30);
    let plan = ["deploy", "web", "--target", "school", "--plan"];
    let output = case.diorite().args(plan).output().expect("the program starts");
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("has 1.07 GB left: enough for now, and less than"), "{said}");
}

/// 200 MB that nothing can make smaller: the file's size must not show in the program's memory.
#[test]
#[expect(clippy::zombie_processes, reason = "wait4 waits for it, and says what it took")]
fn an_image_goes_up_in_little_memory() {
    let case = Case::new();
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut word = move || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_le_bytes()
    };
    // Piece by piece: what this test has in its memory would be counted as the child's.
    let pieces = (0..200).map(|_| (0..1 << 17).flat_map(|_| word()).collect::<Vec<u8>>());
    case.build_more("3", pieces, "");
    let mut command = case.diorite();
    command.args(["deploy", "web", "--target", "school"]).stdout(std::process::Stdio::null());
    let child = command.spawn().expect("the program starts");
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both are ours and large enough, and the child is nobody else's to wait for.
    let waited =
        unsafe { libc::wait4(i32::try_from(child.id()).expect("a number"), &mut status, 0, usage.as_mut_ptr()) };
    // SAFETY: wait4 has filled it in, and zeros are valid.
    let mebibytes = unsafe { usage.assume_init() }.ru_maxrss / 1024;
    assert_eq!((waited.cast_unsigned(), status), (child.id(), 0));
    println!("{mebibytes} MiB at most");
    assert!(mebibytes < 64, "{mebibytes} MiB");
    let world = case.simulator.world();
    assert!(world.storages["local"].files.values().any(|(size, _)| *size > 200 << 20), "it is there");
}

/// What a target requires of an image is asked for before the hypervisor is.
#[test]
fn a_policy_is_asked_before_anything_is_changed() {
    let case = Case::new();
    let key = AttestationKey::generate(AttestationAlgorithm::Ed25519, &mut |bytes| {
        bytes.fill(3);
        Ok(())
    });
    let key = key.expect("a key");
    fs::write(case.project.path("profiles/ci.pub"), key.public().pem()).expect("a key");
    let targets = case.project.path("profiles/targets.toml");
    let described = fs::read_to_string(&targets).expect("targets");
    let policy = "[targets.school.policy]\nkeys = [\"ci.pub\"]\nrequire = [\"rebuild\"]\n";
    fs::write(&targets, format!("{described}{policy}")).expect("targets");
    let deploy = ["deploy", "web", "--target", "school"];
    let untouched = || case.simulator.world().machines.is_empty();
    insta::assert_snapshot!("policy_of_the_target", refuses(&case.project, &mut case.diorite(), &deploy, 4));
    // A report is one thing, what others have said another.
    let unverified = [&deploy[..], &["--unverified"]].concat();
    refuses(&case.project, &mut case.diorite(), &unverified, 4);
    assert!(untouched());

    let out = case.project.path("out/web");
    let build: Build = serde_json::from_slice(&fs::read(out.join("build.json")).expect("it")).expect("JSON");
    let statement = attest::rebuild(&attest::RebuildInputs { build: &build, changed: &[] });
    fs::create_dir(out.join("attestations")).expect("a directory");
    let file = out.join("attestations/rebuild.sigstore.json");
    fs::write(file, attest::sign(&statement, &key).expect("signed")).expect("an attestation");
    case.run(&[&deploy[..], &["--plan"]].concat());
    // The file that is named comes on top.
    fs::write(case.project.path("policy.toml"), "keys = [\"profiles/ci.pub\"]\nrequire = [\"provenance\"]\n")
        .expect("a policy");
    let both = [&deploy[..], &["--policy", "policy.toml"]].concat();
    insta::assert_snapshot!("policy_of_a_file", refuses(&case.project, &mut case.diorite(), &both, 4));
    assert!(untouched());
    case.run(&deploy);
    assert!(!untouched());
    a_rollback_asks_the_policy_too(&case, &key, &build);
}

/// `first` runs, and the target requires a rebuild by `key`.
fn a_rollback_asks_the_policy_too(case: &Case, key: &AttestationKey, first: &Build) {
    let all = case.project.path("out/web/attestations");
    let (file, aside) = (all.join("rebuild.sigstore.json"), all.join(first.disk_sha256.to_string()));
    // As the build of another disk leaves them.
    fs::create_dir(&aside).expect("a directory");
    fs::rename(&file, aside.join("rebuild.sigstore.json")).expect("set aside");
    case.build("2");
    let text = fs::read(case.project.path("out/web/build.json")).expect("it");
    let second: Build = serde_json::from_slice(&text).expect("JSON");
    let statement = attest::rebuild(&attest::RebuildInputs { build: &second, changed: &[] });
    fs::write(&file, attest::sign(&statement, key).expect("signed")).expect("an attestation");
    let deploy = ["deploy", "web", "--target", "school"];
    case.run(&deploy);
    let now = || case.run(&["status", "--target", "school"]);
    let rollback = ["rollback", "--target", "school"];
    let refused = |more: &[&str]| refuses(&case.project, &mut case.diorite(), &[&rollback[..], more].concat(), 4);

    let elsewhere = case.project.path("kept");
    fs::rename(&aside, &elsewhere).expect("moved away");
    let before = case.simulator.world().machines[&9000].starts;
    insta::assert_snapshot!("policy_of_the_target_at_a_rollback", refused(&[]));
    refused(&["--plan"]);
    refused(&["--attestations", "kept", "--policy", "policy.toml"]);
    // A statement about the image that runs says nothing of the one that is wanted.
    fs::copy(&file, elsewhere.join("other.sigstore.json")).expect("a copy");
    fs::rename(elsewhere.join("rebuild.sigstore.json"), case.project.path("away")).expect("moved away");
    refused(&["--attestations", "kept"]);
    assert!(now().contains("  now web 2"), "{}", now());
    assert_eq!(case.simulator.world().machines[&9000].starts, before, "nothing was changed");

    fs::rename(case.project.path("away"), elsewhere.join("rebuild.sigstore.json")).expect("back");
    let plan = case.run(&[&rollback[..], &["--attestations", "kept", "--plan"]].concat());
    assert!(plan.contains("nothing was changed"), "{plan}");
    fs::rename(&elsewhere, &aside).expect("back");
    case.run(&rollback);
    assert!(now().contains("  now web 1"), "{}", now());
}
