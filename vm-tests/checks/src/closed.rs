//! What must be closed: accounts, the secure shell, the kernel, programs with privileges, the sandboxes of units. Each
//! check is a command for the injected shell and a judge of its output.

use crate::judge::Judged;
use diorite_machine::Output;
use diorite_model::Recipe;
use diorite_model::hardening::EXPOSURE;
use diorite_model::recipe::{Access, GIVEN_KEYS, RootLogin, SecondFactor};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// No account has a password that could be typed.
    NoPassword,
    /// The secure shell lets in whom the recipe names, in the way it says: lines of `sshd -T`, sshd(8).
    SecureShell(Vec<String>),
    /// This person logs in with a key made for the test, and in no other way.
    Login(String),
    /// No file gives a key to an account but to these people's, each in their own; sshd looks for them in these files.
    Keys(BTreeSet<String>, String),
    /// Values by name, sysctl(8).
    Sysctl(BTreeMap<String, String>),
    /// Words of /proc/cmdline.
    CommandLine(Vec<String>),
    /// Modules that must not load.
    Modules(Vec<String>),
    /// Programs that may have a setuid or setgid bit.
    Setuid(BTreeSet<String>),
    /// Exposure of units: those with an exception are told, not judged.
    Exposure {
        /// Units with an exception.
        excepted: BTreeSet<String>,
    },
}

/// Name of the key that a login is tried with.
const KEY: &str = "/run/diorite-verify-key";

/// Every check of this kind: id, words, question.
pub fn plan(recipe: &Recipe) -> Vec<(String, String, Closed)> {
    let (access, hardening) = (&recipe.access, &recipe.hardening);
    let mut all = vec![
        ("accounts-locked".into(), "no account has a password".into(), Closed::NoPassword),
        (
            "secure-shell".into(),
            "the secure shell lets in whom the profile names, by keys only".into(),
            Closed::SecureShell(effective(access)),
        ),
    ];
    let people = access.people().map(|(name, _)| name.clone()).collect();
    let people = Closed::Keys(people, recipe.keys_files());
    all.push(("strangers-keys".into(), "nobody's key opens an account but those of the people named".into(), people));
    // A token cannot be touched here.
    let somebody = access.people().next().filter(|_| access.second_factor == SecondFactor::None);
    if let Some((name, _)) = somebody {
        let what = format!("{name} logs in over SSH with a key, and is offered no other way");
        all.push((format!("login-{name}"), what, Closed::Login(name.clone())));
    }
    all.push((
        "sysctl".into(),
        "the kernel's settings are as declared".into(),
        Closed::Sysctl(hardening.sysctl.clone()),
    ));
    let words = "the kernel was started with the words of the profile";
    let command_line = [&hardening.command_line[..], &recipe.kernel.command_line].concat();
    all.push(("command-line".into(), words.into(), Closed::CommandLine(command_line)));
    let modules = Closed::Modules(hardening.blocked_modules.clone());
    all.push(("modules-blocked".into(), "blocked kernel modules do not load".into(), modules));
    let sudo = access.anybody_has_sudo().then(|| "/usr/bin/sudo".to_owned());
    let setuid = sudo.into_iter().chain(hardening.setuid.iter().map(|s| s.path.clone())).collect();
    all.push(("setuid".into(), "only declared programs have a setuid bit".into(), Closed::Setuid(setuid)));
    let excepted = hardening.exceptions.iter().filter_map(|e| e.unit.clone()).collect();
    let exposure = Closed::Exposure { excepted };
    all.push(("exposure".into(), "units are as closed as hardening promises".into(), exposure));
    all
}

