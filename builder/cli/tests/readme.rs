//! The README's five-minute tour, line by line as it is written, for one whose committed lock has outlived the mirror.

mod common;
use common::{Project, material, text};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The commands of the tour, without their remarks.
fn tour() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).expect("README.md");
    let section = readme.split("\n## ").find(|s| s.starts_with("Five minutes")).expect("the tour");
    let blocks = section.split("```").skip(1).step_by(2);
    let lines = blocks.filter_map(|b| b.strip_prefix("sh\n")).flat_map(str::lines);
    lines.map(|l| l.split(" #").next().unwrap_or(l).trim().to_owned()).filter(|l| !l.is_empty()).collect()
}

#[test]
fn the_tour_works_as_written() {
    let project = Project::locked();
    // What `make image` leaves when it had to lock afresh.
    fs::remove_file(project.path("profiles/server.lock")).expect("no lock");
    fs::create_dir_all(project.path("out/server")).expect("a directory");
    fs::copy(material("DIORITE_TEST_LOCK"), project.path("out/server/scratch.lock")).expect("the scratch lock");
    std::os::unix::fs::symlink(common::DIORITE, project.path("diorite")).expect("a link");
    project.succeed(&["build", "server", "--relock"]);

    let page = project.path("overlays/web/tree/srv/www/index.html");
    let before = fs::read(&page).expect("the page");
    let lines = tour();
    assert!(lines.iter().filter(|l| l.starts_with("./diorite ")).count() >= 5, "{lines:?}");
    let mut built = Vec::new();
    for line in &lines {
        // The copy is no repository: git's part is done by hand.
        if line.starts_with("git checkout ") {
            fs::write(&page, &before).expect("the page comes back");
            continue;
        }
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line).current_dir(project.directory.path());
        for (name, value) in project.diorite().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.output().expect("a shell");
        assert!(output.status.success(), "{line}\n{}{}", text(&output.stdout), text(&output.stderr));
        if line.contains(" build ") {
            built.push(text(&output.stdout));
        }
    }
    let rebuilt = |table: &str| table.lines().filter(|l| l.contains(" built ")).count();
    assert_eq!(
        built.iter().map(|t| rebuilt(t)).collect::<Vec<_>>(),
        [0, 2],
        "nothing, then what an overlay changes\n{built:?}"
    );

    // Without --scratch-lock only the own lock counts; and one that is newer than the scratch lock goes before it.
    assert_eq!(project.diorite().args(["plan", "server"]).output().expect("starts").status.code(), Some(3));
    fs::write(project.path("profiles/server.lock"), "schema = 1\n").expect("a damaged lock, but a younger one");
    let output = project.diorite().args(["plan", "server", "--scratch-lock"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("profiles/server.lock"), "{}", text(&output.stderr));
}
