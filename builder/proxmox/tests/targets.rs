//! `targets.toml`: what is wrong is shown with its line; a secret is never in it, never shown, and never read from a file
//! that others can read.

mod common;

use common::described;
use diorite_model::{Error, Exit};
use diorite_proxmox::target::{Credential, LoginMethod, SecretSource, Trust, files, find, parse};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const URL: &str = "https://pve.example.org";

fn error(text: &str) -> Error {
    let error = parse(text, "profiles/targets.toml", Path::new("profiles"), Some("/home/me")).expect_err(text);
    assert_eq!(error.exit, Exit::Input);
    error
}

#[test]
fn what_is_wrong_is_shown() {
    let cases = [
        described(URL, "fingerprnt = \"sha256:00\""),
        described(URL, "token_comand = [\"pass\"]").replace("token_env = \"PVE_TOKEN\"\n", ""),
        described("http://pve.example.org:8006", ""),
        described("https://pve.example.org:8006/api2/json", ""),
        described(URL, "fingerprint = \"sha256:AB:CD\""),
        described(URL, &format!("fingerprint = \"sha256:{}\"\nca = \"ca.pem\"", "ab".repeat(32))),
        described(URL, "token_file = \"token\""),
        described(URL, "user = \"root@pam\""),
        described(URL, "").replace("token_env = \"PVE_TOKEN\"\n", ""),
        described(URL, "password_env = \"PASSWORD\""),
        described(URL, "vmids = \"9099-9000\""),
        described(URL, "nodes = \"pve1\""),
        described(URL, "").replace("bridge = \"vmbr0\"\n", ""),
        described(URL, "").replace("disks = ", "disk = "),
        "[target.school]\n".to_owned(),
        "[targets.School]\n".to_owned(),
        "[targets.school\n".to_owned(),
    ];
    let texts: Vec<_> = cases.iter().map(|text| error(text).to_string()).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_secret_is_refused_and_not_shown() {
    let uuid = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";
    let cases = [
        described(URL, &format!("token = \"deploy@pve!ci={uuid}\"")),
        described(URL, &format!("vpn = \"deploy@pve!ci={uuid}\"")),
        described(URL, &format!("# the token's secret: {uuid}")),
        described(URL, "token = \"something short\""),
        described(URL, &format!("token = deploy@pve!ci={uuid}")),
        described(URL, "password = \"something short\""),
    ];
    let texts: Vec<_> = cases.iter().map(|text| error(text).to_string()).collect();
    for text in &texts {
        assert!(!text.contains("0b1c") && !text.contains("something"), "{text}");
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn everything_that_can_be_said() {
    let text = "[targets.school]\nurl = \"https://[2001:db8::1]/\"\nnodes = [\"pve2\", \"pve1\"]\n\
                storage = { import = \"nfs\", disks = \"rbd\" }\nbridge = \"vmbr7\"\npool = \"schools/north\"\n\
                tag = \"mine\"\nvmids = \"500-599\"\nfirewall = false\nca = \"~/ca.pem\"\n\
                token_command = [\"pass\", \"show\", \"pve/school token\"]\nvpn = \"call the office\"\n";
    let all = parse(text, "t.toml", Path::new("profiles"), Some("/home/me")).expect("targets");
    let target = &all[0];
    assert_eq!((target.url.as_str(), target.authority()), ("https://[2001:db8::1]:8006", "[2001:db8::1]:8006"));
    assert_eq!((target.nodes.join(","), target.vmids.clone()), ("pve2,pve1".into(), 500..=599));
    assert_eq!(target.trust, Trust::Authority(PathBuf::from("/home/me/ca.pem")));
    let words = ["pass", "show", "pve/school token"].map(str::to_owned);
    assert_eq!(target.login, LoginMethod::Token(SecretSource::Command(words.into())));
    assert_eq!(target.location, "t.toml:1:10");

    let least = common::target(URL, "");
    assert_eq!((least.url.as_str(), least.tag.as_str()), ("https://pve.example.org:8006", "diorite"));
    assert_eq!((least.vmids, least.firewall, least.trust), (9000..=9999, true, Trust::System));
    assert_eq!(
        common::target("http://[::1]:80", "").url,
        "http://[::1]:80",
        "this very machine may be asked without TLS"
    );
    let file = described(URL, "token_file = \"secret/token\"").replace("token_env = \"PVE_TOKEN\"\n", "");
    let file = &parse(&file, "t.toml", Path::new("profiles"), None).expect("targets")[0];
    assert_eq!(
        file.login,
        LoginMethod::Token(SecretSource::File("profiles/secret/token".into())),
        "beside the file that names it"
    );
}

#[test]
fn the_example_is_one() {
    let all = parse(diorite_proxmox::target::example(), "t.toml", Path::new("."), None).expect("the example");
    assert_eq!(all[0].name, "school");
}

#[test]
fn the_nearer_file_goes_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let (near, far) = (directory.path().join("near.toml"), directory.path().join("far.toml"));
    let all = [near.clone(), far.clone()];
    let place = |e: Error| e.to_string().replace(&directory.path().display().to_string(), "DIRECTORY");
    let none = |_: &str| None;
    let mut texts = vec![place(find("school", &all, &none).expect_err("there is no file"))];
    fs::write(
        &far,
        described("https://far.example", "") + &described("https://b.example", "").replace("school", "office"),
    )
    .expect("a file");
    assert_eq!(find("school", &all, &none).expect("far").authority(), "far.example:8006");
    fs::write(&near, described("https://near.example", "")).expect("a file");
    assert_eq!(find("school", &all, &none).expect("near").authority(), "near.example:8006");
    texts.push(place(find("ofice", &all, &none).expect_err("no such target")));
    insta::assert_snapshot!(texts.join("\n\n"));
    let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
    let desired = ["profiles/targets.toml", "/home/me/.config/diorite/targets.toml"].map(PathBuf::from);
    assert_eq!(files(&home), desired);
}

/// `pvenode cert info` prints no algorithm, openssl and curl do.
#[test]
fn a_fingerprint_is_taken_as_it_is_printed() {
    let bytes: Vec<_> = (0..32).map(|n| format!("{n:02X}")).collect();
    let pin = |form: String| {
        let text = described(URL, &format!("fingerprint = \"{form}\""));
        parse(&text, "t.toml", Path::new("."), None).unwrap_or_else(|e| panic!("{e}")).remove(0).trust
    };
    let expected = diorite_proxmox::target::Trust::Fingerprint(std::array::from_fn(|n| n as u8));
    for form in [bytes.join(":"), bytes.concat(), bytes.join(":").to_lowercase(), format!("sha256:{}", bytes.join(":"))]
    {
        assert_eq!(pin(form.clone()), expected, "{form}");
    }
    // And as errors show it.
    assert_eq!(pin(diorite_proxmox::target::fingerprint(&std::array::from_fn(|n| n as u8))), expected);
}

#[test]
fn one_bad_target_does_not_block_the_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("targets.toml");
    let bad = described("https://b.example", "fingerprnt = \"00\"").replace("school", "office");
    fs::write(&file, described(URL, "") + &bad).expect("a file");
    let of = |name: &str| find(name, std::slice::from_ref(&file), &|_| None);
    assert_eq!(of("school").expect("it is right").name, "school");
    let error = of("office").expect_err("it is wrong");
    assert!(error.to_string().contains("`targets.office` has no key `fingerprnt`"), "{error}");
    // What is said of a target that is not there names both.
    let error = of("ofice").expect_err("no such target").to_string();
    assert!(error.contains("did you mean `office`? available: office, school"), "{error}");
}

#[test]
fn where_the_secret_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    let of_file = common::target(URL, "").clone();
    let mut of_file = of_file;
    of_file.login = LoginMethod::Token(SecretSource::File(file.clone()));
    let mut of_program = of_file.clone();
    let program =
        |words: &[&str]| LoginMethod::Token(SecretSource::Command(words.iter().map(|w| (*w).to_owned()).collect()));
    let none = |_: &str| None;
    let place = |e: Error| {
        assert_eq!(e.exit, Exit::Input);
        let text = e.to_string().replace(&directory.path().display().to_string(), "DIRECTORY");
        assert!(!text.contains("s3cret"), "{text}");
        text
    };
    let refused = |target: &diorite_proxmox::Target| place(target.credential(&none).expect_err("refused"));

    let mut texts = vec![refused(&common::target(URL, "")), refused(&of_file)];
    fs::write(&file, "deploy@pve!ci=s3cret\nand a remark\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
    texts.push(refused(&of_file));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    match of_file.credential(&none).expect("a token") {
        Credential::Token { id, whole } => {
            assert_eq!((id.as_str(), whole.show()), ("deploy@pve!ci", "deploy@pve!ci=s3cret"));
            assert_eq!(format!("{whole:?}"), "•••");
        }
        other => panic!("{other:?}"),
    }
    fs::write(&file, "deploy@pve:s3cret\n").expect("a file");
    texts.push(refused(&of_file));
    fs::write(&file, "\n").expect("a file");
    texts.push(refused(&of_file));

    of_program.login = program(&["/bin/sh", "-c", "echo 'PVEAPIToken=deploy@pve!ci=s3cret'"]);
    assert_eq!(of_program.credential(&none).expect("a token").who(), "deploy@pve!ci");
    fs::write(&file, "deploy@pve!ci=s3cret\n").expect("a file");
    let printed = format!("cat {}; exit 3", file.display());
    of_program.login = program(&["/bin/sh", "-c", &printed]);
    texts.push(refused(&of_program));
    of_program.login = program(&["/there/is/no/such/program"]);
    texts.push(refused(&of_program));
    insta::assert_snapshot!(texts.join("\n\n"));
}
