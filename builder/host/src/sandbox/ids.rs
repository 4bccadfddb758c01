//! Which ids a user namespace gets: user_namespaces(7), subuid(5), newuidmap(1).

use super::why::Why;
use diorite_model::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's own ids end at 65534 (nobody); a tree may hold any of them.
pub(crate) const WANTED: u32 = 65_536;

/// One line of a map: ids `inside…inside+count` are `outside…` of the parent namespace.
pub(crate) type Range = (u32, u32, u32);

/// The ids of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Our own user and group, under the same number; nothing else. Needs nothing.
    Own,
    /// We are root already (of a container, say): the same ids, written without help.
    Direct,
    /// 0 is us, 1… come from /etc/subuid and /etc/subgid by the two set-user-ID helpers.
    Helped { uids: Vec<Range>, gids: Vec<Range>, newuidmap: PathBuf, newgidmap: PathBuf },
}

impl Ids {
    /// Whether the child shall become id 0 of the namespace.
    pub fn become_root(&self) -> bool {
        *self != Self::Own
    }

    /// A full range for this user, or what is missing and how to get it.
    pub fn full() -> Result<Self, Why> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if crate::simulate::single_uid() {
            return Err(missing_range("/etc/subuid", &user_name(uid), &[]));
        }
        if uid == 0 {
            return own_ids().map(|()| Self::Direct);
        }
        let name = user_name(uid);
        let range = |path: &str, own: u32| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let found = ranges(&text, &name, uid);
            match map(own, &found) {
                Some(map) => Ok(map),
                None => Err(missing_range(path, &name, &found)),
            }
        };
        let helper = |program: &str| {
            find(program).ok_or_else(|| Why {
                cause: format!("the program {program} is not installed"),
                hint: "install Debian's package `uidmap` (apt install uidmap), or run as root".into(),
            })
        };
        Ok(Self::Helped {
            newuidmap: helper("newuidmap")?,
            newgidmap: helper("newgidmap")?,
            uids: range("/etc/subuid", uid)?,
            gids: range("/etc/subgid", gid)?,
        })
    }

    /// Gives the ids to the new user namespace of process `pid`.
    pub fn map(&self, pid: libc::pid_t) -> Result<()> {
        let own = |id: u32| vec![(id, id, 1)];
        match self {
            Self::Own => {
                // Without it an unprivileged process may not write gid_map (user_namespaces(7)).
                write(pid, "setgroups", "deny")?;
                write(pid, "uid_map", &lines(&own(rustix::process::geteuid().as_raw())))?;
                write(pid, "gid_map", &lines(&own(rustix::process::getegid().as_raw())))
            }
            Self::Direct => {
                for kind in ["uid_map", "gid_map"] {
                    let ours = fs::read_to_string(format!("/proc/self/{kind}")).unwrap_or_default();
                    let same: Vec<Range> = parse(&ours).into_iter().map(|(inside, _, n)| (inside, inside, n)).collect();
                    write(pid, kind, &lines(&same))?;
                }
                Ok(())
            }
            Self::Helped { uids, gids, newuidmap, newgidmap } => {
                help(newuidmap, pid, uids)?;
                help(newgidmap, pid, gids)
            }
        }
    }
}

/// Whether root here owns every id a tree may hold (not so in a container that maps a single one).
pub(crate) fn own_ids() -> Result<(), Why> {
    for kind in ["uid", "gid"] {
        let map = fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
        let there: u64 = parse(&map).iter().map(|(_, _, n)| u64::from(*n)).sum();
        // 65534 is enough: nobody; some containers map exactly 65536, some a little less.
        if there < u64::from(WANTED) - 1 {
            return Err(Why {
                cause: format!("this root owns only {there} {kind}s of the {WANTED} that a Debian tree may use"),
                hint: "start the container with a full range of ids (podman: --userns=auto:size=65536, docker: no userns-remap)"
                    .into(),
            });
        }
    }
    Ok(())
}

fn write(pid: libc::pid_t, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    crate::file::write_scratch(&path, text).map_err(|e| {
        Error::host("no ids could be mapped into the user namespace")
            .at(&path)
            .because(e)
            .hint("`diorite doctor` says what this host allows")
    })
}

