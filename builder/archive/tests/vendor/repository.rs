//! Repositories as vendors' tools write them, each with one package, made on disk and signed here.

use openpgp::Cert;
use openpgp::cert::CertBuilder;
use openpgp::serialize::Serialize as _;
use openpgp::serialize::stream::{Armorer, Message, Signer};
use sequoia_openpgp as openpgp;
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Where the signature is.
#[derive(Clone, Copy, PartialEq)]
pub enum Signature {
    /// In InRelease.
    Inline,
    /// In Release.gpg beside Release, armored.
    Detached,
}

/// One shape of a repository.
#[derive(Clone)]
pub struct RepositoryShape {
    /// What is special about it; also the name of its package and of its directory.
    pub name: &'static str,
    /// As in sources.list(5).
    pub suite: &'static str,
    /// None of a flat one.
    pub component: Option<&'static str>,
    /// Fields of the release file.
    pub fields: &'static str,
    pub signature: Signature,
    /// Fields of digests in the release file and in the index.
    pub digests: (&'static [&'static str], &'static [&'static str]),
    /// Forms of Packages that are listed, and those of them that are there.
    pub forms: (&'static [&'static str], &'static [&'static str]),
    /// The index lies at its by-hash addresses alone.
    pub by_hash: bool,
    /// What stands before the file's name in `Filename:`; the file is there, below the root.
    pub pool: &'static str,
    /// Directory of the index below the component.
    pub binary: &'static str,
    /// The keyring is one armored text, or a binary file.
    pub armored_key: bool,
}

/// A flat repository in its own root, as `dpkg-scanpackages .` and `apt-ftparchive release .` make it.
pub const FLAT: RepositoryShape = RepositoryShape {
    name: "flat",
    suite: "./",
    component: None,
    fields: "",
    signature: Signature::Inline,
    digests: (&["SHA256"], &["SHA256"]),
    forms: (&[""], &[""]),
    by_hash: false,
    pool: "./",
    binary: "",
    armored_key: false,
};

/// One with suites and components.
pub const SUITES: RepositoryShape = RepositoryShape {
    name: "suites",
    suite: "stable",
    component: Some("main"),
    fields: "Suite: stable\nCodename: stable\nComponents: main\nArchitectures: amd64\n",
    forms: (&["", ".gz", ".xz"], &[".gz", ".xz"]),
    pool: "pool/main/",
    binary: "binary-amd64/",
    armored_key: true,
    ..FLAT
};

impl RepositoryShape {
    /// The directory of the release file.
    fn directory(&self) -> String {
        match self.component {
            Some(_) => format!("dists/{}/", self.suite),
            None => self.suite.trim_start_matches("./").trim_start_matches('/').to_owned(),
        }
    }

    /// Makes it in `root`, with this package in it, and its keyring beside `root`; the path of the keyring.
    pub fn make(&self, root: &Path, deb: &[u8], control: &str, key: &Cert) -> PathBuf {
        let file = format!("{}{}_1.0_all.deb", self.pool, self.name);
        write(root, &file, deb);
        let digests: String = self.digests.1.iter().map(|field| format!("{field}: {}\n", digest(field, deb))).collect();
        let packages = format!("{control}Filename: {file}\nSize: {}\n{digests}\n", deb.len());
        let directory = self.directory();
        let index = format!("{}{}", self.component.map(|c| format!("{c}/")).unwrap_or_default(), self.binary);
        let mut lists = vec![String::new(); self.digests.0.len()];
        for form in self.forms.0 {
            let bytes = pack(packages.as_bytes(), form);
            for (list, field) in lists.iter_mut().zip(self.digests.0) {
                let digest = digest(field, &bytes);
                let _ = writeln!(list, " {digest} {} {index}Packages{form}", bytes.len());
                if self.by_hash {
                    write(root, &format!("{directory}{index}by-hash/{field}/{digest}"), &bytes);
                }
            }
            if self.forms.1.contains(form) && !self.by_hash {
                write(root, &format!("{directory}{index}Packages{form}"), &bytes);
            }
        }
        let mut release = format!("Origin: Vendor\n{}Date: Wed, 01 Jan 2025 00:00:00 UTC\n", self.fields);
        for (list, field) in lists.iter().zip(self.digests.0) {
            let _ = write!(release, "{field}:\n{list}");
        }
        match self.signature {
            Signature::Inline => write(root, &format!("{directory}InRelease"), &sign(&release, key, self.signature)),
            Signature::Detached => {
                write(root, &format!("{directory}Release"), release.as_bytes());
                write(root, &format!("{directory}Release.gpg"), &sign(&release, key, self.signature));
            }
        }
        let keyring = root.with_extension(if self.armored_key { "asc" } else { "gpg" });
        let mut bytes = Vec::new();
        match self.armored_key {
            true => key.armored().serialize(&mut bytes).expect("in memory"),
            false => key.serialize(&mut bytes).expect("in memory"),
        }
        fs::write(&keyring, bytes).expect("a keyring");
        keyring
    }
}

/// A key that signs.
pub fn key() -> Cert {
    CertBuilder::new().add_userid("Vendor <apt@vendor.example>").add_signing_subkey().generate().expect("a key").0
}

fn sign(text: &str, key: &Cert, how: Signature) -> Vec<u8> {
    let key = key.keys().secret().nth(1).expect("a subkey").key().clone().into_keypair().expect("a key pair");
    let mut out = Vec::new();
    let mut message = Message::new(&mut out);
    if how == Signature::Detached {
        message = Armorer::new(message).kind(openpgp::armor::Kind::Signature).build().expect("armor");
    }
    let signer = Signer::new(message, key).expect("a signer");
    let signer = if how == Signature::Detached { signer.detached() } else { signer.cleartext() };
    let mut message = signer.build().expect("a message");
    message.write_all(text.as_bytes()).expect("in memory");
    message.finalize().expect("a signature");
    out
}

fn digest(field: &str, bytes: &[u8]) -> String {
    let digest = match field {
        "SHA512" => Sha512::digest(bytes).to_vec(),
        "SHA256" => Sha256::digest(bytes).to_vec(),
        other => panic!("{other}"),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pack(bytes: &[u8], form: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let read = match form {
        ".gz" => flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut out),
        ".xz" => liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut out),
        ".zst" => zstd::stream::read::Encoder::new(bytes, 1).expect("an encoder").read_to_end(&mut out),
        _ => return bytes.to_vec(),
    };
    read.expect("in memory");
    out
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, bytes).expect("a file");
}
