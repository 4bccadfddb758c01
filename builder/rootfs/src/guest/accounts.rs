//! Accounts: names ↔ numbers of a tree, people and groups as locked accounts in passwd(5), shadow(5), group(5), gshadow(5).

use super::Guest;
use crate::tree::{Node, Tree};
use diorite_model::{Error, Recipe, Result};

/// Days since 1970 of an epoch: the last change of a password that does not exist.
fn days(epoch: u64) -> u64 {
    epoch / 86_400
}

/// The number of a user or group by name, or the number itself, from `etc/passwd` or `etc/group`.
pub fn number(tree: &Tree, file: &str, name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = tree.read(file.as_bytes())?;
    let text = std::str::from_utf8(text).ok()?;
    text.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f[0] == name)?.get(2)?.parse().ok()
}

/// The name of a number, from `etc/passwd` or `etc/group`.
pub fn name(tree: &Tree, file: &str, number: u32) -> Option<String> {
    let text = std::str::from_utf8(tree.read(file.as_bytes())?).ok()?;
    let number = number.to_string();
    text.lines().find(|l| l.split(':').nth(2) == Some(&number))?.split(':').next().map(str::to_owned)
}

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let access = &recipe.access;
    if access.people().next().is_none() && access.groups.is_empty() {
        return Ok(());
    }
    let read = |guest: &Guest, path: &str| {
        let text = guest.read(path).and_then(|b| String::from_utf8(b).ok());
        text.ok_or_else(|| Error::bug(format!("the configured tree has no /{path}")))
    };
    let (mut passwd, mut shadow) = (read(guest, "etc/passwd")?, read(guest, "etc/shadow")?);
    let (mut group, mut gshadow) = (read(guest, "etc/group")?, read(guest, "etc/gshadow")?);
    let day = days(recipe.image.epoch);
    let checked = |name: &str, number: u32, kind: &str, files: &[(&str, &str)]| {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(fine) {
            return Err(Error::bug(format!("{name:?} is no name of an account")));
        }
        let taken = |line: &str| {
            let mut fields = line.split(':');
            fields.next() == Some(name) || fields.nth(1) == Some(number.to_string().as_str())
        };
        match files.iter().find(|(_, text)| text.lines().any(taken)) {
            None => Ok(()),
            Some((file, _)) => {
                Err(Error::input(format!("the account `{name}` ({number}) is already taken in this image"))
                    .at(format!("access.{kind}.{name}"))
                    .because(format!("a package made it: /etc/{file}"))
                    .hint("choose another name, or another `uid`"))
            }
        }
    };
    for (name, person) in access.people() {
        let (uid, kind) = (person.uid, if access.users.contains_key(name) { "users" } else { "administrators" });
        checked(name, uid, kind, &[("passwd", &passwd), ("group", &group)])?;
        passwd += &format!("{name}:x:{uid}:{uid}::/home/{name}:/bin/bash\n");
        shadow += &format!("{name}:!*:{day}:0:99999:7:::\n");
        group += &format!("{name}:x:{uid}:\n");
        gshadow += &format!("{name}:!*::\n");
    }
    for (name, g) in &access.groups {
        checked(name, g.gid, "groups", &[("group", &group)])?;
        if let Some(nobody) = g.members.iter().find(|m| !access.people().any(|(n, _)| n == *m)) {
            return Err(Error::bug(format!("group `{name}` has a member that does not exist: {nobody:?}")));
        }
        let members = g.members.join(",");
        group += &format!("{name}:x:{}:{members}\n", g.gid);
        gshadow += &format!("{name}:!*::{members}\n");
    }
    let shadow_group = number(guest.tree, "etc/group", "shadow").unwrap_or(0);
    for (path, mode, text) in [
        ("etc/passwd", 0o644, passwd),
        ("etc/group", 0o644, group),
        ("etc/shadow", 0o640, shadow),
        ("etc/gshadow", 0o640, gshadow),
    ] {
        let mut node = Node::file(mode, text);
        if mode == 0o640 {
            node.gid = shadow_group;
        }
        guest.put(path, node)?;
    }
    Ok(())
}
