//! Signed boot programs of a whole image: what sbverify says of them, and that it is the same image wherever the key is.

mod common;
#[path = "common/vm.rs"]
mod vm;

use common::{Project, material, text};
use diorite_host::file::sha256;
use diorite_host::tools::{Tool, ToolsTree};
use diorite_image::read::ImageReader;
use diorite_model::{Digest, base64};
use diorite_trust::secure_boot::PrivateRsaKey;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const PROFILE: &str = "extends = \"base\"\n[image]\nname = \"server\"\nversion = \"1\"\n[signing]\n";

/// Builds the profile `mine` into a directory of its own, so that nothing is there already, and returns its disk.
fn built(project: &Project, out: &str, more: &[&str]) -> PathBuf {
    let arguments = [&["build", "mine", "--relock", "--format", "raw", "--out", out], more].concat();
    let output = vm::online(project, &arguments).output().expect("the program starts");
    vm::expect(&output, 0, &project.path(out));
    project.path(out).join("disk.raw").canonicalize().expect("the disk")
}

fn digest(file: &Path) -> Digest {
    sha256(file, "the disk").unwrap_or_else(|e| panic!("{e}")).0
}

/// What sbverify says of a program: whether the key of this certificate has signed it.
fn verifies(tools: &ToolsTree, directory: &Path, certificate: &str, program: &str) -> bool {
    let command = tools.command(Tool::Sbverify).cwd(directory).input(directory);
    let output = command.args(["--cert", certificate, program]).run().unwrap_or_else(|e| panic!("{e}"));
    output.status.success()
}

#[test]
fn sbverify_takes_what_is_signed_and_nothing_else() {
    let project = Project::locked();
    fs::write(project.path("profiles/mine.toml"), PROFILE).expect("a profile");
    project.succeed(&["keys", "new", "keys"]);
    let image = ImageReader::open(&built(&project, "out", &["--keys", "keys"])).unwrap_or_else(|e| panic!("{e}"));
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let programs: Vec<_> =
        image.esp.files.iter().filter(|(path, _)| path.ends_with(".efi") || path.ends_with(".EFI")).collect();
    assert_eq!(programs.len(), 3);
    let directory = project.path("keys");
    for (path, program) in programs {
        let mut changed = program.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(directory.join("signed.efi"), program).expect("a file");
        fs::write(directory.join("changed.efi"), changed).expect("a file");
        assert!(verifies(&tools, &directory, "db.pem", "signed.efi"), "{path}");
        assert!(!verifies(&tools, &directory, "KEK.pem", "signed.efi"), "{path}: another key's");
        assert!(!verifies(&tools, &directory, "db.pem", "changed.efi"), "{path}: changed");
    }
}

/// The same image signed in each of the ways: one disk, byte for byte; and a rebuild of it is equal without the signatures.
#[test]
fn a_signature_is_the_same_wherever_the_key_is() {
    let project = Project::locked();
    fs::write(project.path("profiles/mine.toml"), PROFILE).expect("a profile");
    project.succeed(&["keys", "new", "keys"]);
    let disk = built(&project, "out", &["--keys", "keys"]);
    let expected = digest(&disk);
    let key = project.path("hidden.key");
    fs::rename(project.path("keys/db.key"), &key).expect("the key is elsewhere");
    let signer = format!("openssl dgst -sha256 -sign {}", key.display());
    let by_program = built(&project, "out-program", &["--keys", "keys", "--signer", &signer]);
    assert_eq!(digest(&by_program), expected);
    for (signer, words) in [
        ("false", "ended with exit status: 1"),
        ("true", "it printed nothing"),
        ("head -c 256 /dev/zero", "does not match its program"),
    ] {
        let arguments = ["build", "mine", "--relock", "--out", "out-bad", "--keys", "keys", "--signer", signer];
        let output = vm::online(&project, &arguments).output().expect("the program starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && !project.path("out-bad/disk.raw").exists(), "{signer}: {said}");
    }
    let asked = ["build", "mine", "--relock", "--keys", "keys", "--unsigned-digests", "asked.json"];
    let output = vm::online(&project, &asked).output().expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let asked: Value = serde_json::from_slice(&fs::read(project.path("asked.json")).expect("a file")).expect("JSON");
    let pem = fs::read_to_string(&key).expect("the key");
    let key = PrivateRsaKey::of_pem(&pem).expect("a key");
    let answers = asked["programs"].as_array().expect("programs").iter().map(|program| {
        let message = base64::decode(program["message"].as_str().expect("text")).expect("base64");
        let signature = base64::encode(&key.sign(&message).expect("a signature"));
        json!({ "sha256": program["sha256"], "signature": signature })
    });
    let answers: Vec<_> = answers.collect();
    let given = json!({ "schema": 1, "signatures": answers }).to_string();
    fs::write(project.path("given.json"), given).expect("a file");
    let by_hand = built(&project, "out-given", &["--keys", "keys", "--signatures", "given.json"]);
    assert_eq!(digest(&by_hand), expected);

    let disk = disk.display().to_string();
    let output = vm::online(&project, &["rebuild", &disk]).output().expect("the program starts");
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("without the signatures"), "{said}{}", text(&output.stderr));
    let output = vm::online(&project, &["inspect", &disk]).output().expect("the program starts");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
