//! The bills of materials of the image that `make test` builds: valid by the schemas of those who define the formats, counted
//! against dpkg and the lock, and complete by tree.manifest.

mod common;
#[path = "../../trust/tests/validator/mod.rs"]
mod validator;

use common::{material, text};
use diorite_archive::lockfile;
use diorite_host::tools::{Tool, ToolsTree};
use diorite_rootfs::pack;
use diorite_rootfs::tree::{NodeKind, Tree};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use validator::Format;

const STORE: &str = "/usr/lib/containers/storage/";
const DATABASE: &str = "/usr/lib/sysimage/dpkg";

fn result(name: &str) -> Vec<u8> {
    let file = material("DIORITE_TEST_OUT").join(name);
    fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&result(name)).expect("JSON")
}

fn property<'a>(component: &'a Value, name: &str) -> Option<&'a str> {
    let of = component["properties"].as_array()?.iter().find(|p| p["name"] == name)?;
    of["value"].as_str()
}

/// `NAME VERSION ARCHITECTURE` of packages of dpkg; of the machine, or of a container.
fn packages(document: &Value, container: Option<&str>) -> BTreeSet<String> {
    let components = document["components"].as_array().expect("components").iter();
    let wanted = |c: &&Value| {
        let kind = property(c, "diorite:kind").unwrap_or_default();
        ["deb", "kernel", "firmware"].contains(&kind) && property(c, "diorite:container") == container
    };
    let line = |c: &Value| {
        let purl = c["purl"].as_str().expect("a package URL");
        let architecture = purl.split_once("arch=").expect("an architecture").1.split('&').next().unwrap_or_default();
        format!("{} {} {architecture}", c["name"].as_str().expect("a name"), c["version"].as_str().expect("a version"))
    };
    components.filter(wanted).map(line).collect()
}

/// The same from SPDX, all trees together.
fn packages_of_spdx(document: &Value) -> BTreeSet<String> {
    let packages = document["packages"].as_array().expect("packages").iter();
    let purl = |p: &Value| Some(p["externalRefs"].get(0)?["referenceLocator"].as_str()?.to_owned());
    packages.filter_map(purl).filter(|purl| purl.starts_with("pkg:deb/") && !purl.contains("arch=source")).collect()
}

#[test]
fn they_are_valid_by_the_official_schemas() {
    validator::judge(Format::Spdx, &result("sbom.spdx.json")).unwrap_or_else(|said| panic!("{said}"));
    validator::judge(Format::CycloneDx, &result("sbom.cdx.json")).unwrap_or_else(|said| panic!("{said}"));
}

/// dpkg's own list of what is installed, from its database inside the root file system.
#[test]
fn every_package_of_dpkg_is_in_them_and_no_other() {
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let build = json("build.json");
    let steps = build["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["name"] == "filesystem").expect("the step");
    let key = step["key"].as_str().expect("a key");
    let root = material("DIORITE_TEST_STORE").join("steps/filesystem").join(key).join("root.erofs");
    let directory = tempfile::tempdir().expect("a directory");
    let status = format!("--path={DATABASE}/status");
    let status = tools.command(Tool::DumpErofs).input(&root).arg("--cat").arg(status).arg(root.as_os_str());
    fs::write(directory.path().join("status"), status.run_ok().expect("dump.erofs reads it").stdout).expect("a file");
    let query = tools
        .command(Tool::DpkgQuery)
        .arg(format!("--admindir={}", directory.path().display()))
        .args(["--show", "--showformat=${Package} ${Version} ${Architecture}\n"]);
    let listed = query.input(directory.path()).run_ok().expect("dpkg-query reads it");
    let listed: BTreeSet<String> = text(&listed.stdout).lines().map(str::to_owned).collect();
    assert!(listed.len() > 150 && listed.iter().any(|line| line.starts_with("podman ")), "{listed:?}");
    let document = json("sbom.cdx.json");
    assert_eq!(packages(&document, None), listed);
    let lock = lockfile::read(&material("DIORITE_TEST_LOCK")).expect("the lock");
    let locked = lock.container["web"].iter().map(|p| format!("{} {} {}", p.name, p.version, p.architecture));
    let in_container = packages(&document, Some("web"));
    assert_eq!(in_container, locked.collect());
    let purls: BTreeSet<String> = document["components"]
        .as_array()
        .expect("components")
        .iter()
        .filter_map(|c| c["purl"].as_str())
        .filter(|purl| purl.starts_with("pkg:deb/") && !purl.contains("arch=source"))
        .map(str::to_owned)
        .collect();
    assert_eq!(packages_of_spdx(&json("sbom.spdx.json")), purls);
    // Each with the digest that the lock has for it, but for the one that is in no archive.
    for component in document["components"].as_array().expect("components") {
        let purl = component["purl"].as_str().unwrap_or_default();
        if purl.starts_with("pkg:deb/debian/") && !purl.contains("arch=source") {
            let content = component["hashes"][0]["content"].as_str().unwrap_or_else(|| panic!("{purl} has no digest"));
            assert!(lock.packages().iter().any(|p| p.sha256.to_string() == content), "{purl}");
        }
    }
}

/// Paths that dpkg's lists name, through the links at the top of the tree.
fn owned(tree: &Tree) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (path, node) in tree.children(b"var/lib/dpkg/info") {
        let NodeKind::File(content) = &node.kind else { continue };
        if path.ends_with(b".list") {
            for line in text(content.bytes()).lines() {
                let real = line.split_once('/').and_then(|(_, rest)| tree.resolve(rest.as_bytes()));
                all.extend(real.map(|path| format!("/{}", text(&path))));
            }
        }
    }
    all
}

