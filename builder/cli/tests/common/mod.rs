//! A project of its own for each test: profiles and overlays copied, results and store in a temporary directory.
#![allow(dead_code)]

pub mod errors;
pub mod harness;
pub mod host;

use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const DIORITE: &str = env!("CARGO_BIN_EXE_diorite");

/// The index of wheels that this host is told of, else the one that its pip has built in.
pub fn wheel_index() -> Option<String> {
    let named = ["DIORITE_WHEEL_INDEX", "PIP_INDEX_URL"].iter().find_map(|name| std::env::var(name).ok());
    named.or_else(|| {
        let mut pip = Command::new("python3");
        let output = pip.args(["-m", "pip", "download", "--help"]).env("COLUMNS", "1000").output().ok()?;
        let help = text(&output.stdout);
        let line = help.lines().find(|line| line.contains("--index-url <url>"))?;
        Some(line.split_once("(default ")?.1.split_once(')')?.0.to_owned())
    })
}

/// Something `make test` prepares; a test that needs it cannot run without, and says how.
pub fn material(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(value) => value.into(),
        None => panic!("{name} is not set: run the tests with `make test`, which prepares packages and tools"),
    }
}

/// A directory with profiles/ and overlays/, and an empty store that already holds the packages.
pub struct Project {
    pub directory: tempfile::TempDir,
}

impl Project {
    /// A copy of the repository's profiles and overlays, where small temporary files go.
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// An empty directory.
    pub fn bare() -> Self {
        Self::in_a_directory_of(&std::env::temp_dir())
    }

    fn in_a_directory_of(place: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("diorite-test-").tempdir_in(place);
        Self { directory: directory.expect("a temporary directory") }
    }

    fn below(place: &Path) -> Self {
        let project = Self::in_a_directory_of(place);
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for name in ["profiles", "overlays"] {
            copy(&repository.join(name), &project.path(name));
        }
        project
    }

    /// With the lock the material was built from, and its packages (links into the prepared pool).
    pub fn locked() -> Self {
        let project = Self::below(&scratch());
        fs::copy(material("DIORITE_TEST_LOCK"), project.path("profiles/server.lock")).expect("the lock can be copied");
        let pool = material("DIORITE_TEST_STORE").join("pool");
        fs::create_dir_all(project.path("store")).expect("a store");
        symlink(pool, project.path("store/pool")).expect("a link to the pool");
        project
    }

    /// With room for everything, and a store that holds nothing.
    pub fn empty() -> Self {
        Self::below(&scratch())
    }

    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(inside)
    }

    /// The program, run in this project. It can reach no network: the only mirror, and the only index of wheels, is a closed port.
    pub fn diorite(&self) -> Command {
        let mut command = Command::new(DIORITE);
        command
            .current_dir(self.directory.path())
            .env("DIORITE_STORE", self.path("store"))
            .env("DIORITE_MIRROR", "http://127.0.0.1:9/debian")
            .env("DIORITE_SECURITY_MIRROR", "http://127.0.0.1:9/debian-security")
            .env("DIORITE_WHEEL_INDEX", "http://127.0.0.1:9/simple");
        for name in ["DIORITE_SNAPSHOT", "DIORITE_SANDBOX", "DIORITE_SIMULATE", "http_proxy", "https_proxy"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it and expects success.
    pub fn succeed(&self, arguments: &[&str]) -> Output {
        let output = self.diorite().args(arguments).output().expect("the program starts");
        assert!(output.status.success(), "diorite {arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
        output
    }

    /// Runs it with `--json`, expects success, and that stdout is one JSON value that says its schema.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.succeed(&[arguments, &["--json"]].concat());
        let value: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON value");
        assert_eq!(value["schema"], 1, "{arguments:?}");
        value
    }

    /// SHA-256 of the disk that was built, as build.json says it.
    pub fn disk(&self) -> String {
        self.disk_in("out/server")
    }

    /// The same of another directory for results.
    pub fn disk_in(&self, out: &str) -> String {
        disk_of(&self.path(out))
    }
}

fn disk_of(out: &Path) -> String {
    let text = fs::read(out.join("build.json")).expect("build.json is there");
    let build: Value = serde_json::from_slice(&text).expect("build.json is JSON");
    build["disk_sha256"].as_str().expect("a digest").to_owned()
}

/// The digest of the build that `make test` prepared: its own store, path and threads.
pub fn reference() -> String {
    disk_of(&material("DIORITE_TEST_OUT"))
}

/// Whether the suite runs as root.
pub fn root() -> bool {
    // SAFETY: asks for an id.
    unsafe { libc::geteuid() == 0 }
}

/// Large temporary files: beside the store of the material, else where temporary files go.
fn scratch() -> PathBuf {
    let store = std::env::var_os("DIORITE_TEST_STORE").map(PathBuf::from);
    match store.and_then(|s| s.parent().map(Path::to_owned)) {
        Some(directory) => directory,
        None => std::env::temp_dir(),
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory to copy").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file to copy");
        }
    }
}