fn help(program: &Path, pid: libc::pid_t, map: &[Range]) -> Result<()> {
    let numbers = map.iter().flat_map(|(a, b, n)| [a, b, n]).map(u32::to_string);
    let output = Command::new(program).arg(pid.to_string()).args(numbers).stdin(Stdio::null()).output();
    let cause = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(e) => e.to_string(),
    };
    Err(Error::host("no ids could be mapped into the user namespace")
        .at(program.display().to_string())
        .because(cause)
        .hint("the program must be set-user-ID root or have cap_setuid, as Debian's package `uidmap` installs it"))
}

fn lines(map: &[Range]) -> String {
    map.iter().map(|(inside, outside, count)| format!("{inside} {outside} {count}\n")).collect()
}

/// The text of /proc/PID/uid_map.
fn parse(text: &str) -> Vec<Range> {
    let number = |w: Option<&str>| w.and_then(|w| w.parse::<u32>().ok());
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((number(words.next())?, number(words.next())?, number(words.next())?))
        })
        .collect()
}

/// The (start, count) pairs of a user in subuid(5): lines `NAME_OR_UID:START:COUNT`.
fn ranges(text: &str, name: &str, uid: u32) -> Vec<(u32, u32)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            (owner == name || owner == uid.to_string()).then_some(range)
        })
        .collect()
}

/// 0 is ourselves, the rest from the ranges until nobody (65534) is covered; `None` when they do not suffice.
fn map(own: u32, ranges: &[(u32, u32)]) -> Option<Vec<Range>> {
    let mut map = vec![(0, own, 1)];
    let mut next = 1;
    for (start, count) in ranges {
        let count = (*count).min(WANTED - next);
        if count > 0 {
            map.push((next, *start, count));
            next += count;
        }
    }
    (next >= WANTED - 1).then_some(map)
}

fn missing_range(path: &str, name: &str, found: &[(u32, u32)]) -> Why {
    let cause = match found.iter().map(|(_, count)| u64::from(*count)).sum::<u64>() {
        0 => format!("{path} gives user `{name}` no range of ids"),
        n => format!("{path} gives user `{name}` only {n} ids, a Debian tree may use {WANTED}"),
    };
    let option = if path.ends_with("gid") { "--add-subgids" } else { "--add-subuids" };
    let hint = format!(
        "as root: usermod {option} 100000-165535 {name} (it adds the line `{name}:100000:65536` to {path}; \
         choose a range that nobody else has), and the same for the other of subuid and subgid; or run as root"
    );
    Why { cause, hint }
}

/// The login name, from /etc/passwd (a static program has no other source); else from the environment.
fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| uid.to_string())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/bin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|directory| directory.join(program)).find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBUID: &str = "builder:100000:65536\nother:165536:65536\n1000:300000:10\nbroken\nbuilder:x:y\n";

    #[test]
    fn a_users_ranges_by_name_or_number() {
        assert_eq!(ranges(SUBUID, "builder", 1000), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(ranges(SUBUID, "nobody", 65_534), []);
    }

    #[test]
    fn a_map_covers_every_id_or_is_none() {
        assert_eq!(map(1000, &[(100_000, 65_536)]), Some(vec![(0, 1000, 1), (1, 100_000, 65_535)]));
        let two = [(100_000, 1000), (200_000, 70_000)];
        assert_eq!(map(7, &two), Some(vec![(0, 7, 1), (1, 100_000, 1000), (1001, 200_000, 64_535)]));
        assert_eq!(map(1000, &[(100_000, 1000)]), None);
        assert_eq!(map(1000, &[]), None);
    }

    #[test]
    fn what_is_missing_is_said_with_the_line_to_add() {
        let why = missing_range("/etc/subuid", "ann", &[]);
        assert_eq!(why.cause, "/etc/subuid gives user `ann` no range of ids");
        assert!(
            why.hint.contains("usermod --add-subuids 100000-165535 ann") && why.hint.contains("`ann:100000:65536`")
        );
        assert!(missing_range("/etc/subgid", "ann", &[(5, 10)]).cause.contains("only 10 ids"));
    }

    #[test]
    fn maps_in_the_kernels_form() {
        assert_eq!(parse("         0          0 4294967295\n"), [(0, 0, u32::MAX)]);
        assert_eq!(lines(&[(0, 1000, 1), (1, 100_000, 65_535)]), "0 1000 1\n1 100000 65535\n");
    }
}
