//! What is known of an image, in the tracker's form and in OSV's: the same answer; and data that is refused.

mod audited;

use audited::{OSV, TRACKER, audit, day, image, policy, read};
use diorite_model::audit::AuditPolicy;
use diorite_trust::audit::{
    AdvisoryData, AdvisoryFile, AdvisoryScope, AuditFinding, AuditStatus, AuditVerdict, DatedBy, cyclonedx, judge,
    openvex, text,
};
use std::collections::BTreeSet;

#[test]
fn the_answer_in_every_form() {
    insta::assert_snapshot!("text", text(&audit(&policy())));
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&audit(&policy())).unwrap());
    let document = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    insta::assert_snapshot!("openvex", document(openvex(&audit(&policy()))));
    insta::assert_snapshot!("cyclonedx", document(cyclonedx(&audit(&policy()))));
    assert_eq!(openvex(&audit(&policy())), openvex(&audit(&policy())));
}

#[test]
fn only_what_is_mended_fails() {
    let all = audit(&AuditPolicy::default());
    let failing: Vec<_> = all.failing().map(|f| format!("{} {}", f.id, f.source)).collect();
    assert_eq!(failing, ["CVE-2025-9230 openssl", "CVE-2025-10000 linux"]);
    assert_eq!(all.verdict, AuditVerdict::Failed);
    // With both put up with nothing fails, although others are there.
    let mut both = policy();
    both.waivers.get_mut("CVE-2025-9230").unwrap().until = "2026-11-30".into();
    let answer = audit(&both);
    assert_eq!((answer.verdict, answer.failing().count()), (AuditVerdict::Passed, 0));
    assert!(answer.findings.iter().any(|f| f.status == AuditStatus::Open));
    // A waiver of another package is none.
    both.waivers.get_mut("CVE-2025-10000").unwrap().package = Some("bash".into());
    assert_eq!(audit(&both).verdict, AuditVerdict::Failed);
    // One that has expired fails even where nothing else does.
    let mut old = both.clone();
    old.waivers.get_mut("CVE-2025-10000").unwrap().package = None;
    old.waivers.get_mut("CVE-2020-1").unwrap().until = "2020-12-31".into();
    assert_eq!(audit(&old).verdict, AuditVerdict::Failed);
}

#[test]
fn without_data_nothing_is_known() {
    let answer = judge(&image(), None, &policy(), day("2026-11-30"));
    assert_eq!((answer.verdict, answer.packages, answer.data.is_none()), (AuditVerdict::Unknown, 5, true));
    insta::assert_snapshot!("unknown", text(&answer));
}

#[test]
fn both_forms_give_the_same_answer() {
    let of = |findings: &[AuditFinding]| {
        let told = |f: &&AuditFinding| f.status != AuditStatus::Undetermined && f.id != "CVE-2025-9231";
        let one = |f: &AuditFinding| format!("{f:?}");
        findings.iter().filter(told).map(one).collect::<BTreeSet<_>>()
    };
    let tracker = audit(&AuditPolicy::default());
    let data = read("osv.json", OSV.as_bytes()).unwrap();
    let (today, none) = (day("2026-11-30"), AuditPolicy::default());
    let dated = data.dated("osv.json", None, Some((today, DatedBy::File)), today, 7).unwrap();
    assert_eq!(dated, (day("2026-11-27"), DatedBy::Records), "the records say it themselves");
    let osv = judge(&image(), Some((&data, dated.0, dated.1)), &none, today);
    assert_eq!(of(&osv.findings), of(&tracker.findings));
    assert_eq!(of(&osv.findings).len(), 4);
    // The same records one by one, in another order.
    let list: Vec<serde_json::Value> = serde_json::from_str(OSV).unwrap();
    let record = |(i, r): (usize, &serde_json::Value)| AdvisoryFile {
        name: format!("{i}.json"),
        bytes: r.to_string().into_bytes(),
    };
    let files: Vec<_> = list.iter().rev().enumerate().map(record).collect();
    let image = image();
    let apart = AdvisoryData::read(&files, &AdvisoryScope { suite: "trixie", sources: &image.sources() }).unwrap();
    assert_eq!(apart.by_source, data.by_source);
}

