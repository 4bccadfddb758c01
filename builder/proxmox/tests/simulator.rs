//! The simulator's oddities, each observed on a real Proxmox VE 9.1.7. What comes here goes over a plain socket: our own
//! client would never send most of it.

mod common;

use common::{client, simulator};
use diorite_model::Error;
use diorite_proxmox::client::{CallErrorKind, Method, Parameters, Path};
use diorite_proxmox_simulator::{Simulator, TOKEN, VirtualMachine};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Sends a request, and returns all that comes until the connection is closed.
fn raw(simulator: &Simulator, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(simulator.url().trim_start_matches("http://")).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
    let length =
        if head.contains("Transfer-Encoding") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let sent = format!("{head}\r\nAuthorization: PVEAPIToken={TOKEN}\r\n{length}\r\n{body}");
    stream.write_all(sent.as_bytes()).expect("sent");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn upload(simulator: &Simulator, boundary: &str, parts: &[&str]) -> String {
    let parts: Vec<_> =
        parts.iter().map(|part| format!("--B\r\nContent-Disposition: form-data; name={part}\r\n")).collect();
    let head = format!(
        "POST /api2/json/nodes/pve1/storage/local/upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary={boundary}"
    );
    raw(simulator, &head, &format!("{}--B--\r\n", parts.concat()))
}

const CONTENT: &str = "\"content\"\r\n\r\nimport";
const SUM: &str = "\"checksum\"\r\n\r\n00";
const ALGORITHM: &str = "\"checksum-algorithm\"\r\n\r\nsha256";
const FILE: &str = "\"filename\"; filename=\"x.raw\"\r\n\r\nabc";

#[test]
fn multipart_bodies() {
    let simulator = simulator();
    let begins = |answer: String, desired: &str| assert!(answer.starts_with(desired), "{desired}: {answer}");
    begins(upload(&simulator, "B", &[CONTENT, FILE]), "HTTP/1.1 200 OK");
    assert_eq!(upload(&simulator, "\"B\"", &[CONTENT, FILE]), "", "a quoted boundary ends in a closed connection");
    begins(upload(&simulator, "B", &[CONTENT, SUM, ALGORITHM, FILE]), "HTTP/1.1 400 Parameter verification failed.");
    begins(upload(&simulator, "B", &[FILE]), "HTTP/1.1 400 ");
    begins(
        upload(&simulator, "B", &[CONTENT, "\"file\"; filename=\"x.raw\"\r\n\r\nabc"]),
        "HTTP/1.1 500 wrong field name 'file' for file upload, expected 'filename'",
    );
    let chunked = "POST /api2/json/nodes/pve1/storage/local/upload HTTP/1.1\r\nTransfer-Encoding: chunked";
    begins(raw(&simulator, chunked, "0\r\n\r\n"), "HTTP/1.1 501 chunked transfer encoding not supported");
}

/// Three seconds of waiting on the real one, in which more arrives than it keeps.
#[test]
fn an_upload_without_the_right_breaks() {
    let simulator = simulator();
    simulator.world().revoke("/storage/local", "Datastore.AllocateTemplate");
    let large = format!("{FILE}{}", "x".repeat(600 << 10));
    assert_eq!(upload(&simulator, "B", &[CONTENT, &large]), "");
    let small = upload(&simulator, "B", &[CONTENT, FILE]);
    assert!(
        small.starts_with("HTTP/1.1 403 Permission check failed (/storage/local, Datastore.AllocateTemplate)"),
        "{small}"
    );
}

fn with_machine(running: bool) -> Simulator {
    let simulator = simulator();
    let config =
        [("scsi0", "local-zfs:vm-100-disk-0,serial=a"), ("scsi1", "local-zfs:vm-100-disk-1"), ("boot", "order=scsi0")];
    let config = config.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let machine = VirtualMachine {
        node: "pve1".into(),
        pool: Some("school".into()),
        running,
        config,
        ..VirtualMachine::default()
    };
    simulator.world().machines.insert(100, machine);
    simulator
}

fn machine(last: &[&str]) -> Path {
    Path::new(["nodes", "pve1", "qemu", "100"].iter().chain(last))
}

fn config(simulator: &Simulator, current: bool) -> Value {
    client(simulator).get(&machine(&["config"]), &Parameters::none().flag("current", current)).expect("a configuration")
}

fn configure(simulator: &Simulator, parameters: Parameters) {
    client(simulator)
        .call(Method::Post, &machine(&["config"]), &parameters)
        .unwrap_or_else(|e| panic!("{}", Error::from(e)));
}

#[test]
fn a_disk_of_a_running_machine_waits_for_a_cold_start() {
    let simulator = with_machine(true);
    configure(&simulator, Parameters::none().text("scsi0", "local-zfs:vm-100-disk-2,serial=b").text("tags", "a;b"));
    assert_eq!(config(&simulator, true)["scsi0"], "local-zfs:vm-100-disk-0,serial=a", "it runs with");
    assert_eq!(config(&simulator, false)["scsi0"], "local-zfs:vm-100-disk-2,serial=b", "merged");
    assert_eq!(config(&simulator, true)["tags"], "a;b", "at once, and whole: it was encoded");
    let pending = client(&simulator).get(&machine(&["pending"]), &Parameters::none()).expect("what waits");
    let entry = pending.as_array().and_then(|all| all.iter().find(|e| e["key"] == "scsi0")).expect("scsi0");
    assert_eq!(entry["pending"], "local-zfs:vm-100-disk-2,serial=b");
    for last in ["stop", "start"] {
        client(&simulator).call(Method::Post, &machine(&["status", last]), &Parameters::none()).expect("power");
    }
    assert_eq!(config(&simulator, true)["scsi0"], "local-zfs:vm-100-disk-2,serial=b");
    assert_eq!(
        config(&simulator, true)["unused0"],
        "local-zfs:vm-100-disk-0",
        "the old one is put aside, by its volume alone"
    );
    assert_eq!(config(&simulator, true)["scsi1"], "local-zfs:vm-100-disk-1");
}

#[test]
fn what_waits_can_be_taken_back() {
    let simulator = with_machine(true);
    configure(&simulator, Parameters::none().text("scsi0", "local-zfs:vm-100-disk-2"));
    configure(&simulator, Parameters::none().text("revert", "scsi0"));
    let now = config(&simulator, false);
    assert_eq!(
        (&now["scsi0"], &now["unused0"]),
        (&"local-zfs:vm-100-disk-0,serial=a".into(), &"local-zfs:vm-100-disk-2".into())
    );
}

#[test]
fn a_volume_that_is_attached_again() {
    let simulator = with_machine(false);
    configure(&simulator, Parameters::none().text("scsi0", "local-zfs:vm-100-disk-2"));
    assert_eq!(config(&simulator, true)["unused0"], "local-zfs:vm-100-disk-0");
    configure(&simulator, Parameters::none().text("scsi0", "local-zfs:vm-100-disk-0"));
    assert_eq!(config(&simulator, true)["unused0"], "local-zfs:vm-100-disk-2", "they change places");
    let old = Parameters::none().text("name", "x").text("digest", "0".repeat(40));
    let failure =
        client(&simulator).call(Method::Post, &machine(&["config"]), &old).expect_err("somebody else was here");
    assert_eq!(failure.why, "checksum mismatch (file change by other user?)");
}

#[test]
fn rules_come_at_the_top_and_switched_off() {
    let simulator = with_machine(false);
    for port in ["1", "2"] {
        let rule = Parameters::none().text("type", "in").text("action", "ACCEPT").text("dport", port).number("pos", 1);
        client(&simulator).call(Method::Post, &machine(&["firewall", "rules"]), &rule).expect("a rule");
    }
    let rules = client(&simulator).get(&machine(&["firewall", "rules"]), &Parameters::none()).expect("rules");
    let told: Vec<_> =
        rules.as_array().expect("a list").iter().map(|r| (r["dport"].as_str(), r["enable"].as_u64())).collect();
    assert_eq!(told, [(Some("2"), Some(0)), (Some("1"), Some(0))]);
}

#[test]
fn words_and_statuses() {
    let simulator = simulator();
    // The server splits at `;` and cuts at `=`.
    let form = raw(&simulator, "GET /api2/json/nodes?a=1;b=2 HTTP/1.1", "");
    assert!(
        form.contains("\"a\":\"property is not defined") && form.contains("\"b\":\"property is not defined"),
        "{form}"
    );
    let simulator = with_machine(false);
    let missing =
        client(&simulator).get(&Path::new(["nodes", "pve1", "qemu", "777", "status", "current"]), &Parameters::none());
    let missing = missing.expect_err("there is no such machine");
    assert_eq!(
        (missing.kind, missing.status),
        (CallErrorKind::Forbidden, Some(403)),
        "who may not see it is not told that it is not there"
    );
    simulator.world().grant("/vms", "VM.Audit");
    let missing =
        client(&simulator).get(&Path::new(["nodes", "pve1", "qemu", "777", "status", "current"]), &Parameters::none());
    assert_eq!(missing.expect_err("no such machine").status, Some(500), "not 404");
    let unknown = client(&simulator).get(&Path::new(["no", "such", "call"]), &Parameters::none()).expect_err("unknown");
    assert_eq!((unknown.kind, unknown.status), (CallErrorKind::Missing, Some(501)));
    let next = client(&simulator).get(&Path::new(["cluster", "nextid"]), &Parameters::none()).expect("a number");
    assert_eq!(next, "101", "as a string");
}