/// A path with its `\xNN` read.
fn plain(path: &str) -> String {
    let mut parts = path.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    text(&bytes)
}

/// Where a path of the image was in the tree that dpkg knows.
fn before(path: &str) -> String {
    let kept = path.strip_prefix("/usr/share/factory").unwrap_or(path);
    ["/home/", "/srv/", "/opt/"]
        .iter()
        .find_map(|d| kept.strip_prefix("/var").filter(|p| p.starts_with(d)))
        .unwrap_or(kept)
        .into()
}

#[test]
fn every_file_of_no_package_is_in_them() {
    let tree = pack::open(&material("DIORITE_TEST_TREE")).expect("the configured tree");
    let owned = owned(&tree);
    assert!(owned.contains("/usr/bin/bash") && !owned.contains("/etc/fstab"));
    let manifest = text(&result("tree.manifest"));
    // `KIND MODE UID:GID SIZE SHA256 PATH`
    let files = manifest.lines().filter(|line| line.starts_with("- "));
    let files: Vec<(String, &str)> = files
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (plain(words[5]), words[4])
        })
        .collect();
    let document = json("sbom.spdx.json");
    let listed: BTreeSet<(String, String)> = document["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| {
            let name = file["fileName"].as_str().expect("a name").trim_start_matches('.');
            let sums = file["checksums"].as_array().expect("sums").iter();
            let sum = sums.filter(|sum| sum["algorithm"] == "SHA256").map(|sum| &sum["checksumValue"]);
            (plain(name), sum.filter_map(Value::as_str).next().expect("SHA-256").to_owned())
        })
        .collect();
    let of_nobody =
        |path: &str| !path.starts_with(STORE) && !path.starts_with(DATABASE) && !owned.contains(&before(path));
    let missing: Vec<&String> = files
        .iter()
        .filter(|(path, sum)| of_nobody(path) && !listed.contains(&(path.clone(), (*sum).to_owned())))
        .map(|(path, _)| path)
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let count = files.iter().filter(|(path, _)| of_nobody(path)).count();
    assert!(count > 50, "{count} files of no package");
    // And nothing is listed that is not there.
    let there: BTreeSet<(String, String)> = files.into_iter().map(|(path, sum)| (path, sum.to_owned())).collect();
    assert!(listed.is_subset(&there), "{:#?}", listed.difference(&there).collect::<Vec<_>>());
    let paths: BTreeSet<&str> = listed.iter().map(|(path, _)| path.as_str()).collect();
    assert!(!paths.contains("/usr/bin/bash") && paths.contains("/etc/fstab"));
    let page = |path: &&str| path.starts_with(STORE) && path.ends_with("/diff/srv/www/index.html");
    assert_eq!(paths.iter().copied().filter(|path| page(path)).count(), 1, "the overlay of the container");
    let busybox = |path: &&str| path.starts_with(STORE) && path.ends_with("/busybox");
    assert_eq!(paths.iter().copied().find(|path| busybox(path)), None, "its package brought it");
}

/// What Debian's programs declare: the version of Go, and the sources that were built into them.
#[test]
fn what_programs_declare_is_in_them() {
    let document = json("sbom.cdx.json");
    let components = document["components"].as_array().expect("components");
    let of = |kind: &str| components.iter().filter(|c| property(c, "diorite:kind") == Some(kind)).collect::<Vec<_>>();
    let go = of("go");
    assert!(go.iter().any(|c| c["name"] == "stdlib" && property(c, "diorite:declared-in").is_some()), "{go:?}");
    assert!(of("source").iter().any(|c| c["name"] == "golang-1.24" || c["name"] == "containerd"));
    assert!(!of("kernel").is_empty());
}