/// Lines that `sshd -T` must say for root.
fn effective(access: &Access) -> Vec<String> {
    let root = access.root_login == RootLogin::Credential;
    let mut lines: Vec<String> =
        ["passwordauthentication no", "kbdinteractiveauthentication no", "permitemptypasswords no"]
            .map(Into::into)
            .into();
    lines.push(format!("permitrootlogin {}", if root { "without-password" } else { "no" }));
    lines.push(format!("maxsessions {}", access.sessions));
    let people: Vec<&str> = access.people().map(|(n, _)| n.as_str()).chain(root.then_some("root")).collect();
    if people.is_empty() {
        lines.push("denyusers *".into());
    }
    lines.extend(people.iter().map(|name| format!("allowusers {name}")));
    if access.second_factor == SecondFactor::U2f {
        lines.push("pubkeyauthoptions touch-required verify-required".into());
    }
    if let Some(minutes) = access.idle_minutes {
        lines.push(format!("unusedconnectiontimeout {}", u32::from(minutes) * 60));
    }
    if !access.user_ca.is_empty() {
        lines.push("trustedusercakeys /etc/ssh/user_ca.pub".into());
    }
    lines
}

/// One argument of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Closed {
    /// The command whose output answers it.
    pub fn command(&self) -> String {
        let each = |list: &mut dyn Iterator<Item = &String>| list.map(|w| quoted(w)).collect::<Vec<_>>().join(" ");
        match self {
            Self::NoPassword => "getent shadow".into(),
            Self::SecureShell(_) => "/usr/sbin/sshd -T -C user=root,host=lab,addr=10.77.0.1".into(),
            Self::Keys(..) => format!(
                "for f in /root/.ssh/authorized_keys* /etc/ssh/authorized_keys.d/* {GIVEN_KEYS}/*; do \
                 test -s \"$f\" && echo \"$f\"; done; sshd=$(/usr/sbin/sshd -T); echo \"$sshd\" | grep ^authorizedkeys"
            ),
            Self::Login(name) => {
                let ssh = "ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";
                let (at, file) =
                    (quoted(&format!("{name}@127.0.0.1")), quoted(&format!("/etc/ssh/authorized_keys.d/{name}")));
                format!(
                    "ssh-keygen -q -t ed25519 -N '' -f {KEY} && mount --bind {KEY}.pub {file}; \
                     echo \"in:$({ssh} -i {KEY} {at} id -un 2>&1)\"; \
                     echo \"out:$({ssh} -o PubkeyAuthentication=no -o PreferredAuthentications=password,keyboard-interactive \
                     {at} id -un 2>&1)\"; umount {file}; rm -f {KEY} {KEY}.pub"
                )
            }
            // One program for all: starting one is dear under emulation.
            Self::Sysctl(values) => {
                let paths: Vec<String> = values.keys().map(|name| quoted(&sysctl_path(name))).collect();
                format!("cd /proc/sys; grep -H '' {} 2>&1", paths.join(" "))
            }
            Self::CommandLine(_) => "cat /proc/cmdline".into(),
            Self::Modules(names) => format!(
                "for name in {names}; do modprobe \"$name\" 2>/dev/null; echo \"$name $?\"; done; \
                 modinfo -n {names} 2>/dev/null; sed 's/ .*//;s/^/loaded:/' /proc/modules",
                names = each(&mut names.iter())
            ),
            Self::Setuid(_) => "find / -xdev -type f -perm /6000; echo done".into(),
            // Without names it leaves out what ends by itself, and takes half a minute under emulation.
            Self::Exposure { .. } => {
                let named: Vec<&str> = EXPOSURE.iter().map(|(name, _)| *name).filter(|name| *name != "*").collect();
                format!(
                    "cd /etc/systemd/system; for unit in {} $(find . -maxdepth 1 -type f -name '*.service' -printf '%f '); do \
                     systemctl cat \"$unit\" >/dev/null 2>&1 && systemd-analyze security --no-pager \"$unit\" | grep ' Overall '; \
                     done",
                    named.join(" ")
                )
            }
        }
    }

    /// What its output means.
    pub fn judge(&self, output: &Output) -> Judged {
        match self {
            Self::NoPassword => no_password(&output.text),
            Self::SecureShell(wanted) => secure_shell(&output.text, wanted),
            Self::Keys(people, files) => keys(&output.text, people, files),
            Self::Login(name) => login(&output.text, name),
            Self::Sysctl(values) => sysctl(&output.text, values),
            Self::CommandLine(words) => command_line(&output.text, words),
            Self::Modules(names) => modules(&output.text, names),
            Self::Setuid(allowed) => setuid(&output.text, allowed),
            Self::Exposure { excepted } => exposure(&output.text, excepted),
        }
    }
}

