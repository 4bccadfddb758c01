//! `diorite init`: what it writes is a project in which every verb works; it never overwrites, and leaves nothing behind
//! when it fails. And a project is found from any directory below it.

mod common;
use common::errors::{files, refused, stderr};
use common::{Project, text};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EXAMPLES: [&str; 4] = ["server", "web", "router", "proxmox"];

/// An empty directory. It is a git repository's root, so that nothing above it counts.
fn nothing() -> Project {
    let project = Project::bare();
    fs::create_dir(project.path(".git")).expect("a directory");
    project
}

fn within(project: &Project, inside: impl AsRef<Path>) -> Command {
    let mut command = project.diorite();
    command.current_dir(project.path(inside));
    command
}

fn run(command: &mut Command, arguments: &[&str]) -> Output {
    command.args(arguments).output().expect("the program starts")
}

fn succeeds(command: &mut Command, arguments: &[&str]) -> String {
    let output = run(command, arguments);
    assert!(output.status.success(), "{arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn recipe(command: &mut Command, profile: &str) -> Value {
    let answer = succeeds(command, &["show", profile, "--json"]);
    serde_json::from_str::<Value>(&answer).expect("JSON")["recipe"].take()
}

#[test]
fn every_example_is_a_project() {
    for example in EXAMPLES {
        let project = nothing();
        let said = succeeds(&mut project.diorite(), &["init", "shop", "--like", example]);
        insta::assert_snapshot!(format!("says_{example}"), said);
        for profile in ["shop", "base"] {
            succeeds(&mut within(&project, "shop"), &["show", profile]);
        }
        // The schema is this program's, and the editor finds it by the first line.
        let schema = succeeds(&mut project.diorite(), &["schema"]);
        assert_eq!(fs::read_to_string(project.path("shop/profiles/profile.schema.json")).expect("the schema"), schema);
        for profile in ["shop", "base"] {
            let text = fs::read_to_string(project.path(format!("shop/profiles/{profile}.toml"))).expect("a profile");
            assert!(text.starts_with("#:schema ./profile.schema.json\n"), "{profile}");
        }
        // Overlays that are named exist, and those that exist are named.
        let recipe = recipe(&mut within(&project, "shop"), "shop").to_string();
        for overlay in fs::read_dir(project.path("shop/overlays")).into_iter().flatten().flatten() {
            let name = overlay.file_name().into_string().expect("a name");
            assert!(recipe.contains(&format!("\"overlays\":[\"{name}\"]")), "{name}: {recipe}");
            let loaded = diorite_rootfs::overlay::load(&overlay.path());
            assert!(loaded.is_ok_and(|overlay| !overlay.name.is_empty()), "{name}");
        }
    }
}

/// The profiles of the repository are built and verified; the examples say the same. (An administrator, whom the web example
/// cannot know, brings the package sudo.)
#[test]
fn examples_are_the_profiles_that_are_tested() {
    let repository = Project::new();
    for (example, tested, other) in [
        ("server", "server", &["image"][..]),
        ("web", "example-web-server", &["image", "access", "packages"]),
        ("router", "example-router", &["image"]),
        ("proxmox", "proxmox-guest", &["image", "overlays"]),
    ] {
        let project = nothing();
        succeeds(&mut project.diorite(), &["init", "--like", example, "--name", "shop"]);
        let mut own = recipe(&mut project.diorite(), "shop");
        let mut known = recipe(&mut repository.diorite(), tested);
        let image = own["image"].as_object().expect("a table").clone();
        assert_eq!((&image["name"], &image["version"]), (&"shop".into(), &"1".into()));
        for table in other {
            let (own, known) = (own.as_object_mut().expect("a table"), known.as_object_mut().expect("a table"));
            assert!(own.remove(*table).is_some(), "{example} has {table}");
            known.remove(*table);
        }
        assert!(own == known, "{example} differs from {tested}:\n{own:#}\n{known:#}");
        if example == "web" || example == "server" {
            let page = "overlays/web/tree/srv/www/index.html";
            let read = |project: &Project| fs::read_to_string(project.path(page)).expect("the page");
            assert_eq!(read(&project), read(&repository));
        }
        // The same text but for the line that names the schema.
        let base = |project: &Project| {
            let text = fs::read_to_string(project.path("profiles/base.toml")).expect("base");
            text.split_once('\n').expect("lines").1.to_owned()
        };
        assert_eq!(base(&project), base(&repository));
    }
}

#[test]
fn other_files_are_what_they_should_be() {
    let project = nothing();
    succeeds(&mut project.diorite(), &["init", "--like", "proxmox", "--name", "shop"]);
    let read = |file: &str| fs::read_to_string(project.path(file)).expect("a file");
    let targets = read("profiles/targets.toml");
    let parsed = diorite_proxmox::target::parse(&targets, "targets.toml", Path::new("."), None);
    assert_eq!(parsed.expect("targets").len(), 1);
    for file in [".gitignore", ".github/workflows/image.yml", ".gitlab-ci.yml"] {
        insta::assert_snapshot!(format!("text{}", file.replace('/', "_")), read(file));
    }
    assert_eq!(fs::metadata(project.path("profiles/shop.toml")).expect("it").permissions().mode() & 0o133, 0);
    let left: Vec<_> = files(project.directory.path()).into_iter().filter(|f| f.ends_with(".part")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_answer_as_json_names_every_file() {
    let project = nothing();
    let answer = project.json(&["init", "shop", "--like", "proxmox"]);
    assert_eq!((&answer["profile"], &answer["like"]), (&"shop".into(), &"proxmox".into()));
    let named: std::collections::BTreeSet<String> =
        serde_json::from_value(answer["files"].clone()).expect("a list of paths");
    assert_eq!(named, files(&project.path("shop")));
}

/// Each file in turn is there before; then all of them.
#[test]
fn nothing_is_overwritten() {
    for example in EXAMPLES {
        let made = nothing();
        succeeds(&mut made.diorite(), &["init", "--like", example, "--name", "shop"]);
        let all = files(made.directory.path());
        assert!(all.len() >= 6, "{all:?}");
        for file in &all {
            let project = nothing();
            let path = project.path(file);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(&path, "mine").expect("a file");
            let said = refused(&project, &["init", "--like", example, "--name", "shop"], 1);
            assert!(said.contains("a file of the new project is already there"), "{said}");
            assert!(said.contains(&format!("nothing is overwritten: {file}\n")), "{said}");
            assert_eq!(fs::read_to_string(&path).expect("the file"), "mine");
        }
        let said = refused(&made, &["init", "--like", example, "--name", "shop"], 1);
        assert!(all.iter().all(|file| said.contains(file)), "{said}");
    }
}

#[test]
fn what_is_in_the_way_is_said() {
    let project = nothing();
    let mut said = String::new();
    fs::write(project.path("profiles"), "a file").expect("a file");
    said += &refused(&project, &["init", "--name", "shop"], 1);
    fs::write(project.path("plain"), "a file").expect("a file");
    said += &refused(&project, &["init", "plain"], 1);
    fs::create_dir(project.path("linked")).expect("a directory");
    std::os::unix::fs::symlink("nowhere", project.path("linked/.gitignore")).expect("a link");
    said += &refused(&project, &["init", "linked"], 1);
    said += &refused(&project, &["init", "new", "--name", "Shop"], 2);
    said += &refused(&project, &["init", "new", "--like", "desktop"], 2);
    assert!(!project.path("new").exists());
    insta::assert_snapshot!(said);
}

#[test]
fn odd_directories_get_valid_names() {
    let hundred = "x".repeat(100);
    for (directory, name) in [
        ("My Machines", "my-machines"),
        ("WEB.example.org", "web-example-org"),
        ("2026", "server"),
        ("base", "server"),
        ("Küche", "k-che"),
        ("-dash", "dash"),
        ("a/b/c", "c"),
        (hundred.as_str(), "xxxxxxxxxxxxxxxxxxxxxxxx"),
    ] {
        let project = nothing();
        succeeds(&mut project.diorite(), &["init", "--", directory]);
        succeeds(&mut within(&project, directory), &["show", name]);
        // And from inside, as `.`.
        let inside = PathBuf::from("other").join(directory);
        fs::create_dir_all(project.path(&inside)).expect("a directory");
        succeeds(&mut within(&project, &inside), &["init"]);
        succeeds(&mut within(&project, &inside), &["show", name]);
    }
    let project = nothing();
    insta::assert_snapshot!(succeeds(&mut project.diorite(), &["init", "it's a place"]));
}

/// The directory cannot be written, and neither can one that is met half-way: nothing is left.
#[test]
fn a_directory_that_cannot_be_written_stays_as_it_is() {
    let project = nothing();
    fs::create_dir_all(project.path("closed")).expect("a directory");
    fs::create_dir_all(project.path("half/.github")).expect("a directory");
    for directory in ["closed", "half/.github"] {
        let closed = fs::Permissions::from_mode(0o555);
        fs::set_permissions(project.path(directory), closed).expect("permissions");
    }
    let mut said = String::new();
    for directory in ["closed", "half", "closed/new"] {
        let mut command = project.diorite();
        // Root as well is to be bound by permissions: without CAP_DAC_OVERRIDE (1) it is.
        // SAFETY: one system call between fork and exec; where it is not allowed, permissions count anyway.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_CAPBSET_DROP, 1, 0, 0, 0);
                Ok(())
            });
        }
        let output = run(&mut command, &["init", directory, "--name", "shop"]);
        assert_eq!(output.status.code(), Some(5), "{directory}: {}", text(&output.stderr));
        said += &stderr(&project, &output);
    }
    assert_eq!(fs::read_dir(project.path("closed")).expect("it").count(), 0);
    assert_eq!(fs::read_dir(project.path("half")).expect("it").count(), 1, "what was written is removed again");
    insta::assert_snapshot!(said);
}

