//! Forms of mounts.

use super::{Form, form, only, starts};

/// Directories of the root that are verified, or that the system itself mounts.
const SEALED: [&str; 16] = [
    "bin", "boot", "dev", "efi", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "tmp",
    "usr",
];

/// A directory of the machine by its absolute path.
pub const DIRECTORY: Form = form("an absolute path: letters, digits and `-_.`, such as `/srv/data`", 200, |text| {
    let below = text.strip_prefix('/').ok_or("it does not begin with `/`")?;
    only(below, |c| c.is_ascii_alphanumeric() || "-_./".contains(c))?;
    if below.split('/').any(|p| p.is_empty() || p.starts_with('.')) {
        return Err("a part of it is empty or begins with a dot".into());
    }
    Ok(())
});

/// Where something may be mounted.
pub const MOUNT_POINT: Form =
    form("a directory such as `/srv/data`, `/mnt/backup` or `/var/lib/postgresql`", 200, |text| {
        (DIRECTORY.check)(text)?;
        const WHOLE: [&str; 15] = [
            "/var",
            "/var/lib",
            "/var/log",
            "/var/cache",
            "/var/tmp",
            "/var/home",
            "/var/srv",
            "/var/opt",
            "/var/lib/dpkg",
            "/var/lib/ssh",
            "/var/lib/systemd",
            "/var/lib/containers",
            "/srv",
            "/home",
            "/opt",
        ];
        let first = text[1..].split('/').next().unwrap_or_default();
        if SEALED.contains(&first) {
            return Err(format!(
                "/{first} belongs to the verified root or to the system itself, and nothing may cover it"
            ));
        }
        if text == "/var/lib/diorite" || text.starts_with("/var/lib/diorite/") {
            return Err("what the image itself keeps is there".into());
        }
        if WHOLE.contains(&text) {
            return Err("the system needs what is in it: mount on a directory below it".into());
        }
        Ok(())
    });

/// Label of a file system: as many bytes as ext4 has room for.
pub const FILESYSTEM_LABEL: Form = form("letters, digits and `-_.`, at most 16: `data`", 16, |text| {
    starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
});

/// UUID of a file system.
pub const FILESYSTEM_UUID: Form = form("a UUID in lower case: `0fc63daf-8483-4772-8e79-3d69d8477de4`", 36, |text| {
    let groups: Vec<&str> = text.split('-').collect();
    let digits = |g: &&str| g.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    match groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(digits) {
        true => Ok(()),
        false => Err("it is not 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12".into()),
    }
});

/// Serial number of a disk: QEMU hands on 20 bytes of it.
pub const SERIAL: Form = form("letters, digits and `-_`, at most 20: `data-1`", 20, |text| {
    starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_".contains(c))
});

/// A directory that an NFS server exports.
pub const EXPORT: Form = form("an absolute path on the server: `/export/data`", 255, |text| {
    if text == "/" { Ok(()) } else { (DIRECTORY.check)(text) }
});

/// A share of an SMB server.
pub const SHARE: Form =
    form("a share's name, with directories in it if wanted: `projects`, `team/2026`", 200, |text| {
        starts(text, |c| c.is_ascii_alphanumeric(), "a letter or digit")?;
        only(text, |c| c.is_ascii_alphanumeric() || "-_./$".contains(c))?;
        if text.split('/').any(|p| p.is_empty() || p.starts_with('.')) {
            return Err("a part of it is empty or begins with a dot".into());
        }
        Ok(())
    });

/// One option of mount(8).
pub const MOUNT_OPTION: Form = form("one option: `noatime`, `noexec`, `rsize=1048576`, `uid=1000`", 100, |text| {
    starts(text, |c| c.is_ascii_lowercase(), "a lower-case letter")?;
    only(text, |c| c.is_ascii_alphanumeric() || "-_.=:/".contains(c))?;
    let name = text.split('=').next().unwrap_or(text);
    match name {
        "ro" | "rw" => Err("`read_only` says that".into()),
        "auto" | "noauto" | "nofail" | "fail" => Err("`when` and `required` say that".into()),
        "suid" | "dev" => Err("what is mounted brings neither devices nor programs with privileges".into()),
        "user" | "users" | "owner" | "group" | "_netdev" => {
            Err("that is a word of fstab(5), which is not used here".into())
        }
        "bind" | "rbind" | "remount" | "move" | "loop" | "defaults" => {
            Err("the table itself says what is mounted".into())
        }
        "credentials" | "cred" | "password" | "pass" | "username" | "password2" => {
            Err("user and password come in as a systemd credential: `credential`".into())
        }
        "vers" | "nfsvers" | "minorversion" => Err("`version` says that".into()),
        "port" | "proto" | "mountproto" => Err("the firewall's rules follow from the standard port over TCP".into()),
        _ if name.starts_with("x-") || name.starts_with("comment") => {
            Err("only mount units read that, and this makes one".into())
        }
        _ => Ok(()),
    }
});
