//! What `audit` answers for a profile with one package, by exit code, and what it refuses: data that is missing, cut, huge,
//! stale, or none; a waiver that has expired.

mod common;
use common::errors::{HEAD, deb, lock, profile, refused, stderr};
use common::{Project, text};
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// What the tracker would say of the one package, whose version is 1.0.
fn tracker(fixed: &str) -> String {
    format!(
        r#"{{ "hello": {{ "CVE-2026-1": {{ "description": "a greeting too long", "releases": {{
             "trixie": {{ "status": "resolved", "repositories": {{ "trixie": "{fixed}" }}, "fixed_version": "{fixed}", "urgency": "high" }} }} }} }} }}"#
    )
}

fn project(more: &str) -> Project {
    let project = Project::new();
    profile(&project, &format!("{HEAD}{more}"));
    lock(&project, &deb(10));
    fs::write(project.path("old.json"), tracker("1.0")).expect("data");
    fs::write(project.path("new.json"), tracker("1.1")).expect("data");
    project
}

const DAYS: [&str; 4] = ["--data-day", "2026-11-28", "--day", "2026-11-30"];

/// stdout and the exit code.
fn answered(project: &Project, arguments: &[&str], code: i32) -> String {
    let arguments = [&["audit", "mine", "--quiet"], arguments].concat();
    let output = project.diorite().args(&arguments).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{}", stderr(project, &output));
    text(&output.stdout)
}

#[test]
fn every_answer_has_its_exit_code() {
    let plain = project("");
    let mut said = vec![
        answered(&plain, &["--day", "2026-11-30"], 5),
        answered(&plain, &[&["--data", "old.json"], &DAYS[..]].concat(), 0),
        answered(&plain, &[&["--data", "new.json"], &DAYS[..]].concat(), 4),
    ];
    let waiver = |until: &str, id: &str| {
        format!(
            "[audit]\ndata = \"file:///nowhere\"\n[audit.waivers.{id}]\nreason = \"nobody greets\"\nuntil = \"{until}\"\n"
        )
    };
    for (until, id, data, code) in [
        ("2026-11-30", "CVE-2026-1", "new.json", 0),
        ("2026-11-29", "CVE-2026-1", "new.json", 4),
        ("2026-11-29", "CVE-2026-1", "old.json", 4),
        ("2026-12-01", "CVE-2026-2", "old.json", 0),
    ] {
        let project = project(&waiver(until, id));
        said.push(answered(&project, &[&["--data", data], &DAYS[..]].concat(), code));
    }
    insta::assert_snapshot!("answers", said.join("\n----\n"));
    let json = answered(&plain, &[&["--json", "--data", "new.json"], &DAYS[..]].concat(), 4);
    let json: Value = serde_json::from_str(&json).expect("one JSON value");
    assert_eq!((&json["schema"], &json["verdict"]), (&1.into(), &"failed".into()));
    assert_eq!(json["findings"][0]["fixed"], "1.1");
    let unknown: Value = serde_json::from_str(&answered(&plain, &["--json"], 5)).expect("one JSON value");
    assert_eq!((&unknown["verdict"], &unknown["data"]), (&"unknown".into(), &Value::Null));
    let vex = |form: &str| answered(&plain, &[&["--vex", form, "--data", "new.json"], &DAYS[..]].concat(), 4);
    assert!(vex("openvex").contains("\"Lock again and build: trixie has hello 1.1.\""));
    assert!(vex("cyclonedx").contains("\"vulnerabilities\""));
    assert_eq!(vex("openvex"), vex("openvex"));
}