#[test]
fn a_project_is_found_from_below() {
    let project = nothing();
    succeeds(&mut project.diorite(), &["init", "--name", "shop"]);
    let above = recipe(&mut project.diorite(), "shop");
    let root = fs::canonicalize(project.directory.path()).expect("the project");
    for inside in ["profiles", "overlays", "overlays/web/tree/srv/www"] {
        assert_eq!(recipe(&mut within(&project, inside), "shop"), above, "{inside}");
        let output = run(&mut within(&project, inside), &["show", "shop"]);
        assert_eq!(text(&output.stderr), format!("project directory: {}\n", root.display()), "{inside}");
        // Locks and results are those of the project.
        for (arguments, code, place) in
            [(&["plan", "shop"][..], 3, "profiles/shop.lock"), (&["verify", "shop"], 1, "out/shop/build.json")]
        {
            let output = run(&mut within(&project, inside), arguments);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{inside} {arguments:?}: {said}");
            assert!(said.contains(&root.join(place).display().to_string()), "{inside} {arguments:?}: {said}");
        }
    }
    // A path is what it says, wherever it is used.
    assert_eq!(recipe(&mut within(&project, "profiles"), "shop.toml"), above);
    // Quiet, in the project's own directory, and where no project is used, nothing is said.
    for (inside, arguments) in
        [("profiles", &["show", "shop", "--quiet"][..]), (".", &["show", "shop"]), ("overlays", &["schema"])]
    {
        assert_eq!(text(&run(&mut within(&project, inside), arguments).stderr), "", "{inside} {arguments:?}");
    }
}

#[test]
fn where_there_is_no_project_the_way_to_one_is_said() {
    let project = nothing();
    fs::create_dir_all(project.path("deep/below")).expect("directories");
    let output = run(&mut within(&project, "deep/below"), &["build", "server"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(stderr(&project, &output));
}

#[test]
fn a_missing_base_is_told_by_its_name() {
    let project = nothing();
    fs::create_dir(project.path("profiles")).expect("a directory");
    let mut said = String::new();
    for (own, base) in [("bass", "base"), ("mine", "base"), ("mine", "common")] {
        let file = project.path(format!("profiles/{own}.toml"));
        fs::write(&file, format!("extends = \"{base}\"\n\n[image]\nname = \"mine\"\nversion = \"1\"\n"))
            .expect("a file");
        said += &refused(&project, &["show", own], 1);
        fs::remove_file(&file).expect("it goes");
    }
    insta::assert_snapshot!(said);
}
