//! People and groups of the profile → locked accounts in passwd(5), shadow(5), group(5), gshadow(5).

use crate::accounts::{days, lookup};
use crate::guest::Guest;
use crate::tree::Node;
use diorite_model::{Error, Recipe, Result};

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
            return Err(Error::bug(format!("{name:?} is not a valid account name")));
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
        if let Some(unknown) = g.members.iter().find(|m| !access.people().any(|(n, _)| n == *m)) {
            return Err(Error::bug(format!("group `{name}` has an unknown member: {unknown:?}")));
        }
        let members = g.members.join(",");
        group += &format!("{name}:x:{}:{members}\n", g.gid);
        gshadow += &format!("{name}:!*::{members}\n");
    }
    let shadow_group = lookup::number(guest.tree, "etc/group", "shadow").unwrap_or(0);
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
