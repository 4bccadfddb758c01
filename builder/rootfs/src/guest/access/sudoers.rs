//! Who may do what by sudo(8): rules of the recipe → sudoers(5), through types that cannot hold a line.

use crate::guest::Guest;
use diorite_model::recipe::{Command, Sudo};
use diorite_model::{Error, Recipe, Result};

/// The rules, in a directory that Debian's /etc/sudoers includes; no dot in the name, or it would be passed over.
const RULES: &str = "etc/sudoers.d/diorite";

/// Whom a rule is for.
enum Who<'a> {
    User(&'a str),
    Group(&'a str),
}

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let access = &recipe.access;
    if !access.anybody_has_sudo() {
        return Ok(());
    }
    let people = access.people().map(|(name, p)| (Who::User(name), &p.sudo));
    let groups = access.groups.iter().map(|(name, g)| (Who::Group(name), &g.sudo));
    let mut text = String::new();
    for (who, sudo) in people.chain(groups) {
        if let Sudo::Commands(list) = sudo {
            there(guest, &who, list)?;
        }
        text += &rule(&who, sudo)?;
    }
    guest.file(RULES, 0o440, text)
}

/// Every program of a rule must be in the image.
fn there(guest: &Guest, who: &Who, list: &[Command]) -> Result<()> {
    match list.iter().find(|c| !guest.has(c.run.trim_start_matches('/'))) {
        None => Ok(()),
        Some(command) => {
            let (Who::User(name) | Who::Group(name)) = who;
            Err(Error::input(format!("`{}` does not exist in this image", command.run))
                .at(format!("access, the commands of `{name}`"))
                .hint("add the package that brings it to [packages], or take the command out of the list"))
        }
    }
}

/// One rule. NOPASSWD, because no account has a password: the SSH key was the authentication.
fn rule(who: &Who, sudo: &Sudo) -> Result<String> {
    let (mark, name) = match who {
        Who::User(name) => ("", *name),
        Who::Group(name) => ("%", *name),
    };
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fine) {
        return Err(Error::bug(format!("{name:?} is not a valid name in a sudo rule")));
    }
    Ok(match sudo {
        Sudo::None => String::new(),
        Sudo::All => format!("{mark}{name} ALL=(ALL:ALL) NOPASSWD: ALL\n"),
        Sudo::Commands(list) => {
            let commands = list.iter().map(command).collect::<Result<Vec<_>>>()?;
            format!("{mark}{name} ALL=(root) NOPASSWD: {}\n", commands.join(", "))
        }
    })
}

/// A command with exactly its arguments; `""` stands for none at all.
fn command(command: &Command) -> Result<String> {
    let path = command.run.strip_prefix('/').unwrap_or_default();
    if path.is_empty() || path.split('/').any(|p| matches!(p, "" | "." | "..")) {
        return Err(Error::bug(format!("{:?} is not the path of a program", command.run)));
    }
    let mut text = word(&command.run)?;
    for argument in &command.arguments {
        text.push(' ');
        text += &word(argument)?;
    }
    if command.arguments.is_empty() {
        text += " \"\"";
    }
    Ok(text)
}

/// A word as it is: what separates is escaped, what expands is not let in.
fn word(text: &str) -> Result<String> {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            ',' | ':' | '=' => escaped.extend(['\\', c]),
            c if c.is_ascii_alphanumeric() || "-_./@+".contains(c) => escaped.push(c),
            c => return Err(Error::bug(format!("{c:?} is not allowed in a sudo rule")).because(format!("{text:?}"))),
        }
    }
    if escaped.is_empty() { Err(Error::bug("an empty word in a sudo rule")) } else { Ok(escaped) }
}
