//! `[access]`.

use crate::Digest;
use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, word},
};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const ACCESS: &[Field] = &[
    named("administrators", &values::USER, ADMINISTRATOR, "people who may use `sudo`, by login name"),
    named("users", &values::USER, USER, "people who may log in, without `sudo` of their own, by login name"),
    named("groups", &values::USER, GROUP, "groups of these people, by name"),
    texts("user_ca", &values::SSH_KEY, "public keys of the authorities whose user certificates let their people in"),
    choice("root_login", ROOT_LOGIN, "root's own login over SSH; root has no password in either case").or_text("no"),
    choice("second_factor", SECOND_FACTOR, "what a login needs besides a key").or_text("none"),
    integer("idle_minutes", 1, 1440, "a connection on which nothing happens for so many minutes is closed")
        .or_said("never"),
    integer("sessions", 1, 100, "shells and transfers at a time over one connection").or_number(10),
    words("banner", &values::BANNER, "lines shown before anybody logs in"),
];
const ROOT_LOGIN: &[(&str, &str)] =
    &[("no", "refused"), ("credential", "with the keys of the credential `ssh.authorized_keys.root`")];
const SECOND_FACTOR: &[(&str, &str)] =
    &[("none", "nothing"), ("u2f", "the key is in a FIDO token, which asks for its PIN and a touch")];
const ADMINISTRATOR: &[Field] = &[KEYS, PRINCIPALS, UID, SUDO, COMMANDS];
const USER: &[Field] = &[KEYS, PRINCIPALS, UID];
const GROUP: &[Field] = &[
    texts("members", &values::USER, "login names"),
    integer("gid", 1000, 59_999, "number of the group").or_said("derived from the name"),
    choice("sudo", ALLOWED, "what `sudo` allows its members").or_said("`listed` with `commands`, else `none`"),
    COMMANDS,
];
const KEYS: Field = texts("ssh_keys", &values::SSH_KEY, "OpenSSH public keys; none is needed with `user_ca`");
const PRINCIPALS: Field =
    texts("principals", &values::PRINCIPAL, "names in a certificate that make it this person's; with `user_ca`")
        .or_said("the login name, with `user_ca`");
const UID: Field =
    integer("uid", 1000, 59_999, "number of the account and of its group").or_said("derived from the name");
const SUDO: Field =
    choice("sudo", ALLOWED, "what `sudo` allows this person").or_said("`listed` with `commands`, else `all`");
const COMMANDS: Field = tables("commands", COMMAND, "commands that `sudo` allows, and no others");
const ALLOWED: &[(&str, &str)] =
    &[("all", "everything, as anybody"), ("none", "nothing"), ("listed", "what `commands` lists, as root")];
const COMMAND: &[Field] = &[
    text("run", &values::COMMAND, "the program").needed(),
    words("arguments", &values::COMMAND_ARGUMENT, "exactly these arguments, in this order").or_said("no argument"),
];

/// Numbers of accounts whose profile names none: the same name has the same number in every version of an image,
/// whoever else comes or goes, because the files of its owner outlive the image.
fn derived_number(name: &str) -> u32 {
    let digest = Digest::of(name.as_bytes()).0;
    20_000 + u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 30_000
}

pub(crate) fn access(top: &Section) -> Result<Access> {
    let t = top.table_or_empty("access")?;
    let user_ca = t.plain("user_ca")?;
    let mut taken = TakenNumbers::default();
    let mut people = |key: &str| -> Result<BTreeMap<String, Person>> {
        let mut all = BTreeMap::new();
        for (name, p) in t.named(key)? {
            let uid = taken.number(&name, &p, "uid")?;
            let mut principals = p.plain("principals")?;
            if principals.is_empty() && !user_ca.is_empty() {
                principals.push(name.clone());
            }
            let sudo = if key == "users" { Sudo::None } else { sudo(&p, Sudo::All)? };
            all.insert(name, Person { ssh_keys: p.plain("ssh_keys")?, principals, uid, sudo });
        }
        Ok(all)
    };
    let (administrators, users) = (people("administrators")?, people("users")?);
    let mut groups = BTreeMap::new();
    for (name, g) in t.named("groups")? {
        let gid = taken.number(&name, &g, "gid")?;
        groups.insert(name, Group { members: g.plain("members")?, gid, sudo: sudo(&g, Sudo::None)? });
    }
    let root_login = match t.needed("root_login")?.value.as_str() {
        "credential" => RootLogin::Credential,
        _ => RootLogin::No,
    };
    let second_factor = match t.needed("second_factor")?.value.as_str() {
        "u2f" => SecondFactor::U2f,
        _ => SecondFactor::None,
    };
    Ok(Access {
        root_login,
        user_ca,
        second_factor,
        idle_minutes: t.number("idle_minutes")?.map(|n| n.value),
        sessions: t.needed_number("sessions")?.value,
        banner: t.plain("banner")?,
        administrators,
        users,
        groups,
    })
}

