//! What is asked of the network: `lock` asks for release files and indexes, `fetch` for the packages that the lock names and
//! the store lacks, and `build` for nothing. A proxy on the loopback writes it down.

mod common;
#[path = "common/proxy.rs"]
mod proxy;
use common::harness::{Outcome, ignored, run};
use common::{Project, host, material, reference, root, text};
use proxy::RecordingProxy;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, ExitCode};

/// A mirror that only the proxy knows; names below `.invalid` lead nowhere (RFC 6761).
const MIRROR: &str = "http://archive.invalid/debian";

fn main() -> ExitCode {
    run(tests![
        fetch_asks_for_what_the_lock_names_and_build_for_nothing,
        lock_asks_for_release_files_and_indexes_alone,
        a_build_needs_no_network_interface,
    ])
}

/// The program, with every way to the network led through the proxy.
fn through(proxy: &RecordingProxy, project: &Project) -> Command {
    let mut command = project.diorite();
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env(name, &proxy.address);
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY");
    command.env("DIORITE_MIRROR", MIRROR).env("DIORITE_SECURITY_MIRROR", "http://security.invalid/debian-security");
    command
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}\n{}", text(&output.stderr));
}

/// Paths and digests of all that the lock names.
fn named() -> BTreeMap<String, String> {
    let lock = fs::read_to_string(material("DIORITE_TEST_LOCK")).expect("the lock");
    let lock: toml::Table = lock.parse().expect("TOML");
    let mut all = BTreeMap::new();
    let mut rest: Vec<&toml::Value> = lock.values().collect();
    while let Some(value) = rest.pop() {
        if let (Some(path), Some(sha256)) = (value.get("path"), value.get("sha256")) {
            let plain = |value: &toml::Value| value.as_str().expect("text").to_owned();
            all.insert(plain(path), plain(sha256));
        }
        match value {
            toml::Value::Array(values) => rest.extend(values),
            toml::Value::Table(table) => rest.extend(table.values()),
            _ => {}
        }
    }
    all
}

fn fetch_asks_for_what_the_lock_names_and_build_for_nothing() -> Outcome {
    let store = material("DIORITE_TEST_STORE");
    let named = named();
    assert!(named.len() > 100, "{named:?}");
    let pool = |sha256: &str| {
        let directory = store.join("pool").join(&sha256[..2]);
        let files = fs::read_dir(directory).expect("the pool").flatten().map(|entry| entry.path());
        files.into_iter().find(|file| file.to_string_lossy().contains(sha256)).expect("a package of the lock")
    };
    let files = named.iter().map(|(path, sha256)| (path.clone(), pool(sha256))).collect();
    let proxy = RecordingProxy::start(files);
    let project = Project::empty();
    fs::copy(material("DIORITE_TEST_LOCK"), project.path("profiles/server.lock")).expect("the lock");
    succeed(through(&proxy, &project).args(["-q", "fetch", "server"]));
    let asked = proxy.asked();
    let paths: Vec<String> = asked
        .iter()
        .map(|line| {
            let url = line.strip_prefix("GET ").unwrap_or_else(|| panic!("only GET: {line}"));
            let path = url.split_once(".invalid/").unwrap_or_else(|| panic!("only the mirrors: {url}")).1;
            path.split_once("/pool/").map(|(_, path)| format!("pool/{path}")).expect("only packages")
        })
        .map(|path| path.replace("%2b", "+").replace("%2B", "+"))
        .collect();
    let once: BTreeSet<&String> = paths.iter().collect();
    assert_eq!(once.len(), paths.len(), "nothing is asked for twice");
    assert_eq!(once, named.keys().collect(), "all that the lock names, and nothing else");
    // With one package missing, that one.
    let (path, sha256) = named.first_key_value().expect("a package");
    let blob = pool(sha256);
    let own = project.path("store/pool").join(blob.strip_prefix(store.join("pool")).expect("in the pool"));
    fs::remove_file(own).expect("the package");
    succeed(through(&proxy, &project).args(["-q", "fetch", "server"]));
    assert_eq!(proxy.asked(), [format!("GET {MIRROR}/{path}").replace('+', "%2b")]);
    // And then nothing, though the mirrors could be reached.
    succeed(through(&proxy, &project).args(["-q", "build", "server", "--format", "raw"]));
    assert_eq!(proxy.asked(), [""; 0]);
    assert_eq!(project.disk(), reference());
    Ok(())
}

fn lock_asks_for_release_files_and_indexes_alone() -> Outcome {
    let proxy = RecordingProxy::start(BTreeMap::new());
    let project = Project::new();
    fs::remove_file(project.path("profiles/base.lock")).expect("no lock");
    let mut command = through(&proxy, &project);
    for name in ["DIORITE_MIRROR", "DIORITE_SECURITY_MIRROR"] {
        match std::env::var_os(name) {
            Some(mirror) => command.env(name, mirror),
            None => command.env_remove(name),
        };
    }
    let output = command.args(["-q", "lock", "base"]).output().expect("the program starts");
    let asked = proxy.asked();
    if asked.is_empty() || asked.iter().all(|line| line.starts_with("CONNECT ")) {
        return ignored("the mirrors of this host are not asked by plain HTTP, so that a proxy sees no paths");
    }
    assert!(output.status.success(), "{}\n{asked:?}", text(&output.stderr));
    let good = |line: &String| {
        let index = line.contains("/Packages") || line.contains("/by-hash/SHA256/");
        line.starts_with("GET ") && line.contains("/dists/") && (line.ends_with("/InRelease") || index)
    };
    let bad: Vec<_> = asked.iter().filter(|line| !good(line)).collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert!(asked.iter().any(|line| line.ends_with("/InRelease")) && asked.len() >= 4, "{asked:?}");
    Ok(())
}

fn a_build_needs_no_network_interface() -> Outcome {
    if !root() {
        return ignored("only root can give a test a network of its own");
    }
    let project = Project::locked();
    host::apart(|| {
        // SAFETY: unshare(2) of the network concerns this thread and its children alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "root of this host may have a network of its own");
        let interfaces = fs::read_to_string("/proc/thread-self/net/dev").expect("interfaces");
        let others: Vec<_> = interfaces.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:")).collect();
        assert!(others.is_empty(), "the loopback alone, and that is down: {interfaces}");
        succeed(project.diorite().args(["-q", "build", "server", "--format", "raw"]));
    })?;
    assert_eq!(project.disk(), reference());
    Ok(())
}
