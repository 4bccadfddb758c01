//! `diorite run`: the machine for a person, driven by a program.

use crate::common::{Project, material, text};
use crate::vm;
use diorite_host::tools::{Tool, ToolsTree};
use diorite_model::Digest;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A machine that runs, and what is said to it and by it.
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command: Command = project.diorite();
        command.env("DIORITE_STORE", material("DIORITE_TEST_STORE"));
        command.args(["run", "server", "--no-build"]).args(arguments);
        let errors = fs::File::create(project.path("errors")).expect("a file");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, stdin, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).expect("it is text") > 0, "it has ended: {:?}", self.child.wait());
        line
    }

    /// Where each port of the machine is on this host.
    fn forwards(&mut self) -> Vec<(u64, SocketAddr)> {
        let table: serde_json::Value = serde_json::from_str(&self.line()).expect("the table");
        let rows = table["forwards"].as_array().expect("rows").iter();
        let address = |row: &serde_json::Value| row["host"].as_str().and_then(|a| a.parse().ok()).expect("an address");
        rows.map(|row| (row["port"].as_u64().expect("a port"), address(row))).collect()
    }

    /// Says this.
    fn say(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).expect("it listens");
    }

    /// Ends the input: the rest of what is said, and the exit code.
    fn finish(mut self) -> (String, Option<i32>) {
        drop(self.stdin);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        (rest, self.child.wait().expect("it ends").code())
    }
}

/// GET by hand: nothing but a stream of the host.
fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it is forwarded");
    stream.set_read_timeout(Some(Duration::from_secs(300))).expect("a limit");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer to its end");
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    assert!(answer.starts_with(b"HTTP/1.") && answer[8..].starts_with(b" 200 "), "{}", text(&answer[..head]));
    answer.split_off(head + 4)
}

/// Five megabytes in place of the web server's own page, from memory: the container's root is read-only. The server
/// stands in its directory already, so the file is covered and not the directory.
const FILL: &str = "
systemctl is-system-running --wait
pid=$(podman inspect -f '{{.State.Pid}}' web)
nsenter -t $pid -m busybox mount -t tmpfs much /mnt
head -c 5000000 /dev/urandom | nsenter -t $pid -m busybox tee /mnt/much | sha256sum
nsenter -t $pid -m busybox mount -o bind /mnt/much /srv/www/index.html
echo filled
";

/// Commands come from a pipe, several connections at once lead through the machine's own firewall into its container,
/// what is kept is there in the next run and in no other, and nothing is left behind.
#[test]
fn a_machine_for_a_person_forwards_its_ports_and_keeps_what_it_is_told_to() {
    let _alone = vm::alone();
    let project = vm::prepared("server");
    let out = project.path("out/server");
    let mut first = Running::start(&project, &["--shell", "--keep", "--json"]);
    let forwards = first.forwards();
    let at = |port: u64| forwards.iter().find(|(p, _)| *p == port).map(|(_, at)| *at).expect("it is admitted");
    first.say(FILL);
    assert_eq!(first.line(), "running\n");
    let sum = first.line();
    assert_eq!(first.line(), "filled\n");
    let download =
        |address: SocketAddr| std::thread::spawn(move || Digest::of(&get(address, "/index.html")).to_string());
    let begun = Instant::now();
    let downloads: Vec<_> = (0..3).map(|_| download(at(8080))).collect();
    let mut banner = String::new();
    let ssh = TcpStream::connect(at(22)).expect("it is forwarded");
    BufReader::new(ssh).read_line(&mut banner).expect("a banner");
    assert!(banner.starts_with("SSH-2.0-"), "{banner}");
    for download in downloads {
        assert_eq!(download.join().expect("it comes"), sum.split(' ').next().expect("a digest"));
    }
    println!("3 × 5 MB at once in {:.1} s", begun.elapsed().as_secs_f64());
    first.say("echo kept >/var/lib/marker\nsync\n");
    assert_eq!(first.finish(), (String::new(), Some(0)));
    assert!(out.join("run/overlay.qcow2").is_file() && !out.join(".run").exists());

    let mut second = Running::start(&project, &["--shell", "--keep", "--json", "--forward", "0:22"]);
    assert_eq!(second.forwards().len(), 1, "those that are named, and no others");
    second.say("cat /var/lib/marker\nexit 7\n");
    let (said, code) = second.finish();
    assert_eq!(code, Some(4));
    assert!(said.starts_with("kept\n") && said.contains("the commands have ended with status 7"), "{said}");

    let mut third = Running::start(&project, &["--forward", "0:22"]);
    while !third.line().contains("Linux version") {}
    let id = rustix::process::Pid::from_raw(i32::try_from(third.child.id()).expect("a process id"));
    rustix::process::kill_process(id.expect("a process"), rustix::process::Signal::INT).expect("the signal arrives");
    let (_, code) = third.finish();
    assert_eq!(code, Some(130));
    assert_eq!(vm::processes(&out), Vec::<String>::new());
    let left: Vec<_> = fs::read_dir(&out).expect("a directory").flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name == ".run"), "{left:?}");
    // What was kept is a disk that a tool we did not write finds whole.
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let overlay = out.join("run/overlay.qcow2");
    let disk = out.join("disk.raw").canonicalize().expect("the disk");
    let check = tools.command(Tool::QemuImg).args(["check", "-q"]).arg(&overlay).input(&overlay).input(disk);
    check.run_ok().expect("no errors in it");
}
