//! `[mounts.NAME]`.

use crate::profile::section::At;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, word},
};
use crate::recipe::*;
use crate::{Error, Result};
use std::collections::BTreeMap;

pub(crate) const MOUNT: &[Field] = &[
    text("path", &values::MOUNT_POINT, "the directory it is mounted on; it need not exist").needed(),
    table("disk", DISK, "a disk of the machine"),
    table("nfs", NFS, "a directory of an NFS server"),
    table("cifs", CIFS, "a share of an SMB (Windows, Samba) server"),
    text("bind", &values::DIRECTORY, "a directory of the machine itself"),
    choice("when", WHEN, "when it is mounted").or_said("`access` from the network, otherwise `boot`"),
    boolean("required", "the machine does not come up without it; otherwise it starts and the mount unit has failed")
        .or_said("`true` when mounted at boot"),
    boolean("read_only", "nothing can be written to it").or(false),
    text("idle", &values::SPAN, "with `when = \"access\"`: unmounted when nobody has used it for so long")
        .or_said("it stays mounted"),
    texts("options", &values::MOUNT_OPTION, "further options of mount(8); `nosuid` and `nodev` are always set"),
];
const WHEN: &[(&str, &str)] = &[
    ("boot", "while the machine starts, before services"),
    ("access", "when a program first looks into the directory: the machine starts whatever the server does"),
];
const DISK: &[Field] = &[
    text("label", &values::FILESYSTEM_LABEL, "label of its file system"),
    text("uuid", &values::FILESYSTEM_UUID, "UUID of its file system"),
    text("serial", &values::SERIAL, "serial number of the disk, whose file system is on the whole disk"),
    choice("filesystem", FILESYSTEM, "its file system").or_text("ext4"),
    boolean("create", "with `serial`: make the file system when the disk is empty").or(false),
];
const FILESYSTEM: &[(&str, &str)] = &[("ext4", "ext4"), ("xfs", "XFS"), ("btrfs", "Btrfs")];
const NFS: &[Field] = &[
    text("server", &values::SERVER, "its name or address").needed(),
    text("export", &values::EXPORT, "the directory as the server exports it").needed(),
    choice("version", VERSION, "version of NFS; version 3 is not offered, because it needs ports that change")
        .or_text("4.2"),
];
const VERSION: &[(&str, &str)] = &[("4.0", "RFC 7530"), ("4.1", "RFC 8881"), ("4.2", "RFC 7862")];
const CIFS: &[Field] = &[
    text("server", &values::SERVER, "its name or address").needed(),
    text("share", &values::SHARE, "name of the share").needed(),
    text(
        "credential",
        &values::CREDENTIAL,
        "the systemd credential with user and password, in lines `username=…`, `password=…` and, if wanted, `domain=…`",
    )
    .needed(),
];

pub(crate) fn mounts(top: &Section) -> Result<BTreeMap<String, Mount>> {
    top.each("mounts", |_, t| mount(t))
}

fn mount(t: &Section) -> Result<Mount> {
    let source = source(t)?;
    let network = matches!(source, MountSource::Nfs(_) | MountSource::Cifs(_));
    let when = t.text("when")?;
    let time = match when.as_ref().map(|w| w.value.as_str()) {
        Some("boot") if network => {
            let span = when.map_or(t.span, |w| w.span);
            return Err(t
                .files
                .error(span, format!("`{}` cannot be mounted at boot: it comes from the network", t.path))
                .because("a server that is away would keep this machine from coming up")
                .hint("remove `when`: it is mounted when a program first looks into the directory"));
        }
        Some("boot") => MountTime::Boot,
        Some(_) => MountTime::Access,
        None if network => MountTime::Access,
        None => MountTime::Boot,
    };
    let required = t.boolean("required")?;
    let at = |key: &str| t.key(key).unwrap_or(t.span);
    if required == Some(true) && time == MountTime::Access {
        let error = t.files.error(at("required"), format!("`{}` is mounted on access and cannot be required", t.path));
        return Err(error.hint("remove `required`; a service that needs it says `requires` with its mount unit"));
    }
    let idle =
        t.text("idle")?.map(|i| values::seconds(&i.value).map_err(|cause| t.files.error(i.span, cause))).transpose()?;
    if idle.is_some() && time == MountTime::Boot {
        let error = t.files.error(at("idle"), format!("`{}` is mounted at boot and stays mounted", t.path));
        return Err(error.hint("remove `idle`, or say `when = \"access\"`"));
    }
    if idle == Some(0) {
        return Err(t.files.error(at("idle"), format!("`{}.idle` cannot be nothing", t.path)));
    }
    Ok(Mount {
        path: t.needed("path")?.value,
        source,
        when: time,
        required: required.unwrap_or(time == MountTime::Boot),
        read_only: t.flag("read_only")?,
        idle,
        options: t.plain("options")?,
    })
}