#[test]
fn data_of_others_is_read() {
    let file = |name: &str| AdvisoryFile {
        name: name.into(),
        bytes: std::fs::read(format!("tests/advisories/{name}")).unwrap(),
    };
    let read = |name: &str, suite: &str, source: &'static str| {
        AdvisoryData::read(&[file(name)], &AdvisoryScope { suite, sources: &BTreeSet::from([source]) })
    };
    let tracker = read("tracker.json", "trixie", "prototypejs").unwrap();
    assert_eq!(tracker.by_source["prototypejs"].len(), 0, "the release is known, and this package has nothing in it");
    assert_eq!(read("tracker.json", "buster", "prototypejs").unwrap().by_source["prototypejs"].len(), 2);
    assert!(read("tracker.json", "hamm", "prototypejs").is_err());
    let files = [file("DLA-3623-1.json"), file("DSA-3029-1.json")];
    let nothing = AdvisoryData::read(&files, &AdvisoryScope { suite: "trixie", sources: &BTreeSet::from(["nginx"]) });
    assert_eq!(nothing.unwrap_err().cause.unwrap(), "it says nothing of Debian's release `trixie`");
    let old = AdvisoryData::read(&files, &AdvisoryScope { suite: "7", sources: &BTreeSet::from(["nginx"]) }).unwrap();
    assert_eq!(old.by_source["nginx"][0].id, "CVE-2014-3616");
    assert_eq!(old.changed, Some(day("2025-10-13")));
}

#[test]
fn what_is_refused_says_where() {
    let osv = |events: &str| {
        format!(
            r#"{{ "id": "DEBIAN-CVE-2025-1", "modified": "2026-11-27T00:00:00Z", "affected": [{{ "package":
               {{ "ecosystem": "Debian:13", "name": "bash" }}, "ranges": [{{ "type": "ECOSYSTEM", "events": {events} }}] }}] }}"#
        )
    };
    let tracker =
        |release: &str| format!(r#"{{ "bash": {{ "CVE-2025-1": {{ "releases": {{ "trixie": {release} }} }} }} }}"#);
    let mut said = Vec::new();
    for text in [
        &TRACKER[..TRACKER.len() / 2],
        &OSV[..OSV.len() / 2],
        "",
        "<!DOCTYPE html>",
        "{}",
        "[]",
        "[1]",
        "{ \"bash\": 5 }",
        &TRACKER.replace("trixie", "bookworm"),
        &OSV.replace("Debian:13", "Debian:11"),
        &format!("{TRACKER} {{}}"),
        &tracker(r#"{ "status": "resolved" }"#),
        &tracker(r#"{ "status": "resolved", "fixed_version": "<unfixed>" }"#),
        &tracker(r#"{ "status": "perhaps" }"#),
        r#"{ "bash": {}, "bash": {} }"#,
        &osv(r#"[{ "fixed": "1" }]"#),
        &osv(r#"[{ "introduced": "0" }, { "fixed": "one" }]"#),
        &"[".repeat(10_000),
    ] {
        said.push(read("data.json", text.as_bytes()).unwrap_err().to_string());
    }
    let image = image();
    let files = [("a.json", OSV), ("b.json", TRACKER)];
    let files = files.map(|(name, text)| AdvisoryFile { name: name.into(), bytes: text.as_bytes().to_vec() });
    let sources = image.sources();
    let scope = AdvisoryScope { suite: "trixie", sources: &sources };
    said.push(AdvisoryData::read(&files, &scope).unwrap_err().to_string());
    said.push(AdvisoryData::read(&[], &scope).unwrap_err().to_string());
    let data = read("tracker.json", TRACKER.as_bytes()).unwrap();
    let (today, file) = (day("2026-11-30"), |text| Some((day(text), DatedBy::File)));
    assert!(data.dated("tracker.json", None, file("2026-11-23"), today, 7).is_ok());
    for (outside, most) in [(None, 7), (file("2026-11-22"), 7), (file("2026-12-02"), 7), (file("2025-11-30"), 364)] {
        said.push(data.dated("tracker.json", None, outside, today, most).unwrap_err().to_string());
    }
    insta::assert_snapshot!("refused", said.join("\n\n"));
}
