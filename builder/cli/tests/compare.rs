//! Built images: what is read of them, judged by erofs-utils; where each file comes from, judged by dpkg's lists; what two of them
//! differ in; and images with one flipped byte.

mod common;
use common::{Project, material, text};
use diorite_host::tools::{Tool, ToolsTree};
use diorite_image::read::ImageReader;
use diorite_rootfs::clock::Times;
use diorite_rootfs::paths::DATABASE;
use diorite_rootfs::provenance::Source;
use diorite_rootfs::read_directory;
use diorite_rootfs::tree::NodeKind;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The image of the material.
fn built() -> PathBuf {
    material("DIORITE_TEST_OUT").join("disk.raw")
}

fn open(path: &Path) -> ImageReader {
    ImageReader::open(path).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn what_is_read_of_an_image_is_what_fsck_extracts() {
    let project = Project::empty();
    let image = open(&built());
    let root = image.disk.root().expect("a root");
    let start = image.disk.partitions()[1].offset();
    let mut disk = File::open(built()).expect("the disk");
    disk.seek(SeekFrom::Start(start)).expect("the root");
    let mut bytes = vec![0; image.root.len() as usize];
    disk.read_exact(&mut bytes).expect("the root");
    assert!(root.len() >= image.root.len());
    let (file, target) = (project.path("root.erofs"), project.path("extracted"));
    fs::write(&file, bytes).expect("the root");
    fs::create_dir(&target).expect("a directory");
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let fsck = tools.command(Tool::FsckErofs).input(&file).output(&target);
    fsck.arg(format!("--extract={}", target.display()))
        .arg("--no-preserve-owner")
        .arg(file.as_os_str())
        .run_ok()
        .expect("fsck.erofs");
    let theirs = read_directory::read_directory(&target, &Times::at_most(i64::MAX)).unwrap_or_else(|e| panic!("{e}"));
    let ours = image.tree().unwrap_or_else(|e| panic!("{e}"));
    assert!(ours.nodes.len() > 10_000);
    let mut wrong = Vec::new();
    for (path, node) in &ours.nodes {
        let same = match (&node.kind, theirs.get(path).map(|their| &their.kind)) {
            (NodeKind::Directory, Some(NodeKind::Directory)) => true,
            (NodeKind::Symlink(a), Some(NodeKind::Symlink(b))) => a == b,
            (NodeKind::File(_) | NodeKind::HardLink(_), Some(NodeKind::File(_) | NodeKind::HardLink(_))) => {
                ours.read(path) == theirs.read(path)
            }
            _ => false,
        };
        if !same {
            wrong.push(path.escape_ascii().to_string());
        }
    }
    assert_eq!(wrong, [""; 0], "ours and theirs");
    assert_eq!(theirs.nodes.len(), ours.nodes.len());
}

#[test]
fn every_file_has_a_source_and_dpkg_knows_the_packages() {
    let image = open(&built());
    let provenance = &image.carried.as_ref().expect("it carries its provenance").provenance;
    let unattributed: Vec<_> = image.files.keys().filter(|path| provenance.get(path).is_none()).collect();
    assert_eq!(unattributed.len(), 0, "{unattributed:?}");
    assert_eq!(provenance.iter().count(), image.files.len(), "and nothing is attributed that is not there");
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, source) in provenance.iter() {
        *kinds
            .entry(match source {
                Source::Package(_) => "package",
                Source::Container(..) => "container",
                Source::Script => "script",
                Source::Generated(_) => "generated",
                Source::Sealing => "sealing",
                _ => "other",
            })
            .or_default() += 1;
    }
    assert!(kinds["package"] > 7000 && kinds["container"] > 2000 && kinds["generated"] > 30, "{kinds:?}");
    assert!(kinds["sealing"] < 60, "what nobody else made is little: {kinds:?}");
    // dpkg's own lists, which are in the image, name no other package for any file that we say is one's.
    let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let prefix = format!("{DATABASE}/info/").into_bytes();
    for (path, file) in image.files.iter().filter(|(path, _)| path.starts_with(&prefix) && path.ends_with(b".list")) {
        let name = String::from_utf8_lossy(&path[prefix.len()..path.len() - 5]).into_owned();
        let package = name.split(':').next().unwrap_or_default().to_owned();
        let list = image.root.content(path, file).expect("a list");
        for line in String::from_utf8_lossy(&list).lines() {
            lists.entry(line.trim_start_matches('/').to_owned()).or_default().push(package.clone());
        }
    }
    let regular =
        image.files.iter().filter(|(_, file)| matches!(file.kind, diorite_image::read::ImageFileKind::Regular(..)));
    let (mut judged, mut wrong) = (0, Vec::new());
    for (path, _) in regular {
        let (Some(Source::Package(name)), Ok(shown)) = (provenance.get(path), std::str::from_utf8(path)) else {
            continue;
        };
        // Packages may name a file through a link: /lib for /usr/lib.
        let named = lists.get(shown).or_else(|| lists.get(shown.strip_prefix("usr/").unwrap_or(shown)));
        if let Some(packages) = named {
            judged += 1;
            if !packages.contains(name) {
                wrong.push(format!("/{shown}: {name}, and dpkg says {packages:?}"));
            }
        }
    }
    assert!(judged > 5000, "{judged}");
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn an_image_carries_the_recipe_and_the_lock_it_was_made_from() {
    let project = Project::new();
    let disk = built().display().to_string();
    let recipe = project.succeed(&["inspect", &disk, "--print-recipe"]);
    let beside = fs::read_to_string(material("DIORITE_TEST_OUT").join("recipe.json")).expect("recipe.json");
    assert_eq!(text(&recipe.stdout), beside);
    let lock = text(&project.succeed(&["inspect", &disk, "--print-lock"]).stdout);
    let own = fs::read_to_string(material("DIORITE_TEST_LOCK")).expect("the lock");
    let packages = |lock: &str| lock.split("\ntools = [").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(packages(&lock)[0], packages(&own)[0], "up to the tools, which are in no image");
    assert!(packages(&lock)[1].starts_with("\n]\n"), "no tool is named");
    let answer = project.json(&["inspect", &disk]);
    assert_eq!((&answer["intact"], &answer["damages"]), (&true.into(), &serde_json::json!([])));
    assert_eq!(answer["carried"]["recipe"]["image"]["name"], "server");
}

/// Two images of this project: as it is, and with another page of the container, another version and a changed mode.
#[test]
fn two_images_differ_in_what_was_changed() {
    let project = Project::locked();
    let one = built().display().to_string();
    project.succeed(&["build", "server", "--format", "raw"]);
    let same = project.json(&["diff", &one, "server"]);
    assert_eq!(same["equal"], true, "{same}");
    fs::write(project.path("overlays/web/tree/srv/www/index.html"), "another page\n").expect("the overlay changes");
    project.succeed(&["build", "server", "--format", "raw"]);
    let answer = project.json(&["diff", &one, "out/server/disk.raw"]);
    let files = answer["files"].as_array().expect("files");
    let page =
        files.iter().find(|file| file["path"] == "container web: /srv/www/index.html").expect("the page differs");
    assert_eq!(page["fields"][0]["field"], "content");
    assert_eq!(page["fields"][0]["inside"]["what"], "line 1");
    assert_eq!((&page["source_after"], &page["step"]), (&"container web: overlay web".into(), &"filesystem".into()));
    for list in ["packages", "people", "units", "ports", "firewall", "kernel", "settings"] {
        assert_eq!(answer[list], serde_json::json!([]), "{list}");
    }
    let paths: Vec<&str> = files.iter().filter_map(|file| file["path"].as_str()).collect();
    let follows = |path: &&str| path.contains("/containers/storage/overlay") || path.contains("/share/diorite/");
    let other: Vec<_> = paths.iter().filter(|path| !follows(path)).collect();
    assert_eq!(other, [&"container web: /srv/www/index.html"], "{paths:?}");
}

#[test]
fn whence_names_package_overlay_table_and_line() {
    let project = Project::locked();
    let out = material("DIORITE_TEST_OUT").display().to_string();
    let whence = |path: &str| project.json(&["whence", path, "server", "--out", &out]);
    let program = whence("/bin/ls");
    assert_eq!((&program["path"], &program["package"]["name"]), (&"/usr/bin/ls".into(), &"coreutils".into()));
    assert!(program["package"]["version"].as_str().is_some_and(|version| !version.is_empty()), "{program}");
    assert_eq!(program["step"], "tree");
    let rules = whence("/etc/diorite/firewall.nft");
    assert_eq!(rules["table"], "firewall");
    assert!(rules["line"].as_str().is_some_and(|line| line.starts_with("profiles/server.toml:")), "{rules}");
    let unit = whence("/etc/containers/systemd/web.container");
    let profile = fs::read_to_string(project.path("profiles/server.toml")).expect("the profile");
    let line = profile.lines().position(|line| line == "[containers.web]").expect("the table") + 1;
    assert!(unit["line"].as_str().is_some_and(|at| at.starts_with(&format!("profiles/server.toml:{line}:"))), "{unit}");
    let image = open(&built());
    let page =
        image.files.keys().find(|path| path.ends_with(b"/diff/srv/www/index.html")).expect("the container's page");
    let page = whence(&format!("/{}", String::from_utf8_lossy(page)));
    assert_eq!(page["overlay"], "overlays/web/tree/srv/www/index.html");
    let accounts = whence("/etc/ssh/sshd_config");
    assert!(accounts["scripts"].as_array().is_some_and(|list| list.contains(&"openssh-server".into())), "{accounts}");
    let output =
        project.diorite().args(["whence", "/etc/nftables.cnf", "server", "--out", &out]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("near: /etc/nftables.conf"), "{}", text(&output.stderr));
}

/// A copy of the image with one byte changed at this place.
fn damaged(project: &Project, name: &str, at: u64) -> String {
    let copy = project.path(name);
    let status = std::process::Command::new("cp").arg("--sparse=always").arg(built()).arg(&copy).status().expect("cp");
    assert!(status.success());
    let file = File::options().read(true).write(true).open(&copy).expect("the copy");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
    copy.display().to_string()
}

#[test]
fn one_flipped_byte_is_told_with_its_file() {
    let project = Project::empty();
    let image = open(&built());
    let [esp, root] = [0, 1].map(|i: usize| image.disk.partitions()[i].offset());
    let refused = |arguments: &[&str], code: i32| {
        let output = project.diorite().arg("-q").args(arguments).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {}", text(&output.stderr));
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    };
    let in_root = damaged(&project, "root.raw", root + (1 << 20) + 100);
    let said = refused(&["inspect", &in_root], 4);
    assert!(said.contains("DAMAGED       root: /") && said.contains("data block"), "{said}");
    for arguments in [&["diff", &in_root, &in_root][..], &["whence", "/etc/hosts", &in_root]] {
        let said = refused(arguments, 1);
        assert!(said.contains("error: the image is damaged") && said.contains("root: /"), "{said}");
    }
    // The longest stretch of data there is the unified kernel image.
    let ranges = image.disk.esp().and_then(|region| region.data_ranges()).unwrap_or_else(|e| panic!("{e}"));
    let (start, end) = ranges.into_iter().max_by_key(|(start, end)| end - start).expect("data");
    let in_esp = damaged(&project, "esp.raw", esp + (start + end) / 2);
    let said = refused(&["inspect", &in_esp], 4);
    assert!(said.contains("DAMAGED       ESP: /EFI/Linux/server_1+3.efi, section ."), "{said}");
    let cut = project.path("cut.raw");
    let mut beginning = vec![0; 32 << 20];
    File::open(built()).and_then(|mut disk| disk.read_exact(&mut beginning)).expect("the disk");
    fs::write(&cut, beginning).expect("a part of the disk");
    let said = refused(&["inspect", &cut.display().to_string()], 1);
    assert!(said.contains("the image is cut short"), "{said}");
}