/// Exactly one of the keys that say what is mounted.
fn source(t: &Section) -> Result<MountSource> {
    const KINDS: [&str; 4] = ["disk", "nfs", "cifs", "bind"];
    let said: Vec<_> = KINDS.iter().filter_map(|key| Some((*key, t.key(key)?))).collect();
    if let [(one, a), (two, b), ..] = said[..] {
        return Err(
            two_of(t, (one, a), (two, b), "says two things that are mounted").hint("a mount has one: remove the other")
        );
    }
    if let Some(d) = t.table("disk")? {
        return disk(&d).map(MountSource::Disk);
    }
    if let Some(n) = t.table("nfs")? {
        let (server, export) = (n.needed("server")?.value, n.needed("export")?.value);
        return Ok(MountSource::Nfs(NfsMount { server, export, version: n.needed("version")?.value }));
    }
    if let Some(c) = t.table("cifs")? {
        let (server, share) = (c.needed("server")?.value, c.needed("share")?.value);
        return Ok(MountSource::Cifs(CifsMount { server, share, credential: c.needed("credential")?.value }));
    }
    match t.text("bind")? {
        Some(path) => Ok(MountSource::Bind(path.value)),
        None => Err(t.files.error(t.span, format!("`{}` does not say what is mounted", t.path)).hint(
            "write one of `disk = { label = \"data\" }`, `nfs = { server = …, export = … }`, \
             `cifs = { server = …, share = …, credential = … }`, `bind = \"/var/lib/thing\"`",
        )),
    }
}

fn two_of(
    t: &Section,
    one: (&str, crate::profile::source::Span),
    two: (&str, crate::profile::source::Span),
    what: &str,
) -> Error {
    let second = format!("`{}` is at {}\n{}", two.0, t.files.place(two.1), t.files.show(two.1));
    let error = t.files.error(one.1, format!("`{}` {what}: `{}` and `{}`", t.path, one.0, two.0));
    error.detail(format!("{}\n{second}", t.files.show(one.1)))
}

fn disk(t: &Section) -> Result<DiskMount> {
    let mut names: Vec<(&str, At<String>)> = Vec::new();
    for key in ["label", "uuid", "serial"] {
        names.extend(t.text(key)?.map(|value| (key, value)));
    }
    if let [(one, a), (two, b), ..] = &names[..] {
        let error = two_of(t, (one, a.span), (two, b.span), "names its disk twice");
        return Err(error.hint("one of them tells it from others: remove the other"));
    }
    let create = t.flag("create")?;
    let Some((key, value)) = names.pop() else {
        let error = t.files.error(t.span, format!("`{}` does not say which disk", t.path));
        return Err(error.hint("write `label`, `uuid` (of its file system) or `serial` (of the disk)"));
    };
    if create && key != "serial" {
        let error = t.files.error(value.span, format!("`{}` has `create`, and an empty disk has no {key}", t.path));
        return Err(error.hint("name the disk by its `serial`, or remove `create`"));
    }
    let name = match key {
        "label" => DiskName::Label(value.value),
        "uuid" => DiskName::Uuid(value.value),
        _ => DiskName::Serial(value.value),
    };
    let filesystem = match &*t.needed("filesystem")?.value {
        "xfs" => FileSystem::Xfs,
        "btrfs" => FileSystem::Btrfs,
        _ => FileSystem::Ext4,
    };
    Ok(DiskMount { name, filesystem, create })
}

/// The table that says this.
pub(crate) fn written(mount: &Mount) -> Written {
    let t = Written::default().with("path", &*mount.path);
    let t = match &mount.source {
        MountSource::Disk(disk) => t.with("disk", disk_written(disk)),
        MountSource::Nfs(nfs) => {
            let n = Written::default().with("server", &*nfs.server).with("export", &*nfs.export);
            t.with("nfs", n.with("version", &*nfs.version))
        }
        MountSource::Cifs(cifs) => {
            let c = Written::default().with("server", &*cifs.server).with("share", &*cifs.share);
            t.with("cifs", c.with("credential", &*cifs.credential))
        }
        MountSource::Bind(path) => t.with("bind", &**path),
    };
    t.with("when", word(&mount.when))
        .with("required", mount.required)
        .with("read_only", mount.read_only)
        .maybe("idle", mount.idle.map(|seconds| format!("{seconds}s")))
        .list("options", &mount.options)
}

fn disk_written(disk: &DiskMount) -> Written {
    let (key, value) = match &disk.name {
        DiskName::Label(label) => ("label", label),
        DiskName::Uuid(uuid) => ("uuid", uuid),
        DiskName::Serial(serial) => ("serial", serial),
    };
    let t = Written::default().with(key, &**value).with("filesystem", disk.filesystem.name());
    t.with("create", disk.create)
}
