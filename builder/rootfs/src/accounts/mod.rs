//! Stable numeric ids: the same account has the same number in every version of an image.
//!
//! State outlives the image, and files on it hold numbers. systemd-sysusers counts down from 999 and adduser up from
//! 100, in the order in which packages are configured: one more package and others move. So after configure every
//! dynamic system account (100…999, Debian policy 9.2.2) gets a number that follows from its name alone: from the table
//! of well-known accounts, else from a hash of the name. Only two names without an entry in the table whose hashes
//! collide can move each other.

pub mod lookup;
mod table;

use crate::database::ADMIN;
use crate::tree::{Content, NodeKind, Tree};
use diorite_model::{Digest, Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers that packages allocate dynamically.
const DYNAMIC: std::ops::RangeInclusive<u32> = 100..=999;
/// Numbers for names that are not in the table; the table stays below.
const HASHED: std::ops::RangeInclusive<u32> = 400..=999;

/// Backups and locks that programs which change accounts leave behind.
pub(crate) const LEFTOVERS: [&str; 7] =
    ["etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/.pwd.lock"];

/// Old number → new number.
type Moves = BTreeMap<u32, u32>;

/// Gives every dynamic account its stable number: in owners and groups of all nodes, access control lists, the account
/// files (whose lines are sorted by number), subordinate ids and dpkg's overrides. `epoch` is the image's, in seconds
/// since 1970.
pub fn stabilize(tree: &mut Tree, epoch: u64) -> Result<()> {
    let users = numbers(tree, "etc/passwd");
    let groups = numbers(tree, "etc/group");
    let dynamic = |accounts: &[(String, u32)]| -> Vec<(String, u32)> {
        // `users` is base-passwd's, though its number is in the dynamic range.
        accounts
            .iter()
            .filter(|(name, id)| DYNAMIC.contains(id) && !table::STATIC.contains(&name.as_str()))
            .cloned()
            .collect()
    };
    let (users, groups) = (dynamic(&users), dynamic(&groups));
    let names: BTreeSet<&str> = users.iter().chain(&groups).map(|(name, _)| name.as_str()).collect();
    let stable = allot(&names)?;
    let moves = |accounts: &[(String, u32)]| accounts.iter().map(|(name, id)| (*id, stable[name.as_str()])).collect();
    let (uids, mut gids): (Moves, Moves) = (moves(&users), moves(&groups));
    gids.insert(100, 100);
    for (path, node) in &mut tree.nodes {
        let unknown = |kind: &str, id: u32| {
            Error::input(format!("a file belongs to {kind} number {id}, which no account has"))
                .at(format!("/{}", String::from_utf8_lossy(path)))
                .because("that number could be given to another account in the next version of the image")
                .hint("the package that made it should keep its account; leave that package out or report the bug")
        };
        node.uid = moved(&uids, node.uid).ok_or_else(|| unknown("user", node.uid))?;
        node.gid = moved(&gids, node.gid).ok_or_else(|| unknown("group", node.gid))?;
        for (name, value) in &mut node.xattrs {
            if name.starts_with(b"system.posix_acl_") {
                *value = access_list(value, &uids, &gids).unwrap_or_else(|| value.clone());
            }
        }
    }
    rewrite(tree, "etc/passwd", |line| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        renumber(&mut fields, 2, &uids);
        renumber(&mut fields, 3, &gids);
        fields.join(":")
    });
    rewrite(tree, "etc/group", |line| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        renumber(&mut fields, 2, &gids);
        fields.join(":")
    });
    for (accounts, secrets) in [("etc/passwd", "etc/shadow"), ("etc/group", "etc/gshadow")] {
        let order: BTreeMap<String, (u32, usize)> =
            numbers(tree, accounts).into_iter().enumerate().map(|(at, (name, id))| (name, (id, at))).collect();
        let rank = |line: &str| {
            let name = line.split(':').next().unwrap_or_default();
            (order.get(name).map_or(u32::MAX, |(id, _)| *id), name.to_owned())
        };
        sort(tree, accounts, rank);
        sort(tree, secrets, rank);
    }
    set_last_change(tree, days(epoch));
    for (file, moves) in [("etc/subuid", &uids), ("etc/subgid", &gids)] {
        rewrite(tree, file, |line| {
            let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
            renumber(&mut fields, 0, moves);
            fields.join(":")
        });
    }
    rewrite(tree, &format!("{ADMIN}/statoverride"), |line| {
        let mut words: Vec<String> = line.splitn(4, ' ').map(str::to_owned).collect();
        for (word, moves) in words.iter_mut().zip([&uids, &gids]) {
            if let Some(id) = word.strip_prefix('#').and_then(|n| n.parse().ok()) {
                *word = format!("#{}", moved(moves, id).unwrap_or(id));
            }
        }
        words.join(" ")
    });
    Ok(())
}

