//! Accounts: each person has theirs, which nothing but their keys opens, with the rights that were declared.

use crate::{
    answer::{Judged, none_of, short},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::recipe::Sudo;

/// An account, as declared.
struct DeclaredPerson {
    /// Login name.
    name: String,
    /// Number of the account.
    uid: u32,
    /// Public keys, one line each.
    keys: Vec<String>,
    /// Where sshd looks for keys.
    keys_files: String,
    /// Names in a certificate that make it theirs, one per line.
    principals: Vec<String>,
    /// What sudo(8) allows; nothing is said of members of groups with rules.
    sudo: Option<Sudo>,
}

/// Every declared account is as declared, and no account has a password.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let (recipe, access) = (scope.recipe, &scope.recipe.access);
    let mut all = Vec::new();
    for (name, declared) in access.people() {
        let by_group = access.groups.values().any(|g| g.sudo != Sudo::None && g.members.contains(name));
        let person = DeclaredPerson {
            name: name.clone(),
            uid: declared.uid,
            keys: declared.ssh_keys.clone(),
            keys_files: recipe.keys_files(),
            principals: declared.principals.clone(),
            sudo: (!by_group).then(|| declared.sudo.clone()),
        };
        let what = format!("account {name} has the declared keys and rights, and no password");
        let (id, script) = (format!("administrator-{name}"), script(&person));
        all.push(Check::script(id, what, script, move |said| administrator(said, &person)));
    }
    all.push(Check::script("accounts-locked", "no account has a usable password", "getent shadow", |said| {
        no_password(&said.text)
    }));
    all
}

/// What [`administrator`] reads: the accounts' databases, the home, the keys and names, what sshd makes of it all for
/// this user, whom sudo makes of them, and which of the declared commands it allows.
fn script(person: &DeclaredPerson) -> String {
    let path = |directory: &str| quote::word(&format!("{directory}/{}", person.name));
    let (name, home) = (quote::word(&person.name), path("/home"));
    let (keys, principals) = (path("/etc/ssh/authorized_keys.d"), path("/etc/ssh/principals.d"));
    let connection = quote::word(&format!("user={},host=lab,addr=10.77.0.1", person.name));
    let listed = match &person.sudo {
        Some(Sudo::Commands(list)) => list
            .iter()
            .map(|c| {
                let words = quote::words(std::iter::once(&c.run).chain(&c.arguments));
                format!("; runuser -u {name} -- sudo -n -l {words} >/dev/null 2>&1; echo listed:$?")
            })
            .collect(),
        _ => String::new(),
    };
    format!(
        "echo passwd:$(getent passwd {name}); echo shadow:$(getent shadow {name}); \
         stat -L -c 'home:%u %a %F' {home}; \
         sed 's/^/key:/' {keys}; \
         sed 's/^/principal:/' {principals} 2>/dev/null; \
         /usr/sbin/sshd -T -C {connection} | sed 's/^/sshd:/'; \
         echo sudo:$(runuser -u {name} -- sudo -n /usr/bin/id -u 2>/dev/null){listed}"
    )
}

/// Lines with a word before them: passwd(5), shadow(5), the home's owner, mode and type, the keys, `sshd -T` for this
/// user, and the number that sudo(8) gave.
fn administrator(output: &Output, person: &DeclaredPerson) -> Judged {
    let said = |word: &str| output.text.lines().filter_map(|l| l.strip_prefix(word)).collect::<Vec<_>>();
    let one = |word: &str| said(word).first().copied().unwrap_or_default().to_owned();
    let (passwd, shadow) = (one("passwd:"), one("shadow:"));
    let field = |line: &str, n: usize| line.split(':').nth(n).unwrap_or_default().to_owned();
    let uid = person.uid.to_string();
    if field(&passwd, 0) != person.name || field(&passwd, 2) != uid {
        return Err(format!("no account {} with number {uid}: {}", person.name, short(&passwd)));
    }
    let password = field(&shadow, 1);
    if !password.starts_with(['!', '*']) {
        return Err("the account is not locked".to_owned());
    }
    let home = one("home:");
    if home != format!("{uid} 700 directory") {
        return Err(format!("the home is not theirs alone: {}", short(&home)));
    }
    if said("key:") != person.keys {
        return Err(format!("{} keys, or others than the {} declared", said("key:").len(), person.keys.len()));
    }
    let sshd = said("sshd:");
    for wanted in [
        format!("authorizedkeysfile {}", person.keys_files).as_str(),
        "authenticationmethods publickey",
        "pubkeyauthentication yes",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        // Without PAM sshd(8) lets nobody into an account whose password begins with `!`.
        "usepam yes",
    ] {
        if !sshd.contains(&wanted) {
            return Err(format!("sshd does not say `{wanted}` for {}", person.name));
        }
    }
    if said("principal:") != person.principals {
        return Err(format!("other names in certificates than the {} declared", person.principals.len()));
    }
    let known = format!("uid {uid}, {} keys", person.keys.len());
    let (root, listed) = (one("sudo:"), said("listed:"));
    match &person.sudo {
        None => Ok(format!("{known}, sudo by a group")),
        Some(Sudo::All) if root == "0" => Ok(format!("{known}, root by sudo")),
        Some(Sudo::All) => Err(format!("sudo gives {}", short(&root))),
        Some(Sudo::None) if root.is_empty() => Ok(format!("{known}, no sudo")),
        Some(Sudo::None) => Err(format!("sudo lets them be {}", short(&root))),
        Some(Sudo::Commands(list)) => {
            let id = list.iter().any(|c| c.run == "/usr/bin/id");
            if listed.len() != list.len() || listed.iter().any(|status| *status != "0") {
                return Err(format!(
                    "sudo allows {} of {} commands",
                    listed.iter().filter(|s| **s == "0").count(),
                    list.len()
                ));
            }
            match root.is_empty() || id {
                true => Ok(format!("{known}, {} commands by sudo", list.len())),
                false => Err("sudo allows what is not listed".to_owned()),
            }
        }
    }
}

