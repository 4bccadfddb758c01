//! A profile by two people, on two distributions, with 1, 2 and 8 threads. The other distribution is Debian 13: /usr of the
//! tools tree, which the program itself has unpacked, as the root of a machine (tests/common/host.rs).

use crate::host::{self, PERSON};
use crate::list::apart;
use crate::page::Line;
use crate::place::{NoDigest, Outcome, Place, World, sum};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Runs all twelve; each goes to `done`.
pub fn run(world: &World, profile: &'static str, done: &mut dyn FnMut(Line)) {
    let here = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let here = here.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).unwrap_or("this host").trim_matches('"');
    for person in ["root", PERSON.0] {
        for there in [false, true] {
            for threads in ["1", "2", "8"] {
                let (begun, place) = (Instant::now(), Place::new(world, profile, "matrix"));
                let outcome = if there { elsewhere(&place, person, threads) } else { at_home(&place, person, threads) };
                let system = if there { "Debian 13, of the tools tree" } else { here };
                let name = format!("{person}, {system}, {threads} threads");
                let line = Line::new(profile, &name, "", world.expected(profile), outcome, begun.elapsed());
                eprintln!("{line}");
                done(line);
            }
        }
    }
}

fn command(place: &Place, program: &Path, project: &Path, person: &str, threads: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", project).env("RAYON_NUM_THREADS", threads);
    command.env("DIORITE_STORE", project.join("store")).env("DIORITE_MIRROR", "http://127.0.0.1:9/nowhere");
    command.args(["-q", "build", place.profile, "--format", "raw"]).current_dir(project);
    if person == PERSON.0 {
        command.uid(PERSON.1).gid(PERSON.2);
    }
    command
}

/// The store is in the project, so that one directory belongs to the person and is shown in the machine.
fn handed_over(place: &Place, person: &str) {
    let store = place.project.join("store");
    fs::create_dir_all(store.join("pool")).expect("a store");
    if person == PERSON.0 {
        give(&place.project);
    }
    for directory in place.project.ancestors().take_while(|d| d.starts_with("/dev/shm") || d.starts_with("/tmp")) {
        if directory != Path::new("/tmp") && directory != Path::new("/dev/shm") {
            fs::set_permissions(directory, Permissions::from_mode(0o755)).expect("permissions");
        }
    }
    let pool = fs::canonicalize(place.world.store.join("pool")).expect("the packages");
    host::bind(&pool, &store.join("pool"));
}

fn give(directory: &Path) {
    let (_, uid, gid) = PERSON;
    chown(directory, Some(uid), Some(gid)).expect("chown");
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        match entry.file_type().expect("a type").is_dir() {
            true => give(&entry.path()),
            false => chown(entry.path(), Some(uid), Some(gid)).expect("chown"),
        }
    }
}

fn at_home(place: &Place, person: &str, threads: &str) -> Outcome {
    if person == PERSON.0 && !Path::new("/usr/bin/newuidmap").exists() {
        return Err(NoDigest::Skipped("Debian's package uidmap is not installed here".into()));
    }
    apart(|| {
        handed_over(place, person);
        if person == PERSON.0 {
            // The host knows the person as long as this thread lives.
            let (name, uid, gid) = PERSON;
            let known = |file: &str, line: String| {
                let text = fs::read_to_string(file).unwrap_or_default() + &line;
                let copy = place.directory.join(Path::new(file).file_name().expect("a name"));
                #[expect(clippy::disallowed_methods, reason = "it goes at the end")]
                fs::write(&copy, text).expect("a file of /etc");
                host::bind(&copy, Path::new(file));
            };
            known("/etc/passwd", format!("{name}:x:{uid}:{gid}::/nonexistent:/bin/sh\n"));
            known("/etc/group", format!("{name}:x:{gid}:\n"));
            for file in ["/etc/subuid", "/etc/subgid"] {
                known(file, format!("{name}:100000:65536\n"));
            }
        }
        let program = place.project.join("diorite");
        place.digest(&mut command(place, &program, &place.project, person, threads))
    })
}

fn elsewhere(place: &Place, person: &str, threads: &str) -> Outcome {
    let root = place.directory.join("machine");
    fs::create_dir_all(&root).expect("a directory");
    let said = apart(|| {
        handed_over(place, person);
        host::machine_with_uidmap(&root, &place.world.tools, &place.project);
        let program = Path::new("/project/diorite");
        let output = command(place, program, Path::new("/project"), person, threads).output();
        match output {
            Ok(output) if output.status.success() => Ok(String::new()),
            Ok(output) => Err(NoDigest::Failed(String::from_utf8_lossy(&output.stderr).into_owned())),
            Err(e) => Err(NoDigest::Failed(e.to_string())),
        }
    });
    said.and_then(|_| sum(&place.disk()))
}
