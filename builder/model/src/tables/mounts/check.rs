//! Mounts against each other and the rest of the profile.

use crate::Result;
use crate::recipe::*;
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    for (i, (name, mount)) in recipe.mounts.iter().enumerate() {
        for (other, earlier) in recipe.mounts.iter().take(i) {
            beside((name, mount), (other, earlier), places)?;
        }
        state(recipe, name, mount, places)?;
        disk(recipe, name, mount, places)?;
        if let MountSource::Bind(from) = &mount.source {
            bind(recipe, name, mount, from, places)?;
        }
    }
    Ok(())
}

/// Is one path the other, or below it?
fn within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Two mounts: of one directory, of one disk, or one below the other.
fn beside((name, mount): (&String, &Mount), (other, earlier): (&String, &Mount), places: &Places) -> Result<()> {
    let (path, second) = (format!("mounts.{name}.path"), format!("mounts.{other}.path"));
    let (one, two) = (mount.directory(), earlier.directory());
    if one == two {
        let what = format!("mounts `{other}` and `{name}` are both on {}", mount.path);
        return Err(places.between(&path, what, &second, "the other one").hint("one would hide the other: move it"));
    }
    if let (Some(a), Some(b)) = (mount.disk(), earlier.disk())
        && a.name == b.name
    {
        let what = format!("mounts `{other}` and `{name}` are the same disk");
        let error =
            places.between(&format!("mounts.{name}.disk"), what, &format!("mounts.{other}.disk"), "the other one");
        return Err(error.hint("mount it once, and its directories elsewhere with `bind`"));
    }
    let (inner, outer, below, at, around) = match (within(&one, &two), within(&two, &one)) {
        (true, _) => (name, other, earlier, &path, &second),
        (_, true) => (other, name, mount, &second, &path),
        _ => return Ok(()),
    };
    if below.when == MountTime::Access || below.read_only {
        let why = if below.read_only { "read-only" } else { "mounted when it is first used" };
        let what = format!("mount `{inner}` is inside of `{outer}`, which is {why}");
        let error = places.between(at, what, around, "the outer one");
        return Err(error.hint("move one of them: its directory cannot be made there while the machine starts"));
    }
    Ok(())
}

/// Directories that other tables have.
fn state(recipe: &Recipe, name: &str, mount: &Mount, places: &Places) -> Result<()> {
    let (path, directory) = (format!("mounts.{name}.path"), mount.directory());
    let taken = |whose: String, other: &str| {
        let error = places.between(&path, format!("mount `{name}` covers {whose}"), other, "declared");
        Err(error.hint("mount it on another directory"))
    };
    if let Some(i) = recipe.state.volatile.iter().position(|v| within(&directory, v) || within(v, &directory)) {
        return taken("a directory that is memory".into(), &format!("state.volatile.{i}"));
    }
    for (service, _) in recipe.services.units.iter().filter(|(_, unit)| unit.state) {
        let private = format!("/var/lib/private/{service}");
        if within(&private, &directory) || within(&format!("/var/lib/{service}"), &directory) {
            return taken(format!("the state of the service `{service}`"), &format!("services.units.{service}"));
        }
    }
    for (table, people) in [("administrators", &recipe.access.administrators), ("users", &recipe.access.users)] {
        if let Some(person) = people.keys().find(|p| within(&format!("/var/home/{p}"), &directory)) {
            return taken(format!("the home directory of `{person}`"), &format!("access.{table}.{person}"));
        }
    }
    Ok(())
}

/// A disk that nothing can be told apart from, and a file system whose module is kept away.
fn disk(recipe: &Recipe, name: &str, mount: &Mount, places: &Places) -> Result<()> {
    let module = match &mount.source {
        MountSource::Disk(disk) => disk.filesystem.name(),
        MountSource::Nfs(_) => "nfs",
        MountSource::Cifs(_) => "cifs",
        MountSource::Bind(_) => return Ok(()),
    };
    let whole = format!("mounts.{name}");
    if let Some(i) = recipe.hardening.blocked_modules.iter().position(|blocked| blocked == module) {
        let what = format!("`{module}` is blocked, and mount `{name}` needs it");
        return Err(places.between(&format!("hardening.blocked_modules.{i}"), what, &whole, "it is asked for"));
    }
    let Some(disk) = mount.disk() else { return Ok(()) };
    if disk.create && mount.read_only {
        let error = places.finding(&format!("{whole}.read_only"), format!("mount `{name}` would stay empty for ever"));
        return Err(error.because("it is made on an empty disk, and read-only").hint("remove `read_only` or `create`"));
    }
    if disk.create && recipe.state.disk == StateDisk::Own {
        let what = format!("mount `{name}` and state both look for an empty disk");
        let error = places.between(&format!("{whole}.disk"), what, "state.disk", "the other one");
        return Err(error
            .because("`state.disk = \"own\"` takes the only empty disk of the machine, and stops when there are two")
            .hint("make the file system of this one yourself, and remove `create`"));
    }
    if !disk.create && mount.when == MountTime::Boot && disk.filesystem != FileSystem::Ext4 {
        let kind = disk.filesystem.name();
        let error =
            places.finding(&format!("{whole}.disk"), format!("a verification cannot bring {kind} for mount `{name}`"));
        return Err(error
            .because(format!(
                "it makes disks with ext4 itself, and {kind} only where the machine does, by `serial` and `create`"
            ))
            .hint("write `when = \"access\"`, or name the disk by its `serial` with `create = true`, or use ext4"));
    }
    Ok(())
}

/// What is shown in two places.
fn bind(recipe: &Recipe, name: &str, mount: &Mount, from: &str, places: &Places) -> Result<()> {
    let (path, from) = (format!("mounts.{name}.bind"), real(from));
    if within(&from, &mount.directory()) || within(&mount.directory(), &from) {
        let what = format!("mount `{name}` shows a directory inside of itself");
        return Err(places.between(&path, what, &format!("mounts.{name}.path"), "where it is shown"));
    }
    let known = ["/var", "/usr", "/etc", "/opt"].iter().any(|top| within(&from, top));
    if !known && !recipe.mounts.iter().any(|(other, m)| other != name && within(&from, &m.directory())) {
        let error = places.finding(&path, format!("mount `{name}` shows {from}, where nothing is"));
        return Err(error.hint("name a directory of state (/var, /srv), of the root, or of another mount"));
    }
    Ok(())
}
