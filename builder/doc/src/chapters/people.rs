//! Who may log in, and what they may do then.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;
use crate::language::Language;
use diorite_model::recipe::{Command, Person, RootLogin, SecondFactor, Sudo};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (access, language) = (&c.recipe.access, c.language);
    let mut blocks = vec![Block::Text(language.people_about().into())];
    let mut people =
        DocumentTable::new([language.name(), language.role(), language.keys(), "sudo".into(), language.evidence()]);
    for (role, all) in [(language.administrator(), &access.administrators), (language.ordinary_user(), &access.users)] {
        for (name, person) in all {
            let ids = [format!("administrator-{name}"), format!("login-{name}")];
            people.row([
                Cell::lines([Cell::code(&**name), Cell::from(format!("uid {}", person.uid))]),
                role.clone().into(),
                keys(c, person),
                sudo(&person.sudo, language),
                c.evidence.of_checks(&[&ids[0], &ids[1]]),
            ]);
        }
    }
    match people.rows.is_empty() {
        true => blocks.push(Block::Remark(language.nobody_named().into())),
        false => blocks.push(Block::Table(people)),
    }
    if !access.groups.is_empty() {
        let mut groups = DocumentTable::new([language.group(), language.members(), "sudo".into()]);
        for (name, group) in &access.groups {
            groups.row([
                Cell::lines([Cell::code(&**name), Cell::from(format!("gid {}", group.gid))]),
                Cell::codes(&group.members),
                sudo(&group.sudo, language),
            ]);
        }
        blocks.push(Block::Table(groups));
    }
    let root = match access.root_login {
        RootLogin::No => language.no().into(),
        RootLogin::Credential => Cell::from(language.root_by_credential()).then(Cell::code("ssh.authorized_keys.root")),
    };
    let second = match access.second_factor {
        SecondFactor::None => language.none(),
        SecondFactor::U2f => language.second_factor_u2f(),
    };
    let idle = access.idle_minutes.map_or_else(|| language.never(), |minutes| language.minutes(minutes));
    let authorities = Cell::codes(access.user_ca.iter().map(|key| short(key)));
    blocks.push(Block::Facts(vec![
        (language.root_login(), root),
        (language.certificate_authorities(), authorities.or_dash()),
        (language.second_factor(), second.into()),
        (language.idle_closed(), idle.into()),
        (language.sessions(), access.sessions.to_string().into()),
        (language.banner(), Cell::lines(access.banner.iter().map(|line| Cell::from(line.as_str()))).or_dash()),
        (language.no_passwords(), c.evidence.of_checks(&["accounts-locked"])),
        (language.only_declared_people(), c.evidence.of_checks(&["secure-shell", "strangers-keys"])),
        (language.own_host_keys(), c.evidence.of_checks(&["clones-differ"])),
    ]));
    DocumentSection { id: "people", title: language.chapter_people(), blocks }
}

fn keys(c: &DocumentContext, person: &Person) -> Cell {
    let keys = person.ssh_keys.iter().map(|key| Cell::code(short(key)));
    let principals =
        (!person.principals.is_empty()).then(|| Cell::from(c.language.certificate_for(person.principals.join(", "))));
    Cell::lines(keys.chain(principals)).or_dash()
}

/// A public key by its type, the end of its letters and its comment: enough to tell it from others on paper.
fn short(key: &str) -> String {
    let mut words = key.split_whitespace();
    let (kind, letters) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let end: Vec<char> = letters.chars().rev().take(12).collect();
    let end: String = end.into_iter().rev().collect();
    let comment = words.collect::<Vec<_>>().join(" ");
    format!("{kind} …{end} {comment}").trim_end().to_owned()
}

/// What `sudo` allows.
fn sudo(sudo: &Sudo, language: Language) -> Cell {
    match sudo {
        Sudo::None => language.nothing().into(),
        Sudo::All => language.sudo_everything().into(),
        Sudo::Commands(all) => Cell::codes(all.iter().map(command)),
    }
}

fn command(command: &Command) -> String {
    std::iter::once(&command.run).chain(&command.arguments).map(String::as_str).collect::<Vec<_>>().join(" ")
}
