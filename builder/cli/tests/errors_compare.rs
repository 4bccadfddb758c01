//! What `inspect`, `diff`, `whence` and `rebuild` refuse: files that are no images, images that carry nothing, sides that have
//! nothing to compare, and paths that are none.

mod common;
use common::Project;
use common::errors::{HEAD, deb, lock, profile, refused};
use diorite_image::filesystem::{self, FilesystemOptions};
use diorite_image::pe::Pe;
use diorite_image::{disk, esp, verity};
use diorite_model::recipe;
use diorite_rootfs::secrets::PublicSecrets;
use diorite_rootfs::tree::{Node, Tree};
use std::fs;

#[test]
fn files_that_are_no_images() {
    let project = Project::new();
    fs::write(project.path("text.raw"), "no image").expect("a file");
    fs::write(project.path("disk.qcow2"), b"QFI\xfb\0\0\0\x03").expect("a file");
    profile(&project, HEAD);
    let said = [
        refused(&project, &["inspect", "nowhere/disk.raw"], 1),
        refused(&project, &["inspect", "text.raw"], 1),
        refused(&project, &["inspect", "disk.qcow2"], 1),
        refused(&project, &["inspect", "./overlays"], 1),
        refused(&project, &["inspect", "profiles/base.lock"], 1),
        refused(&project, &["inspect", "mine"], 1),
        refused(&project, &["whence", "/etc/hosts", "mine"], 1),
        refused(&project, &["whence", "etc/hosts", "mine"], 1),
        refused(&project, &["rebuild", "text.raw"], 1),
        refused(&project, &["rebuild", "mine"], 3),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn sides_that_cannot_be_compared() {
    let project = Project::new();
    profile(&project, HEAD);
    fs::write(project.path("recipe.json"), "{}").expect("a file");
    fs::write(project.path("broken.lock"), "schema = 1\n").expect("a file");
    let without_a_lock = refused(&project, &["diff", "mine", "profiles/base.lock"], 3);
    lock(&project, &deb(10));
    let recipe = project.succeed(&["show", "mine", "--json"]);
    let recipe: serde_json::Value = serde_json::from_slice(&recipe.stdout).expect("JSON");
    fs::write(project.path("good.json"), recipe["recipe"].to_string()).expect("a file");
    let nothing_in_common = refused(&project, &["diff", "good.json", "profiles/mine.lock"], 1);
    profile(&project, &format!("{HEAD}[packages]\ninclude = [\"nano\"]\n"));
    let said = [
        without_a_lock,
        nothing_in_common,
        refused(&project, &["diff", "mine", "good.json"], 3),
        refused(&project, &["diff", "recipe.json", "good.json"], 1),
        refused(&project, &["diff", "broken.lock", "profiles/mine.lock"], 3),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// An image as versions made it that carried nothing: a root, its hash tree, and a kernel that is told the root hash.
fn without_a_recipe(project: &Project, more: &[(&str, &str)]) -> String {
    let path = |name: &str| project.path(name);
    let mut tree = Tree::new();
    tree.insert("etc/hosts", Node::file(0o644, "127.0.0.1 localhost\n"));
    more.iter().for_each(|(path, text)| tree.insert(*path, Node::file(0o644, *text)));
    filesystem::write(&tree, &FilesystemOptions::new(1_760_000_000, [7; 16]), &path("root"), None).expect("a root");
    let root_hash = verity::format(&path("root"), &path("verity"), &[1; 32], [8; 16]).expect("a hash tree").root_hash;
    let mut kernel = Pe::parse(program()).expect("a program");
    kernel.append(".cmdline", format!("roothash={root_hash} ro").as_bytes(), false).expect("a command line");
    let kernel = kernel.finish().expect("a kernel");
    let sizes = recipe::Disk { esp: 64 << 20, root: 8 << 20, verity: 1 << 20 };
    let files = [("EFI/Linux/old_1.efi".to_owned(), kernel.into())];
    let esp = esp::write(&files, sizes.esp, 1, "ESP", 1_760_000_000).expect("a boot partition");
    let (root, hashes, public) = (path("root"), path("verity"), PublicSecrets::default());
    let parts = disk::DiskParts {
        name: "old",
        version: "1",
        root: &root,
        verity: &hashes,
        root_hash,
        esp: &esp,
        sizes: &sizes,
        state: 0,
        public: &public,
    };
    disk::write(&parts, &path("old.raw")).expect("a disk");
    "old.raw".to_owned()
}

/// A PE32+ program with one section and header room for more (PE format, "Section Table").
fn program() -> Vec<u8> {
    let mut file = vec![0; 1024];
    let optional = 68 + 20;
    let section = optional + 240;
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &64u32.to_le_bytes());
    put(64, b"PE\0\0");
    put(68 + 2, &1u16.to_le_bytes());
    put(68 + 16, &240u16.to_le_bytes());
    put(optional, &0x20bu16.to_le_bytes());
    for (at, value) in [(32, 4096), (36, 512), (56, 2 * 4096), (60, 1024), (108, 16u32)] {
        put(optional + at, &value.to_le_bytes());
    }
    put(section, b".text");
    for (n, value) in [300, 4096, 512, 1024u32].into_iter().enumerate() {
        put(section + 8 + 4 * n, &value.to_le_bytes());
    }
    file.resize(1024 + 512, 0x90);
    file
}

#[test]
fn images_of_other_versions() {
    let project = Project::new();
    let old = without_a_recipe(&project, &[]);
    let shown = project.json(&["inspect", &old]);
    assert_eq!((&shown["intact"], &shown["carried"]), (&true.into(), &serde_json::Value::Null), "{shown}");
    assert_eq!(project.json(&["diff", &old, &old])["equal"], true);
    let mut said = vec![
        refused(&project, &["inspect", &old, "--print-recipe"], 1),
        refused(&project, &["whence", "/etc/hosts", &old], 1),
        refused(&project, &["rebuild", &old], 1),
    ];
    let newer = without_a_recipe(&project, &[("usr/share/diorite/image.json", "{ \"schema\": 2 }")]);
    said.push(refused(&project, &["inspect", &newer], 1));
    said.push(refused(&project, &["rebuild", &newer], 1));
    insta::assert_snapshot!(said.join("\n"));
}

/// Recipes and locks need no image: what they say is compared, in every form.
#[test]
fn recipes_and_locks_are_compared_without_images() {
    let project = Project::new();
    let recipe = |text: &str, file: &str| {
        profile(&project, text);
        let shown: serde_json::Value =
            serde_json::from_slice(&project.succeed(&["show", "mine", "--json"]).stdout).expect("JSON");
        fs::write(project.path(file), shown["recipe"].to_string()).expect("a file");
    };
    recipe(HEAD, "one.json");
    recipe(&format!("{HEAD}[firewall]\nallow = [{{ port = 8443, listener = \"own\" }}]\n"), "two.json");
    let equal = project.json(&["diff", "one.json", "one.json"]);
    assert_eq!(equal["equal"], true, "{equal}");
    let answer = project.json(&["diff", "one.json", "two.json"]);
    assert_eq!(answer["equal"], false);
    let rules = answer["firewall"].as_array().expect("a list");
    assert!(
        rules.iter().any(|rule| rule["after"].as_str().is_some_and(|line| line.contains("dport 8443"))),
        "{answer}"
    );
    assert_eq!(answer["not_compared"].as_array().map(Vec::len), Some(2), "packages and files: {answer}");
    let page = String::from_utf8(project.succeed(&["diff", "one.json", "two.json", "--html"]).stdout).expect("UTF-8");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("8443"));
    let markdown = project.succeed(&["diff", "one.json", "two.json", "--markdown"]);
    assert!(String::from_utf8(markdown.stdout).expect("UTF-8").contains("### Firewall"));
    let locks = project.json(&["diff", "profiles/base.lock", "profiles/server.lock"]);
    let packages = locks["packages"].as_array().expect("a list");
    assert!(packages.iter().any(|p| p["name"] == "less" && p["how"] == "added"), "{packages:?}");
}
