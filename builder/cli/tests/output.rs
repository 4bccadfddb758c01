//! Answers that cannot be written, and files that are none: one error or silence, the documented exit code, no panic, no
//! waiting.

mod common;
use common::errors::{HEAD, profile, stderr};
use common::{DIORITE, Project, text};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

const VERBS: &[&[&str]] = &[
    &["show", "server"],
    &["show", "server", "--json"],
    &["doctor"],
    &["schema"],
    &["man", "--markdown"],
    &["completions", "bash"],
    &["verify", "server", "--list"],
    &["--help"],
    &["build", "--help"],
];

fn written_to(project: &Project, arguments: &[&str], stdout: Stdio) -> Output {
    let mut command = project.diorite();
    command.args(arguments).stdout(stdout).stderr(Stdio::piped()).stdin(Stdio::null());
    command.output().expect("the program starts")
}

#[test]
fn a_full_disk_at_stdout_is_one_error() {
    let project = Project::new();
    let mut said = String::new();
    for arguments in VERBS {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = written_to(&project, arguments, full.into());
        assert_eq!(output.status.code(), Some(5), "{arguments:?}: {}", text(&output.stderr));
        said = stderr(&project, &output);
        assert_eq!(said.matches("error: ").count(), 1, "{arguments:?}: {said}");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_reader_that_has_gone_ends_it_quietly() {
    let project = Project::new();
    for arguments in VERBS {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = written_to(&project, arguments, writer.into());
        assert_eq!(output.status.code(), Some(141), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    // Positive control: somebody who reads gets all of it, with status 0.
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let child = project.diorite().args(["show", "server"]).stdout(writer).spawn();
    let mut child = child.expect("the program starts");
    let mut read = String::new();
    reader.read_to_string(&mut read).expect("text");
    assert!(child.wait().expect("it ends").success() && read.contains("[image]"), "{read}");
}

#[test]
fn stderr_that_nobody_reads_changes_nothing() {
    let project = Project::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = project.diorite().args(["show", "sever"]).stderr(writer).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn every_answer_ends_its_last_line() {
    let project = Project::new();
    for arguments in VERBS {
        let output = project.diorite().args(*arguments).output().expect("the program starts");
        let stdout = text(&output.stdout);
        assert!(stdout.ends_with('\n') && !stdout.ends_with("\n\n"), "{arguments:?}: {stdout:?}");
    }
}

#[test]
fn what_is_no_file_is_refused_as_a_profile() {
    let project = Project::new();
    let mut said = String::new();
    let fifo = project.path("a.fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    fs::create_dir(project.path("profiles/directory.toml")).expect("a directory");
    symlink(&fifo, project.path("profiles/fifo.toml")).expect("a link");
    symlink("/dev/zero", project.path("profiles/device.toml")).expect("a link");
    profile(&project, &format!("extends = \"fifo\"\n{HEAD}"));
    for name in ["directory", "fifo", "device", "mine", "./profiles"] {
        let output = written_to(&project, &["show", name], Stdio::piped());
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output.stderr));
        said += &format!("{name}\n{}\n", stderr(&project, &output));
    }
    let output = written_to(&project, &["scenario", "a.fifo", "--list"], Stdio::piped());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    insta::assert_snapshot!(said);
}

#[test]
fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
    let project = Project::new();
    fs::write(project.path("disk.raw"), vec![0; 2 << 20]).expect("a disk");
    // Two profiles, whatever examples there are.
    for entry in fs::read_dir(project.path("profiles")).expect("profiles").flatten() {
        if !["base.toml", "server.toml"].iter().any(|name| entry.file_name() == *name) {
            fs::remove_file(entry.path()).expect("a profile goes");
        }
    }
    let mut said = String::new();
    for arguments in [
        &["build", "sevrer"][..],
        &["build", "server.toml"],
        &["build", "profiles/server"],
        &["build", "profiles/sevrer.toml"],
        &["build", "no-such-thing.toml"],
        &["verify", "./disk.raw"],
    ] {
        let output = written_to(&project, arguments, Stdio::piped());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stderr));
        said += &format!("diorite {}\n{}\n", arguments.join(" "), stderr(&project, &output));
    }
    insta::assert_snapshot!(said.replace(DIORITE, "diorite"));
}

#[test]
fn an_earlier_spelling_is_answered_with_the_one_of_today() {
    let project = Project::new();
    let mut said = String::new();
    for arguments in [
        &["plan", "server", "--relock"][..],
        &["verify", "server", "--relock"],
        &["scenario", "link", "--relock"],
        &["deploy", "server", "--to", "school"],
        &["deploy", "server", "--target", "school", "--patience", "9"],
        &["rollback", "--target", "school", "--to", "2"],
        &["rollback", "school"],
        &["rollback", "school", "web"],
        &["status", "school"],
        &["drive", "server", "web-1", "--disc", "x.iso"],
    ] {
        let output = written_to(&project, arguments, Stdio::piped());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        let told = stderr(&project, &output);
        let told = told.lines().filter(|line| line.starts_with("error") || line.contains("tip:"));
        said += &format!("diorite {}\n{}\n\n", arguments.join(" "), told.collect::<Vec<_>>().join("\n"));
    }
    insta::assert_snapshot!(said);
}
