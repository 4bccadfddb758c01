//! What `init` says about a new project, on stdout.

use crate::init::{Example, ProjectFile};
use serde_json::json;
use std::path::Path;

/// Its files, and the first commands.
pub fn project(directory: &Path, profile: &str, example: Example, files: &[ProjectFile], as_json: bool) -> String {
    if as_json {
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let answer = json!({
            "schema": 1, "directory": directory, "profile": profile, "like": example.name(), "files": paths,
        });
        return format!("{answer}\n");
    }
    let width = files.iter().map(|file| file.path.len()).max().unwrap_or_default();
    let mut text = format!("a project in {}, with the profile `{profile}`:\n", directory.display());
    for file in files {
        text += &format!("  {:width$}  {}\n", file.path, file.purpose);
    }
    text += "\nnext:\n";
    let here = directory == Path::new(".");
    let enter = (!here).then(|| (format!("cd {}", quoted(&directory.display().to_string())), ""));
    let commands = [
        (format!("diorite show {profile}"), "the profile with every default explicit"),
        (format!("diorite lock {profile}"), "choose the packages; keep profiles/*.lock in git"),
        (format!("diorite image {profile}"), "build the disk, boot it, check it"),
    ];
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, purpose) in enter.into_iter().chain(commands) {
        let purpose = if purpose.is_empty() { String::new() } else { format!("  # {purpose}") };
        text += format!("  {command:width$}{purpose}").trim_end();
        text.push('\n');
    }
    text
}

/// A path as a shell reads it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    match path.chars().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}