/// What `sudo` and `commands` say together.
fn sudo(t: &Section, otherwise: Sudo) -> Result<Sudo> {
    let mut commands = Vec::new();
    for c in t.tables("commands")? {
        commands.push(Command { run: c.needed("run")?.value, arguments: c.plain("arguments")? });
    }
    let listed = !commands.is_empty();
    match t.text("sudo")? {
        Some(word) if listed != (word.value == "listed") => {
            let what = format!("`{}.sudo` is `{}` and `commands` lists {}", t.path, word.value, commands.len());
            let error = t.files.error(word.span, what);
            let error = match t.key("commands") {
                Some(at) => error.because(format!("`commands` stands at {}", t.files.place(at))),
                None => error,
            };
            Err(error.hint("either `sudo = \"all\"` or `\"none\"` without `commands`, or `commands` alone"))
        }
        Some(word) if word.value == "all" => Ok(Sudo::All),
        Some(word) if word.value == "none" => Ok(Sudo::None),
        _ if listed => Ok(Sudo::Commands(commands)),
        _ => Ok(otherwise),
    }
}

/// Names and numbers of accounts and groups: each account has a group of its own name and number.
#[derive(Default)]
struct TakenNumbers {
    numbers: BTreeMap<u32, String>,
    names: BTreeMap<String, crate::profile::source::Span>,
}

impl TakenNumbers {
    fn number(&mut self, name: &str, t: &Section, key: &str) -> Result<u32> {
        if let Some(other) = self.names.insert(name.to_owned(), t.span) {
            let error = t.files.error(t.span, format!("`{name}` is there twice in `[access]`"));
            let other = format!("it already stands at {}", t.files.place(other));
            return Err(error.because(other).hint("each account has a group of its own name: choose another one"));
        }
        let said = t.number(key)?;
        let number = said.as_ref().map_or_else(|| derived_number(name), |n| n.value);
        if let Some(other) = self.numbers.insert(number, name.to_owned()) {
            let place = said.map_or(t.span, |n| n.span);
            let error = t.files.error(place, format!("`{name}` and `{other}` have the same number, {number}"));
            return Err(error.hint(format!("give one of them another `{key}`")));
        }
        Ok(number)
    }
}

/// The table that says this.
pub(crate) fn written(access: &Access) -> Written {
    let person = |p: &Person| {
        Written::default().list("ssh_keys", &p.ssh_keys).list("principals", &p.principals).with("uid", p.uid)
    };
    let group = |g: &Group| with_sudo(Written::default().list("members", &g.members).with("gid", g.gid), &g.sudo);
    Written::default()
        .with("root_login", word(&access.root_login))
        .list("user_ca", &access.user_ca)
        .with("second_factor", word(&access.second_factor))
        .maybe("idle_minutes", access.idle_minutes.map(u32::from))
        .with("sessions", u32::from(access.sessions))
        .list("banner", &access.banner)
        .named("administrators", &access.administrators, |p| with_sudo(person(p), &p.sudo))
        .named("users", &access.users, person)
        .named("groups", &access.groups, group)
}

fn with_sudo(table: Written, sudo: &Sudo) -> Written {
    match sudo {
        Sudo::None => table.with("sudo", "none"),
        Sudo::All => table.with("sudo", "all"),
        Sudo::Commands(list) => table
            .with("sudo", "listed")
            .tables("commands", list, |c| Written::default().with("run", &*c.run).list("arguments", &c.arguments)),
    }
}
