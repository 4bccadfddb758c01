//! Repositories besides Debian's that cannot be relied on, and what is said about each. Those that can be are judged by apt, in
//! tests/vendor.rs.

use super::*;
use crate::release::tests::sign_beside;
use openpgp::Cert;
use openpgp::serialize::Serialize as _;

const URI: &str = "https://vendor.example/apt";
const HEAD: &str = "Date: Wed, 31 Dec 2025 00:00:00 UTC\n";

/// `SHA256: …` for one index under this path.
fn listed(field: &str, path: &str) -> String {
    let digest = match field {
        "MD5Sum" => "d".repeat(32),
        _ => Digest::of(INDEX.as_bytes()).to_string(),
    };
    format!("{field}:\n {digest} {} {path}\n", INDEX.len())
}

fn read(suite: &str, files: BTreeMap<String, Vec<u8>>, keyring: &Keyring) -> Result<SuiteIndex> {
    let components = ["main".to_owned()];
    let components = if is_flat(suite) { &[] } else { &components[..] };
    let (name, suite) = ("vendor".to_owned(), suite.to_owned());
    Suite { name, suite, components, repository: Repository::Extra(URI), keyring, priority: Some(500) }.read(
        &Memory(files),
        "amd64",
        NOW,
    )
}

fn inline(text: &str, cert: &Cert) -> Vec<u8> {
    sign(text, cert, NOW - DAY, HashAlgorithm::SHA256)
}

/// The files of a flat repository in its own root, with this release file.
fn flat(release: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    [("InRelease".to_owned(), release), ("Packages".to_owned(), INDEX.into())].into()
}

#[test]
fn what_cannot_be_relied_on_is_refused_in_words_that_fit() {
    let cert = certificate(NOW - 100 * DAY, None);
    let keyring = Keyring::of(vec![cert.clone()]);
    let stranger = Keyring::of(vec![certificate(NOW - 100 * DAY, None)]);
    let good = format!("{HEAD}{}", listed("SHA256", "Packages"));
    let beside = |text: &str, signature: Option<Vec<u8>>| {
        let mut files = BTreeMap::from([("Release".to_owned(), text.as_bytes().to_vec())]);
        files.insert("Packages".to_owned(), INDEX.into());
        files.extend(signature.map(|s| ("Release.gpg".to_owned(), s)));
        files
    };
    let suite = |fields: &str| {
        let text = format!("{fields}{HEAD}{}", listed("SHA256", "main/binary-amd64/Packages"));
        [("dists/stable/InRelease".to_owned(), inline(&text, &cert))].into()
    };
    let detached = |text: &str| sign_beside(text, &cert, NOW - DAY);
    // Positive controls: each of them with nothing wrong.
    read("./", flat(inline(&good, &cert)), &keyring).unwrap();
    read("./", beside(&good, Some(detached(&good))), &keyring).unwrap();
    let cases = [
        ("nothing there", read("./", BTreeMap::new(), &keyring)),
        ("nothing there, with suites", read("stable", BTreeMap::new(), &keyring)),
        ("not signed", read("./", beside(&good, None), &keyring)),
        (
            "signature of another text",
            read("./", beside(&good, Some(detached(&good.replace("31 Dec", "30 Dec")))), &keyring),
        ),
        ("signature that is none", read("./", beside(&good, Some(b"<html></html>".to_vec())), &keyring)),
        ("key missing", read("./", flat(inline(&good, &cert)), &stranger)),
        ("InRelease that is not signed", read("./", flat(good.clone().into_bytes()), &keyring)),
        ("MD5 alone", read("./", flat(inline(&format!("{HEAD}{}", listed("MD5Sum", "Packages")), &cert)), &keyring)),
        ("SHA-1 alone", read("./", flat(inline(&format!("{HEAD}{}", listed("SHA1", "Packages.gz")), &cert)), &keyring)),
        ("no index", read("./", flat(inline(&format!("{HEAD}{}", listed("SHA256", "Sources")), &cert)), &keyring)),
        ("index gone", read("./", BTreeMap::from([("InRelease".to_owned(), inline(&good, &cert))]), &keyring)),
        ("another suite", read("stable", suite("Suite: testing\nCodename: trixie\n"), &keyring)),
        ("expired", {
            let text = format!("Valid-Until: Wed, 31 Dec 2025 12:00:00 UTC\n{good}");
            read("./", flat(inline(&text, &cert)), &keyring)
        }),
    ];
    let words = cases.map(|(name, result)| {
        let text = result.err().unwrap_or_else(|| panic!("{name} is accepted")).to_string();
        // Key identifiers differ from run to run.
        let text: Vec<_> = text.split(' ').map(|w| if w.len() > 16 && w.ends_with(':') { "KEY:" } else { w }).collect();
        format!("# {name}\n{}\n", text.join(" "))
    });
    insta::assert_snapshot!(words.join("\n"));
}

/// What apt would not find either, and other tools write.
#[test]
fn names_as_find_prints_them() {
    let cert = certificate(NOW - 100 * DAY, None);
    let text = format!("{HEAD}{}", listed("SHA256", "./Packages"));
    let index = read("./", flat(inline(&text, &cert)), &Keyring::of(vec![cert])).unwrap();
    assert_eq!(index.texts, [INDEX]);
}

/// A suite's release file may leave its name out, or its last part; what it says otherwise counts.
#[test]
fn a_suite_of_several_parts() {
    let cert = certificate(NOW - 100 * DAY, None);
    let keyring = Keyring::of(vec![cert.clone()]);
    for (names, good) in
        [("", true), ("Codename: bookworm\n", true), ("Suite: bookworm/updates\n", true), ("Suite: updates\n", false)]
    {
        let text = format!("{names}{HEAD}{}", listed("SHA256", "main/binary-amd64/Packages"));
        let directory = "dists/bookworm/updates";
        let files = BTreeMap::from([
            (format!("{directory}/InRelease"), inline(&text, &cert)),
            (format!("{directory}/main/binary-amd64/Packages"), INDEX.into()),
        ]);
        assert_eq!(read("bookworm/updates", files, &keyring).is_ok(), good, "{names}");
    }
}

/// Binary, armored, and several armored texts in one file, as people put them together with cat(1).
#[test]
fn keyrings_as_vendors_give_them() {
    let (old, new) = (certificate(NOW - 100 * DAY, None), certificate(NOW - 100 * DAY, None));
    let write = |armored: bool| {
        let mut bytes = Vec::new();
        for cert in [&old, &new] {
            match armored {
                true => cert.armored().serialize(&mut bytes).unwrap(),
                false => cert.serialize(&mut bytes).unwrap(),
            }
        }
        bytes
    };
    let text = format!("{HEAD}{}", listed("SHA256", "Packages"));
    for bytes in [write(false), write(true)] {
        let keyring = Keyring::parse(&bytes, "vendor.gpg").unwrap_or_else(|e| panic!("{e}"));
        for cert in [&old, &new] {
            assert!(read("./", flat(inline(&text, cert)), &keyring).is_ok());
        }
    }
    let keybox = [&[0, 0, 0, 32, 1, 1, 0, 2][..], b"KBXf", &[0; 20]].concat();
    let error = Keyring::parse(&keybox, "profiles/vendor.gpg").err().expect("no keyring").to_string();
    assert!(error.contains("keybox") && error.contains("--export"), "{error}");
}
