//! What a good boot leaves for later: the moment from which single checks go on, and the moment of a failure. Called
//! after a boot that somebody else needs, one after the other.

use crate::common::{Project, material, text};
use crate::vm;
use diorite_model::report::Verdict;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The directory of the one moment of an image.
fn moment(out: &Path) -> PathBuf {
    let all: Vec<_> = fs::read_dir(out.join(".snapshots")).expect("moments").flatten().map(|e| e.path()).collect();
    assert_eq!(all.len(), 1, "at most one: {all:?}");
    all[0].clone()
}

/// Every byte of a directory's files that a restored machine might have written.
fn bytes(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    vm::paths(directory).into_iter().map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

/// Checks from the wire and from inside, each run from the same state, in a small part of the time of a boot.
pub fn single_checks_go_on_from_the_boot(project: &Project) {
    let out = project.path("out/server");
    let booted = vm::report(&out);
    let settled = booted.checks.iter().find(|c| c.id == "running").expect("the check").at;
    let (kept, before) = (moment(&out), bytes(&moment(&out)));
    let only = ["no-failed-unit", "ping-ipv4", "ping-ipv6", "port-ipv4-tcp-22-open", "http-8080", "metrics-9100"];
    let mut command = vm::verify(project, "server");
    let output = command.arg("--repeat").arg("2").arg("--only").args(only).output().expect("the program starts");
    vm::expect(&output, 0, &out);
    let report = vm::report(&out);
    assert_eq!(
        report.checks.iter().map(|c| c.id.as_str()).collect::<Vec<_>>().len(),
        only.len(),
        "what they need is known"
    );
    assert!(report.checks.iter().all(|c| c.verdict == Verdict::Pass && c.passes == 2 && !c.needed));
    let restored = report.start.restored.as_ref().expect("it goes on from the moment");
    assert!(kept.ends_with(restored.key.short(16)) && restored.age > 0, "{restored:?}");
    let shown = text(&output.stdout);
    let second = shown.lines().nth(1).unwrap_or_default();
    assert!(second.starts_with("machine: restored from the snapshot ") && second.ends_with(" ago"), "{shown}");
    assert!(report.seconds / 2.0 < settled / 2.0, "{} s twice, the boot {settled} s", report.seconds);
    assert!(report.partial(), "it makes no image count as verified");
    assert!(bytes(&kept) == before, "nobody writes a kept moment");
    // What is about the boot itself is asked of a boot: nothing is started to find that out.
    let listed =
        vm::verify(project, "server").args(["--only", "lease", "--list"]).output().expect("the program starts");
    assert!(text(&listed.stdout).starts_with("lease "), "{}", text(&listed.stdout));
}

/// A check that fails leaves everything that is needed to look at the machine as it was then, as often as one likes.
pub fn a_failure_can_be_gone_back_to(project: &Project) {
    let (out, profile) = (project.path("out/server"), project.path("profiles/server.toml"));
    let evidence = out.join("evidence");
    let whole = fs::read_to_string(&profile).expect("the profile");
    let asks = "\n[[verify.check]]\nname = \"trace\"\nretry = \"0s\"\n\
                command = { exec = [\"sh\", \"-c\", \"echo was here >/run/trace; exit 7\"] }\n";
    fs::write(&profile, whole.clone() + asks).expect("a profile");
    let output = vm::verify(project, "server").args(["--only", "own-trace"]).output().expect("the program starts");
    fs::write(&profile, whole).expect("the profile");
    vm::expect(&output, 4, &out);
    assert!(vm::report(&out).start.restored.is_some());
    for name in ["journal.txt", "network.txt", "units.txt", "console.log", "qemu.argv", "qemu.json", "moment.json"] {
        assert!(evidence.join(name).exists(), "{name}");
    }
    let picture = fs::read(evidence.join("screenshot.png")).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{} bytes", picture.len());
    let page = fs::read_to_string(out.join("report.html")).expect("report.html");
    assert!(page.contains("data:image/png;base64,") && page.contains("restored from the snapshot"));
    let before = bytes(&evidence);
    for _ in 0..2 {
        let mut command = project.diorite();
        // The store that holds the tools which ran the machine.
        command.args(["verify", "--reopen"]).arg(&evidence).env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = "cat /run/trace; rm /run/trace\n\nsystemctl is-system-running\nexit 3";
        child.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("lines");
        let output = child.wait_with_output().expect("it ends");
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "was here\nrunning\n"), "{said}");
        assert!(said.contains("failed: ") && said.contains("status 3"), "{said}");
    }
    assert!(bytes(&evidence) == before, "evidence is not written any more");
    assert_eq!(vm::processes(&out), Vec::<String>::new());
}

/// A moment that somebody has written is told and left alone: the machine boots. The run is killed then, as by a kernel
/// without memory, and nothing of it runs on.
pub fn a_damaged_moment_is_not_used_and_a_killed_run_leaves_nothing(project: &Project) {
    let out = project.path("out/server");
    let file = moment(&out).join("variables.qcow2");
    let mut damaged = fs::read(&file).expect("a file");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&file, damaged).expect("a file");
    let said = project.path("said");
    let mut command = vm::verify(project, "server");
    command.args(["--only", "no-failed-unit"]).stdout(Stdio::null()).stderr(fs::File::create(&said).expect("a file"));
    let mut child = command.spawn().expect("the program starts");
    let end = Instant::now() + Duration::from_secs(120);
    while fs::metadata(out.join(".verify/boot/console.log")).map_or(true, |m| m.len() == 0) {
        assert!(Instant::now() < end, "the machine does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(vm::processes(&out).iter().any(|p| p.contains("qemu-system")), "a machine that runs is seen");
    child.kill().expect("it is killed");
    child.wait().expect("it has ended");
    let why = "machine: booted: the kept snapshot is damaged: variables.qcow2 is not as it was left";
    let said = fs::read_to_string(&said).expect("what it said");
    assert!(said.lines().any(|line| line == why), "{said}");
    let end = Instant::now() + Duration::from_secs(20);
    while !vm::processes(&out).is_empty() {
        assert!(Instant::now() < end, "it runs on: {:?}", vm::processes(&out));
        std::thread::sleep(Duration::from_millis(20));
    }
}
