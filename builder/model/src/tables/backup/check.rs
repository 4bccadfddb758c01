//! A backup against the rest of the profile: what it saves must be kept, and where it goes as well.

use crate::Result;
use crate::recipe::{Backup, BackupRepository, Recipe};
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let Some(backup) = &recipe.backup else { return Ok(()) };
    for (name, dump) in &backup.dumps {
        if !recipe.containers.contains_key(&dump.container) {
            let at = format!("backup.dumps.{name}.container");
            let what = format!("there is no container `{}` to save data of", dump.container);
            let there = recipe.containers.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(places.finding(&at, what).hint(format!("containers here: {there}")));
        }
    }
    for (i, directory) in backup.directories.iter().enumerate() {
        kept(recipe, directory, &format!("backup.directories.{i}"), "is saved", places)?;
    }
    match &backup.repository {
        BackupRepository::Directory(path) => {
            kept(recipe, path, "backup.directory", "is where backups go", places)?;
            inside(backup, path, places)
        }
        // Whether it may be reached is asked of all that the machine asks of others.
        BackupRepository::S3 { .. } | BackupRepository::Sftp(_) => Ok(()),
    }
}

/// A directory of the read-only root, or one in memory.
fn kept(recipe: &Recipe, directory: &str, at: &str, role: &str, places: &Places) -> Result<()> {
    let below = |top: &str| directory == top || directory.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
    let mount = recipe.mounts.values().any(|mount| below(&mount.directory()));
    if !mount && !["/var", "/srv", "/home"].into_iter().any(below) {
        let error = places.finding(at, format!("{directory} {role}, and is part of the image"));
        return Err(error.hint("what a machine changes is in /var, /srv and /home, and on the disks of `[mounts]`"));
    }
    if let Some(i) = recipe.state.volatile.iter().position(|memory| below(memory)) {
        let what = format!("{directory} {role}, and is empty at every boot");
        return Err(places.between(at, what, &format!("state.volatile.{i}"), "it is in memory"));
    }
    Ok(())
}

/// Backups that would be saved in the next one.
fn inside(backup: &Backup, path: &str, places: &Places) -> Result<()> {
    let around =
        |saved: &String| path == saved || path.strip_prefix(saved.as_str()).is_some_and(|r| r.starts_with('/'));
    match backup.directories.iter().position(around) {
        None => Ok(()),
        Some(i) => {
            let what = format!("backups in {path} would be saved themselves");
            let error =
                places.between("backup.directory", what, &format!("backup.directories.{i}"), "all of this is saved");
            Err(error.hint("put them elsewhere, best on another disk"))
        }
    }
}
