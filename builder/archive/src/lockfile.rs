//! `profiles/NAME.lock`: the lock as TOML, sorted, one package per line, so that a diff shows one line per change.

use diorite_host::file::write_whole;
use diorite_model::{Error, Exit, Lock, LockedPackage, Result};
use std::fmt::Write as _;
use std::path::Path;

const HEADER: &str =
    "# Every byte this image is made from. Written by `diorite lock`; change the profile, not this file.\n";

/// Reads a lock. One that cannot be read is exit 3: locking again repairs it.
pub fn read(path: &Path) -> Result<Lock> {
    let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::new(Exit::LockOutdated, "there is no lock yet")
            .at(path.display().to_string())
            .hint("run `diorite lock` with the profile's name"),
        std::io::ErrorKind::InvalidData => broken(path, "it is not UTF-8 text".to_owned()),
        _ => Error::io("cannot read the lock", path, e),
    })?;
    parse(&text, path)
}

fn broken(path: &Path, cause: String) -> Error {
    Error::new(Exit::LockOutdated, "the lock cannot be read")
        .at(path.display().to_string())
        .because(cause)
        .hint("restore it from version control, or remove it and run `diorite lock`")
}

/// Parses the text of a lock; `path` is for errors.
pub fn parse(text: &str, path: &Path) -> Result<Lock> {
    toml::from_str(text).map_err(|e| {
        // What a whole lock says of itself has no line.
        let line = e.span().filter(|span| span.start > 0);
        let line = line.map_or(String::new(), |span| format!(" (line {})", text[..span.start].lines().count().max(1)));
        broken(path, format!("{}{line}", e.message()))
    })
}

/// The text of a lock: a function of the lock alone.
pub fn text(lock: &Lock) -> String {
    let mut out = String::from(HEADER);
    let _ = write!(out, "schema = {}\nrecipe = \"{}\"\n", lock.schema, lock.recipe);
    list(&mut out, "image", &lock.image);
    list(&mut out, "tools", &lock.tools);
    for (name, release) in &lock.release {
        let _ = write!(out, "\n[release.{}]\nsuite = {}\n", key(name), string(&release.suite));
        let _ = writeln!(out, "date = {}", string(&release.date));
        if let Some(until) = &release.valid_until {
            let _ = writeln!(out, "valid_until = {}", string(until));
        }
        let components: Vec<String> = release.components.iter().map(|c| string(c)).collect();
        let _ = write!(out, "sha256 = \"{}\"\ncomponents = [{}]\n", release.sha256, components.join(", "));
    }
    for (table, lists) in [("container", &lock.container), ("wheels", &lock.wheels)] {
        if !lists.is_empty() {
            let _ = writeln!(out, "\n[{table}]");
        }
        for (name, packages) in lists {
            list(&mut out, &key(name), packages);
        }
    }
    out
}

fn list(out: &mut String, name: &str, packages: &[LockedPackage]) {
    let mut sorted: Vec<&LockedPackage> = packages.iter().collect();
    sorted.sort();
    let _ = writeln!(out, "\n{name} = [");
    for p in sorted {
        let _ = writeln!(
            out,
            "  {{ name = {}, version = {}, architecture = {}, release = {}, path = {}, size = {}, sha256 = \"{}\" }},",
            string(&p.name),
            string(&p.version),
            string(&p.architecture),
            string(&p.release),
            string(&p.path),
            p.size,
            p.sha256
        );
    }
    out.push_str("]\n");
}

/// A TOML basic string.
fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A bare key where it can be one.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if bare { name.to_owned() } else { string(name) }
}

/// Writes a lock, whole or not at all.
pub fn write(lock: &Lock, path: &Path) -> Result<()> {
    if path.file_name().is_none() {
        return Err(Error::input("a lock needs a file name").at(path.display().to_string()));
    }
    write_whole(path, text(lock).as_bytes(), 0o666).map_err(|e| Error::io("cannot write the lock", path, e))
}
