//! Every tool starts and the important ones do real work, apart in namespaces and by the tree's own loader.
//! `DIORITE_TEST_TOOLS` names the tools tree.

use diorite_host::tools::{Tool, ToolsTree};
use std::fs;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let tree = std::env::var_os("DIORITE_TEST_TOOLS").expect("DIORITE_TEST_TOOLS must name an unpacked tools tree");
    if std::env::var_os("TOOLS_TEST_WAY").is_some() {
        let tools = ToolsTree::open(tree.as_ref()).unwrap();
        for (name, case) in CASES {
            case(&tools);
            println!("test {}: {name} ... ok", std::env::var("TOOLS_TEST_WAY").unwrap());
        }
        return ExitCode::SUCCESS;
    }
    // The chroot sandbox has no namespaces, so tools go by the loader.
    let ways = [("apart", None), ("by the loader", Some("chroot"))];
    let failed = ways.iter().filter(|(name, sandbox)| {
        let mut again = Command::new("/proc/self/exe");
        again.env("TOOLS_TEST_WAY", name);
        sandbox.iter().for_each(|mode| {
            again.env("DIORITE_SANDBOX", mode);
        });
        !again.status().is_ok_and(|s| s.success())
    });
    let failed = failed.count();
    println!("test result: {failed} ways failed");
    ExitCode::from(u8::from(failed > 0))
}

type Case = (&'static str, fn(&ToolsTree));

const CASES: &[Case] = &[
    ("every tool says its version", versions),
    ("a file is made where it was allowed", files),
    ("QEMU finds its firmware and a given descriptor", qemu),
    ("a failure has the tool's own words", failures),
    ("a tool that runs can be killed", kill),
];

fn versions(tools: &ToolsTree) {
    for tool in Tool::ALL {
        let argument = match tool {
            Tool::MkfsErofs | Tool::FsckErofs | Tool::DumpErofs | Tool::Ssh | Tool::E2fsck | Tool::Mke2fs => "-V",
            // It has no such option; what it says then proves that it runs.
            Tool::SshKeygen | Tool::FsckFat => "--help",
            _ => "--version",
        };
        let output = tools.command(tool).arg(argument).run().unwrap();
        let words = String::from_utf8_lossy(&[output.stdout, output.log].concat()).into_owned();
        let good = output.status.success() || matches!(tool, Tool::SshKeygen | Tool::FsckFat);
        assert!(good && !words.is_empty() && !words.contains("shared librar"), "{tool:?}: {} {words}", output.status);
        assert_ne!(tools.version(tool), "unknown", "{tool:?}");
    }
}

fn files(tools: &ToolsTree) {
    let directory = tempfile::tempdir().unwrap();
    let (raw, qcow) = (directory.path().join("disk.raw"), directory.path().join("disk.qcow2"));
    fs::write(&raw, vec![7u8; 1 << 20]).unwrap();
    let command = tools.command(Tool::QemuImg).args(["convert", "-O", "qcow2"]).arg(&raw).arg(&qcow);
    let command = command.input(&raw).output(&qcow);
    assert_eq!(command.record().name, "qemu-img");
    assert_eq!(command.record().argv[0], "convert");
    command.run_ok().unwrap();
    assert!(fs::read(&qcow).unwrap().starts_with(b"QFI\xfb"));
    let check = tools.command(Tool::QemuImg).args(["info", "--output=json"]).arg(&qcow).input(&qcow).run_ok().unwrap();
    let info: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(info["virtual-size"], 1 << 20);
}

fn qemu(tools: &ToolsTree) {
    // A machine without a disk, driven over an inherited socket: QMP's greeting proves both.
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let code = tools.file("usr/share/OVMF/OVMF_CODE_4M.fd").unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&theirs);
    let mut child = tools
        .command(Tool::QemuSystem)
        .args(["-machine", "q35", "-accel", "tcg", "-m", "64", "-display", "none", "-nodefaults", "-S"])
        .arg("-drive")
        .arg(format!("if=pflash,format=raw,readonly=on,file={}", code.display()))
        .args(["-device", "VGA"])
        .args(["-chardev", &format!("socket,id=qmp,fd={number}"), "-mon", "chardev=qmp,mode=control"])
        .fd(&theirs)
        .spawn()
        .unwrap();
    drop(theirs);
    let mut lines = std::io::BufReader::new(&ours);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    assert!(line.contains("\"QMP\""), "{line} {}", child.log());
    std::io::Write::write_all(&mut &ours, b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"quit\"}").unwrap();
    drop(lines);
    let mut rest = String::new();
    let _ = std::io::Read::read_to_string(&mut &ours, &mut rest);
    assert!(child.try_wait().is_none_or(|s| s.success()), "{}", child.log());
    // Also when try_wait has seen the end already.
    assert!(child.wait().unwrap().status.success());
}

fn failures(tools: &ToolsTree) {
    let error = tools.command(Tool::QemuImg).args(["info", "/nowhere/disk"]).run_ok().unwrap_err();
    assert_eq!(error.cause.as_deref(), Some("exit code 1"));
    assert!(error.detail.unwrap().contains("/nowhere/disk"));
    assert_eq!(error.place.as_deref(), Some("qemu-img info /nowhere/disk"));
    // Whoever only looks whether it has ended hears the same.
    let mut child = tools.command(Tool::QemuImg).args(["info", "/nowhere/disk"]).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait() {
            break status;
        }
        assert!(std::time::Instant::now() < end, "{}", child.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(status, diorite_host::sandbox::Status::Code(1));
    assert_eq!(child.wait().unwrap().status, status);
}

fn kill(tools: &ToolsTree) {
    let mut child =
        tools.command(Tool::QemuSystem).args(["-machine", "none", "-display", "none", "-S"]).spawn().unwrap();
    assert_eq!(child.try_wait(), None);
    child.kill();
    let output = child.wait().unwrap();
    assert_eq!(output.status, diorite_host::sandbox::Status::Signal(libc::SIGKILL));
}
