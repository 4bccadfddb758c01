//! `[access]`: what is meant, and what is refused.

use super::*;
use crate::recipe::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fn start(more: &str) -> String {
    format!("[image]\nname = \"x\"\nversion = \"1\"\n\n{}", more.replace("KEY", KEY))
}

fn access(more: &str) -> Recipe {
    parse(&start(more), "profiles/x.toml", &mut shipped).unwrap_or_else(|e| panic!("{e}")).0
}

#[test]
fn rights_follow_from_what_is_said() {
    let recipe = access(
        "[access]\nuser_ca = [\"KEY\"]\n[access.administrators.anna]\n[access.administrators.ben]\nsudo = \"none\"\n\
         [access.administrators.eva]\ncommands = [{ run = \"/usr/bin/id\" }]\n[access.users.kim]\n\
         principals = [\"kim@example\", \"web\"]\n[access.groups.ops]\nmembers = [\"kim\"]\n",
    );
    let (all, a) = (&recipe.packages.include, &recipe.access);
    assert!(all.contains(&"sudo".to_owned()));
    assert_eq!((a.root_login, a.administrators["anna"].sudo.clone()), (RootLogin::No, Sudo::All));
    assert_eq!(
        (&a.administrators["ben"].sudo, &a.users["kim"].sudo, &a.groups["ops"].sudo),
        (&Sudo::None, &Sudo::None, &Sudo::None)
    );
    assert!(
        matches!(&a.administrators["eva"].sudo, Sudo::Commands(list) if list.len() == 1 && list[0].arguments.is_empty())
    );
    assert_eq!((a.administrators["anna"].principals.len(), a.users["kim"].principals.len()), (1, 2));
    // Nobody may use it: it is not there.
    let none = access("[access.users.kim]\nssh_keys = [\"KEY\"]\n");
    assert!(!none.packages.include.contains(&"sudo".to_owned()) && none.access.users["kim"].principals.is_empty());
}

#[test]
fn what_cannot_be_meant_shows_its_lines() {
    let wrong = |more: &str| error(&start(more));
    let person = "[access.administrators.anna]\nssh_keys = [\"KEY\"]\n";
    let all = [
        wrong("[access.administrators.anna]\nuid = 2000\n"),
        wrong("[access.users.anna]\nssh_keys = []\n"),
        wrong(&format!("{person}principals = [\"anna\"]\n")),
        wrong(&format!("[access]\nsecond_factor = \"u2f\"\n{person}")),
        wrong(&format!("{person}[access.groups.web]\nmembers = [\"ana\"]\nsudo = \"all\"\n")),
        wrong(&format!("{person}[access.users.anna]\nssh_keys = [\"KEY\"]\n")),
        wrong(&format!("{person}[access.groups.anna]\n")),
        wrong(&format!("{person}sudo = \"all\"\ncommands = [{{ run = \"/usr/bin/id\" }}]\n")),
        wrong(&format!("{person}sudo = \"listed\"\n")),
        wrong(&format!("{person}sudo = \"some\"\n")),
        wrong(&format!("{person}commands = [{{ run = \"systemctl\" }}]\n")),
        wrong(&format!("{person}commands = [{{ run = \"/usr/bin/\" }}]\n")),
        wrong(&format!("{person}commands = [{{ run = \"/usr/bin/../bin/id\" }}]\n")),
        wrong(&format!("{person}commands = [{{ run = \"/usr/bin/cat\", arguments = [\"/var/log/*\"] }}]\n")),
        wrong("[access.users.anna]\nssh_keys = [\"KEY\"]\nsudo = \"all\"\n"),
        wrong("[access]\nroot_login = \"yes\"\n"),
        wrong("[access]\nbanner = [\"a\\\\b\"]\n"),
        wrong("[access]\nsessions = 0\n"),
    ];
    insta::assert_snapshot!("access", all.join("\n\n"));
}
