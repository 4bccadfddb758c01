//! An image with a container, and the same knowledge about it in both forms of data.
#![allow(dead_code)]

use diorite_model::audit::{AuditPolicy, Waiver};
use diorite_model::{Digest, Lock, LockedPackage, date};
use diorite_trust::audit::{AdvisoryData, AdvisoryFile, AdvisoryScope, Audit, AuditedImage, DatedBy, judge};
use std::collections::BTreeMap;

fn package(name: &str, version: &str, release: &str, path: &str) -> LockedPackage {
    LockedPackage {
        name: name.into(),
        version: version.into(),
        architecture: "amd64".into(),
        release: release.into(),
        path: path.into(),
        size: 1,
        sha256: Digest::of(format!("{name} {version}").as_bytes()),
    }
}

/// A machine with a kernel, and a container with an old OpenSSL, a wheel, and two things of others.
pub fn image() -> AuditedImage {
    let kernel =
        package("linux-image-cloud-amd64", "6.12.100-1", "trixie-security", "pool/main/l/linux-signed-amd64/x.deb");
    let image = vec![
        kernel,
        package("openssl", "3.5.1-1+deb13u1", "trixie", "pool/main/o/openssl/openssl.deb"),
        package("libssl3t64", "3.5.1-1+deb13u1", "trixie", "pool/main/o/openssl/libssl3t64.deb"),
        package("bash", "5.2.37-2+b9", "trixie", "pool/main/b/bash/bash.deb"),
        package("mine", "1.0", "local", "mine.deb"),
        package("agent", "2.0", "vendor", "pool/agent.deb"),
    ];
    let web = vec![package("libssl3t64", "3.5.1-1", "trixie", "pool/main/o/openssl/libssl3t64.deb")];
    let other = vec![package("layer", "0123456789ab", "oci", "registry.example/a/blobs/sha256:1"); 2];
    let lock = Lock {
        schema: 1,
        recipe: Digest::of(b"recipe"),
        release: BTreeMap::new(),
        image,
        container: BTreeMap::from([("web".into(), web), ("other".into(), other)]),
        wheels: BTreeMap::from([("web".into(), vec![package("flask", "3.1.0", "wheel", "flask/flask.whl")])]),
        tools: vec![package("qemu-utils", "1", "trixie", "pool/main/q/qemu/qemu-utils.deb")],
    };
    let control = |package: &LockedPackage| match package.name.as_str() {
        "bash" => Some("Package: bash\nSource: bash (5.2.37-2)\nVersion: 5.2.37-2+b9\n".to_owned()),
        "libssl3t64" => Some(format!("Package: libssl3t64\nSource: openssl\nVersion: {}\n", package.version)),
        _ => None,
    };
    AuditedImage::of_lock("server 1".into(), "trixie", &lock, &control)
}

/// What the tracker says.
pub const TRACKER: &str = r#"{
  "bash": {
    "CVE-2019-9924": { "description": "rbash in Bash before 4.4-beta2", "releases": {
      "trixie": { "status": "resolved", "repositories": { "trixie": "5.2.37-2" }, "fixed_version": "4.4~rc1-1", "urgency": "low" } } },
    "TEMP-0841856-B18BAF": { "description": "Privilege escalation possible to other user than root", "releases": {
      "trixie": { "status": "open", "repositories": { "trixie": "5.2.37-2" }, "urgency": "unimportant" } } }
  },
  "linux": {
    "CVE-2025-10000": { "description": "vfs: a hole", "releases": {
      "sid": { "status": "resolved", "fixed_version": "6.16.1-1" },
      "trixie": { "status": "resolved", "repositories": { "trixie": "6.12.63-1", "trixie-security": "6.12.118-1" },
                  "fixed_version": "6.12.110-1", "urgency": "not yet assigned" } } },
    "CVE-2025-999": { "description": "net: another", "releases": {
      "trixie": { "status": "open", "repositories": { "trixie": "6.12.63-1" }, "urgency": "low", "nodsa": "Minor issue" } } },
    "CVE-2025-1001": { "description": "it is in unstable alone", "releases": { "sid": { "status": "open" } } },
    "CVE-2025-1002": { "description": "the vulnerable code is not there", "releases": {
      "trixie": { "status": "resolved", "fixed_version": "0" } } }
  },
  "openssl": {
    "CVE-2025-9230": { "description": "Out-of-bounds read & write in RFC 3211 KEK Unwrap", "scope": "remote", "releases": {
      "trixie": { "status": "resolved", "repositories": { "trixie": "3.5.1-1+deb13u1", "trixie-security": "3.5.1-1+deb13u1" },
                  "fixed_version": "3.5.1-1+deb13u1", "urgency": "medium**" } } },
    "CVE-2025-9231": { "description": "mended in what is proposed for the next point release", "releases": {
      "trixie": { "status": "resolved", "repositories": { "trixie": "3.5.1-1+deb13u1" },
                  "fixed_version": "3.5.1-1+deb13u2", "urgency": "low" } } },
    "CVE-2025-9232": { "releases": { "trixie": { "status": "undetermined" } } }
  },
  "qemu": {
    "CVE-2025-2": { "releases": { "trixie": { "status": "open" } } }
  }
}"#;

