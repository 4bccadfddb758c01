//! The table `[mounts]`: systemd.mount(5) and systemd.automount(5), what makes, finds and checks a disk before it is mounted, and
//! what hands a file server's password to mount.cifs(8).

mod disk;
mod password;

use crate::guest::Guest;
use crate::guest::ini::{Ini, literal};
use crate::guest::units::escaped_path;
use crate::tree::NodeKind;
use diorite_model::recipe::{Mount, MountSource, MountTime};
use diorite_model::{Error, Recipe, Result};

/// What NFS version 3 needs and version 4 does not, and would listen on port 111; and what finds the disks of servers that hand
/// out blocks (pNFS), which complains at every start that nobody does.
const UNUSED: [&str; 3] = ["rpcbind.service", "rpcbind.socket", "nfs-blkmap.service"];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if recipe.mounts.is_empty() {
        return Ok(());
    }
    for (name, mount) in &recipe.mounts {
        point(guest, name, mount)?;
        let escaped = escaped_path(&mount.directory());
        guest.unit(&format!("{escaped}.mount"), &mount_unit(name, mount, &escaped))?;
        let started = match mount.when {
            MountTime::Boot => format!("{escaped}.mount"),
            MountTime::Access => {
                let unit = format!("{escaped}.automount");
                guest.unit(&unit, &automount_unit(name, mount))?;
                unit
            }
        };
        guest.enable(&started)?;
        match &mount.source {
            MountSource::Disk(about) => disk::generate(guest, name, mount, about)?,
            MountSource::Cifs(cifs) => password::generate(guest, name, cifs)?,
            MountSource::Nfs(_) | MountSource::Bind(_) => {}
        }
    }
    disk::rules(guest, recipe)?;
    let wanted = |unit: &&str| {
        let package = |p: &String| p == "rpcbind" || p == "nfs-kernel-server";
        guest.has_unit(unit)
            && !recipe.packages.include.iter().any(package)
            && !recipe.services.enable.iter().any(|u| u == *unit)
    };
    let nfs = recipe.mounts.values().any(|m| matches!(m.source, MountSource::Nfs(_)));
    for unit in UNUSED.iter().filter(|unit| nfs && wanted(unit)).collect::<Vec<_>>() {
        guest.mask(unit)?;
    }
    Ok(())
}

/// The directory: what is on state is made there when it is needed, any other has to be in the root.
fn point(guest: &mut Guest, name: &str, mount: &Mount) -> Result<()> {
    let directory = mount.directory();
    let below = directory.trim_start_matches('/');
    if directory.starts_with("/var/") {
        return Ok(());
    }
    let covered = |why: String| {
        Err(Error::input(format!("mount `{name}` would cover {directory}"))
            .at(format!("mounts.{name}.path"))
            .because(why)
            .hint("mount on a directory that nothing else uses, such as one below /srv or /mnt"))
    };
    let inside = format!("{below}/").into_bytes();
    let packages = guest.tree.nodes.range(inside.clone()..).next().is_some_and(|(path, _)| path.starts_with(&inside));
    let link = guest.tree.nodes.get(below.as_bytes()).is_some_and(|n| !matches!(n.kind, NodeKind::Directory));
    if packages || link {
        return covered("a package of this image has files there".into());
    }
    if let Some(overlay) = guest.overlays.iter().find(|o| o.entries.keys().any(|p| p.starts_with(&inside))) {
        return covered(format!("the overlay `{}` has files there", overlay.name));
    }
    for (end, _) in below.match_indices('/').chain([(below.len(), "")]) {
        let part = &below[..end];
        if !guest.has(part) {
            guest.directory(part, 0o755)?;
        }
    }
    Ok(())
}

fn mount_unit(name: &str, mount: &Mount, escaped: &str) -> Ini {
    let mut ini = Ini::new().section("Unit").set("Description", literal(&format!("Mount {name}")));
    ini = match &mount.source {
        MountSource::Disk(about) => disk::before(ini, name, mount, about, escaped),
        MountSource::Cifs(_) => password::before(ini, name),
        MountSource::Nfs(_) | MountSource::Bind(_) => ini,
    };
    let (what, kind) = match &mount.source {
        MountSource::Disk(about) => (disk::device(name, about), mount.filesystem()),
        MountSource::Nfs(nfs) => {
            let server = if nfs.server.contains(':') { format!("[{}]", nfs.server) } else { nfs.server.clone() };
            (format!("{server}:{}", nfs.export), "nfs4")
        }
        MountSource::Cifs(cifs) => (format!("//{}/{}", cifs.server, cifs.share), "cifs"),
        MountSource::Bind(from) => (diorite_model::recipe::real(from), "none"),
    };
    ini = ini
        .section("Mount")
        .set("What", what)
        .set("Where", mount.directory())
        .set("Type", kind)
        .set("Options", options(name, mount).join(","));
    if mount.server().is_some() {
        // Who looks into the directory waits no longer than this for a server that is away.
        ini = ini.set("TimeoutSec", "30");
    }
    match (mount.when, mount.required) {
        (MountTime::Access, _) => ini,
        (MountTime::Boot, true) => ini.section("Install").set("RequiredBy", "local-fs.target"),
        (MountTime::Boot, false) => ini.section("Install").set("WantedBy", "local-fs.target"),
    }
}

/// The profile's own stand last.
fn options(name: &str, mount: &Mount) -> Vec<String> {
    let mut all = vec![if mount.read_only { "ro" } else { "rw" }.to_owned(), "nosuid".into(), "nodev".into()];
    match &mount.source {
        MountSource::Disk(_) => {}
        // One attempt: the next one comes with the next access.
        MountSource::Nfs(nfs) => all.extend([format!("nfsvers={}", nfs.version), "retry=0".into()]),
        MountSource::Cifs(_) => all.push(format!("credentials={}", password::file(name))),
        MountSource::Bind(_) => all.insert(0, "bind".into()),
    }
    all.extend(mount.options.iter().cloned());
    all
}

fn automount_unit(name: &str, mount: &Mount) -> Ini {
    let ini = Ini::new()
        .section("Unit")
        .set("Description", literal(&format!("Mount {name} when it is used")))
        .section("Automount")
        .set("Where", mount.directory());
    let ini = match mount.idle {
        Some(seconds) => ini.set("TimeoutIdleSec", seconds.to_string()),
        None => ini,
    };
    ini.section("Install").set("WantedBy", "local-fs.target")
}
