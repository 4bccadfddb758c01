//! Another's client judges the simulator: proxmoxer (Python, by people who know nothing of Diorite) tells a whole story
//! against it, over TLS, so that the simulator is not merely what our own client expects.
//!
//! Needs `DIORITE_TEST_TOOLS`: the tools tree has python3 and proxmoxer.

use diorite_model::Digest;
use diorite_proxmox_simulator::{ApiFault, Simulator, TOKEN, TestCertificate, USER, World};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/second_client/story.py");

/// What the story says when it comes to the end of a chapter.
const CHAPTERS: [&str; 8] =
    ["looked around", "uploaded", "made and started", "changed", "guarded", "handed over", "refused", "logged in"];

/// The tree's python3, by the tree's own loader: in the tools' sandbox there would be no way to the simulator.
fn python() -> Command {
    let tools = std::env::var_os("DIORITE_TEST_TOOLS").map(PathBuf::from);
    let tools = tools.expect("DIORITE_TEST_TOOLS must name an unpacked tools tree (`make test` sets it)");
    let modules = tools.join("usr/lib/python3/dist-packages");
    let missing = "lacks proxmoxer: the lock was made before the tools had it; `diorite lock NAME --update`";
    assert!(modules.join("proxmoxer").is_dir(), "{} {missing}", tools.display());
    let mut command = Command::new(tools.join("usr/lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tools.join("usr/lib/x86_64-linux-gnu")).arg(tools.join("usr/bin/python3"));
    command.args(["-s", "-B"]).env_clear().env("LC_ALL", "C.UTF-8");
    command.env("PYTHONHOME", tools.join("usr")).env("PYTHONPATH", modules);
    command
}

/// The story, told by proxmoxer, which believes this authority.
fn told(simulator: &Simulator, authority: &TestCertificate, directory: &Path) -> Output {
    let file = directory.join("authority.pem");
    std::fs::write(&file, authority.authority()).expect("a file");
    let port = simulator.url().rsplit(':').next().map(str::to_owned).expect("a port");
    python()
        .args([STORY, &port])
        .arg(file)
        .args([TOKEN, USER.0, USER.1])
        .arg(directory)
        .output()
        .expect("python3 starts")
}

/// What `World::new` has. The login may look at machines outside its pool too: of one that is not there it is told that
/// it is not there, instead of a refusal.
fn world() -> World {
    let mut world = World::new();
    world.grant("/vms", "VM.Audit");
    world
}

fn said(output: &Output) -> (Vec<String>, String) {
    let lines = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    (lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn proxmoxer_tells_a_whole_story() {
    let (certificate, directory) = (TestCertificate::new(), tempfile::tempdir().expect("a directory"));
    let simulator = Simulator::https(world(), &certificate);
    let output = told(&simulator, &certificate, directory.path());
    let (chapters, errors) = said(&output);
    assert!(output.status.success(), "after {chapters:?}: {errors}");
    assert_eq!(chapters, CHAPTERS, "{errors}");

    // And it was this simulator that it happened to.
    let world = simulator.world();
    let digest = |name: &str| Digest::of(&std::fs::read(directory.path().join(name)).expect("the file it made"));
    let files = &world.storages["local"].files;
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["import/by-ticket.qcow2", "import/large.qcow2", "import/small.qcow2"]
    );
    for name in ["large.qcow2", "small.qcow2"] {
        assert_eq!(files[&format!("import/{name}")].1, digest(name), "{name}");
    }
    assert_eq!(world.machines.keys().copied().collect::<Vec<_>>(), [102]);
    let heir = &world.machines[&102];
    assert_eq!((heir.config["name"].as_str(), heir.pool.as_deref()), ("second", Some("school")));
    assert_eq!(world.content(&heir.config["unused3"]), Some(digest("large.qcow2")));
    assert_eq!(world.orphans(), Vec::<String>::new());
}

/// Positive control: the story ends where something is not as it must be.
#[test]
fn proxmoxer_notices_what_is_wrong() {
    let certificate = TestCertificate::new();
    let ends = |prepare: &dyn Fn(&mut Simulator), believed: &TestCertificate, chapters: &[&str], words: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let mut simulator = Simulator::https(world(), &certificate);
        prepare(&mut simulator);
        let output = told(&simulator, believed, directory.path());
        let (told, errors) = said(&output);
        assert!(!output.status.success() && told == chapters && errors.contains(words), "{told:?}: {errors}");
    };
    ends(&|_| {}, &TestCertificate::new(), &[], "CERTIFICATE_VERIFY_FAILED");
    let upload = "/nodes/{node}/storage/{storage}/upload";
    let fault = |fault: ApiFault| move |simulator: &mut Simulator| simulator.fail("POST", upload, fault.clone(), 1);
    ends(&fault(ApiFault::Task("import failed".into())), &certificate, &CHAPTERS[..1], "import failed");
    ends(&fault(ApiFault::Status(500)), &certificate, &CHAPTERS[..1], "internal error: something died");
    // An image that nothing comes up from, and a storage whose content is another.
    let unhealthy = |simulator: &mut Simulator| {
        let large: Vec<u8> = (0..11usize << 20).map(|i| (i % 256) as u8).collect();
        simulator.world().unhealthy.insert(Digest::of(&large));
    };
    ends(&unhealthy, &certificate, &CHAPTERS[..2], "QEMU guest agent is not running");
    let iso =
        |simulator: &mut Simulator| simulator.world().storages.get_mut("local").expect("local").content = "iso".into();
    ends(&iso, &certificate, &[], "AssertionError");
}