/// shadow(5).
fn no_password(text: &str) -> Judged {
    let open = |line: &&str| !line.split(':').nth(1).is_some_and(|p| p.starts_with(['!', '*']));
    let wrong: Vec<String> = text.lines().filter(open).map(|l| l.split(':').next().unwrap_or(l).to_owned()).collect();
    match text.lines().any(|l| l.starts_with("root:")) {
        true => none_of(&wrong, format!("{} accounts, all locked", text.lines().count())),
        false => Err("the accounts cannot be read".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_model::recipe::Command;

    fn out(status: i32, text: &str) -> Output {
        Output { status, text: text.to_owned() }
    }

    #[test]
    fn administrators() {
        let person = |sudo| DeclaredPerson {
            name: "anna".into(),
            uid: 2000,
            keys: vec!["ssh-ed25519 AAAA anna".into()],
            keys_files: "/etc/ssh/authorized_keys.d/%u".into(),
            principals: vec![],
            sudo: Some(sudo),
        };
        const GOOD: &str = "passwd:anna:x:2000:2000::/home/anna:/bin/bash\nshadow:anna:!*:20370:0:99999:7:::\n\
                            home:2000 700 directory\nkey:ssh-ed25519 AAAA anna\n\
                            sshd:authorizedkeysfile /etc/ssh/authorized_keys.d/%u\n\
                            sshd:authenticationmethods publickey\nsshd:pubkeyauthentication yes\n\
                            sshd:passwordauthentication no\nsshd:kbdinteractiveauthentication no\n\
                            sshd:usepam yes\nsudo:0";
        assert!(administrator(&out(0, GOOD), &person(Sudo::All)).is_ok());
        let none = GOOD.replace("sudo:0", "sudo:");
        assert!(administrator(&out(0, &none), &person(Sudo::None)).is_ok());
        assert!(administrator(&out(0, GOOD), &person(Sudo::None)).is_err(), "none is promised");
        let command = Command { run: "/usr/bin/true".into(), arguments: vec![] };
        let listed = person(Sudo::Commands(vec![command]));
        let with = |more: &str| administrator(&out(0, &format!("{none}\n{more}")), &listed);
        assert!(with("listed:0").is_ok() && with("listed:1").is_err() && with("").is_err());
        assert!(administrator(&out(0, &format!("{GOOD}\nlisted:0")), &listed).is_err(), "more than is listed");
        for (from, to) in [
            ("anna:x:2000", "anna:x:2001"),
            (":!*:", ":$y$j9T$x:"),
            (":!*:", "::"),
            ("home:2000 700", "home:2000 755"),
            ("home:2000", "home:0"),
            ("AAAA", "BBBB"),
            ("\nkey:", "\nkey:another\nkey:"),
            ("authenticationmethods publickey", "authenticationmethods any"),
            ("usepam yes", "usepam no"),
            ("sudo:0", "sudo:sudo: a password is required"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD);
            assert!(administrator(&out(0, &bad), &person(Sudo::All)).is_err(), "{to}");
        }
        assert!(administrator(&out(127, ""), &person(Sudo::All)).is_err(), "an empty answer proves nothing");
    }

    #[test]
    fn an_account_with_a_password_is_seen() {
        assert!(no_password("root:*:1::::::\nanna:!*:1::::::").is_ok());
        assert!(no_password("root:*:1::::::\nanna::1::::::").is_err() && no_password("root:$y$x:1::::::").is_err());
        assert!(no_password("").is_err(), "an empty answer proves nothing");
    }

    #[test]
    fn names_keys_and_commands_are_words() {
        quote::tests::harmless(|hostile| {
            let command = Command { run: hostile.to_owned(), arguments: vec![hostile.to_owned()] };
            script(&DeclaredPerson {
                name: hostile.to_owned(),
                uid: 2000,
                keys: vec![],
                keys_files: String::new(),
                principals: vec![],
                sudo: Some(Sudo::Commands(vec![command])),
            })
        });
    }
}
