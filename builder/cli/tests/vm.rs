//! Disks that boot, and disks that must not pass: the program's own verification, run as a user runs it. Tests that
//! need more boots than every change can pay for are in `vm_more.rs` (`make vm-tests`).

mod common;
#[path = "vm/deploy.rs"]
mod deploy;
#[path = "common/hypervisor.rs"]
mod hypervisor;
#[path = "vm/moments.rs"]
mod moments;
#[path = "common/story.rs"]
mod story;
#[path = "common/vm.rs"]
mod vm;
use common::text;
use diorite_model::report::{Class, Verdict};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn the_server_image_passes_every_check() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let out = project.path("out/server");
    let output = vm::verify(&project, "server").output().expect("the program starts");
    vm::expect(&output, 0, &out);
    let report = vm::report(&out);
    assert!(report.passed());
    let of = |verdict| report.checks.iter().filter(|c| c.verdict == verdict).map(|c| c.id.as_str()).collect::<Vec<_>>();
    assert_eq!((of(Verdict::Fail), of(Verdict::Skip)), (vec![], vec![]));
    let list = project.json(&["verify", "server", "--list"]);
    let planned: Vec<&str> =
        list["checks"].as_array().expect("a list").iter().map(|c| c["id"].as_str().expect("an id")).collect();
    let asked: BTreeSet<&str> = report.checks.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(asked, planned.iter().copied().collect(), "every check of the plan is in the report");
    let count = planned.len();
    assert_eq!(report.checks.len(), count, "each once");
    let junit = fs::read_to_string(out.join("junit.xml")).expect("junit.xml");
    let counts = format!("tests=\"{count}\" failures=\"0\" errors=\"0\" skipped=\"0\"");
    assert!(junit.contains(&counts), "{junit}");
    assert_eq!((junit.matches("<testcase ").count(), junit.matches("</testsuite>").count()), (count, 1));
    let page = fs::read_to_string(out.join("report.html")).expect("report.html");
    assert!(page.contains("PASSED") && page.contains("multi-user.target") && page.contains(">DHCP<"), "{page}");
    assert!(report.boot.ports.len() >= 4 && report.boot.ports.iter().all(|p| p.fits()));
    assert_eq!((report.schema, report.partial(), report.retried.len()), (2, false, 0));
    capture(&out.join("wire.pcapng"));
    let console = text(&fs::read(out.join("console.log")).expect("console.log"));
    assert!(console.contains("Linux version") && console.contains("systemd"), "{console}");
    let tampered = text(&fs::read(out.join("tampered-console.log")).expect("tampered-console.log"));
    assert!(tampered.contains("is corrupted"), "{tampered}");
    assert!(!out.join(".verify").exists() && !out.join("evidence").exists());
    assert_eq!((report.start.restored.is_none(), report.start.why_booted.as_deref()), (true, None));
    moments::single_checks_go_on_from_the_boot(&project);
    moments::a_failure_can_be_gone_back_to(&project);
    moments::a_damaged_moment_is_not_used_and_a_killed_run_leaves_nothing(&project);
}

/// The blocks of a capture as draft-ietf-opsawg-pcapng tells them: one section, its interfaces, then packets that are
/// whole and hold what was on the wire.
fn capture(file: &Path) {
    let bytes = fs::read(file).expect("wire.pcapng");
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    assert_eq!((number(0), number(8)), (0x0a0d_0d0a, 0x1a2b_3c4d), "a section header, little-endian");
    let (mut at, mut interfaces, mut kinds) = (0, 0, BTreeSet::new());
    while at < bytes.len() {
        let (kind, length) = (number(at), number(at + 4));
        assert!(length >= 12 && length % 4 == 0 && at + length <= bytes.len(), "block at {at}: {length} bytes");
        assert_eq!(number(at + length - 4), length, "both lengths of the block at {at}");
        match kind {
            1 => {
                assert_eq!(number(at + 8) & 0xffff, 1, "LINKTYPE_ETHERNET");
                interfaces += 1;
            }
            6 => {
                let (interface, captured) = (number(at + 8), number(at + 20));
                assert!(interface < interfaces && captured >= 14 && captured + 32 <= length);
                let frame = &bytes[at + 28..at + 28 + captured];
                kinds.insert(u16::from_be_bytes([frame[12], frame[13]]));
            }
            _ => {}
        }
        at += length;
    }
    assert_eq!(at, bytes.len());
    assert!([0x0800, 0x0806, 0x86dd].iter().all(|kind| kinds.contains(kind)), "IPv4, ARP and IPv6: {kinds:x?}");
}