/// Records of OSV that say the same, as far as OSV can: what is undetermined or not yet in the release it does not tell. One is
/// an advisory of Debian's about a CVE that has a record of its own.
pub const OSV: &str = r#"[
  { "id": "DEBIAN-CVE-2019-9924", "modified": "2026-11-20T10:00:00Z", "upstream": ["CVE-2019-9924"], "details": "rbash in Bash before 4.4-beta2",
    "affected": [{ "package": { "ecosystem": "Debian:13", "name": "bash" }, "ecosystem_specific": { "urgency": "low" },
      "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "4.4~rc1-1" }] }] }] },
  { "id": "TEMP-0841856-B18BAF", "modified": "2026-11-01T10:00:00Z", "details": "Privilege escalation possible to other user than root",
    "affected": [{ "package": { "ecosystem": "Debian:13", "name": "bash" }, "ecosystem_specific": { "urgency": "unimportant" },
      "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }] }], "versions": ["5.2.37-2"] }] },
  { "id": "DEBIAN-CVE-2025-10000", "modified": "2026-11-27T23:59:59.123456Z", "details": "vfs: a hole",
    "affected": [
      { "package": { "ecosystem": "Debian:12", "name": "linux" },
        "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "6.1.150-1" }] }] },
      { "package": { "ecosystem": "Debian:13", "name": "linux" }, "ecosystem_specific": { "urgency": "not yet assigned" },
        "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "6.12.110-1" }] }] }] },
  { "id": "DEBIAN-CVE-2025-999", "modified": "2026-11-02T00:00:00Z", "details": "net: another (Debian: Minor issue)",
    "affected": [{ "package": { "ecosystem": "Debian:13", "name": "linux" }, "ecosystem_specific": { "urgency": "low" },
      "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }] }] }] },
  { "id": "DEBIAN-CVE-2025-1003", "modified": "2026-11-02T00:00:00Z", "withdrawn": "2026-11-03T00:00:00Z",
    "affected": [{ "package": { "ecosystem": "Debian:13", "name": "linux" },
      "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }] }] }] },
  { "id": "DSA-6015-1", "modified": "2026-10-02T00:00:00Z", "upstream": ["CVE-2025-9230"], "summary": "openssl - security update",
    "affected": [{ "package": { "ecosystem": "Debian:13", "name": "openssl" },
      "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "3.5.1-1+deb13u1" }] }] }] },
  { "id": "DEBIAN-CVE-2025-9230", "modified": "2026-10-03T00:00:00Z", "details": "Out-of-bounds read & write in RFC 3211 KEK Unwrap",
    "affected": [{ "package": { "ecosystem": "Debian:13", "name": "openssl" }, "ecosystem_specific": { "urgency": "medium**" },
      "ranges": [{ "type": "GIT", "events": [{ "introduced": "9b1c8d" }] },
        { "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "3.5.1-1+deb13u1" }] }] }] }
]"#;

/// Days since 1970.
pub fn day(text: &str) -> u64 {
    date::day(text).expect("a day")
}

pub fn read(name: &str, text: &[u8]) -> diorite_model::Result<AdvisoryData> {
    let image = image();
    let (sources, files) = (image.sources(), [AdvisoryFile { name: name.into(), bytes: text.to_vec() }]);
    AdvisoryData::read(&files, &AdvisoryScope { suite: "trixie", sources: &sources })
}

/// Waivers: one that is used, one that is over, one that nothing matches.
pub fn policy() -> AuditPolicy {
    let waiver = |reason: &str, until: &str, package: Option<&str>| Waiver {
        reason: reason.into(),
        until: until.into(),
        package: package.map(str::to_owned),
    };
    AuditPolicy {
        waivers: BTreeMap::from([
            ("CVE-2025-10000".into(), waiver("no untrusted file system is mounted", "2026-11-30", Some("linux"))),
            ("CVE-2025-9230".into(), waiver("the container signs nothing", "2026-11-29", None)),
            ("CVE-2020-1".into(), waiver("it was there once", "2027-01-01", None)),
        ]),
        ..AuditPolicy::default()
    }
}

pub fn audit(policy: &AuditPolicy) -> Audit {
    let data = read("tracker.json", TRACKER.as_bytes()).expect("data");
    judge(&image(), Some((&data, day("2026-11-28"), DatedBy::File)), policy, day("2026-11-30"))
}