#[test]
fn what_is_refused() {
    let project = project("");
    let whole = tracker("1.1");
    fs::write(project.path("cut.json"), &whole[..whole.len() / 2]).expect("data");
    let huge = fs::File::create(project.path("huge.json")).expect("data");
    huge.set_len((1 << 30) + 1).expect("a sparse file");
    fs::write(project.path("broken.zip"), b"PK\x03\x04 and no more").expect("data");
    fs::create_dir(project.path("empty")).expect("a directory");
    let with = |data: &str, more: &[&str]| {
        refused(&project, &[&["audit", "mine", "--data", data], &DAYS[..], more].concat(), 1)
    };
    let said = [
        with("nowhere.json", &[]),
        with("cut.json", &[]),
        with("huge.json", &[]),
        with("broken.zip", &[]),
        with("empty", &[]),
        with("old.json", &["--max-age", "1"]),
        refused(&project, &["audit", "mine", "--vex", "openvex"], 5),
        refused(&project, &["audit", "mine", "--data", "old.json", "--data-day", "2026-13-01"], 2),
        refused(&project, &["audit", "mine", "--data", "http://127.0.0.1:9/tracker.json"], 6),
        refused(&project, &["audit", "profiles/mine.lock", "--data", "old.json"], 1),
        with("old.json", &["--vex", "openvex"]),
    ];
    insta::assert_snapshot!("refused", said.join("\n"));
}

/// A directory, a zip archive and a server that has the same record, each by way of another setting.
#[test]
fn records_from_everywhere() {
    let project = project("");
    let record = r#"{ "id": "DEBIAN-CVE-2026-1", "modified": "2026-11-27T12:00:00Z", "affected": [{ "package":
        { "ecosystem": "Debian:13", "name": "hello" }, "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "1.1" }] }] }] }"#;
    fs::create_dir(project.path("records")).expect("a directory");
    fs::write(project.path("records/DEBIAN-CVE-2026-1.json"), record).expect("a record");
    fs::write(project.path("all.zip"), stored("DEBIAN-CVE-2026-1.json", record.as_bytes())).expect("a zip");
    let day = ["--day", "2026-11-30", "--json"];
    let findings = |said: &str| {
        let answer: Value = serde_json::from_str(said).expect("JSON");
        assert_eq!(answer["data"]["date"], "2026-11-27");
        answer["findings"].clone()
    };
    let directory = findings(&answered(&project, &[&["--data", "records"], &day[..]].concat(), 4));
    assert_eq!(directory[0]["id"], "CVE-2026-1");
    assert_eq!(findings(&answered(&project, &[&["--data", "all.zip"], &day[..]].concat(), 4)), directory);
    // The server has another date; the record's own counts.
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/all.json", server.local_addr().expect("its address"));
    let body = record.to_owned();
    let serving = std::thread::spawn(move || {
        let (mut connection, _) = server.accept().expect("a request");
        let mut request = [0; 4096];
        let _ = connection.read(&mut request).expect("a request");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nLast-Modified: Sat, 28 Nov 2026 07:55:41 GMT\r\n\r\n",
            body.len()
        );
        connection.write_all((head + &body).as_bytes()).expect("an answer");
    });
    let mut command = project.diorite();
    command.env("DIORITE_AUDIT_DATA", url).args(["audit", "mine", "--quiet"]).args(day);
    let output = command.output().expect("the program starts");
    serving.join().expect("the server");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&project, &output));
    assert_eq!(findings(&text(&output.stdout)), directory);
}

/// A zip archive with one file, not compressed (PKWARE's APPNOTE, 4.3).
fn stored(name: &str, content: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let size = u32::try_from(content.len()).expect("small");
    let common = |out: &mut Vec<u8>| {
        [20u16, 0, 0, 0, 0x21].iter().for_each(|n| out.extend(n.to_le_bytes()));
        [crc.sum(), size, size].iter().for_each(|n| out.extend(n.to_le_bytes()));
        [name.len() as u16, 0].iter().for_each(|n| out.extend(n.to_le_bytes()));
    };
    let mut zip = b"PK\x03\x04".to_vec();
    common(&mut zip);
    zip.extend(name.as_bytes());
    zip.extend(content);
    let start = zip.len() as u32;
    zip.extend(b"PK\x01\x02\x14\x00");
    common(&mut zip);
    zip.extend([0; 14]);
    zip.extend(name.as_bytes());
    let length = zip.len() as u32 - start;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    [length, start].iter().for_each(|n| zip.extend(n.to_le_bytes()));
    zip.extend([0; 2]);
    zip
}
