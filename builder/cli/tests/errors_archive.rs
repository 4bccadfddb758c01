//! Mirrors that are wrong, and lists of packages that cannot be: one clear error, the documented exit code, nothing
//! half-written. Each is a real run of the program.

mod common;
use common::Project;
use common::errors::{HEAD, deb, mirrored, profile, refused, refuses, stderr, with_one_package};
use diorite_model::Digest;
use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::serialize::Serialize as _;
use sequoia_openpgp::serialize::stream::{Message, Signer};
use std::fs;
use std::io::Write as _;
use std::process::Command;

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
    let release = "Origin: Debian\nSuite: stable\nCodename: trixie\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n";
    profile(&project, HEAD);
    let directory = project.path("mirror/dists/trixie");
    fs::create_dir_all(&directory).expect("a mirror");
    let mut said = String::new();
    for bytes in [signed(release, &key()), release.as_bytes().to_vec()] {
        fs::write(directory.join("InRelease"), bytes).expect("a release file");
        said += &refuses(&project, &mut mirrored(&project), &["lock", "mine"], 6);
    }
    insta::assert_snapshot!(settled(&said));
}

fn key() -> Cert {
    CertBuilder::new().add_userid("Archive").add_signing_subkey().generate().expect("a key").0
}

fn signed(text: &str, cert: &Cert) -> Vec<u8> {
    let key = cert.keys().secret().nth(1).expect("a subkey").key().clone().into_keypair().expect("a key pair");
    let mut out = Vec::new();
    let signer = Signer::new(Message::new(&mut out), key).expect("a signer");
    let mut message = signer.cleartext().build().expect("a message");
    message.write_all(text.as_bytes()).expect("in memory");
    message.finalize().expect("a signature");
    out
}

/// Key numbers and the time of the run are others each time.
fn settled(said: &str) -> String {
    let words = said.split(' ').map(|word| {
        let (plain, end) = word.split_at(word.trim_end_matches(['\n', ':']).len());
        if plain.len() >= 16 && plain.bytes().all(|b| b.is_ascii_hexdigit()) {
            format!("KEY{end}")
        } else if plain.len() == 20 && plain.ends_with('Z') && !plain.starts_with("2020") {
            format!("NOW{end}")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

const INDEX: &str = "main/binary-amd64/Packages";
/// A package that nothing can satisfy, and two that exclude each other.
const PACKAGES: &str = "Package: lonely\nVersion: 1.0\nArchitecture: all\nDepends: right (>= 99)\n\
    Filename: pool/lonely.deb\nSize: 1\nSHA256: SUM\n\n\
    Package: left\nVersion: 1.0\nArchitecture: all\nConflicts: right\nFilename: pool/left.deb\nSize: 1\nSHA256: SUM\n\n\
    Package: right\nVersion: 1.0\nArchitecture: all\nFilename: pool/right.deb\nSize: 1\nSHA256: SUM\n";

/// A profile `mine` that asks for these packages, and has a repository of its own beside Debian's: made and signed
/// here, with more fields in its release file.
fn with_a_repository(include: &str, cert: &Cert, fields: &str) -> Project {
    let project = Project::new();
    let packages = PACKAGES.replace("SUM", &Digest::of(b"x").to_string());
    let release = format!(
        "Origin: Mine\nSuite: mine\nCodename: mine\nDate: Wed, 01 Jan 2020 00:00:00 UTC\n{fields}Architectures: amd64\n\
         Components: main\nSHA256:\n {} {} {INDEX}\n",
        Digest::of(packages.as_bytes()),
        packages.len()
    );
    let suite = project.path("repository/dists/mine");
    fs::create_dir_all(suite.join(INDEX).parent().expect("a directory")).expect("a repository");
    fs::write(suite.join(INDEX), packages).expect("an index");
    fs::write(suite.join("InRelease"), signed(&release, cert)).expect("a release file");
    trust(&project, cert);
    let uri = format!("file://{}", project.path("repository").display());
    profile(
        &project,
        &format!(
            "{HEAD}[packages]\ninclude = [{include}]\n[archive.extra.mine]\nuri = \"{uri}\"\nsuite = \"mine\"\n\
             components = [\"main\"]\nkeyring = \"mine.gpg\"\n"
        ),
    );
    project
}

fn trust(project: &Project, cert: &Cert) {
    let mut keyring = Vec::new();
    cert.serialize(&mut keyring).expect("in memory");
    fs::write(project.path("profiles/mine.gpg"), keyring).expect("a keyring");
}

/// The program with the mirrors of Debian that this machine knows: what they sign is read before all else.
fn with_debian(project: &Project) -> Command {
    let mut command = project.diorite();
    for name in ["DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR", "http_proxy", "https_proxy"] {
        match std::env::var_os(name) {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn lock_fails(project: &Project, code: i32) -> String {
    let said = refuses(project, &mut with_debian(project), &["lock", "mine"], code);
    assert!(!project.path("profiles/mine.lock").exists(), "no lock");
    settled(&said)
}

#[test]
fn unknown_package() {
    insta::assert_snapshot!(lock_fails(&with_a_repository("\"lonly\"", &key(), ""), 1));
}

#[test]
fn package_that_needs_what_is_not_there() {
    insta::assert_snapshot!(lock_fails(&with_a_repository("\"lonely\"", &key(), ""), 1));
}

#[test]
fn packages_that_exclude_each_other() {
    insta::assert_snapshot!(lock_fails(&with_a_repository("\"left\", \"right\"", &key(), ""), 1));
}

#[test]
fn expired_release() {
    let fields = "Valid-Until: Wed, 08 Jan 2020 00:00:00 UTC\n";
    insta::assert_snapshot!(lock_fails(&with_a_repository("\"right\"", &key(), fields), 6));
}

#[test]
fn repository_signed_with_another_key() {
    let project = with_a_repository("\"right\"", &key(), "");
    trust(&project, &key());
    insta::assert_snapshot!(lock_fails(&project, 6));
}

#[test]
fn index_with_other_bytes() {
    let project = with_a_repository("\"right\"", &key(), "");
    let index = project.path("repository/dists/mine").join(INDEX);
    let mut bytes = fs::read(&index).expect("the index");
    bytes[0] ^= 1;
    fs::write(&index, bytes).expect("another index");
    insta::assert_snapshot!(lock_fails(&project, 6));
}

/// Positive control: with nothing wrong the same repository is used.
#[test]
fn a_good_repository_is_locked() {
    let project = with_a_repository("\"right\"", &key(), "Valid-Until: Fri, 08 Jan 2100 00:00:00 UTC\n");
    let output = with_debian(&project).args(["lock", "mine"]).output().expect("the program starts");
    assert!(output.status.success(), "{}", stderr(&project, &output));
    let lock = fs::read_to_string(project.path("profiles/mine.lock")).expect("the lock");
    assert!(lock.contains("name = \"right\", version = \"1.0\""), "{lock}");
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