/// The day of a time, as shadow(5) counts: days since 1970.
pub(crate) fn days(seconds: u64) -> u64 {
    seconds / 86_400
}

/// shadow(5): the last change of every password is on the image's day. No account has a password, so the day says nothing
/// but when a script ran: shadow's programs take the clock's where it stands before SOURCE_DATE_EPOCH (lib/gettime.c), and
/// leave the field empty in 1970. Zero stays: it demands a new password at the next login, and no clock gives it.
fn set_last_change(tree: &mut Tree, day: u64) {
    rewrite(tree, "etc/shadow", |line| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        if let Some(field) = fields.get_mut(2).filter(|field| *field != "0") {
            *field = day.to_string();
        }
        fields.join(":")
    });
}

/// A number for each name, from the names alone.
fn allot<'a>(names: &BTreeSet<&'a str>) -> Result<BTreeMap<&'a str, u32>> {
    let mut found = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for &name in names {
        if let Some(id) = table::id(name) {
            found.insert(name, id);
            taken.insert(id);
        }
    }
    let room = HASHED.end() - HASHED.start() + 1;
    for &name in names {
        if found.contains_key(name) {
            continue;
        }
        let digest = Digest::of(name.as_bytes());
        let start = u32::from_le_bytes([digest.0[0], digest.0[1], digest.0[2], digest.0[3]]) % room;
        let free = (0..room).map(|step| HASHED.start() + (start + step) % room).find(|id| !taken.contains(id));
        let id = free.ok_or_else(|| Error::input("there are more system accounts than numbers for them"))?;
        taken.insert(id);
        found.insert(name, id);
    }
    Ok(found)
}

/// The new number; `None` for a dynamic number that no account has.
fn moved(moves: &Moves, id: u32) -> Option<u32> {
    match moves.get(&id) {
        Some(new) => Some(*new),
        None if DYNAMIC.contains(&id) => None,
        None => Some(id),
    }
}

fn renumber(fields: &mut [String], at: usize, moves: &Moves) {
    if let Some(field) = fields.get_mut(at)
        && let Some(new) = field.parse().ok().and_then(|id: u32| moves.get(&id))
    {
        *field = new.to_string();
    }
}

/// Names and numbers of passwd(5) or group(5), in the order of the lines.
fn numbers(tree: &Tree, file: &str) -> Vec<(String, u32)> {
    let text = String::from_utf8_lossy(tree.read(file).unwrap_or_default()).into_owned();
    let line = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

fn rewrite(tree: &mut Tree, file: &str, mut line: impl FnMut(&str) -> String) {
    change(tree, file, |text| text.lines().map(|l| line(l) + "\n").collect());
}

fn sort(tree: &mut Tree, file: &str, rank: impl Fn(&str) -> (u32, String)) {
    change(tree, file, |text| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_by_cached_key(|l| rank(l));
        lines.iter().map(|l| format!("{l}\n")).collect()
    });
}

/// Changes a text file, if there is one; mode, owner and time stay.
fn change(tree: &mut Tree, file: &str, edit: impl FnOnce(&str) -> String) {
    if let Some(node) = tree.nodes.get_mut(file.as_bytes())
        && let NodeKind::File(content) = &node.kind
        && let Ok(text) = std::str::from_utf8(content.bytes())
    {
        node.kind = NodeKind::File(Content::from_bytes(edit(text).into_bytes()));
    }
}

/// An access control list as the kernel hands it out (linux/posix_acl_xattr.h): version 2, then tag, permissions and id
/// of each entry, little-endian, sorted by tag and id.
fn access_list(value: &[u8], uids: &Moves, gids: &Moves) -> Option<Vec<u8>> {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    let (version, entries) = value.split_at_checked(4)?;
    if version != [2, 0, 0, 0] || entries.len() % 8 != 0 {
        return None;
    }
    let entry = |e: &[u8]| {
        let tag = u16::from_le_bytes([e[0], e[1]]);
        let id = u32::from_le_bytes([e[4], e[5], e[6], e[7]]);
        let id = match tag {
            USER => uids.get(&id).copied().unwrap_or(id),
            GROUP => gids.get(&id).copied().unwrap_or(id),
            _ => id,
        };
        (tag, id, [e[2], e[3]])
    };
    let mut entries: Vec<_> = entries.chunks_exact(8).map(entry).collect();
    entries.sort();
    let mut out = version.to_vec();
    for (tag, id, permissions) in entries {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&permissions);
        out.extend_from_slice(&id.to_le_bytes());
    }
    Some(out)
}

#[cfg(test)]
mod tests;
