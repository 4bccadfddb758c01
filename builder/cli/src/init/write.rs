//! Files of a new project → a directory: all of them or none. Nothing that is there is overwritten.

use super::ProjectFile;
use diorite_host::file;
use diorite_model::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Writes them below this directory, which need not exist.
///
/// # Errors
/// [`diorite_model::Exit::Input`] when any of them is there; then, and when one cannot be written, nothing has changed.
pub fn write(directory: &Path, files: &[ProjectFile]) -> Result<()> {
    let taken: Vec<String> = files.iter().filter_map(|file| in_the_way(directory, &file.path)).collect();
    if !taken.is_empty() {
        return Err(Error::input(match taken.len() {
            1 => "a file of the new project is already there".to_owned(),
            count => format!("{count} files of the new project are already there"),
        })
        .at(directory.display().to_string())
        .because(format!("nothing is overwritten: {}", taken.join(", ")))
        .hint("name another directory, `diorite init DIRECTORY`, or move these away; nothing was changed"));
    }
    let mut written = NewPaths::default();
    for file in files {
        written.file(&directory.join(&file.path), &file.text)?;
    }
    written.keep();
    Ok(())
}

/// What is at this path, or keeps it from being made: a file where a directory should be.
fn in_the_way(directory: &Path, path: &str) -> Option<String> {
    match fs::symlink_metadata(directory.join(path)) {
        Ok(_) => Some(path.to_owned()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            let above = Path::new(path).ancestors().skip(1).find(|above| directory.join(above).exists())?;
            let above = if above.as_os_str().is_empty() { directory } else { above };
            Some(format!("{} (a file where {path} needs a directory)", above.display()))
        }
        Err(_) => None,
    }
}

/// Files and directories that were made. They are removed again unless they are kept.
#[derive(Default)]
struct NewPaths {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl NewPaths {
    fn file(&mut self, path: &Path, text: &str) -> Result<()> {
        self.directory(path.parent().unwrap_or(Path::new("")))?;
        file::write_whole(path, text.as_bytes(), 0o666)
            .map_err(|e| Error::io("a file of the new project cannot be written", path, e))?;
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Makes a directory and those above it.
    fn directory(&mut self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if fs::symlink_metadata(path).is_ok() {
            return Err(Error::input("a file is where a directory of the new project belongs")
                .at(path.display().to_string())
                .hint("name another directory, or move the file away; nothing was changed"));
        }
        self.directory(path.parent().unwrap_or(Path::new("")))?;
        fs::create_dir(path).map_err(|e| Error::io("a directory of the new project cannot be made", path, e))?;
        self.directories.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.files.clear();
        self.directories.clear();
    }
}

impl Drop for NewPaths {
    fn drop(&mut self) {
        // An error is on its way already; these would hide it.
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}
