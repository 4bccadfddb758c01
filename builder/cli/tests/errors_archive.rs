//! Mirrors that are wrong, and lists of packages that cannot be: one clear error, the documented exit code, nothing
//! half-written. Each is a real run of the program.

mod common;
use common::Project;
use common::errors::{HEAD, deb, mirrored, profile, refused, refuses, with_one_package};
use std::fs;
use std::io;

#[test]
fn unreachable_mirror() {
    let project = Project::new();
    fs::remove_file(project.path("profiles/base.lock")).expect("no lock");
    insta::assert_snapshot!(refused(&project, &["lock", "base"], 6));
}

/// A mirror whose release file has been signed by a stranger, and one whose file nobody signed.
#[test]
fn wrong_signature() {
    let project = Project::new();
    let release = "Origin: Debian\nSuite: unstable\nCodename: sid\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n";
    profile(&project, &format!("{HEAD}[archive]\nsuite = \"sid\"\n"));
    let folder = project.path("mirror/dists/sid");
    fs::create_dir_all(&folder).expect("a mirror");
    let mut said = String::new();
    for bytes in [signed_by_a_stranger(release), release.as_bytes().to_vec()] {
        fs::write(folder.join("InRelease"), bytes).expect("a release file");
        said += &refuses(&project, &mut mirrored(&project), &["lock", "mine"], 6);
    }
    // The stranger's key is another one each time.
    let words = said
        .split(' ')
        .map(|w| if w.len() >= 16 && w.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') { "KEY:" } else { w });
    insta::assert_snapshot!(words.collect::<Vec<_>>().join(" "));
}

fn signed_by_a_stranger(text: &str) -> Vec<u8> {
    use io::Write as _;
    use sequoia_openpgp::cert::CertBuilder;
    use sequoia_openpgp::serialize::stream::{Message, Signer};
    let cert = CertBuilder::new().add_userid("Stranger").add_signing_subkey().generate().expect("a key").0;
    let key = cert.keys().secret().nth(1).expect("a subkey").key().clone().into_keypair().expect("a key pair");
    let mut out = Vec::new();
    let signer = Signer::new(Message::new(&mut out), key).expect("a signer");
    let mut message = signer.cleartext().build().expect("a message");
    message.write_all(text.as_bytes()).expect("in memory");
    message.finalize().expect("a signature");
    out
}

#[test]
fn package_with_other_bytes() {
    let good = deb(1000);
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") ^= 1;
    let project = with_one_package(&good, &bad);
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["build", "mine"], 6));
}

#[test]
fn truncated_package() {
    let good = deb(1000);
    let project = with_one_package(&good, &good[..good.len() - 100]);
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["fetch", "mine"], 6));
}

#[test]
fn package_that_has_gone() {
    let project = with_one_package(&deb(10), b"");
    fs::remove_dir_all(project.path("mirror/pool/main/h")).expect("gone");
    insta::assert_snapshot!(refuses(&project, &mut mirrored(&project), &["fetch", "mine"], 3));
}
