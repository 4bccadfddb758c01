//! A build that is interrupted, or killed, in the middle: nothing is left, and the next one continues.
//!
//! One test in a process of its own: it adopts whatever the program may leave behind, so that it can be counted.

mod common;
use common::{Project, reference, text};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Starts a build, and sends the signal when it says that it has come to this stage.
fn stopped(project: &Project, stage: &str, signal: libc::c_int) -> (ExitStatus, String) {
    let mut command = project.diorite();
    command.args(["build", "server", "--format", "raw"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut said = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        said += &format!("{line}\n");
        if line == format!("{stage} ...") {
            // SAFETY: a signal to our own child, which has not been waited for.
            unsafe { libc::kill(child.id().cast_signed(), signal) };
            break;
        }
    }
    // Until every holder of the pipe has gone.
    for line in lines.map_while(Result::ok) {
        said += &format!("{line}\n");
    }
    assert!(said.contains(&format!("{stage} ...")), "the build never came to `{stage}`\n{said}");
    (child.wait().expect("it ends"), said)
}

/// Processes that the program left, as adopted by us: how many still run.
fn left() -> usize {
    let mut running = 0;
    loop {
        // SAFETY: waitpid(2) for whatever child, without blocking.
        match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
            0 => running += 1,
            n if n > 0 => continue,
            _ => {}
        }
        return running;
    }
}

fn scratch(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.path("store/scratch")).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_stopped_build_leaves_nothing_and_the_next_one_continues() {
    // SAFETY: orphans of our children become ours.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }, 0);
    let project = Project::locked();

    // While Debian's scripts run.
    let (status, said) = stopped(&project, "configure", libc::SIGINT);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted"), "{said}");
    assert_eq!(left(), 0, "no process is left");
    assert_eq!(scratch(&project), [""; 0], "no scratch directory is left");
    assert!(!project.path("out/server").exists(), "no partial result");

    // Killed at the same place it can tidy nothing: the kernel ends its children, the next start of any verb sweeps.
    let (status, said) = stopped(&project, "configure", libc::SIGKILL);
    assert_eq!(status.code(), None, "{said}");
    let end = Instant::now() + Duration::from_secs(20);
    while left() > 0 {
        assert!(Instant::now() < end, "processes of a killed build run on");
        std::thread::yield_now();
    }
    assert_ne!(scratch(&project), [""; 0], "the kill came when there was something to sweep");
    let plan = project.json(&["plan", "server"]);
    assert_eq!(scratch(&project), [""; 0], "swept");
    assert!(!project.path("out/server").exists(), "no partial result");
    assert!(plan["steps"].as_array().expect("steps").iter().all(|s| s["hit"] == false), "no half-made step counts");

    // In our own code, after the trees have been kept.
    let (status, said) = stopped(&project, "root file system", libc::SIGINT);
    assert_eq!(status.code(), Some(130), "{said}");
    assert_eq!(left(), 0);
    assert_eq!(scratch(&project), [""; 0]);
    assert!(!project.path("out/server/disk.raw").exists() && !project.path("out/server/build.json").exists());

    let output = project.succeed(&["build", "server", "--format", "raw"]);
    assert_eq!(project.disk(), reference());
    let table = text(&output.stdout);
    let tree = table.lines().find(|l| l.starts_with("tree ")).expect("a line for the tree");
    assert!(tree.contains("cached"), "the next build continues\n{table}");
}