/// Fine when nothing is wrong; else the first few things that are.
fn none_of(wrong: &[String], fine: String) -> Judged {
    match wrong {
        [] => Ok(fine),
        some => Err(some.iter().take(4).cloned().collect::<Vec<_>>().join(", ")),
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

fn secure_shell(text: &str, wanted: &[String]) -> Judged {
    let said: BTreeSet<&str> = text.lines().collect();
    let mut wrong: Vec<String> =
        wanted.iter().filter(|w| !said.contains(w.as_str())).map(|w| format!("not said: {w}")).collect();
    let more = said.iter().filter(|l| l.starts_with("allowusers ") && !wanted.iter().any(|w| w == *l));
    wrong.extend(more.map(|l| format!("also: {l}")));
    none_of(
        &wrong,
        wanted.iter().filter(|w| w.contains("users ") || w.contains("root")).cloned().collect::<Vec<_>>().join(", "),
    )
}

/// Files with keys, then lines of `sshd -T`: where it looks for them.
fn keys(text: &str, people: &BTreeSet<String>, looks: &str) -> Judged {
    let theirs = |path: &str| path.strip_prefix("/etc/ssh/authorized_keys.d/").is_some_and(|n| people.contains(n));
    let files: Vec<&str> = text.lines().filter(|l| l.starts_with('/')).collect();
    let mut wrong: Vec<String> = files.iter().filter(|f| !theirs(f)).map(|f| format!("keys in {f}")).collect();
    for line in [format!("authorizedkeysfile {looks}"), "authorizedkeyscommand none".into()] {
        if !text.lines().any(|l| l == line) {
            wrong.push(format!("sshd does not say `{line}`"));
        }
    }
    none_of(&wrong, if files.is_empty() { "none".into() } else { files.join(", ") })
}

fn login(text: &str, name: &str) -> Judged {
    let said = |word: &str| {
        text.lines().rfind(|l| l.starts_with(word)).map(|l| l[word.len()..].to_owned()).unwrap_or_default()
    };
    let (inside, outside) = (said("in:"), said("out:"));
    // A banner may stand before the answer.
    if !text.lines().take_while(|l| !l.starts_with("out:")).any(|l| l.trim_start_matches("in:") == name) {
        return Err(format!("the key does not let {name} in: {inside}"));
    }
    match text.contains("Permission denied (publickey).") {
        true => Ok("in with the key; without it: Permission denied (publickey)".into()),
        false => Err(format!("without the key: {outside}")),
    }
}

/// Below /proc/sys; in a name a dot separates and a slash stands for a dot, sysctl.d(5).
fn sysctl_path(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

/// `PATH:VALUE` for each.
fn sysctl(text: &str, values: &BTreeMap<String, String>) -> Judged {
    let seen: BTreeMap<&str, Vec<&str>> =
        text.lines().filter_map(|l| l.split_once(':')).map(|(n, v)| (n, v.split_whitespace().collect())).collect();
    let wrong = values.iter().filter_map(|(name, value)| {
        let seen = seen.get(sysctl_path(name).as_str());
        let right = seen.is_some_and(|v| *v == value.split(' ').collect::<Vec<_>>());
        let words = || format!("{name} is {} and not {value}", seen.map_or("unknown".into(), |v| v.join(" ")));
        (!right).then(words)
    });
    none_of(&wrong.collect::<Vec<_>>(), format!("{} values", values.len()))
}

fn command_line(text: &str, words: &[String]) -> Judged {
    let said: BTreeSet<&str> = text.split_whitespace().collect();
    let wrong: Vec<String> =
        words.iter().filter(|w| !said.contains(w.as_str())).map(|w| format!("not said: {w}")).collect();
    match said.iter().any(|w| w.starts_with("roothash=")) {
        true => none_of(&wrong, words.join(" ")),
        false => Err("the command line cannot be read".into()),
    }
}

/// `NAME STATUS` for each, the files of those that are in the image, and `loaded:NAME` for those that are in the kernel.
fn modules(text: &str, names: &[String]) -> Judged {
    let same = |a: &str, b: &str| a.replace('-', "_") == b.replace('-', "_");
    let mut wrong = Vec::new();
    for name in names {
        match text.lines().filter_map(|l| l.split_once(' ')).find(|(said, _)| said == name) {
            None => wrong.push(format!("{name} was not asked")),
            Some((_, "0")) => wrong.push(format!("{name} loads")),
            Some(_) => {}
        }
        if text.lines().filter_map(|l| l.strip_prefix("loaded:")).any(|l| same(l, name)) {
            wrong.push(format!("{name} is loaded"));
        }
    }
    let there = text.lines().filter(|l| l.starts_with('/')).count();
    if there == 0 && !names.is_empty() && wrong.is_empty() {
        return Err("none of them is in the image, so nothing is proven".into());
    }
    none_of(&wrong, format!("{} refused, {there} of them in the image", names.len()))
}

fn setuid(text: &str, allowed: &BTreeSet<String>) -> Judged {
    if text.lines().last() != Some("done") {
        return Err("the search did not end".into());
    }
    let found: Vec<&str> = text.lines().filter(|l| l.starts_with('/')).collect();
    let wrong: Vec<String> = found.iter().filter(|f| !allowed.contains(**f)).map(|f| (*f).to_owned()).collect();
    none_of(&wrong, if found.is_empty() { "none".into() } else { found.join(", ") })
}

/// `→ Overall exposure level for UNIT: SCORE WORD` for each unit, systemd-analyze(1).
fn exposure(text: &str, excepted: &BTreeSet<String>) -> Judged {
    let (mut wrong, mut told) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let words = line.split_once(" Overall exposure level for ").map(|(_, words)| words.split_once(": "));
        let Some(Some((unit, rest))) = words else { return Err(format!("systemd-analyze says: {line}")) };
        let score = rest.split(' ').next().unwrap_or_default();
        let tenths = score.parse::<f64>().map_err(|_| line.to_owned())? * 10.0;
        let row = EXPOSURE.iter().find(|(name, _)| *name == unit).unwrap_or(&EXPOSURE[EXPOSURE.len() - 1]);
        if excepted.contains(unit) {
            told.push(format!("{unit} {score} by exception"));
        } else if tenths > f64::from(row.1) + 0.01 {
            wrong.push(format!("{unit} is exposed {score}, at most {:.1}", f64::from(row.1) / 10.0));
        } else {
            told.push(format!("{unit} {score}"));
        }
    }
    // The secure shell is in every image, and so are units of ours.
    match told.len() + wrong.len() > 1 {
        true => none_of(&wrong, told.join(", ")),
        false => Err("no unit was judged".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings<'a>(list: &[&'a str]) -> Vec<String> {
        list.iter().map(|s: &&'a str| (*s).to_owned()).collect()
    }

    #[test]
    fn accounts_and_logins() {
        assert!(no_password("root:*:1::::::\nanna:!*:1::::::").is_ok());
        assert!(no_password("root:*:1::::::\nanna::1::::::").is_err() && no_password("root:$y$x:1::::::").is_err());
        assert!(no_password("").is_err(), "an empty answer proves nothing");
        let wanted = strings(&["permitrootlogin no", "allowusers anna"]);
        assert!(secure_shell("permitrootlogin no\nallowusers anna\nport 22", &wanted).is_ok());
        assert!(secure_shell("permitrootlogin yes\nallowusers anna", &wanted).is_err());
        assert!(secure_shell("permitrootlogin no\nallowusers anna\nallowusers ben", &wanted).is_err(), "one too many");
        let looks = "authorizedkeysfile /etc/ssh/authorized_keys.d/%u\nauthorizedkeyscommand none";
        let people = BTreeSet::from(["anna".to_owned()]);
        let keys = |text: &str, people| keys(text, people, "/etc/ssh/authorized_keys.d/%u");
        assert!(keys(looks, &people).is_ok());
        assert!(keys(&format!("/etc/ssh/authorized_keys.d/anna\n{looks}"), &people).is_ok());
        for more in ["/root/.ssh/authorized_keys", "/etc/ssh/authorized_keys.d/root", "/etc/ssh/authorized_keys.d/ann"]
        {
            assert!(keys(&format!("{more}\n{looks}"), &people).is_err(), "{more}");
        }
        assert!(keys(&looks.replace("none", "/usr/bin/keys"), &people).is_err(), "a program gives keys");
        assert!(keys("", &people).is_err(), "an empty answer proves nothing");
        assert!(super::keys(looks, &people, "/etc/ssh/authorized_keys.d/%u /run/diorite-keys/%u").is_err());
        let refused = "out:anna@127.0.0.1: Permission denied (publickey).";
        assert!(login(&format!("in:anna\n{refused}"), "anna").is_ok());
        assert!(login(&format!("in:Authorised use only.\nanna\n{refused}"), "anna").is_ok(), "a banner before it");
        assert!(login(&format!("in:Permission denied (publickey).\n{refused}"), "anna").is_err());
        assert!(login("in:anna\nout:Permission denied (publickey,password).", "anna").is_err());
        assert!(login("in:anna\nout:anna", "anna").is_err() && login("", "anna").is_err());
    }

    #[test]
    fn the_kernel() {
        let values = BTreeMap::from([("a.b".to_owned(), "4 8".to_owned()), ("c.d".to_owned(), "1".to_owned())]);
        assert!(sysctl("a/b:4\t8\nc/d:1", &values).is_ok());
        assert_eq!(sysctl_path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        for bad in ["a/b:4 8\nc/d:0", "a/b:4 8", "a/b:4 8\ngrep: c/d: No such file or directory"] {
            assert!(sysctl(bad, &values).is_err(), "{bad}");
        }
        let words = strings(&["slab_nomerge"]);
        assert!(command_line("roothash=00 ro slab_nomerge", &words).is_ok());
        assert!(command_line("roothash=00 ro", &words).is_err() && command_line("", &[]).is_err());
        let names = strings(&["sctp", "af-key"]);
        assert!(modules("sctp 1\naf-key 1\n/lib/sctp.ko\nloaded:ext4", &names).is_ok());
        for bad in [
            "sctp 0\naf-key 1\n/lib/sctp.ko",
            "sctp 1\n/lib/sctp.ko",
            "sctp 1\naf-key 1\n/lib/sctp.ko\nloaded:af_key",
            "sctp 1\naf-key 1",
        ] {
            assert!(modules(bad, &names).is_err(), "{bad}");
        }
    }

    #[test]
    fn privileges() {
        let allowed = BTreeSet::from(["/usr/bin/sudo".to_owned()]);
        assert!(setuid("/usr/bin/sudo\ndone", &allowed).is_ok() && setuid("done", &allowed).is_ok());
        assert!(setuid("/usr/bin/sudo\n/usr/bin/su\ndone", &allowed).is_err() && setuid("", &allowed).is_err());
        let none = BTreeSet::new();
        let table = |ssh: &str, ours: &str| {
            let line = |unit: &str, score: &str| format!("\u{2192} Overall exposure level for {unit}: {score} OK x");
            format!("{}\n{}", line("ssh.service", ssh), line("a.service", ours))
        };
        assert_eq!(exposure(&table("7.0", "3.0"), &none), Ok("ssh.service 7.0, a.service 3.0".into()));
        assert!(exposure(&table("7.1", "3.0"), &none).is_err() && exposure(&table("7.0", "3.1"), &none).is_err());
        let excepted = BTreeSet::from(["a.service".to_owned()]);
        assert!(exposure(&table("7.0", "9.0"), &excepted).is_ok());
        let one = table("7.0", "3.0").lines().next().unwrap().to_owned();
        assert!(
            exposure(&one, &none).is_err() && exposure("", &none).is_err() && exposure("no such unit", &none).is_err()
        );
    }
}