/// Positive control, on the poorest host: what the recipe promises and the disk does not do is named, no more and no less.
#[test]
fn broken_promises_are_named_and_nothing_else_even_in_a_plain_container() {
    let _alone = vm::alone();
    let project = vm::prepared("promises");
    let profile = fs::read_to_string(project.path("profiles/server.toml")).expect("the profile");
    let listed = "{ port = 8080 }";
    let nobody = "{ port = 9999, listener = \"nobody\", from = [\"private\"] }";
    let promises = profile.replace(listed, &format!("{listed}, {{ port = 8081 }}, {nobody}"));
    let promises = promises.replace("{ from = [\"private\"] }", "{ from = [] }");
    assert!(promises.contains("9999") && promises.contains("from = []"));
    let more = "\n[containers.other]\npackages = [\"busybox\"]\ncommand = [\"true\"]\n\
                publish = [{ host = 8081, container = 80 }]\n\
                [access.administrators.nobody-knows]\n\
                ssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOlWxRzO96EftjA7NDYqP9wUBklD4qPZix7G3KrMLdCi nobody\"]\n";
    fs::write(project.path("profiles/promises.toml"), promises + more).expect("a profile");
    vm::relock(&project, "promises");
    let out = project.path("out/promises");
    // The disk is `server`'s: `verify promises` alone would refuse it.
    let mut command = vm::verify(&project, "out/promises/disk.raw");
    command.args(["--recipe", "profiles/promises.toml", "--out", "out/promises"]);
    let output = command.env("DIORITE_SIMULATE", "plain-container").output().expect("the program starts");
    vm::expect(&output, 4, &out);
    let report = vm::report(&out);
    let failed: BTreeSet<&str> =
        report.checks.iter().filter(|c| c.verdict == Verdict::Fail).map(|c| c.id.as_str()).collect();
    let expected = BTreeSet::from([
        // Declared, and the packet filter of the disk drops it.
        "port-ipv4-tcp-9999-admitted",
        "port-ipv6-tcp-9999-admitted",
        // The same, where nothing is injected; and 9100, which is not declared, and the disk answers.
        "untouched",
        "ports-ipv4-tcp",
        "ports-ipv4-tcp-source-port-53",
        "ports-ipv4-tcp-source-port-20",
        "ports-ipv4-tcp-fragments",
        "ports-ipv6-tcp",
        "ports-ipv6-tcp-source-port-53",
        "ports-ipv6-tcp-source-port-20",
        "ports-ipv6-tcp-fragments",
        // 8081, which everybody may.
        "ports-ipv4-tcp-other-network",
        "ports-ipv6-tcp-other-network",
        // It starts all containers anew.
        "firewall-under-churn",
        // Rules that are not there, and what the image says of them.
        "firewall-counters",
        "metrics-image",
        // A container that is not there.
        "container-other-running",
        "container-other-as-declared",
        "container-other-dns",
        "port-ipv4-tcp-8081-open",
        "port-ipv6-tcp-8081-open",
        "http-8081",
        "http-ipv6-8081",
        // A person who is not there, and whom the secure shell does not let in.
        "administrator-nobody-knows",
        "login-nobody-knows",
        "secure-shell",
    ]);
    assert_eq!(failed, expected);
    assert_eq!((report.count(Verdict::Skip), report.passed()), (0, false));
    assert!(report.checks.iter().any(|c| c.id == "http-8080" && c.verdict == Verdict::Pass));
    let shown = text(&output.stdout);
    let broken = report.checks.iter().filter(|c| c.verdict == Verdict::Fail);
    assert!(broken.clone().count() == 26 && broken.into_iter().all(|c| shown.contains(&c.what)), "{shown}");
    for evidence in ["journal.txt", "network.txt", "units.txt", "console.log", "qemu.argv"] {
        assert!(fs::metadata(out.join("evidence").join(evidence)).is_ok_and(|m| m.len() > 0), "{evidence}");
    }
    assert!(vm::processes(&out).is_empty());
}

/// Every QEMU is killed under it, also when it is tried once more: the host's fault, and what was seen is kept.
#[test]
fn a_host_that_kills_the_machine_is_blamed() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let out = project.path("out/server");
    let mut command = vm::verify(&project, "server");
    vm::killed_under(&mut command, &out, "boot");
    let report = vm::report(&out);
    let ended = report.ended.as_ref().expect("it ended early");
    assert_eq!((ended.class, report.retried.len(), report.passed()), (Class::Infra, 1, false), "{ended:?}");
    assert!(report.retried[0].what.contains("QEMU has ended"), "{:?}", report.retried);
    assert!(report.count(Verdict::Skip) > 50, "what was not asked is skipped");
    let junit = fs::read_to_string(out.join("junit.xml")).expect("junit.xml");
    assert!(junit.contains("errors=\"1\"") && junit.contains("type=\"INFRA\""), "{junit}");
    let page = fs::read_to_string(out.join("report.html")).expect("report.html");
    assert!(page.contains("ENDED EARLY") && page.contains("the host is at fault"));
}

#[test]
fn an_interrupted_verification_leaves_nothing() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let out = project.path("out/server");
    let temporary = project.path("tmp");
    fs::create_dir(&temporary).expect("a directory");
    let mut command = vm::verify(&project, "server");
    command.env("TMPDIR", &temporary).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let console = out.join(".verify/boot/console.log");
    let end = Instant::now() + Duration::from_secs(120);
    while fs::metadata(&console).map_or(true, |m| m.len() == 0) {
        assert!(Instant::now() < end, "the machine does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Positive control: a machine that runs is seen.
    assert!(vm::processes(&out).iter().any(|p| p.contains("qemu-system")), "{:?}", vm::processes(&out));
    let id = i32::try_from(child.id()).expect("a process id");
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).expect("a process"), rustix::process::Signal::INT)
        .expect("the signal arrives");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.status.signal()), (Some(130), None), "{}", text(&output.stderr));
    assert_eq!(vm::processes(&out), Vec::<String>::new());
    assert_eq!(vm::paths(&temporary), Vec::<std::path::PathBuf>::new());
    let left: Vec<_> = vm::paths(&out).into_iter().filter_map(|p| Some(p.file_name()?.to_owned())).collect();
    let expected =
        ["build.json", "console.log", "disk.raw", "untouched-console.log", "untouched-wire.pcapng", "wire.pcapng"];
    assert!(left.iter().all(|name| expected.iter().any(|e| name == e)), "{left:?}");
    // Whoever runs it again finds a clean table.
    assert!(!out.join("report.json").exists(), "an interrupted run is no verdict");
}
