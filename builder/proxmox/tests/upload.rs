//! Uploads: gigabytes by a small buffer, exactly the bytes that were promised, and nothing left when they are others.

mod common;

use common::{client, simulator};
use diorite_host::progress::Progress;
use diorite_model::{Digest, Error, Exit};
use diorite_proxmox::client::{CallError, CallErrorKind};
use diorite_proxmox::upload::{Upload, UploadContent};
use diorite_proxmox_simulator::Simulator;
use std::io::Read;

fn upload(name: &str, size: u64, digest: Digest) -> Upload<'_> {
    Upload { node: "pve1", storage: "local", content: UploadContent::Import, name, size, digest }
}

fn send(simulator: &Simulator, upload: &Upload, from: &mut dyn Read) -> Result<(), CallError> {
    let client = client(simulator);
    let task = client.upload(upload, from, &Progress::quiet())?;
    client.wait(&task, "import", &Progress::quiet()).map(drop)
}

fn files(simulator: &Simulator) -> Vec<String> {
    simulator.world().storages["local"].files.keys().cloned().collect()
}

/// Zeros, and the largest piece that was ever asked for.
struct Zeros {
    left: u64,
    largest: usize,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        let n = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer[..n].fill(0);
        self.left -= n as u64;
        Ok(n)
    }
}

/// Most memory this process ever had, in bytes (proc_pid_status(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") << 10
}

#[test]
fn a_gibibyte_goes_through_a_small_buffer() {
    const SIZE: u64 = 1 << 30;
    // SHA-256 of 2^30 zeros, by sha256sum.
    let digest = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14".parse().expect("a digest");
    let (simulator, mut zeros) = (simulator(), Zeros { left: SIZE, largest: 0 });
    let before = peak();
    send(&simulator, &upload("diorite-49bc20df15e4.qcow2", SIZE, digest), &mut zeros)
        .unwrap_or_else(|e| panic!("{}", Error::from(e)));
    let grown = peak() - before;
    assert_eq!(simulator.world().storages["local"].files["import/diorite-49bc20df15e4.qcow2"], (SIZE, digest));
    assert!(zeros.largest <= 1 << 20, "pieces of {} bytes", zeros.largest);
    assert!(grown < 64 << 20, "{grown} bytes of memory");
}

#[test]
fn bytes_that_are_not_the_promised_ones() {
    let simulator = simulator();
    let right = vec![7; 300_000];
    let digest = Digest::of(&right);
    let mut other = right.clone();
    other[299_999] = 8;
    let cases: [(&[u8], &str); 3] = [
        (&right[..299_000], "has become shorter: 1000 bytes are missing"),
        (&other, "has other bytes than its digest says"),
        (&[right.clone(), vec![7]].concat(), "has become longer"),
    ];
    for (mut bytes, why) in cases {
        let failure = send(&simulator, &upload("x.raw", 300_000, digest), &mut bytes).expect_err(why);
        assert_eq!((failure.kind, failure.why.clone()), (CallErrorKind::Local, format!("`x.raw` {why}")));
        assert_eq!(Error::from(failure).exit, Exit::Input);
    }
    assert_eq!(files(&simulator), [""; 0]);
    send(&simulator, &upload("x.raw", 300_000, digest), &mut right.as_slice()).expect("the right ones");
    assert_eq!(files(&simulator), ["import/x.raw"]);
}

#[test]
fn names_that_the_server_would_change() {
    let simulator = simulator();
    for name in ["a b.raw", "../x.raw", "x.qcow2.zst", "x", ".raw", "ä.raw"] {
        let failure = send(&simulator, &upload(name, 1, Digest::of(b"1")), &mut &b"1"[..]).expect_err(name);
        assert_eq!(failure.kind, CallErrorKind::Local, "{name}");
    }
    assert!(simulator.requests().is_empty(), "nobody was asked");
}

/// The server would let the connection break while it waits to refuse.
#[test]
fn the_right_to_upload_is_asked_for_first() {
    let simulator = simulator();
    simulator.world().revoke("/storage/local", "Datastore.AllocateTemplate");
    let failure = send(&simulator, &upload("x.raw", 1, Digest::of(b"1")), &mut &b"1"[..]).expect_err("it is missing");
    assert_eq!(failure.kind, CallErrorKind::Forbidden);
    assert!(simulator.requests().iter().all(|a| a.method == "GET"), "{:?}", simulator.requests());
    insta::assert_snapshot!(common::steady(&failure.into_error()));
}

#[test]
fn refusals_of_the_storage() {
    let simulator = simulator();
    let one = |simulator: &Simulator| {
        send(simulator, &upload("x.raw", 3, Digest::of(b"abc")), &mut &b"abc"[..]).expect_err("refused")
    };
    simulator.world().storages.get_mut("local").expect("local").free = 2;
    let full = one(&simulator);
    assert_eq!(full.kind, CallErrorKind::Task);
    simulator.world().storages.get_mut("local").expect("local").content = "iso".into();
    let content = one(&simulator);
    assert_eq!(content.kind, CallErrorKind::Refused);
    let texts = [full, content].map(|f| common::steady(&f.into_error()));
    insta::assert_snapshot!(texts.join("\n"));
}

/// Bytes that change on the way are noticed by the node, in its task.
#[test]
fn the_node_compares_the_digest() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let simulator = simulator();
    let body = "--B\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\nimport\r\n\
                --B\r\nContent-Disposition: form-data; name=\"checksum-algorithm\"\r\n\r\nsha256\r\n\
                --B\r\nContent-Disposition: form-data; name=\"checksum\"\r\n\r\n00\r\n\
                --B\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"x.raw\"\r\n\r\nabc\r\n--B--\r\n";
    let mut stream = std::net::TcpStream::connect(simulator.url().trim_start_matches("http://")).expect("a connection");
    let token = diorite_proxmox_simulator::TOKEN;
    let head = format!(
        "POST /api2/json/nodes/pve1/storage/local/upload HTTP/1.1\r\nAuthorization: PVEAPIToken={token}\r\n\
         Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    let world = simulator.world();
    let task = world.tasks.values().next().expect("a task");
    assert!(task.exit.starts_with("checksum mismatch"), "{}", task.exit);
    assert!(world.storages["local"].files.is_empty());
}
